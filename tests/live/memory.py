"""A machine in memory for the live shell: virtual clock, instant effects, everything written down."""

from vrrpsim.keepalived.compiler import compile_text
from vrrpsim.keepalived.notify import fifo_line
from vrrpsim.live.daemon import LiveDaemon
from vrrpsim.protocol.fsm import NEVER_NS
from vrrpsim.protocol.router import Host

CONF = """
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass s3cret
    }
    virtual_ipaddress {
        10.0.0.100
    }
    notify_master "/bin/own 'two words'"
    notify /bin/any
}
"""


def configured(text=CONF):
    config = compile_text(text).config
    assert config is not None
    return config


class Clock:
    """Virtual nanoseconds shared by machines; `run_until` serves their wake-ups and calls in order."""

    def __init__(self):
        self.now_ns = 0
        self.calls = []  # (at_ns, number, function)
        self.machines = []
        self._number = 0

    def at(self, at_ns, function):
        self._number += 1
        self.calls.append((at_ns, self._number, function))

    def run_until(self, end_ns, *, inclusive=True):
        while True:
            due = [(at_ns, number, function) for at_ns, number, function in self.calls]
            due += [(m.wake_ns, NEVER_NS + rank, m.wake) for rank, m in enumerate(self.machines)]
            at_ns, number, function = min(due, key=lambda each: each[:2], default=(NEVER_NS, 0, None))
            if at_ns > end_ns or (at_ns == end_ns and not inclusive):
                break
            self.now_ns = max(self.now_ns, at_ns)
            self.calls = [call for call in self.calls if call[1] != number]
            function()
        self.now_ns = max(self.now_ns, end_ns)


class Machine:
    """The transport: obeys at once. `lan` gets the adverts, `log_lines` and `notified` what was said."""

    def __init__(self, name, config, dialect, clock, *, lan=None, macs=None):
        self.name, self.clock, self.lan = name, clock, lan
        self.macs = macs or {}  # by interface
        self.kernel = set()  # (interface, address)
        self.records, self.log_lines, self.notified, self.scripts, self.kills = [], [], [], [], []
        self.sent = []
        self.wake_ns, self.remembers = NEVER_NS, True
        self.daemon = LiveDaemon(name, config, dialect, self, self.record)
        clock.machines.append(self)

    def wake(self):
        self.wake_ns = NEVER_NS
        self.daemon.wake()

    def record(self, record):
        if self.remembers:
            self.records.append(record)

    def now_ns(self):
        return self.clock.now_ns

    def wake_at(self, at_ns):
        self.wake_ns = at_ns

    def send_advert(self, advert):
        self.sent.append(advert)
        if self.lan is not None:
            self.lan(self, advert)

    def send_gratuitous(self, frame):
        return frame.virtual_mac or self.macs.get(frame.interface, bytes(6))

    def add_addresses(self, output, done):
        for entry in output.addresses:
            if (output.interface, entry.address) not in self.kernel:
                self.kernel.add((output.interface, entry.address))
                self.daemon.address_changed(output.interface, entry.address, True, by_us=True)
        done()

    def remove_addresses(self, output, done):
        for entry in output.addresses:
            if (output.interface, entry.address) in self.kernel:
                self.kernel.remove((output.interface, entry.address))
                self.daemon.address_changed(output.interface, entry.address, False, by_us=True)
        done()

    def run_script(self, script, run):
        self.scripts.append((self.clock.now_ns, script.name, run))

    def kill_script(self, run, signal):
        self.kills.append((self.clock.now_ns, run, signal))

    def notify(self, commands, output):
        self.notified.append((tuple(commands), fifo_line(output)))

    def log(self, text, detail):
        if self.remembers:
            self.log_lines.append(text)

    def passing_checks(self):
        """From now on each check ends at once, and well."""
        self.run_script = lambda script, run: self.clock.at(
            self.clock.now_ns, lambda: self.daemon.script_finished(run, 0, None)
        )

    def die(self):
        """Without a word: it neither wakes nor hears any more, and its kernel keeps the addresses."""
        self.clock.machines.remove(self)


def host(interface, *addresses):
    """A machine with one interface whose first address of each family is the primary one."""
    sources = {}
    for address in addresses:
        sources.setdefault((interface, address.version), address)
    return Host(sources, frozenset(addresses))
