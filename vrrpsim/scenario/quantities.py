"""Durations, fractions and distributions as a scenario writes them, as exact integers and floats.

Grammar of a duration: one or more `<number><unit>` with the units ns, us, ms, s, m, h, largest first or not;
a bare number is seconds, as in keepalived.conf. Parsed through `Decimal`, so `0.1` is 100 000 000 ns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple, cast, get_args

from vrrpsim.findings import did_you_mean
from vrrpsim.protocol.configuration import SECOND_NS as SECOND_NS

MAX_DURATION_NS = 366 * 86_400 * SECOND_NS  # a year: longer times are a slip of the unit
UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
    "d": 86_400 * SECOND_NS,
}

NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
DURATION_PATTERN = rf"^\s*(?:{NUMBER}|(?:{NUMBER}\s*(?:ns|us|ms|s|m|h|d)\s*)+)\s*$"
FRACTION_PATTERN = rf"^\s*(?:{NUMBER}\s*%|0+(?:\.[0-9]*)?|\.[0-9]+|1(?:\.0*)?)\s*$"
_DURATION = re.compile(DURATION_PATTERN)
_PART = re.compile(rf"({NUMBER})\s*(ns|us|ms|s|m|h|d)")
_FRACTION = re.compile(FRACTION_PATTERN)
_BARE = re.compile(rf"^\s*{NUMBER}\s*$")

Kind = Literal["fixed", "uniform", "normal", "lognormal", "exponential", "choice"]
KINDS: tuple[str, ...] = get_args(Kind)[1:]  # the keys a mapping may use

# The 99th percentile of the standard normal distribution: ln(p99/median) = Z99 · sigma.
Z99 = 2.3263478740408408


class ValueSyntaxError(ValueError):
    """A value that is not what its key wants; `path` leads from the value to the culprit inside it.

    `at_key`: the last step of the path is itself wrong, not what stands there.
    """

    def __init__(self, message: str, *path: str | int, at_key: bool = False) -> None:
        super().__init__(message)
        self.path = path
        self.at_key = at_key


def parse_duration_ns(text: object) -> int:
    """Return the nanoseconds of `250us`, `1m30s` or a bare number of seconds (YAML number or string)."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise ValueSyntaxError(f"{_shown(text)} is not a duration; write 250ms, 3.6s or 1m30s")
    ns = _sum_of_parts(text) if isinstance(text, str) else _seconds(str(text), text)
    if ns > MAX_DURATION_NS:
        raise ValueSyntaxError(f"{_shown(text)} is longer than a year")
    return ns


def _sum_of_parts(text: str) -> int:
    if len(text) > 100 or not _DURATION.match(text):
        if text.strip().startswith("-"):
            raise ValueSyntaxError(f"{_shown(text)}: a duration cannot be negative")
        raise ValueSyntaxError(f"{_shown(text)} is not a duration; write 250ms, 3.6s or 1m30s")
    if _BARE.match(text):
        return _seconds(text.strip(), text)
    total = sum(Decimal(number) * UNIT_NS[unit] for number, unit in _PART.findall(text))
    return int(total)  # floors below a nanosecond


def _seconds(digits: str, original: object) -> int:
    try:
        value = Decimal(digits)
    except InvalidOperation:  # pragma: no cover - str(int | float) always parses
        raise ValueSyntaxError(f"{_shown(original)} is not a duration") from None
    if not value.is_finite():
        raise ValueSyntaxError(f"{_shown(original)} is not a duration; it must be finite")
    if value < 0:
        raise ValueSyntaxError(f"{_shown(original)}: a duration cannot be negative")
    if value > MAX_DURATION_NS:  # before scaling: 1e999999 must not become a million digits
        raise ValueSyntaxError(f"{_shown(original)} is longer than a year")
    return int(value * SECOND_NS)


def parse_fraction(value: object) -> float:
    """Return the fraction in 0..1 of `10%` or `0.1`; a bare 10 is refused, because it might mean either."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueSyntaxError(f"{_shown(value)} is not a fraction; write 10% or 0.1")
    if isinstance(value, str):
        stripped = value.strip()
        if len(stripped) <= 100 and re.match(rf"^{NUMBER}\s*%$", stripped):
            percent = Decimal(stripped[:-1].strip())
            if percent > 100:
                raise ValueSyntaxError(f"{_shown(value)} is more than 100%")
            return float(percent / 100)
        if len(stripped) > 100 or not _BARE.match(stripped):
            raise ValueSyntaxError(f"{_shown(value)} is not a fraction; write 10% or 0.1")
        number = float(stripped)
    else:
        number = float(value) if abs(value) < 1e300 else math.inf
    if math.isnan(number) or number < 0:
        raise ValueSyntaxError(f"{_shown(value)} is not a fraction; write 10% or 0.1")
    if number > 1:
        if number <= 100:
            raise ValueSyntaxError(f"a bare {value} is ambiguous; write {value}% or {number / 100:g}")
        raise ValueSyntaxError(f"{_shown(value)} is not a fraction; write 10% or 0.1")
    return number


def format_duration(ns: int) -> str:
    """Write a time for a person: `3.602 s`, `250 ms`, `1 min 30 s`; at most three decimals."""
    if ns < 0:
        return "-" + format_duration(-ns)
    if ns >= 60 * SECOND_NS:
        return _minutes(ns)
    for unit in ("s", "ms", "us"):
        if ns >= UNIT_NS[unit]:
            return _rounded(ns, unit)
    return f"{ns} ns" if ns else "0 s"


def exact_duration(ns: int) -> str:
    """Write a time as a scenario does, without loss: `1500ms`, `2s`, `30us`."""
    unit = next((unit for unit in ("s", "ms", "us") if ns % UNIT_NS[unit] == 0), "ns")
    return f"{ns // UNIT_NS[unit]}{unit}"


def _rounded(ns: int, unit: str) -> str:
    thousandths = (ns * 1000 + UNIT_NS[unit] // 2) // UNIT_NS[unit]
    whole, rest = divmod(thousandths, 1000)
    decimals = f".{rest:03d}".rstrip("0").rstrip(".")
    return f"{whole}{decimals} {unit}"


def _minutes(ns: int) -> str:
    ms = (ns + 500_000) // 1_000_000  # rounds to the millisecond
    hours, ms = divmod(ms, 3_600_000)
    minutes, ms = divmod(ms, 60_000)
    parts = [f"{hours} h"] if hours else []
    parts += [f"{minutes} min"] if minutes else []
    parts += [_rounded(ms * 1_000_000, "s")] if ms else []
    return " ".join(parts)


class Distribution(NamedTuple):
    """A duration that may be random. `parameters` are nanoseconds, in the order the YAML gives them.

    fixed [value] · uniform [low, high] · normal [mean, sd] · lognormal [median, p99] ·
    exponential [mean] · choice [each, equally likely].
    """

    kind: Kind
    parameters: tuple[int, ...]

    @classmethod
    def fixed(cls, ns: int) -> Distribution:
        """Make the constant `ns`."""
        return cls("fixed", (ns,))

    @classmethod
    def uniform(cls, low_ns: int, high_ns: int) -> Distribution:
        """Make any nanosecond between the bounds, both included."""
        return cls("uniform", (low_ns, high_ns))

    def _sigma(self) -> float:
        median, p99 = self.parameters
        return math.log(p99 / median) / Z99

    @property
    def is_fixed(self) -> bool:
        """Whether every draw gives the same value."""
        return len(set(self.parameters)) == 1 if self.kind in ("uniform", "choice") else self.kind == "fixed"

    @property
    def low_ns(self) -> int:
        """The least value a draw can give."""
        return min(self.parameters) if self.kind in ("fixed", "uniform", "choice") else 0

    @property
    def high_ns(self) -> int | None:
        """The largest value a draw can give; None where there is no bound."""
        return max(self.parameters) if self.kind in ("fixed", "uniform", "choice") else None

    @property
    def mean_ns(self) -> int:
        """The expected value (for `normal`, of the curve before draws below zero are cut to zero)."""
        match self.kind:
            case "uniform" | "choice":
                return round(sum(self.parameters) / len(self.parameters))
            case "lognormal":
                return round(self.parameters[0] * math.exp(self._sigma() ** 2 / 2))
            case _:
                return self.parameters[0]

    def to_yaml(self) -> Any:
        """Return what a scenario writes for it; `parse_distribution` reads it back."""
        texts = [exact_duration(value) for value in self.parameters]
        return texts[0] if self.kind == "fixed" else {self.kind: texts}

    def __str__(self) -> str:
        if self.kind == "fixed":
            return format_duration(self.parameters[0])
        return f"{self.kind} {', '.join(format_duration(value) for value in self.parameters)}"


def parse_distribution(value: object) -> Distribution:
    """Read a duration, or `{uniform: [a, b]}`, `{normal: [mean, sd]}` and so on."""
    if not isinstance(value, Mapping):
        return Distribution.fixed(parse_duration_ns(value))
    for key in value:
        if key not in KINDS:
            raise ValueSyntaxError(unknown_key(str(key), KINDS), str(key), at_key=True)
    if len(value) != 1:
        raise ValueSyntaxError(f"a distribution has exactly one of: {', '.join(KINDS)}")
    [(kind, raw)] = value.items()
    parameters = _parameters(kind, raw)
    _check_shape(kind, parameters)
    return Distribution(cast(Kind, kind), parameters)


def _parameters(kind: str, raw: Any) -> tuple[int, ...]:
    if kind == "exponential" and not isinstance(raw, (list, tuple)):
        return (_element(raw, kind),)
    wanted = {"uniform": "[low, high]", "normal": "[mean, sd]", "lognormal": "[median, p99]"}.get(kind, "[…]")
    length = {"exponential": 1, "choice": None}.get(kind, 2)
    if not isinstance(raw, Sequence) or isinstance(raw, str) or not raw:
        raise ValueSyntaxError(f"{kind} takes a list: {{{kind}: {wanted}}}", kind)
    if length is not None and len(raw) != length:
        raise ValueSyntaxError(f"{kind} takes {wanted}, not {len(raw)} values", kind)
    return tuple(_element(item, kind, index) for index, item in enumerate(raw))


def _element(item: object, *path: str | int) -> int:
    try:
        return parse_duration_ns(item)
    except ValueSyntaxError as error:
        raise ValueSyntaxError(str(error), *path) from None


def _check_shape(kind: str, parameters: tuple[int, ...]) -> None:
    if kind == "uniform" and parameters[0] > parameters[1]:
        raise ValueSyntaxError("uniform takes [low, high]; the first is larger than the second", kind)
    if kind == "lognormal" and not 0 < parameters[0] <= parameters[1]:
        raise ValueSyntaxError("lognormal takes [median, p99] with 0 < median <= p99", kind)


def unknown_key(key: str, known: Sequence[str]) -> str:
    """Write the message for a key nobody knows, with the nearest known one."""
    return "unknown key" + did_you_mean(key, known)


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str) and len(value) > 40:
        return repr(value[:37] + "...")
    if isinstance(value, (Mapping, list, tuple)):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    return repr(value)
