"""Shapes that values of a scenario have: reading a value and its JSON Schema, side by side.

A shape makes a value of ours from a value of the file. What is wrong is reported at its place and left out,
so that one pass finds every fault; a part that cannot do without what was left out is left out itself.
"""

# Annotations are values here: of strings, typing.NamedTuple compiles each at every start.

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from vrrpsim.findings import did_you_mean
from vrrpsim.scenario.quantities import ValueSyntaxError, unknown_key

from .yaml_tree import Keys, Tree

Schema = dict[str, Any]
BROKEN: Final = object()  # nothing could be made of the value; why has been reported
NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*$"
MAX_NAME = 60


class Reading:
    """A tree being read: its faults go to the tree; `damaged` are the paths of what was left out."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.damaged: set[Keys] = set()

    def is_damaged(self, *path: str | int) -> bool:
        """Whether something at or below `path` was left out."""
        return any(damaged[: len(path)] == path for damaged in self.damaged)

    def leave_out(self, path: Keys, message: str, inner: Keys = (), *, at_key: bool = False) -> Any:
        """Report what is wrong at `inner` within the value at `path`; return BROKEN."""
        self.tree.error((*path, *inner), message, at_key=at_key)
        self.damaged.add(path)
        return BROKEN


class Shape(Protocol):
    """What a value may be."""

    def read(self, value: Any, path: Keys, reading: Reading) -> Any:
        """Return what the value means, or BROKEN."""

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Return the JSON Schema; named shapes go to `definitions`."""


class Leaf(NamedTuple):
    """A value judged as a whole by `parse`, which raises ValueSyntaxError; `write` turns it back to YAML."""

    parse: Callable[[Any], Any]
    form: Schema
    write: Callable[[Any], Any] | None = None

    def read(self, value: Any, path: Keys, reading: Reading) -> Any:
        """Parse it."""
        try:
            return self.parse(value)
        except ValueSyntaxError as error:
            return reading.leave_out(path, str(error), error.path, at_key=error.at_key)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Return its form."""
        return dict(self.form)


class Maybe(NamedTuple):
    """A shape, or null."""

    shape: Shape

    def read(self, value: Any, path: Keys, reading: Reading) -> Any:
        """Read what is not null."""
        return None if value is None else self.shape.read(value, path, reading)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Allow null."""
        return {"anyOf": [self.shape.schema(definitions), {"type": "null"}]}


class Either(NamedTuple):
    """One of several shapes, told apart by `choose`."""

    choose: Callable[[Any], Shape]
    shapes: tuple[Shape, ...]

    def read(self, value: Any, path: Keys, reading: Reading) -> Any:
        """Read it as the shape it seems to be."""
        return self.choose(value).read(value, path, reading)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """One of them."""
        return {"oneOf": [shape.schema(definitions) for shape in self.shapes]}


class ListOf(NamedTuple):
    """A list; sound or not as a whole."""

    shape: Shape

    def read(self, value: Any, path: Keys, reading: Reading) -> Any:
        """Read every element."""
        if not isinstance(value, list):
            return reading.leave_out(path, "must be a list")
        items = [self.shape.read(item, (*path, index), reading) for index, item in enumerate(value)]
        return BROKEN if BROKEN in items else items

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Any number."""
        return {"type": "array", "items": self.shape.schema(definitions)}


class Named(NamedTuple):
    """A mapping of names to values of one shape. `free`: a name may be any text."""

    shape: Shape
    least: int = 0
    free: bool = False

    def read(self, value: Any, path: Keys, reading: Reading) -> Any:
        """Read each; what is broken is missing."""
        if not isinstance(value, dict):
            return reading.leave_out(path, "must be a mapping")
        if len(value) < self.least:
            return reading.leave_out(path, "must not be empty")
        found = {}
        for name, item in value.items():
            where = (*path, name)
            if not self.free:
                try:
                    _name(name)
                except ValueSyntaxError as error:
                    reading.leave_out(where, str(error), at_key=True)
            read = self.shape.read(item, where, reading)
            if read is not BROKEN:
                found[name] = read
        return found if len(found) >= self.least else BROKEN

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Close it but for names."""
        inner = self.shape.schema(definitions)
        if self.free:
            return {"type": "object", "additionalProperties": inner}
        least = {"minProperties": self.least} if self.least else {}
        names = {"patternProperties": {NAME_PATTERN: inner}, "propertyNames": {"maxLength": MAX_NAME}}
        return {"type": "object", **names, "additionalProperties": False, **least}


class Key(NamedTuple):
    """A key of a mapping: what it takes and what editors say of it.

    `to` names the argument of `make` where it differs; `instead` stands in for what is wrong, so that the
    rest can still be judged.
    """

    shape: Shape
    description: str = ""
    required: bool = False
    to: str = ""
    instead: Any = BROKEN


class Fields:
    """A mapping whose keys are known; `make` gets what they say and may raise ValueSyntaxError.

    `hints` are messages for keys that are often tried in vain, `others` patterns of further keys, how
    to write each and its shape; `extra` goes into the JSON Schema.
    """

    def __init__(
        self,
        name: str,
        make: Callable[..., Any],
        keys: Mapping[str, Key],
        description: str = "",
        *,
        hints: Mapping[str, str] | None = None,
        others: Sequence[tuple[str, str, Shape]] = (),
        near: Iterable[str] = (),
        extra: Schema | None = None,
    ) -> None:
        self.name, self.make, self.keys, self.description = name, make, keys, description
        self.hints, self.others, self.near, self.extra = hints or {}, tuple(others), tuple(near), extra or {}

    def read(self, value: Any, path: Keys, reading: Reading) -> Any:
        """Read every key, report the unknown and the missing, and make one value of them."""
        if not isinstance(value, dict):
            names = [*(name for name, key in self.keys.items() if key.required), *self.keys]
            return reading.leave_out(path, f"must be a mapping, such as {{{names[0]}: …}}")
        given = {}
        for name, item in value.items():
            key = self.keys.get(name) or self._other(name)
            if key is None:
                reading.leave_out((*path, name), self._unknown(name), at_key=True)
                continue
            read = key.shape.read(item, (*path, name), reading)
            if read is not BROKEN:
                given[key.to or name] = read
        complete = True
        for name, key in self.keys.items():
            argument = key.to or name
            if not key.required or argument in given:
                continue
            if name not in value:
                reading.tree.error(path, f"'{name}:' is missing", at_key=True)
            given[argument] = key.instead
            complete &= key.instead is not BROKEN
        if not complete:
            reading.damaged.add(path)
            return BROKEN
        try:
            return self.make(**given)
        except ValueSyntaxError as error:
            if not reading.is_damaged(*path):  # else because of what was left out
                reading.tree.error(path, str(error))
            reading.damaged.add(path)
            return BROKEN

    def _other(self, name: str) -> Key | None:
        return next((Key(shape) for pattern, _, shape in self.others if re.match(pattern, name)), None)

    def _unknown(self, name: str) -> str:
        shown = (written for _, written, _ in self.others)
        return self.hints.get(name) or unknown_key(name, (*self.keys, *shown, *self.near))

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Refer to its definition, which is written once."""
        if self.name not in definitions:
            definitions[self.name] = {}  # its place; nothing refers to itself
            definitions[self.name] = self.definition(definitions)
        return {"$ref": f"#/$defs/{self.name}"}

    def definition(self, definitions: dict[str, Schema]) -> Schema:
        """Return the schema itself."""
        from inspect import Parameter, signature  # only for the schema

        defaults = {name: each.default for name, each in signature(self.make).parameters.items()}
        properties = {}
        for name, key in self.keys.items():
            shown = key.shape.schema(definitions)
            if key.description:
                shown["description"] = key.description
            default = defaults.get(key.to or name, Parameter.empty)
            write = getattr(key.shape, "write", None)
            if write is not None and default is not Parameter.empty:
                shown["default"] = write(default)
            elif isinstance(default, (str, int, float)) and default != "":
                shown["default"] = default
            properties[name] = shown
        required = [name for name, key in self.keys.items() if key.required]
        described = {"description": self.description} if self.description else {}
        further = {pattern: shape.schema(definitions) for pattern, _, shape in self.others}
        return {
            **described,
            "type": "object",
            "properties": properties,
            **({"patternProperties": further} if further else {}),
            "additionalProperties": False,
            **({"required": required} if required else {}),
            **self.extra,
        }


# --- leaves of YAML's own kinds


# what a terminal obeys: C0 but tab and newline, C1, and what turns the direction of writing
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueSyntaxError("must be text; quote it if it is a number")
    if control := _CONTROL.search(value):
        raise ValueSyntaxError(f"must not contain the control character U+{ord(control[0]):04X}")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueSyntaxError("must be true or false")
    return value


def whole(least: int, most: int | None = None) -> Leaf:
    """Take whole numbers between the bounds, both included."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueSyntaxError("must be a whole number")
        if value < least:
            raise ValueSyntaxError(f"greater than or equal to {least}")
        if most is not None and value > most:
            raise ValueSyntaxError(f"less than or equal to {most}")
        return value

    form: Schema = {"type": "integer", "minimum": least}
    return Leaf(parse, form if most is None else {**form, "maximum": most})


def one_of(*choices: str | int) -> Leaf:
    """Take one of a few words or numbers."""
    shown = [repr(choice) for choice in choices]
    listed = " or ".join([", ".join(shown[:-1]), shown[-1]])

    def parse(value: object) -> Any:
        if type(value) in (str, int) and value in choices:
            return value
        near = did_you_mean(str(value), map(str, choices))
        raise ValueSyntaxError(f"must be one of {listed}{near}")

    kind = "string" if isinstance(choices[0], str) else "integer"
    return Leaf(parse, {"type": kind, "enum": list(choices)})


def _name(value: object) -> str:
    text = _text(value)
    if not re.fullmatch(NAME_PATTERN, text):
        raise ValueSyntaxError("a name has letters, digits and _ . : -")
    if len(text) > MAX_NAME:
        raise ValueSyntaxError(f"a name has at most {MAX_NAME} characters")
    return text


TEXT = Leaf(_text, {"type": "string"})
TRUTH = Leaf(_truth, {"type": "boolean"})
NAME = Leaf(_name, {"type": "string", "pattern": NAME_PATTERN, "maxLength": MAX_NAME})
