"""Everything that crosses the bridge of a test network: adverts with the kernel's times, and a judge.

The judge is tshark: after the run it reads all frames and may find nothing malformed and no bad checksum.
"""

import shutil
import socket
import struct
import subprocess
from dataclasses import dataclass
from ipaddress import ip_address
from threading import Lock

SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
SOL_PACKET, PACKET_STATISTICS, PACKET_OUTGOING = 263, 6, 4
ETHERTYPE_IPV4, ETHERTYPE_IPV6, VRRP, AH = 0x0800, 0x86DD, 112, 51
AH_BYTES = 24
NANOSECOND_PCAP, ETHERNET = 0xA1B23C4D, 1
NOT_GOOD = (
    "_ws.malformed || _ws.expert.severity >= 8388608 || vrrp.checksum.status == 0 "
    "|| ip.checksum.status == 0 || icmpv6.checksum.status == 0"
)


@dataclass
class Advert:
    """What the sniffer saw: wall-clock seconds of the kernel, and the packet's parts."""

    at_s: float
    source: str
    ttl: int
    payload: bytes
    mac: str

    @property
    def priority(self):
        return self.payload[2]


class Capture:
    """Made in the network namespace of the bridge; each frame counts once, where it enters the bridge."""

    def __init__(self, bridge):
        self._bridge = bridge
        self.frames = []  # (ns since 1970, bytes)
        self._told = 0
        self._lock = Lock()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64_000_000)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)

    def _read(self):
        while True:
            try:
                frame, ancillary, _, (port, _, kind, *_) = self._socket.recvmsg(4096, 256)
            except BlockingIOError:
                return
            if port != self._bridge and kind != PACKET_OUTGOING:
                stamp = next(data for _, what, data in ancillary if what == SO_TIMESTAMPNS)
                seconds, nanoseconds = struct.unpack("qq", stamp[:16])
                self.frames.append((seconds * 1_000_000_000 + nanoseconds, frame))

    def adverts(self):
        """Everything of protocols 112 and 51 since the last call."""
        with self._lock:
            self._read()
            fresh, self._told = self.frames[self._told :], len(self.frames)
        return adverts_in(fresh)

    def tell_again(self):
        """The next look begins with the last advert that was told."""
        while self._told and advert_in(*self.frames[self._told - 1]) is None:
            self._told -= 1
        self._told = max(self._told - 1, 0)

    def announcements(self, address, macs):
        """Gratuitous ARPs or unsolicited NAs so far; whether they are well-formed is the judge's business."""
        packed = ip_address(address).packed
        if len(packed) == 4:  # sender and target are the address
            wanted = [(12, b"\x08\x06"), (28, packed), (38, packed)]
        else:  # ICMPv6 136, and the target
            wanted = [(12, b"\x86\xdd"), (20, b"\x3a"), (54, b"\x88"), (62, packed)]
        with self._lock:
            self._read()
        return sum(
            frame[6:12].hex(":") in macs and all(frame[at:].startswith(part) for at, part in wanted)
            for _, frame in self.frames
        )

    def close(self):
        self._socket.close()

    def judge(self, folder, but=""):
        """Lines of tshark about frames that are not good; `but` leaves out what a test sends on purpose."""
        with self._lock:
            self._read()
        packets, dropped = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        assert packets
        assert dropped == 0
        return judged(self.frames, folder / "wire.pcap", f"({NOT_GOOD}) && !({but})" if but else NOT_GOOD)


def adverts_in(frames):
    return [advert for at_ns, frame in frames if (advert := advert_in(at_ns, frame))]


def advert_in(at_ns, frame):
    ethertype = int.from_bytes(frame[12:14], "big")
    mac = frame[6:12].hex(":")
    if ethertype == ETHERTYPE_IPV4 and frame[23] in (VRRP, AH):
        header = (frame[14] & 15) * 4 + AH_BYTES * (frame[23] == AH)
        payload = frame[14 + header : 14 + int.from_bytes(frame[16:18], "big")]
        return Advert(at_ns / 1e9, socket.inet_ntop(socket.AF_INET, frame[26:30]), frame[22], payload, mac)
    if ethertype == ETHERTYPE_IPV6 and frame[20] == VRRP:
        payload = frame[54 : 54 + int.from_bytes(frame[18:20], "big")]
        return Advert(at_ns / 1e9, socket.inet_ntop(socket.AF_INET6, frame[22:38]), frame[21], payload, mac)
    return None


def judged(frames, path, wanted):
    """Lines of tshark about the frames that pass the filter; none where there is no tshark."""
    if shutil.which("tshark") is None:
        return []
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", NANOSECOND_PCAP, 2, 4, 0, 0, 262_144, ETHERNET))
        for at_ns, frame in frames:
            seconds, nanoseconds = divmod(at_ns, 1_000_000_000)
            file.write(struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)
    words = ["tshark", "-n", "-r", str(path), "-o", "ip.check_checksum:TRUE", "-Y", wanted]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
