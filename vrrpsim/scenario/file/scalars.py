"""The single values of a scenario: times, chances, addresses, targets, each with its JSON Schema."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from typing import Any

from vrrpsim.protocol.addresses import cached
from vrrpsim.scenario.events import When
from vrrpsim.scenario.model import Starts
from vrrpsim.scenario.quantities import (
    DURATION_PATTERN,
    FRACTION_PATTERN,
    KINDS,
    Distribution,
    ValueSyntaxError,
    exact_duration,
    parse_distribution,
    parse_duration_ns,
    parse_fraction,
    unknown_key,
)

from .fields import Leaf, Schema

TARGET_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*(\([^()/\s]+\))?(/[^/\s]+)?$"
END_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*(/[^/\s]+)?$"
PORT_PATTERN = r"^[0-9]{1,5}/(tcp|udp)$"
MAC_PATTERN = r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$"
ADDRESS_PATTERN = r"^[0-9A-Fa-f:.]+$"
PREFIX_PATTERN = r"^[0-9A-Fa-f:.]+(/[0-9]+)?$"
ENDPOINT_PATTERN = r"^([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"

ASKED_PATTERN = r"^([0-9.]+(:[0-9]{1,5})?|[0-9A-Fa-f:.]+|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5})$"

# --- times and chances

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
INTERVAL_SCHEMA: Schema = {"anyOf": [*POSITIVE_SCHEMA["anyOf"], *DISTRIBUTION_SCHEMA["anyOf"][2:]]}


def _positive_ns(value: object) -> int:
    ns = parse_duration_ns(value)
    if ns == 0:
        raise ValueSyntaxError("must be more than 0")
    return ns


def _interval(value: object) -> Distribution:
    distribution = parse_distribution(value)
    if distribution.high_ns == 0:
        raise ValueSyntaxError("must be more than 0")
    return distribution


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


def _frames(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueSyntaxError("must be a number")
    if not math.isfinite(value):
        raise ValueSyntaxError("must be a finite number")
    if value < 1:
        raise ValueSyntaxError("greater than or equal to 1")
    return float(value)


def _yaml(value: Any) -> Any:
    return value if isinstance(value, str) else value.to_yaml()


DURATION = Leaf(parse_duration_ns, DURATION_SCHEMA, exact_duration)
POSITIVE = Leaf(_positive_ns, POSITIVE_SCHEMA, exact_duration)
FRACTION = Leaf(parse_fraction, FRACTION_SCHEMA)
DISTRIBUTION = Leaf(parse_distribution, DISTRIBUTION_SCHEMA, _yaml)
STARTS = Leaf(_starts, STARTS_SCHEMA, _yaml)
AT = Leaf(_at, AT_SCHEMA)
INTERVAL = Leaf(_interval, INTERVAL_SCHEMA)
BURST = Leaf(_frames, {"type": "number", "minimum": 1})

# --- addresses and names of things


def _parsed(what: str, pattern: str, parse: Callable[[str], Any]) -> Callable[[object], Any]:
    """Make a parser that takes only strings of `pattern` and says `what` was wanted."""

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
    return cached(ip_address(host.strip("[]"))), int(port)


def _asked(text: str) -> tuple[IPv4Address | IPv6Address, int | None]:
    """Without a port, a bare IPv6 address has colons too."""
    has_port = text.startswith("[") or text.count(":") == 1
    return _endpoint(text) if has_port else (cached(ip_address(text)), None)


def _port(text: str) -> str:
    if not 1 <= int(text.partition("/")[0]) <= 65535:
        raise ValueError(text)
    return text


def _texts(pattern: str, what: str, parse: Callable[[str], Any], description: str) -> Leaf:
    form = {"type": "string", "pattern": pattern, "description": description}
    return Leaf(_parsed(what, pattern, parse), form)


def _one_or_more(leaf: Leaf) -> Leaf:
    """Take one value or a list of them."""

    def parse(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            return (leaf.parse(value),)
        if not value:
            raise ValueSyntaxError("the list is empty")
        return tuple(_within(index, leaf.parse, item) for index, item in enumerate(value))

    return Leaf(parse, {"anyOf": [leaf.form, _list_of(leaf.form, 1)]})


def _within(index: int, parse: Callable[[Any], Any], value: object) -> Any:
    try:
        return parse(value)
    except ValueSyntaxError as error:
        raise ValueSyntaxError(str(error), index, *error.path) from None


def _groups(value: object) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(group, list) for group in value):
        raise ValueSyntaxError("needs at least two groups: [[lb1], [lb2, lb3]]")
    return tuple(_within(index, TARGETS.parse, group) for index, group in enumerate(value))


def _subnets(value: object) -> tuple[Any, ...]:
    subnets: tuple[Any, ...] = _one_or_more(SUBNET).parse(value)
    if len({each.version for each in subnets}) < len(subnets):
        raise ValueSyntaxError("a segment has one subnet of IPv4 and one of IPv6 at most")
    return subnets


def _ends(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueSyntaxError("a cable has two ends: [lb1/eth0, sw1]")
    return tuple(_within(index, END.parse, end) for index, end in enumerate(value))


ADDRESS = _texts(ADDRESS_PATTERN, "an IP address", ip_address, "an IP address")
ADDRESSES = _one_or_more(ADDRESS)
WITH_PREFIX = _texts(
    PREFIX_PATTERN,
    "an address such as 10.0.0.1/24",
    ip_interface,
    "an address with its prefix length, 10.0.0.1/24",
)
WITH_PREFIXES = _one_or_more(WITH_PREFIX)
SUBNET = _texts(PREFIX_PATTERN, "a network such as 10.0.0.0/24", ip_network, "10.0.0.0/24")
SUBNETS = Leaf(_subnets, {"anyOf": [SUBNET.form, _list_of(SUBNET.form, 1, 2)]})
ENDPOINT = _texts(
    ENDPOINT_PATTERN, 'ADDRESS:PORT such as "10.0.0.1:80" or "[fe80::1]:80"', _endpoint, "ADDRESS:PORT"
)
ASKED = _texts(
    ASKED_PATTERN, 'ADDRESS or ADDRESS:PORT such as "10.0.0.1:443"', _asked, "ADDRESS or ADDRESS:PORT"
)
PORT = _texts(PORT_PATTERN, "a port such as 80/tcp", _port, "80/tcp")
PORTS = _one_or_more(PORT)
MAC = _texts(MAC_PATTERN, "a MAC address such as 02:00:00:00:00:01", str.lower, "a MAC address")
TARGET = _texts(
    TARGET_PATTERN,
    "a target such as lb1, lb1/haproxy, lan or master(VI_1)/eth0",
    str,
    "NODE, NODE/ITEM, SEGMENT, SWITCH, CABLE, or by role: master, backup, master(VI_1)/eth0",
)
TARGETS = _one_or_more(TARGET)
END = _texts(
    END_PATTERN, "an end of a cable such as sw1, lb1/eth0 or web", str, "SWITCH, NODE/INTERFACE or CLIENT"
)
ENDS = Leaf(_ends, _list_of(END.form, 2, 2))
GROUPS = Leaf(_groups, _list_of(_list_of(TARGET.form, 1), 2))
