"""The fault verbs of a scenario: one row a verb, and nothing about a verb is said anywhere else.

Beside its row a verb has a deed in `world/faults.py` and one in `lab/faults.py`, or a refusal in
`lab/refusals.py`; one that takes more than a target has a class in `events.py` and keys in `file/format.py`.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import NamedTuple


class Effect(Enum):
    """What an event does to the nodes it meets."""

    HARM = "harm"
    REPAIR = "repair"
    EITHER = "either"


PROCESS, NODE, INTERFACE, SCRIPT = "NODE/PROCESS", "NODE", "NODE/INTERFACE", "NODE/SCRIPT"
FILE, INSTANCE, SEGMENT, SESSION = "NODE/FILE", "NODE/INSTANCE", "SEGMENT", "NODE/BFD"
MACHINE, LINK = "NODE or SWITCH", "NODE/INTERFACE or CABLE"
PLACE, GROUPS = "SEGMENT, CABLE or NODE/INTERFACE", "[[A…], [B…]]"


class Verb(NamedTuple):
    """One verb. `undo` is what `for:` does in the end; `lasts` False: there is nothing to undo.

    `composes`: each of several at one target is undone by itself. `goes_on`: it may do harm at any time
    until its end. `steers`: it changes only who is to be Master, and breaks nothing. `hunted` is its place
    among the faults of a hunt, 0: none.
    """

    name: str
    target: str
    means: str  # for the schema and the documents
    story: str  # what somebody who is met by it … in a sentence
    effect: Effect
    undo: str = ""
    lasts: bool = True
    composes: bool = False
    goes_on: bool = False
    steers: bool = False
    hunted: int = 0

    @property
    def noun(self) -> str:
        """The name of its shape in the schema: `LinkDownEvent`."""
        return "".join(part.capitalize() for part in self.name.split("_")) + "Event"


HARM, REPAIR, EITHER = Effect.HARM, Effect.REPAIR, Effect.EITHER
ROWS = (
    Verb("kill", PROCESS, "SIGKILL for NODE/PROCESS.", "is killed", HARM, "start", hunted=1),
    Verb(
        "stop",
        PROCESS,
        "SIGTERM for NODE/PROCESS; keepalived says priority 0.",
        "is stopped",
        HARM,
        "start",
        hunted=2,
    ),
    Verb("start", PROCESS, "NODE/PROCESS starts.", "is started", REPAIR, "stop"),
    Verb(
        "restart",
        PROCESS,
        "NODE/PROCESS is stopped and started.",
        "is restarted",
        EITHER,
        lasts=False,
        hunted=7,
    ),
    Verb(
        "freeze",
        PROCESS,
        "SIGSTOP for NODE/PROCESS: it is there, but does nothing.",
        "freezes",
        HARM,
        "thaw",
        hunted=6,
    ),
    Verb("thaw", PROCESS, "SIGCONT for NODE/PROCESS.", "goes on", REPAIR, "freeze"),
    Verb(
        "reload",
        NODE,
        "SIGHUP, with another configuration if given.",
        "reloads",
        EITHER,
        lasts=False,
        hunted=8,
    ),
    Verb(
        "power_off",
        MACHINE,
        "NODE is gone without a word; with a switch goes the carrier of what is plugged in.",
        "loses power",
        HARM,
        "power_on",
        hunted=3,
    ),
    Verb("power_on", MACHINE, "NODE or SWITCH boots.", "boots", REPAIR, "power_off"),
    Verb(
        "pause", NODE, "The whole machine stands still and resumes.", "stands still", HARM, "resume", hunted=4
    ),
    Verb(
        "link_down",
        LINK,
        "NODE/INTERFACE loses its carrier, and the node sees it; or a cable is pulled.",
        "loses its link",
        HARM,
        "link_up",
        hunted=5,
    ),
    Verb(
        "link_up",
        LINK,
        "NODE/INTERFACE has its carrier again, or a cable is back.",
        "has its link again",
        REPAIR,
        "link_down",
    ),
    Verb(
        "set_down",
        INTERFACE,
        "The node itself sets NODE/INTERFACE down, as `ip link set down` does: IPv6 addresses go.",
        "sets its link down",
        HARM,
        "set_up",
    ),
    Verb(
        "set_up",
        INTERFACE,
        "The node itself sets NODE/INTERFACE up; of IPv6 the link-local address returns.",
        "sets its link up",
        REPAIR,
        "set_down",
    ),
    Verb(
        "delete_interface",
        INTERFACE,
        "NODE/INTERFACE is deleted, as `ip link del` does, with all its addresses.",
        "loses an interface",
        HARM,
        "create_interface",
    ),
    Verb(
        "create_interface",
        INTERFACE,
        "NODE/INTERFACE is made again, up and with the addresses that it is configured with.",
        "has its interface again",
        REPAIR,
        "delete_interface",
    ),
    Verb(
        "partition",
        GROUPS,
        "Frames between the groups vanish silently.",
        "is cut off",
        EITHER,
        composes=True,
        hunted=11,
    ),
    Verb(
        "impair",
        PLACE,
        "netem's words for a segment, a cable or one interface; impairments compose.",
        "is impaired",
        EITHER,
        composes=True,
        goes_on=True,
        hunted=12,
    ),
    Verb(
        "hang",
        SCRIPT,
        "The check NODE/SCRIPT never returns.",
        "hangs",
        HARM,
        composes=True,
        steers=True,
        hunted=10,
    ),
    Verb(
        "fail",
        SCRIPT,
        "The check NODE/SCRIPT fails, whatever it looks at.",
        "is made to fail",
        HARM,
        composes=True,
        steers=True,
        hunted=9,
    ),
    Verb(
        "pass",
        SCRIPT,
        "The check NODE/SCRIPT succeeds, whatever it looks at.",
        "is made to pass",
        REPAIR,
        composes=True,
        steers=True,
        hunted=16,
    ),
    Verb(
        "starve",
        NODE,
        "Timers and packets of the node are served late.",
        "gets too little processor time",
        EITHER,
        goes_on=True,
        hunted=13,
    ),
    Verb(
        "flush_address",
        NODE,
        "Somebody else removes an address.",
        "loses an address to somebody else",
        HARM,
        lasts=False,
        steers=True,
        hunted=14,
    ),
    Verb(
        "add_address",
        INTERFACE,
        "Somebody gives NODE/INTERFACE an address, the one it is configured with or another.",
        "gets an address from somebody else",
        EITHER,
        lasts=False,
        steers=True,
    ),
    Verb(
        "write",
        FILE,
        "Somebody writes a value to the track_file NODE/FILE.",
        "gets another value in a tracked file",
        EITHER,
        steers=True,
    ),
    Verb(
        "bfd_down",
        SESSION,
        "The session of the bfd_instance NODE/BFD goes down, whoever may be reached.",
        "loses a BFD session",
        HARM,
        "bfd_up",
        steers=True,
    ),
    Verb(
        "bfd_up",
        SESSION,
        "The session of the bfd_instance NODE/BFD comes up, whoever may be reached.",
        "has a BFD session again",
        REPAIR,
        "bfd_down",
        steers=True,
    ),
    Verb(
        "set",
        INSTANCE,
        "An operator changes the priority of NODE/INSTANCE.",
        "gets another priority",
        EITHER,
        steers=True,
        hunted=15,
    ),
    Verb(
        "inject",
        SEGMENT,
        "A foreign or forged advert appears on the segment.",
        "carries a forged advert",
        EITHER,
        lasts=False,
        hunted=17,
    ),
)
VERBS = {verb.name: verb for verb in ROWS}


@cache
def on(target: str) -> tuple[str, ...]:
    """Return the verbs that take such a target."""
    return tuple(verb.name for verb in ROWS if verb.target == target)
