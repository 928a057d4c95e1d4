"""The shape of a scenario file, version 1, as pydantic models: what the YAML may say and the JSON Schema.

Only what can be judged without looking elsewhere is judged here; references between parts are
`resolve`'s. Each validator stands beside the JSON Schema that accepts and rejects the same texts.
Docstrings below fields are what editors show.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    create_model,
    model_validator,
)

from vrrpsim.config.events import (
    INSTANT_VERBS,
    LINK_VERBS,
    MACHINE_VERBS,
    PROCESS_VERBS,
    SCRIPT_VERBS,
    VERBS,
    Traffic,
    When,
)
from vrrpsim.config.inline import BESIDE_SCRIPT, BLOCKS, DELAYS, Keywords, Takes
from vrrpsim.config.scenario import (
    LINUX_REACHABLE,
    PROCESS_STARTUP,
    SEGMENT_DELAY,
    ZERO,
    AddressWithPrefix,
    Network,
    Starts,
)
from vrrpsim.config.values import (
    DURATION_PATTERN,
    FRACTION_PATTERN,
    KINDS,
    Distribution,
    ValueSyntaxError,
    parse_distribution,
    parse_duration_ns,
    parse_fraction,
    unknown_key,
)
from vrrpsim.protocol.dialect import DEFAULT_DIALECT, DIALECTS

Schema = dict[str, Any]

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*$"
TARGET_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*(\([^()/\s]+\))?(/[^/\s]+)?$"
PORT_PATTERN = r"^[0-9]{1,5}/(tcp|udp)$"
MAC_PATTERN = r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$"
ADDRESS_PATTERN = r"^[0-9A-Fa-f:.]+$"
PREFIX_PATTERN = r"^[0-9A-Fa-f:.]+(/[0-9]+)?$"
ENDPOINT_PATTERN = r"^([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"

DURATION_SCHEMA: Schema = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": DURATION_PATTERN}],
    "description": "250us, 10ms, 2s, 1m30s; a bare number is seconds",
}
POSITIVE_SCHEMA: Schema = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": DURATION_PATTERN.replace("^", "^(?=.*[1-9])", 1)},
    ],
    "description": "250us, 10ms, 2s, 1m30s; a bare number is seconds; more than 0",
}
FRACTION_SCHEMA: Schema = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": FRACTION_PATTERN},
    ],
    "description": "10% or 0.1",
}


def _list_of(schema: Schema, least: int, most: int | None = None) -> Schema:
    bounds = {"minItems": least} if most is None else {"minItems": least, "maxItems": most}
    return {"type": "array", "items": schema, **bounds}


def _one_key(name: str, schema: Schema) -> Schema:
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def _distribution_schemas() -> list[Schema]:
    pair = _list_of(DURATION_SCHEMA, 2, 2)
    shapes = dict.fromkeys(KINDS, pair)
    shapes["choice"] = _list_of(DURATION_SCHEMA, 1)
    shapes["exponential"] = {"anyOf": [*DURATION_SCHEMA["anyOf"], _list_of(DURATION_SCHEMA, 1, 1)]}
    return [*DURATION_SCHEMA["anyOf"], *(_one_key(kind, shape) for kind, shape in shapes.items())]


DISTRIBUTION_SCHEMA: Schema = {
    "anyOf": _distribution_schemas(),
    "description": "a duration, or {uniform: [a, b]}, {normal: [mean, sd]}, {lognormal: [median, p99]}, "
    "{exponential: mean}, {choice: [...]}",
}
STARTS_SCHEMA: Schema = {
    "anyOf": [{"const": "manual"}, *DISTRIBUTION_SCHEMA["anyOf"]],
    "description": "when it is started: a duration, a distribution, or manual (an event starts it)",
}
AT_SCHEMA: Schema = {
    "anyOf": [
        *DISTRIBUTION_SCHEMA["anyOf"],
        {
            "type": "object",
            "properties": {"after": {"type": "string"}, "plus": DISTRIBUTION_SCHEMA},
            "required": ["after"],
            "additionalProperties": False,
        },
    ],
    "description": "a time, a distribution, or {after: NAME, plus: DURATION}",
}


def _text_schema(pattern: str, description: str) -> Schema:
    return {"type": "string", "pattern": pattern, "description": description}


def _one_or_list(schema: Schema) -> Schema:
    return {"anyOf": [schema, _list_of(schema, 1)]}


# --- validators: YAML value to value


def _positive_ns(value: object) -> int:
    ns = parse_duration_ns(value)
    if ns == 0:
        raise ValueSyntaxError("must be more than 0")
    return ns


def _starts(value: object) -> Starts:
    return "manual" if value == "manual" else parse_distribution(value)


def _at(value: object) -> When:
    if not isinstance(value, dict) or not ({"after", "plus"} & value.keys()):
        return When(parse_distribution(value))
    for key in value:
        if key not in ("after", "plus"):
            raise ValueSyntaxError(unknown_key(key, ("after", "plus")), key, at_key=True)
    if not isinstance(value.get("after"), str):
        raise ValueSyntaxError("'after:' names another event", *(("after",) if "after" in value else ()))
    try:
        plus = parse_distribution(value.get("plus", 0))
    except ValueSyntaxError as error:
        raise ValueSyntaxError(str(error), "plus", *error.path, at_key=error.at_key) from None
    return When(plus, value["after"])


def _parsed(what: str, pattern: str, parse: Callable[[str], Any]) -> Callable[[object], Any]:
    """Make a validator that takes only strings of `pattern` and says `what` was wanted."""

    def validate(value: object) -> Any:
        if isinstance(value, str) and len(value) <= 100 and re.match(pattern, value):
            try:
                return parse(value)
            except ValueError:
                pass
        shown = repr(value) if isinstance(value, (str, int, float)) else "this"
        raise ValueSyntaxError(f"{shown[:60]} is not {what}")

    return validate


def _endpoint(text: str) -> tuple[IPv4Address | IPv6Address, int]:
    host, _, port = text.rpartition(":")
    if not 1 <= int(port) <= 65535:
        raise ValueError(port)
    return ip_address(host.strip("[]")), int(port)


def _port(text: str) -> str:
    if not 1 <= int(text.partition("/")[0]) <= 65535:
        raise ValueError(text)
    return text


def _each(validate: Callable[[object], Any]) -> Callable[[object], tuple[Any, ...]]:
    """Make a validator for one value or a list of them."""

    def validate_all(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            return (validate(value),)
        if not value:
            raise ValueSyntaxError("the list is empty")
        results = []
        for index, item in enumerate(value):
            try:
                results.append(validate(item))
            except ValueSyntaxError as error:
                raise ValueSyntaxError(str(error), index) from None
        return tuple(results)

    return validate_all


_read_address = _parsed("an IP address", ADDRESS_PATTERN, ip_address)
_read_interface = _parsed("an address such as 10.0.0.1/24", PREFIX_PATTERN, ip_interface)
_read_network = _parsed("a network such as 10.0.0.0/24", PREFIX_PATTERN, ip_network)
_read_endpoint = _parsed('ADDRESS:PORT such as "10.0.0.1:80" or "[fe80::1]:80"', ENDPOINT_PATTERN, _endpoint)
_read_port = _parsed("a port such as 80/tcp", PORT_PATTERN, _port)
_read_mac = _parsed("a MAC address such as 02:00:00:00:00:01", MAC_PATTERN, str.lower)
_read_target = _parsed("a target such as lb1, lb1/haproxy, lan or master(VI_1)/eth0", TARGET_PATTERN, str)

_ADDRESS_SCHEMA = _text_schema(ADDRESS_PATTERN, "an IP address")
_TARGET_SCHEMA = _text_schema(
    TARGET_PATTERN, "NODE, NODE/ITEM, SEGMENT, or by role: master, backup, master(VI_1)/eth0"
)

Duration = Annotated[int, PlainValidator(parse_duration_ns), WithJsonSchema(DURATION_SCHEMA)]
Positive = Annotated[int, PlainValidator(_positive_ns), WithJsonSchema(POSITIVE_SCHEMA)]
Fraction = Annotated[float, PlainValidator(parse_fraction), WithJsonSchema(FRACTION_SCHEMA)]
Dist = Annotated[
    Distribution,
    PlainValidator(parse_distribution),
    WithJsonSchema(DISTRIBUTION_SCHEMA),
    PlainSerializer(lambda distribution: distribution.to_yaml()),
]
StartsAt = Annotated[
    Any,
    PlainValidator(_starts),
    WithJsonSchema(STARTS_SCHEMA),
    PlainSerializer(lambda starts: starts if isinstance(starts, str) else starts.to_yaml()),
]
At = Annotated[When, PlainValidator(_at), WithJsonSchema(AT_SCHEMA)]
Name = Annotated[StrictStr, StringConstraints(pattern=NAME_PATTERN, max_length=60)]
IpAddress = Annotated[
    IPv4Address | IPv6Address, PlainValidator(_read_address), WithJsonSchema(_ADDRESS_SCHEMA)
]
IpAddresses = Annotated[
    tuple[IPv4Address | IPv6Address, ...],
    PlainValidator(_each(_read_address)),
    WithJsonSchema(_one_or_list(_ADDRESS_SCHEMA)),
]
_PREFIX_SCHEMA = _text_schema(PREFIX_PATTERN, "an address with its prefix length, 10.0.0.1/24")
WithPrefix = Annotated[AddressWithPrefix, PlainValidator(_read_interface), WithJsonSchema(_PREFIX_SCHEMA)]
WithPrefixes = Annotated[
    tuple[AddressWithPrefix, ...],
    PlainValidator(_each(_read_interface)),
    WithJsonSchema(_one_or_list(_PREFIX_SCHEMA)),
]
Subnet = Annotated[
    Network, PlainValidator(_read_network), WithJsonSchema(_text_schema(PREFIX_PATTERN, "10.0.0.0/24"))
]
Endpoint = Annotated[
    tuple[IPv4Address | IPv6Address, int],
    PlainValidator(_read_endpoint),
    WithJsonSchema(_text_schema(ENDPOINT_PATTERN, "ADDRESS:PORT")),
]
Port = Annotated[str, PlainValidator(_read_port), WithJsonSchema(_text_schema(PORT_PATTERN, "80/tcp"))]
Mac = Annotated[str, PlainValidator(_read_mac), WithJsonSchema(_text_schema(MAC_PATTERN, "a MAC address"))]
TargetText = Annotated[str, PlainValidator(_read_target), WithJsonSchema(_TARGET_SCHEMA)]
TargetTexts = Annotated[
    tuple[str, ...], PlainValidator(_each(_read_target)), WithJsonSchema(_one_or_list(_TARGET_SCHEMA))
]
Burst = Annotated[float, Field(ge=1, allow_inf_nan=False)]


class Document(BaseModel):
    """A mapping of the file: no unknown keys; its class is noted so that messages can name the known ones."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        serialize_by_alias=True,
        defer_build=True,  # built when first used
    )

    @model_validator(mode="before")
    @classmethod
    def _note_class(cls, value: Any, info: ValidationInfo) -> Any:
        cls._note(value, info)
        return value

    @classmethod
    def _note(cls, value: Any, info: ValidationInfo) -> None:
        if isinstance(info.context, dict) and isinstance(value, dict):
            info.context[id(value)] = cls

    @classmethod
    def known_keys(cls) -> tuple[str, ...]:
        """Return the keys that may stand in this mapping."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())


class SegmentDocument(Document):
    """A shared L2 domain."""

    subnet: Subnet | None = None
    """The network of the segment; interfaces and clients must lie in it."""
    delay: Dist = SEGMENT_DELAY
    """One way, per frame."""
    jitter: Dist | None = None
    """Added to the delay."""
    loss: Fraction = 0.0
    burst: Burst | None = None
    """Mean number of frames lost in a row, at least 1."""
    duplicate: Fraction = 0.0
    reorder: Fraction = 0.0
    corrupt: Fraction = 0.0


class InterfaceDocument(Document):
    """A network interface of a node."""

    segment: StrictStr
    """The name of a segment."""
    address: WithPrefixes = ()
    """One address with prefix length, or a list."""
    mac: Mac | None = None


class ProcessDocument(Document):
    """A process that checks and clients can see."""

    serves: Annotated[
        tuple[str, ...],
        PlainValidator(_each(_read_port)),
        WithJsonSchema(_one_or_list(_text_schema(PORT_PATTERN, "80/tcp"))),
    ] = ()
    """The ports that answer while it runs."""
    starts: StartsAt = ZERO
    startup: Dist = PROCESS_STARTUP
    """From its start until it serves."""


class ProbeDocument(Document):
    """What a check looks at: a process, or a port of its node."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["process"]}, {"required": ["serves"]}]}
    )

    process: StrictStr | None = None
    serves: Port | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> ProbeDocument:
        if (self.process is None) == (self.serves is None):
            raise ValueSyntaxError("a probe has exactly one of: process, serves")
        return self


class KeepalivedFile(Document):
    """keepalived with a keepalived.conf."""

    file: StrictStr
    """keepalived.conf, relative to this file."""
    config_id: StrictStr | None = None
    """Chooses the `@id` lines; the node's name where nothing is given."""
    starts: StartsAt = ZERO
    probes: dict[str, ProbeDocument] = {}
    """What scripts look at whose command says nothing, by script name."""


class _InlineOwn(Document):
    """What stands beside keepalived's keywords in the inline form."""

    config_id: StrictStr | None = None
    starts: StartsAt = ZERO
    probes: dict[str, ProbeDocument] = {}


def _flag(value: object) -> object:
    if value is not None and not isinstance(value, bool):
        raise ValueSyntaxError("must be true or false")
    return value


def _whole(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueSyntaxError("must be a whole number")
    return value


def _word(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
        raise ValueSyntaxError("must be a word")
    return value


def _command(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueSyntaxError("must be a string")
    return value


def _secret(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueSyntaxError('a password of digits only must be quoted; quote it: "1234"')
    return _command(value)


def _words(value: object) -> object:
    for item in value if isinstance(value, list) else [value]:
        if item is not None and not isinstance(item, (str, int, float)):
            raise ValueSyntaxError("must be words, or a list of words")
    return value


def _lines(value: object) -> object:
    if not isinstance(value, dict):
        return _words(value)
    for name, options in value.items():
        for key, option in options.items() if isinstance(options, dict) else [(None, options)]:
            if isinstance(option, dict):
                raise ValueSyntaxError("must be a word", name, *(() if key is None else (key,)))
            _words(option)
    return value


_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
_WORDS_SCHEMA: Schema = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}
_OPTIONS_SCHEMA: Schema = {"type": "object", "additionalProperties": _WORDS_SCHEMA}
_LINES_SCHEMA: Schema = {
    "anyOf": [
        *_WORDS_SCHEMA["anyOf"],
        {"type": "object", "additionalProperties": {"anyOf": [*_WORDS_SCHEMA["anyOf"], _OPTIONS_SCHEMA]}},
    ]
}
_FLAG_SCHEMA: Schema = {"type": ["boolean", "null"]}
_TEXT_SCHEMA: Schema = {"type": "string", "pattern": r"\S"}
_TAKES: dict[Takes, tuple[Callable[[object], object], Schema]] = {
    Takes.FLAG: (_flag, _FLAG_SCHEMA),
    Takes.BOOL: (_flag, _FLAG_SCHEMA),
    Takes.INT: (_whole, {"type": "integer"}),
    Takes.SECONDS: (parse_duration_ns, DURATION_SCHEMA),
    Takes.WORD: (_word, {"type": ["string", "number"], "minLength": 1}),
    Takes.WORDS: (_words, _WORDS_SCHEMA),
    Takes.SCRIPT: (_command, _TEXT_SCHEMA),
    Takes.SECRET: (_secret, _TEXT_SCHEMA),
    Takes.LINES: (_lines, _LINES_SCHEMA),
    Takes.NAMES: (_words, _WORDS_SCHEMA),
}


def _block_model(name: str, keywords: Keywords) -> type[Document]:
    fields: Any = {}
    for keyword, takes in keywords.items():
        if isinstance(takes, dict):
            kind: Any = _block_model(f"{name}_{keyword}", takes)
        else:
            validate, schema = _TAKES[takes]
            kind = Annotated[Any, PlainValidator(validate), WithJsonSchema(schema)]
        fields[f"{keyword}_"] = (kind, Field(default=None, alias=keyword))
    if name == "vrrp_script":
        fields["probe_"] = (ProbeDocument, Field(default=None, alias=BESIDE_SCRIPT))
    return create_model(name, __base__=Document, __module__=__name__, **fields)


def _inline_model() -> Any:
    fields: Any = {}
    for key, (keyword, keywords, named) in BLOCKS.items():
        block: Any = _block_model(keyword, keywords)
        fields[f"{key}_"] = (dict[str, block] if named else block, Field(default=None, alias=key))
    validate, schema = _TAKES[Takes.LINES]
    kind = Annotated[Any, PlainValidator(validate), WithJsonSchema(schema)]
    fields[f"{DELAYS}_"] = (kind, Field(default=None, alias=DELAYS))
    return create_model("KeepalivedInline", __base__=_InlineOwn, __module__=__name__, **fields)


KeepalivedInline = _inline_model()


def _keepalived_form(value: Any) -> str:
    given_file = "file" in value if isinstance(value, dict) else isinstance(value, KeepalivedFile)
    return "form:file" if given_file else "form:inline"


KeepalivedDocument = Annotated[
    Annotated[KeepalivedFile, Tag("form:file")] | Annotated[KeepalivedInline, Tag("form:inline")],  # type: ignore[valid-type]
    Discriminator(_keepalived_form),
]


class StallsDocument(Document):
    """Moments in which the node does nothing."""

    every: Dist
    lasts: Dist


class SlopDocument(Document):
    """How unpunctual the node's timers are."""

    drift: Dist | None = None
    """Lateness of each timer, drawn once per node and run."""
    stalls: StallsDocument | None = None


SlopField = Annotated[
    Annotated[Literal["none", "default"], Tag("form:word")] | Annotated[SlopDocument, Tag("form:custom")],
    Discriminator(lambda value: "form:custom" if isinstance(value, (dict, SlopDocument)) else "form:word"),
]


class NeighboursDocument(Document):
    """The personality of the ARP/ND cache."""

    garp: StrictBool = True
    """Whether gratuitous ARP is honoured."""
    reachable: Dist = LINUX_REACHABLE
    """Linux: how long an entry is trusted."""
    lifetime: Dist | None = None
    """A simple cache: entries expire after this long (a router: 4h)."""


class NodeDocument(Document):
    """A machine."""

    interfaces: dict[Name, InterfaceDocument] = {}
    processes: dict[Name, ProcessDocument] = {}
    keepalived: KeepalivedDocument | None = None
    dialect: Literal[tuple(DIALECTS)] | None = None  # type: ignore[valid-type]  # one list of names
    slop: SlopField = "default"
    boots: Dist = ZERO
    """From power_on until processes start."""
    neighbours: NeighboursDocument = Field(default_factory=NeighboursDocument)


class ClientDocument(Document):
    """Somebody who asks for an answer again and again, in an open loop."""

    segment: StrictStr
    address: WithPrefix | None = None
    target: Endpoint
    """ADDRESS:PORT, quoted."""
    every: Positive = 100_000_000
    timeout: Positive = 1_000_000_000
    neighbours: NeighboursDocument = Field(default_factory=NeighboursDocument)


# --- events


class EventDocument(Document):
    """What every event may say."""

    at: At
    """A time, a distribution, or {after: NAME, plus: DURATION}."""
    name: Name | None = None
    """For `after:` of other events and for reports."""
    every: Annotated[
        Distribution | None,
        PlainValidator(lambda value: _never_zero(parse_distribution(value))),
        WithJsonSchema({"anyOf": [*POSITIVE_SCHEMA["anyOf"], *DISTRIBUTION_SCHEMA["anyOf"][2:]]}),
    ] = None
    """Repeat so often."""
    count: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = None
    """Repeat so many times (with `every:`)."""


def _never_zero(distribution: Distribution) -> Distribution:
    if distribution.high_ns == 0:
        raise ValueSyntaxError("must be more than 0")
    return distribution


class LastingEvent(EventDocument):
    """An event that can be undone."""

    lasts: Dist | None = Field(default=None, alias="for")
    """Undone after this long."""


class ReloadEvent(EventDocument):
    """SIGHUP, with another configuration if given."""

    reload: TargetText
    config: StrictStr | None = None
    """A keepalived.conf, relative to this file."""


class PartitionEvent(LastingEvent):
    """Frames between the groups vanish silently."""

    partition: Annotated[
        tuple[tuple[str, ...], ...],
        PlainValidator(lambda value: _groups(value)),
        WithJsonSchema(_list_of(_list_of(_TARGET_SCHEMA, 1), 2)),
    ]
    """[[A, B], [C]]: nodes or clients."""
    one_way: StrictBool = False
    """Only frames from the first group to the others vanish."""


def _groups(value: object) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(group, list) for group in value):
        raise ValueSyntaxError("needs at least two groups: [[lb1], [lb2, lb3]]")
    groups = []
    for index, group in enumerate(value):
        try:
            groups.append(_each(_read_target)(group))
        except ValueSyntaxError as error:
            raise ValueSyntaxError(str(error), index, *error.path) from None
    return tuple(groups)


class ImpairEvent(LastingEvent):
    """netem's words for a segment or one interface; impairments compose."""

    impair: TargetText
    loss: Fraction | None = None
    burst: Burst | None = None
    delay: Dist | None = None
    jitter: Dist | None = None
    duplicate: Fraction | None = None
    reorder: Fraction | None = None
    corrupt: Fraction | None = None
    only: list[Traffic] = []
    """Only frames of these kinds."""
    senders: TargetTexts = Field(default=(), alias="from")
    receivers: TargetTexts = Field(default=(), alias="to")


class StarveEvent(LastingEvent):
    """Timers and packets of the node are served late."""

    starve: TargetText
    delay: Dist


class FlushAddressEvent(EventDocument):
    """Somebody else removes an address."""

    flush_address: TargetText
    address: IpAddress


class SetEvent(LastingEvent):
    """An operator changes the priority of NODE/INSTANCE."""

    set_: TargetText = Field(alias="set")
    priority: Annotated[StrictInt, Field(ge=1, le=255)]


class AdvertDocument(Document):
    """A foreign or forged advert."""

    vrid: Annotated[StrictInt, Field(ge=0, le=255)]
    priority: Annotated[StrictInt, Field(ge=0, le=255)]
    source: IpAddress | None = None
    destination: IpAddress | None = None
    version: Literal[2, 3] = 2
    interval: Positive = 1_000_000_000
    addresses: IpAddresses = ()
    ttl: Annotated[StrictInt, Field(ge=0, le=255)] = 255
    auth_type: Literal["none", "pass", "ah"] = "none"
    auth_pass: StrictStr = ""


class InjectEvent(EventDocument):
    """A foreign or forged advert appears on the segment."""

    inject: TargetText
    advert: AdvertDocument


class PauseEvent(EventDocument):
    """The whole machine stands still and resumes."""

    pause: TargetText
    lasts: Dist = Field(alias="for")
    """How long."""


def _simple(verb: str) -> type[EventDocument]:
    base = EventDocument if verb in INSTANT_VERBS else LastingEvent
    words = "".join(part.capitalize() for part in verb.split("_"))
    # `pass` is a keyword of Python: the field is named with an underscore and aliased for every verb alike.
    fields: Any = {f"{verb}_": (TargetText, Field(alias=verb))}
    return create_model(
        f"{words}Event", __base__=base, __module__=__name__, __doc__=f"{verb}: NODE…", **fields
    )


EVENT_MODELS: dict[str, type[EventDocument]] = {
    **{
        verb: _simple(verb)
        for verb in (*PROCESS_VERBS, *MACHINE_VERBS, *LINK_VERBS, *SCRIPT_VERBS)
        if verb != "pause"
    },
    "pause": PauseEvent,
    "reload": ReloadEvent,
    "partition": PartitionEvent,
    "impair": ImpairEvent,
    "starve": StarveEvent,
    "flush_address": FlushAddressEvent,
    "set": SetEvent,
    "inject": InjectEvent,
}


def verb_of(value: Any) -> str | None:
    """Return the tag of an event's only verb; None where there is none or more than one."""
    if isinstance(value, EventDocument):
        return next(f"verb:{verb}" for verb, model in EVENT_MODELS.items() if type(value) is model)
    verbs = [verb for verb in VERBS if isinstance(value, dict) and verb in value]
    return f"verb:{verbs[0]}" if len(verbs) == 1 else None


def _event_union() -> Any:
    members = [Annotated[model, Tag(f"verb:{verb}")] for verb, model in EVENT_MODELS.items()]
    union: Any = members[0]
    for member in members[1:]:
        union = union | member
    return Annotated[
        union,
        Discriminator(
            verb_of, custom_error_type="verb", custom_error_message="an event needs exactly one verb"
        ),
    ]


# --- expectations


def _instant(value: object) -> int | str:
    return "end" if value == "end" else parse_duration_ns(value)


_AT_LEAST_ONE: Any = {"minProperties": 1}


class BoundDocument(Document):
    """Limits of a measured time; p50, p95, p99 only count in a sweep."""

    model_config = ConfigDict(json_schema_extra=_AT_LEAST_ONE)

    max: Duration | None = None
    min: Duration | None = None
    p50: Duration | None = None
    p95: Duration | None = None
    p99: Duration | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> BoundDocument:
        if not self.model_fields_set:
            raise ValueSyntaxError("needs at least one of: max, min, p50, p95, p99")
        return self


Count = Annotated[StrictInt, Field(ge=0)]


class CountDocument(Document):
    """Limits of a count."""

    model_config = ConfigDict(json_schema_extra=_AT_LEAST_ONE)

    max: Count | None = None
    min: Count | None = None
    p50: Count | None = None
    p95: Count | None = None
    p99: Count | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> CountDocument:
        if not self.model_fields_set:
            raise ValueSyntaxError("needs at least one of: max, min, p50, p95, p99")
        return self


CLIENT_OUTAGE = "outage."


def _expect_schema(schema: Schema) -> None:
    schema["patternProperties"] = {r"^outage\..+$": schema.pop("additionalProperties")}
    schema["additionalProperties"] = False


class ExpectDocument(Document):
    """What the run must show."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_expect_schema)
    __pydantic_extra__: dict[str, BoundDocument]

    owner: Annotated[
        dict[Any, str],
        BeforeValidator(lambda value: _owners(value)),
        WithJsonSchema(
            {
                "type": "object",
                "patternProperties": {rf"^end$|{DURATION_PATTERN}": {"type": "string"}},
                "additionalProperties": False,
            }
        ),
    ] = {}
    """Who owns the addresses: {TIME or end: NODE}."""
    failover: BoundDocument | None = None
    """From a fault to the new owner."""
    outage: BoundDocument | None = None
    """The longest outage of any client; `outage.NAME` for one."""
    dual_master: BoundDocument | None = None
    """Total time with two owners, per address."""
    vacancy: BoundDocument | None = None
    """Total time without an owner, per address."""
    moves: CountDocument | None = None
    """How often the address moved."""

    @model_validator(mode="before")
    @classmethod
    def _only_outages(cls, value: Any, info: ValidationInfo) -> Any:
        cls._note(value, info)  # the inherited validator comes after this one
        for key in value if isinstance(value, dict) else ():
            if key not in cls.model_fields and not (
                key.startswith(CLIENT_OUTAGE) and len(key) > len(CLIENT_OUTAGE)
            ):
                raise ValueSyntaxError(unknown_key(key, (*cls.model_fields, "outage.NAME")), key, at_key=True)
        return value


def _owners(value: object) -> dict[int | str, str]:
    if not isinstance(value, dict):
        raise ValueSyntaxError("needs a mapping of times to nodes: {11s: lb1, end: lb2}")
    owners: dict[int | str, str] = {}
    for key, node in value.items():
        try:
            instant = _instant(key)
        except ValueSyntaxError as error:
            raise ValueSyntaxError(str(error), key, at_key=True) from None
        if not isinstance(node, str):
            raise ValueSyntaxError("needs the name of a node", key)
        if instant in owners:
            raise ValueSyntaxError("the same instant is given twice", key, at_key=True)
        owners[instant] = node
    return owners


# --- the file


def _version(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueSyntaxError("must be 1")
    if value > 1:
        raise ValueSyntaxError(f"version {value} needs a newer vrrpsim; this one reads version 1")
    return value


class ScenarioDocument(Document):
    """A scenario for vrrpsim."""

    model_config = ConfigDict(title="vrrpsim scenario, version 1")

    version: Annotated[int, PlainValidator(_version), WithJsonSchema({"const": 1})]
    """The version of this format: 1."""
    name: StrictStr = ""
    description: StrictStr = ""
    duration: Positive
    """How long the run lasts."""
    seed: Annotated[StrictInt, Field(ge=0, lt=2**63)] = 1
    dialect: Literal[tuple(DIALECTS)] = cast(Any, DEFAULT_DIALECT.name)  # type: ignore[valid-type]
    """Whose behaviour is simulated; a node may differ."""
    segments: Annotated[dict[Name, SegmentDocument], Field(min_length=1)]
    nodes: Annotated[dict[Name, NodeDocument], Field(min_length=1)]
    clients: dict[Name, ClientDocument] = {}
    events: list[_event_union()] = []  # type: ignore[valid-type]  # built from EVENT_MODELS
    expect: ExpectDocument | None = None
