"""What the trace says of the outputs of a `VrrpRouter`: written once, for the simulator and for hardware."""

from __future__ import annotations

from vrrpsim.protocol.frames import mac_text
from vrrpsim.protocol.fsm import Log
from vrrpsim.protocol.outputs import (
    AdvertDropped,
    Output,
    PriorityChanged,
    RunNotify,
    SendAdvert,
    SendGratuitous,
    StateChanged,
    TrackerChanged,
)
from vrrpsim.trace import (
    AdvertRejected,
    AdvertSent,
    Gratuitous,
    Level,
    LogLine,
    Notification,
    PriorityChange,
    Record,
    StateChange,
    TrackerChange,
)

LEVELS: dict[type[Output], Level] = {  # from which on an output leaves a record; the others leave none
    StateChanged: Level.STATES,
    PriorityChanged: Level.STATES,
    TrackerChanged: Level.STATES,
    SendAdvert: Level.ADVERTS,
    SendGratuitous: Level.ADVERTS,
    AdvertDropped: Level.ADVERTS,
    RunNotify: Level.ALL,
    Log: Level.ALL,
}


def record_of(
    output: Output, at_ns: int, node: str, *, mac: bytes | None = None, epoch_ns: int = 0
) -> Record | None:
    """Return the record of an output that was done; None if it leaves none.

    `mac`: what was announced as the address of a SendGratuitous (None: nothing was). `epoch_ns`: the
    instant 0 of the trace by the router's clock.
    """
    match output:
        case StateChanged(instance, old, new, reason, last_ns):
            heard_ns = None if last_ns is None else last_ns - epoch_ns
            return StateChange(at_ns, node, instance, old.name, new.name, str(reason), heard_ns)
        case PriorityChanged():
            return PriorityChange(at_ns, node, *output)
        case TrackerChanged():
            return TrackerChange(at_ns, node, *output)
        case SendAdvert():
            return AdvertSent(at_ns, node, output.instance, output.priority, str(output.destination))
        case SendGratuitous() if mac is not None:
            return Gratuitous(at_ns, node, output.interface, str(output.address), mac_text(mac))
        case AdvertDropped(instance, source, why):
            return AdvertRejected(at_ns, node, instance, str(source), why.value)
        case RunNotify():
            return Notification(at_ns, node, *output)
        case Log(detail=False):
            return LogLine(at_ns, node, str(output))
    return None
