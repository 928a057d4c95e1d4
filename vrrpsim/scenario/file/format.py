"""The scenario file, version 1: which keys there are, what each takes and what is made of it.

Only what can be judged without looking elsewhere is judged here; references between parts are
`resolve`'s. The tables are the reader (`read_document`) and the JSON Schema (`schema`) at once; defaults
are those of the values that they make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, Literal, NamedTuple

from vrrpsim.findings import did_you_mean
from vrrpsim.keepalived.effects import EFFECTS
from vrrpsim.keepalived.keywords.tables import ROOT
from vrrpsim.keepalived.lexer import Statement
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.scenario.events import InjectedAdvert, When
from vrrpsim.scenario.model import (
    ZERO,
    Address,
    Cable,
    Client,
    HostLatency,
    Interface,
    Neighbours,
    Network,
    Node,
    NotifyModel,
    Probe,
    Process,
    Scenario,
    Segment,
    Snooping,
    Stalls,
    Starts,
    Switch,
)
from vrrpsim.scenario.quantities import (
    DURATION_PATTERN,
    MAX_DURATION_NS,
    Distribution,
    ValueSyntaxError,
    parse_duration_ns,
)
from vrrpsim.scenario.verbs import VERBS, Verb

from .fields import (
    BROKEN,
    NAME,
    TEXT,
    TRUTH,
    Either,
    Fields,
    Key,
    Leaf,
    ListOf,
    Maybe,
    Named,
    Reading,
    Schema,
    Shape,
    one_of,
    whole,
)
from .inline_config import BESIDE_SCRIPT, BLOCKS, Inline, shape
from .scalars import (
    ADDRESS,
    ADDRESSES,
    ASKED,
    AT,
    BURST,
    DISTRIBUTION,
    DURATION,
    ENDPOINT,
    ENDS,
    FRACTION,
    GROUPS,
    INTERVAL,
    MAC,
    PORT,
    PORTS,
    POSITIVE,
    STARTS,
    SUBNETS,
    TARGET,
    TARGETS,
    WITH_PREFIX,
    WITH_PREFIXES,
)
from .yaml_tree import Keys, Tree

EFFECT_PATTERN = rf"^({'|'.join(EFFECTS)}) \S+$"
NOTIFIED_STATES = ("master", "backup", "fault", "stop", "master_rx_lower_pri")
DIALECT = one_of(*DIALECTS)

# --- segments, nodes, clients

_ALWAYS = {
    "delay": Key(DISTRIBUTION, "One way, per frame."),
    "jitter": Key(Maybe(DISTRIBUTION), "Added to the delay."),
    "loss": Key(FRACTION, "Share of the frames that is lost."),
    "burst": Key(Maybe(BURST), "Mean number of frames lost in a row, at least 1."),
    "duplicate": Key(FRACTION, "Share that arrives twice."),
    "reorder": Key(FRACTION, "Share that overtakes: it travels without delay."),
    "corrupt": Key(FRACTION, "Share that arrives with a flipped bit."),
}


@wraps(Segment)  # whose signature has the defaults
def _segment(subnet: tuple[Network, ...] | None = None, **given: Any) -> Segment:
    first, second = (*(subnet or ()), None, None)[:2]
    return Segment(subnet=first, second=second, **given)


SEGMENT = Fields(
    "Segment",
    _segment,
    {
        "subnet": Key(
            Maybe(SUBNETS),
            "The network of the segment, or one of IPv4 and one of IPv6; who is on it must lie in it.",
        ),
        **_ALWAYS,
    },
    "A shared L2 domain.",
)
SNOOPING = Fields(
    "Snooping",
    Snooping,
    {
        "querier": Key(
            one_of("none", "self"), "Whether this switch asks who is a member; one that does is enough."
        ),
        "link_local": Key(
            one_of("flood", "prune"),
            "What it does with 224.0.0.0/24, so with VRRP over IPv4: RFC 4541 wants `flood`.",
        ),
        "membership": Key(POSITIVE, "How long a report is remembered.", to="membership_ns"),
    },
    "Multicast goes only to where a member has reported; without a querier nobody reports a second time.",
)
SWITCH = Fields(
    "Switch",
    Switch,
    {
        "mac_age": Key(POSITIVE, "How long it remembers behind which cable a MAC is.", to="mac_age_ns"),
        "boots": Key(DISTRIBUTION, "From power_on until it forwards."),
        "stp": Key(
            one_of("none", "rstp"), "Rapid spanning tree: of several ways between switches one is open."
        ),
        "takes_over": Key(DISTRIBUTION, "With rstp: from a change until another way is open."),
        "forward_delay": Key(
            POSITIVE,
            "With rstp: a port with `edge: false` forwards after twice this long.",
            to="forward_delay_ns",
        ),
        "igmp_snooping": Key(Maybe(SNOOPING), "IGMP and MLD snooping; none if not given."),
    },
    "A switch. It learns MACs, each segment for itself, and all cables between switches carry all segments.",
)
CABLE = Fields(
    "Cable",
    Cable,
    {
        "ends": Key(ENDS, "What it joins: a switch and another one, a card or a client.", required=True),
        "name": Key(
            Maybe(NAME), "For events; between two switches `sw1-sw2` if not given. A card's is the card."
        ),
        **_ALWAYS,
        "edge": Key(TRUTH, "Whether the switch takes the card's port for an edge port (portfast)."),
        "segments": Key(TARGETS, "Between switches: the segments (VLANs) it carries; all if not given."),
        "lag": Key(Maybe(NAME), "Cables of one name between two switches are one cable that survives one."),
    },
    "A cable; its delay, losses and so on are those of each direction.",
)
_ENDS_ALONE = Leaf(lambda value: Cable(ends=ENDS.parse(value)), ENDS.form)
INTERFACE = Fields(
    "Interface",
    Interface,
    {
        "segment": Key(TEXT, "The name of a segment.", required=True),
        "address": Key(WITH_PREFIXES, "One address with prefix length, or a list.", to="addresses"),
        "mac": Key(Maybe(MAC), "Its MAC; made up if not given."),
    },
    "A network interface of a node.",
)
PROCESS = Fields(
    "Process",
    Process,
    {
        "serves": Key(PORTS, "The ports that answer while it runs."),
        "starts": Key(STARTS, "When it starts after the boot; `manual`: an event starts it."),
        "startup": Key(DISTRIBUTION, "From its start until it serves.", to="starts_up"),
    },
    "A process that checks and clients can see.",
)


def _probe(
    process: str | None = None,
    serves: str | None = None,
    answers: tuple[Address, int | None] | None = None,
) -> Probe:
    if sum(each is not None for each in (process, serves, answers)) != 1:
        raise ValueSyntaxError("a probe has exactly one of: process, serves, answers")
    return Probe(process, serves, answers)


PROBE = Fields(
    "Probe",
    _probe,
    {
        "process": Key(Maybe(TEXT), "This process must exist."),
        "serves": Key(Maybe(PORT), "This port of the node must answer."),
        "answers": Key(Maybe(ASKED), "This address must answer, at the port if one is given, else a ping."),
    },
    "What a check looks at: a process or a port of its node, or an address that it asks.",
    extra={"oneOf": [{"required": [key]} for key in ("process", "serves", "answers")]},
)


class KeepalivedDocument(NamedTuple):
    """A node's `keepalived:`: a `file`, its text (`conf`), or `statements`; `beside`: of its scripts."""

    file: str | None = None
    conf: str | None = None
    config_id: str | None = None
    starts: Starts = ZERO
    starts_up: Distribution | None = None
    probes: Mapping[str, Probe] = {}
    statements: tuple[Statement, ...] = ()
    beside: Mapping[str, Probe] = {}


_DAEMON = {
    "config_id": Key(Maybe(TEXT), "Chooses the `@id` lines; the node's name where nothing is given."),
    "starts": Key(STARTS, "When keepalived starts after the boot; `manual`: an event starts it."),
    "startup": Key(
        Maybe(DISTRIBUTION), "From its start until it takes part; as measured if not given.", to="starts_up"
    ),
    "probes": Key(
        Named(PROBE, free=True), "What scripts look at whose command says nothing, by script name."
    ),
}
CONF = Fields(
    "KeepalivedFile",
    KeepalivedDocument,
    {"file": Key(TEXT, "keepalived.conf, relative to this file.", required=True), **_DAEMON},
    "keepalived with a keepalived.conf.",
    hints=dict.fromkeys((*BLOCKS, "conf"), "'file:' and inline keywords exclude each other"),
)
CONF_TEXT = Fields(
    "KeepalivedText",
    KeepalivedDocument,
    {"conf": Key(TEXT, "The text of a keepalived.conf.", required=True), **_DAEMON},
    "keepalived with the text of a keepalived.conf.",
    hints=dict.fromkeys(BLOCKS, "'conf:' and inline keywords exclude each other"),
)


def _inline(**given: Any) -> KeepalivedDocument:
    """Put the blocks into the order of their table, definitions before uses."""
    names = [key.to or name for name, key in _DAEMON.items()]
    own = {name: given.pop(name) for name in names if name in given}
    blocks = [given[key] for key in BLOCKS if key in given]
    parts = [part for each in blocks for part in ([each] if isinstance(each, Inline) else each.values())]
    scripts = given.get("vrrp_scripts", {})
    return KeepalivedDocument(
        statements=tuple(line for part in parts for line in part.statements),
        beside={name: script.probe for name, script in scripts.items() if script.probe},
        **own,
    )


_BESIDE = {"vrrp_script": {BESIDE_SCRIPT: Key(PROBE, "What the script looks at.")}}
INLINE = Fields(
    "KeepalivedInline",
    _inline,
    {
        **_DAEMON,
        **{key: Key(shape(word, ROOT[word], word, _BESIDE.get(word, {}))) for key, word in BLOCKS.items()},
    },
    "keepalived with keywords that stand in the scenario.",
    near=("file", "conf"),
)
SLOP = Fields(
    "HostLatency",
    partial(HostLatency, "custom"),
    {
        "drift": Key(Maybe(DISTRIBUTION), "Lateness of each timer, drawn once per node and run."),
        "stalls": Key(
            Maybe(
                Fields(
                    "Stalls",
                    Stalls,
                    {
                        "every": Key(DISTRIBUTION, "From one to the next.", required=True),
                        "lasts": Key(DISTRIBUTION, "How long one lasts.", required=True),
                    },
                    "Moments in which the node does nothing.",
                )
            ),
            "Moments in which it does nothing.",
        ),
    },
    "How unpunctual the node's timers are.",
)
_SLOP_WORD = one_of("none", "default")
_SLOP_NAMED = Leaf(lambda value: HostLatency(_SLOP_WORD.parse(value)), _SLOP_WORD.form)
NEIGHBOURS = Fields(
    "Neighbours",
    Neighbours,
    {
        "garp": Key(TRUTH, "Whether gratuitous ARP is honoured."),
        "reachable": Key(DISTRIBUTION, "Linux: how long an entry is trusted."),
        "lifetime": Key(
            Maybe(DISTRIBUTION), "A simple cache: entries expire after this long (a router: 4h)."
        ),
    },
    "The personality of the ARP/ND cache.",
)


def _effect(text: Any) -> tuple[str, str]:
    """`start haproxy`."""
    verb, _, process = str(text).partition(" ")
    if verb not in EFFECTS or not process.strip():
        raise ValueSyntaxError(f"must be one of {', '.join(EFFECTS)} and a process, such as 'start haproxy'")
    return verb, process.strip()


EFFECT = Leaf(_effect, {"type": "string", "pattern": EFFECT_PATTERN})
NOTIFY = Fields(
    "Notify",
    NotifyModel,
    {
        "takes": Key(Maybe(DISTRIBUTION), "How long one runs before it has done its work."),
        "does": Key(
            Fields(
                "NotifyEffects",
                lambda **given: {state: tuple(effects) for state, effects in given.items()},
                {state: Key(ListOf(EFFECT), f"When told {state.upper()}.") for state in NOTIFIED_STATES},
                "What they have done when they end, by the state that they are told.",
            ),
            "What they have done when they end.",
        ),
    },
    "The notify scripts of a node: how long they take and what they do.",
)


class Pending(NamedTuple):
    """A model as far as it can be made without looking elsewhere, and what `resolve` has yet to add."""

    model: Any
    rest: Mapping[str, Any]


def _pending(model: Callable[..., Any], *names: str) -> Callable[..., Pending]:
    @wraps(model)  # whose signature has the defaults
    def make(**given: Any) -> Pending:
        rest = {name: given.pop(name) for name in names if name in given}
        return Pending(model(**given), rest)

    return make


NODE = Fields(
    "Node",
    _pending(Node, "keepalived"),
    {
        "interfaces": Key(Named(INTERFACE), "By name, as in keepalived.conf."),
        "processes": Key(Named(PROCESS), "What checks look for and clients ask, by name."),
        "keepalived": Key(
            Maybe(
                Either(
                    lambda value: (
                        INLINE
                        if not isinstance(value, dict)
                        else CONF
                        if "file" in value
                        else CONF_TEXT
                        if "conf" in value
                        else INLINE
                    ),
                    (CONF, CONF_TEXT, INLINE),
                )
            ),
            "What the node's keepalived reads: a file, the text of one, or the keywords themselves.",
        ),
        "dialect": Key(Maybe(DIALECT), "Whose behaviour this node has; the scenario's if not given."),
        "slop": Key(
            Either(lambda value: SLOP if isinstance(value, dict) else _SLOP_NAMED, (_SLOP_NAMED, SLOP)),
            "How unpunctual the node is: `none`, `default` as measured, or your own figures.",
        ),
        "boots": Key(DISTRIBUTION, "From power_on until processes start."),
        "neighbours": Key(NEIGHBOURS, "Its ARP/ND cache."),
        "notify": Key(Maybe(NOTIFY), "Its notify scripts."),
        "forwards": Key(TRUTH, "Whether it forwards what is sent to its MAC for somebody else: a router."),
        "gateway": Key(Maybe(ADDRESS), "Where it sends what is in no network of its own."),
    },
    "A machine.",
)
CLIENT = Fields(
    "Client",
    Client,
    {
        "segment": Key(TEXT, "The segment it sits on.", required=True),
        "address": Key(Maybe(WITH_PREFIX), "Its own address; made up if not given."),
        "target": Key(ENDPOINT, "ADDRESS:PORT, quoted.", required=True),
        "every": Key(POSITIVE, "From one request to the next.", to="every_ns"),
        "timeout": Key(POSITIVE, "How long it waits for an answer.", to="timeout_ns"),
        "neighbours": Key(NEIGHBOURS, "Its ARP/ND cache."),
        "via": Key(Maybe(ADDRESS), "The gateway by which it asks, where the target is on another segment."),
    },
    "Somebody who asks for an answer again and again, in an open loop.",
)

# --- events


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDocument:
    """An event whose targets are still names; `words` is what its verb takes, by YAML key."""

    verb: str
    at: When
    name: str | None = None
    every: Distribution | None = None
    count: int | None = None
    lasts: Distribution | None = None
    words: Mapping[str, Any]


def _event(verb: str, **given: Any) -> EventDocument:
    own = {key: given.pop(key) for key in ("at", "name", "every", "count", "lasts") if key in given}
    return EventDocument(verb=verb, **own, words=given)


ADVERT = Fields(
    "Advert",
    InjectedAdvert,
    {
        "vrid": Key(whole(0, 255), "virtual_router_id.", required=True),
        "priority": Key(whole(0, 255), "0: the sender is leaving; 255: the owner.", required=True),
        "source": Key(Maybe(ADDRESS), "Source address; a free one of the segment if not given."),
        "destination": Key(Maybe(ADDRESS), "Where to; VRRP's multicast group if not given."),
        "version": Key(one_of(2, 3), "VRRP version."),
        "interval": Key(POSITIVE, "The advert_int it claims.", to="interval_ns"),
        "addresses": Key(ADDRESSES, "The virtual addresses it names."),
        "ttl": Key(whole(0, 255), "TTL; receivers want 255."),
        "auth_type": Key(one_of("none", "pass", "ah"), "Authentication of version 2."),
        "auth_pass": Key(TEXT, "The password, at most 8 characters count."),
        "sequence": Key(whole(0, 0xFFFFFFFF), "Of ah: its sequence number; one heard before is a replay."),
    },
    "A foreign or forged advert.",
)
_EVENT = {
    "at": Key(AT, "A time, a distribution, or {after: NAME, plus: DURATION}.", required=True),
    "name": Key(Maybe(NAME), "For `after:` of other events and for reports."),
    "every": Key(INTERVAL, "Repeat so often."),
    "count": Key(Maybe(whole(1, 1_000_000)), "Repeat so many times (with `every:`)."),
}
_WORDS: dict[str, dict[str, Key]] = {  # what a verb takes beyond its target
    "pause": {"for": Key(DISTRIBUTION, "How long.", required=True, to="lasts")},
    "reload": {"config": Key(Maybe(TEXT), "A keepalived.conf, relative to this file.")},
    "partition": {
        "partition": Key(
            GROUPS,
            "[[A, B], [C]]: nodes, interfaces, clients, or switches: what is plugged in.",
            required=True,
        ),
        "one_way": Key(TRUTH, "Only frames from the first group to the others vanish."),
    },
    "impair": {
        "loss": Key(Maybe(FRACTION), "Share of the frames that is lost."),
        "burst": Key(Maybe(BURST), "Mean number of frames lost in a row, at least 1."),
        "delay": Key(Maybe(DISTRIBUTION), "Added to the way of a frame."),
        "jitter": Key(Maybe(DISTRIBUTION), "Added, drawn anew for each frame."),
        "duplicate": Key(Maybe(FRACTION), "Share that arrives twice."),
        "reorder": Key(Maybe(FRACTION), "Share that overtakes: it travels without delay."),
        "corrupt": Key(Maybe(FRACTION), "Share that arrives with a flipped bit."),
        "only": Key(
            ListOf(one_of("vrrp", "arp", "garp", "nd", "icmp", "app")), "Only frames of these kinds."
        ),
        "from": Key(TARGETS, "Only frames of these senders; of a cable, from this end."),
        "to": Key(TARGETS, "Only frames to these receivers; of a cable, to this end."),
    },
    "starve": {"delay": Key(DISTRIBUTION, "How late.", required=True)},
    "flush_address": {"address": Key(ADDRESS, "Which.", required=True)},
    "add_address": {"address": Key(WITH_PREFIX, "Which, with its prefix length.", required=True)},
    "write": {"value": Key(whole(-(1 << 31), (1 << 31) - 1), "The number in the file.", required=True)},
    "set": {"priority": Key(whole(1, 255), "The new one.", required=True)},
    "inject": {"advert": Key(ADVERT, "What it says.", required=True)},
}


def _verb(verb: Verb) -> Fields:
    lasting = {"for": Key(Maybe(DISTRIBUTION), "Undone after this long.", to="lasts")} if verb.lasts else {}
    return Fields(
        verb.noun,
        partial(_event, verb.name),
        {**_EVENT, **lasting, verb.name: Key(TARGET, required=True), **_WORDS.get(verb.name, {})},
        verb.means,
        hints={} if lasting else {"for": f"'{verb.name}' cannot be undone, so it takes no 'for:'"},
    )


class Events:
    """The list of events, each by its index; those that are broken are missing."""

    def __init__(self) -> None:
        self.verbs = {name: _verb(verb) for name, verb in VERBS.items()}

    def read(self, value: Any, path: Keys, reading: Reading) -> Any:
        """Read each as what its only verb takes."""
        if not isinstance(value, list):
            return reading.leave_out(path, "must be a list")
        found = {}
        for index, item in enumerate(value):
            where = (*path, index)
            verbs = [verb for verb in VERBS if isinstance(item, dict) and verb in item]
            if len(verbs) != 1:
                reading.leave_out(where, _no_verb(item, verbs))
                continue
            event = self.verbs[verbs[0]].read(item, where, reading)
            if event is not BROKEN:
                found[index] = event
        return found

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """One verb each."""
        return {"type": "array", "items": {"oneOf": [e.schema(definitions) for e in self.verbs.values()]}}


def _no_verb(value: Any, verbs: list[str]) -> str:
    if not isinstance(value, dict):
        return "an event is a mapping such as {at: 12s, kill: lb1/haproxy}"
    if verbs:
        return f"an event has exactly one verb; this one has {' and '.join(verbs)}"
    near = (did_you_mean(key, VERBS) for key in value if key not in (*_EVENT, "for"))
    return f"an event needs exactly one verb{next(filter(None, near), ': ' + ', '.join(VERBS))}"


# --- expectations

Owners = dict[int | Literal["end"], str]


class ExpectDocument(NamedTuple):
    """What the run must show; `limits` by measure or `outage.CLIENT`, then by statistic."""

    owners: Mapping[str, Owners]  # by `owner` or `owner.ADDRESS`
    limits: Mapping[str, Mapping[str, int]]


def _expect(**given: Any) -> ExpectDocument:
    owners = {key: given.pop(key) for key in list(given) if key.partition(".")[0] == "owner"}
    return ExpectDocument(owners, {key: limit for key, limit in given.items() if limit is not None})


def _limits(name: str, shape: Shape, description: str) -> Fields:
    def make(**given: int | None) -> Mapping[str, int]:
        if not given:
            raise ValueSyntaxError("needs at least one of: max, min, p50, p95, p99")
        return {statistic: limit for statistic, limit in given.items() if limit is not None}

    keys = {
        "max": Key(Maybe(shape), "At most; in a sweep for every run."),
        "min": Key(Maybe(shape), "At least; in a sweep for every run."),
        **{f"p{share}": Key(Maybe(shape), f"At most in {share} % of the runs.") for share in (50, 95, 99)},
    }
    return Fields(name, make, keys, description, extra={"minProperties": 1})


def _owners(value: object) -> Owners:
    if not isinstance(value, dict):
        raise ValueSyntaxError("needs a mapping of times to nodes: {11s: lb1, end: lb2}")
    owners: Owners = {}
    for key, node in value.items():
        try:
            instant: int | Literal["end"] = "end" if key == "end" else parse_duration_ns(key)
        except ValueSyntaxError as error:
            raise ValueSyntaxError(str(error), key, at_key=True) from None
        if not isinstance(node, str):
            raise ValueSyntaxError("needs the name of a node", key)
        if instant in owners:
            raise ValueSyntaxError("the same instant is given twice", key, at_key=True)
        owners[instant] = node
    return owners


OWNERS = Leaf(
    _owners,
    {
        "type": "object",
        "patternProperties": {rf"^end$|{DURATION_PATTERN}": {"type": "string"}},
        "additionalProperties": False,
    },
)
BOUND = _limits("Bound", DURATION, "Limits of a measured time; p50, p95, p99 only count in a sweep.")
COUNT = _limits("Count", whole(0), "Limits of a count.")
CLIENT_OUTAGE, ADDRESS_OWNER = "outage.", "owner."
EXPECT = Fields(
    "Expect",
    _expect,
    {
        "owner": Key(OWNERS, "Who owns the addresses: {TIME or end: NODE}; `owner.ADDRESS` for one."),
        "failover": Key(Maybe(BOUND), "From a fault to the new owner: takeovers, false ones too."),
        "return": Key(Maybe(BOUND), "From a repair to the preferred node's owning the address again."),
        "outage": Key(Maybe(BOUND), "The longest outage of any client; `outage.NAME` for one."),
        "dual_master": Key(Maybe(BOUND), "Total time with two owners, per address."),
        "vacancy": Key(Maybe(BOUND), "Total time without an owner, per address."),
        "moves": Key(Maybe(COUNT), "How often the address moved."),
    },
    "What the run must show.",
    others=(
        (r"^outage\..+$", f"{CLIENT_OUTAGE}NAME", BOUND),
        (r"^owner\..+$", f"{ADDRESS_OWNER}ADDRESS", OWNERS),
    ),
)

# --- the file


def _version(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueSyntaxError("must be 1")
    if value > 1:
        raise ValueSyntaxError(f"version {value} needs a newer vrrpsim; this one reads version 1")
    return value


SCENARIO = Fields(
    "Scenario",
    _pending(Scenario, "nodes", "events", "expect"),
    {
        "version": Key(
            Leaf(_version, {"const": 1}), "The version of this format: 1.", required=True, instead=1
        ),
        "name": Key(TEXT, "For reports; the file's name if not given."),
        "description": Key(TEXT, "What happens, in one sentence."),
        "duration": Key(
            POSITIVE, "How long the run lasts.", required=True, to="duration_ns", instead=MAX_DURATION_NS
        ),
        "age": Key(
            DURATION, "How long everything has run, undisturbed, when the run begins: `30d`.", to="age_ns"
        ),
        "seed": Key(whole(0, 2**63 - 1), "Decides every draw; `--seed` overrides it."),
        "dialect": Key(DIALECT, "Whose behaviour is simulated; a node may differ."),
        "segments": Key(Named(SEGMENT, least=1), "Shared L2 domains, by name.", required=True),
        "switches": Key(Named(SWITCH), "Switches, by name: a segment may be made of them and of cables."),
        "cables": Key(
            ListOf(
                Either(lambda value: CABLE if isinstance(value, dict) else _ENDS_ALONE, (_ENDS_ALONE, CABLE))
            ),
            "What is plugged in where: `[lb1/eth0, sw1]`, `[sw1, sw2]`, or a mapping that says more.",
        ),
        "nodes": Key(Named(NODE, least=1), "Machines, by name.", required=True),
        "clients": Key(Named(CLIENT), "Who asks for the addresses, by name."),
        "events": Key(Events(), "What happens, one verb each."),
        "expect": Key(Maybe(EXPECT), "What a run is judged by."),
    },
    "A scenario for vrrpsim.",
)


def read_document(tree: Tree) -> tuple[Pending | None, Reading]:
    """Judge the tree; errors go to its findings. No document where too little is left to look further."""
    reading = Reading(tree)
    document = SCENARIO.read(tree.root, (), reading)
    return None if document is BROKEN else document, reading
