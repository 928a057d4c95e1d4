"""A run with every network card tapped: what `run.pcap()` and `--pcap` write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vrrpsim.trace import Level, Trace

if TYPE_CHECKING:
    from vrrpsim.report.pcapng import PacketRecorder
    from vrrpsim.scenario.model import Scenario
    from vrrpsim.world.frame import Frame
    from vrrpsim.world.port import Port


def capture(
    scenario: Scenario, seed: int | None = None, *, level: Level = Level.ADVERTS
) -> tuple[Trace, bytes]:
    """Run a scenario with every network card tapped; return its trace and the pcapng file."""
    from vrrpsim.report.pcapng import PacketRecorder, pcapng
    from vrrpsim.world.world import World

    used = scenario.seed if seed is None else seed
    world = World(scenario, used, max(level, Level.ADVERTS))
    origin_ns = world.context.origin_ns
    recorder = PacketRecorder(world.trace)

    def sent(now_ns: int, card: Port, frame: Frame, reason: str) -> None:
        recorder.sent(now_ns - origin_ns, card, frame, reason)

    for segment in world.segments.values():
        segment.taps.append(sent)
    ports = [port for node in world.nodes.values() for port in node.ports.values()]
    for port in (*ports, *(client.port for client in world.clients.values())):
        _listen(port, recorder, origin_ns)
    trace = world.run()
    return trace, pcapng(scenario, used, recorder, trace)


def _listen(port: Port, recorder: PacketRecorder, origin_ns: int) -> None:
    """Let the recorder hear what the card takes from the wire; a world without capture never asks."""

    def heard(frame: Frame) -> None:
        since_ns = port.now_ns - origin_ns
        if (
            since_ns >= 0
            and port.carrier
            and port.alive
            and (frame.dst_mac[0] & 1 or port.has_mac(frame.dst_mac))
        ):
            recorder.heard(since_ns, port, frame)

    recorder.add(port)
    port.tap = heard
