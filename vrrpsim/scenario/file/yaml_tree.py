"""YAML text to plain values, with the place of every key and every value.

The node graph is composed by ruamel and built here, so that keys stay strings, duplicate keys, alias
loops and alias bombs are findings rather than surprises, and a path leads back to line and column.
YAML 1.2: `no` and `1:30` are strings, `0x33` is 51. Merge keys (`<<`) are read.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from vrrpsim.findings import SCENARIO, Finding, InputError, Place, Severity
from vrrpsim.keepalived.changes import Change

MAX_BYTES = 512 * 1024  # pure-Python YAML reads about 100 KiB a second
MAX_VALUES = 100_000  # after aliases are expanded
MAX_DEPTH = 40
MOST_SHOWN = 1_000  # errors

Step = str | int
Keys = tuple[Step, ...]


def dotted(path: Keys) -> str:
    """Write a path as a person does: `events[0].kill`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


@dataclass(slots=True, eq=False, repr=False)
class Tree:
    """A file's values (`root`) and where each stands; paths are tuples of keys and list indices."""

    file: str
    root: Any = None
    values: dict[Keys, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Keys, tuple[int, int]] = field(default_factory=dict)
    findings: dict[Finding, None] = field(default_factory=dict)  # in order, each once
    replaced: dict[Keys, Place] = field(default_factory=dict)  # by `--set`
    changes: dict[str, list[Change]] = field(default_factory=dict)  # … in the keepalived.conf of a node
    missed: list[Change] = field(default_factory=list)  # … for any node, that found no block in one
    tried: Counter[Place] = field(default_factory=Counter)  # in how many nodes

    def value_place(self, path: Keys) -> Place:
        """Return where the value at `path` starts, or the nearest enclosing one."""
        for length in range(len(path), 0, -1) if self.replaced else ():
            if path[:length] in self.replaced:
                return self.replaced[path[:length]]
        while path and path not in self.values:
            path = path[:-1]
        return Place(self.file, *self.values.get(path, (1, 1)))

    def key_place(self, path: Keys) -> Place:
        """Return where the key at `path` stands; for a list element its value."""
        if path in self.keys and not self.replaced:
            return Place(self.file, *self.keys[path])
        place = self.value_place(path)
        return Place(self.file, *self.keys[path]) if path in self.keys and place.file == self.file else place

    def error(self, path: Keys, message: str, *, at_key: bool = False) -> None:
        """Add an error; `message` is preceded by the dotted path."""
        place = self.key_place(path) if at_key else self.value_place(path)
        self.add(place, f"{dotted(path)}: {message}" if path else message)

    def add(self, place: Place, message: str, code: str = SCENARIO) -> None:
        """Add an error at a place, once."""
        self.findings[Finding(place, code, message, Severity.ERROR)] = None

    def raise_if_broken(self) -> None:
        """Raise `InputError` with every error found so far, sorted by place."""
        errors = [finding for finding in self.findings if finding.severity is Severity.ERROR]
        if errors:
            errors.sort(key=lambda finding: (finding.place, finding.message))
            if len(errors) > MOST_SHOWN:
                more = f"and {len(errors) - MOST_SHOWN} more errors"
                errors[MOST_SHOWN:] = [replace(errors[MOST_SHOWN], message=more)]
            raise InputError(tuple(errors))

    def lookup(self, path: Keys) -> Any:
        """Return the value at `path`; KeyError where there is none."""
        value = self.root
        for step in path:
            known = step in value if isinstance(value, dict) else False
            if isinstance(step, int) and isinstance(value, list):
                known = 0 <= step < len(value)
            if not known:
                raise KeyError(path)
            value = value[step]
        return value


def unusable(file: str, message: str, line: int = 1, col: int = 1) -> InputError:
    """Make the error for a file that cannot be read at all."""
    return InputError((Finding(Place(file, line, col), SCENARIO, message),))


def read_tree(path: Path) -> Tree:
    """Read a YAML file; raise `InputError` where nothing can be made of it."""
    return tree_of(str(path), _decode(str(path), _read_bytes(path)))


def tree_of(file: str, text: str) -> Tree:
    """Read YAML text as if it stood in `file`; raise `InputError` where nothing can be made of it."""
    node = compose(file, text)
    if node is None:
        raise unusable(file, "the file is empty; a scenario starts with 'version: 1'")
    tree = Tree(file)
    _Builder(tree).build_root(node)
    if not isinstance(tree.root, dict):
        kind = "a list" if isinstance(tree.root, list) else "a single value"
        raise unusable(
            file, f"the top level is {kind}; a scenario is a mapping that starts with 'version: 1'"
        )
    return tree


def _read_bytes(path: Path) -> bytes:
    file = str(path)
    try:
        if "\0" in file:
            raise unusable(file.replace("\0", "?"), "is not a file name")
        if path.is_dir():
            raise unusable(file, "is a directory; name a scenario file")
        if not path.exists():
            raise unusable(file, "no such file")
        if not path.is_file():
            raise unusable(file, "is not a regular file")
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except OSError as error:
        raise unusable(file, f"cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise unusable(file, f"is larger than {MAX_BYTES // 1024} KiB; that is not a scenario")
    return data


def _decode(file: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        col = error.start - (before.rfind(b"\n") + 1) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8; a scenario is YAML text"
        raise unusable(file, message, line, col) from None


def compose(file: str, text: str) -> Node | None:
    """Parse one YAML document to its node graph; None for an empty one."""
    if _open_brackets(text) > 10 * MAX_DEPTH:  # ruamel would take seconds to find out
        raise unusable(file, "nested too deeply")
    try:
        yaml = YAML(typ="safe", pure=True)
        node: Node | None = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, col = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise unusable(file, f"not valid YAML: {_explain(error)}", line, col) from None
    except RecursionError:
        raise unusable(file, "nested too deeply") from None
    except (YAMLError, ValueError) as error:
        position = getattr(error, "position", None)
        line, col = _line_and_column(text, position) if isinstance(position, int) else (1, 1)
        reason = str(error).splitlines()[0] if str(error) else "unreadable"
        raise unusable(file, f"not valid YAML: {reason}", line, col) from None
    return node


def _open_brackets(text: str) -> int:
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def _explain(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "syntax error")
    if problem == "but found another document":
        return "a scenario is a single document; remove the '---'"
    if r"'\t'" in problem:
        return "a tab cannot indent; use spaces"
    context = str(error.context or "")
    return f"{context}: {problem}" if context.startswith("while") else problem


class _Builder:
    """Builds plain values and places from a node graph; budgets stop loops and bombs."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.open: set[int] = set()  # nodes that are being built: an alias to one is a loop
        self.count = 0

    def build_root(self, node: Node) -> None:
        self.tree.root = self._value(node, ())

    def _value(self, node: Node, path: Keys) -> Any:
        line, col = node.start_mark.line + 1, node.start_mark.column + 1
        self.tree.values[path] = (line, col)
        self.count += 1
        if self.count > MAX_VALUES:
            raise unusable(self.tree.file, f"more than {MAX_VALUES} values after aliases", line, col)
        if id(node) in self.open:
            raise unusable(self.tree.file, f"{dotted(path)}: an alias that contains itself", line, col)
        if len(path) > MAX_DEPTH:
            raise unusable(self.tree.file, "nested too deeply", line, col)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        self.open.add(id(node))
        built = self._mapping(node, path) if isinstance(node, MappingNode) else self._sequence(node, path)
        self.open.discard(id(node))
        return built

    def _sequence(self, node: Node, path: Keys) -> list[Any]:
        assert isinstance(node, SequenceNode)
        return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, path: Keys) -> dict[str, Any]:
        built: dict[str, Any] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            if _tag(key_node).endswith(":merge"):
                merged.append(value_node)
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            where = (*path, key)
            place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key in built:
                first = self.tree.keys[where][0]
                message = f"{dotted(where)}: duplicate key; the first is on line {first}"
                self.tree.add(Place(self.tree.file, *place), message)
                continue
            self.tree.keys[where] = place
            built[key] = self._value(value_node, where)
        for value_node in merged:
            self._merge(value_node, built, path)
        return built

    def _merge(self, node: Node, built: dict[str, Any], path: Keys) -> None:
        sources = node.value if isinstance(node, SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, MappingNode):
                place = Place(self.tree.file, source.start_mark.line + 1, source.start_mark.column + 1)
                self.tree.add(place, f"{dotted(path)}: '<<' needs a mapping")
                continue
            if id(source) in self.open:
                line = source.start_mark.line + 1
                raise unusable(self.tree.file, f"{dotted(path)}: an alias that contains itself", line)
            known = set(built)
            missing = MappingNode(source.tag, [pair for pair in source.value if pair[0].value not in known])
            missing.start_mark, missing.end_mark = source.start_mark, source.end_mark
            own = self.tree.values[path]
            built.update(self._value(missing, path))
            self.tree.values[path] = own

    def _key(self, node: Node, path: Keys) -> str | None:
        if isinstance(node, ScalarNode) and not _tag(node).endswith(":null"):
            return str(node.value)
        place = Place(self.tree.file, node.start_mark.line + 1, node.start_mark.column + 1)
        self.tree.add(place, f"{dotted(path)}: a key must be a word".removeprefix(": "))
        return None

    def _scalar(self, node: ScalarNode, path: Keys) -> Any:
        tag, text = _tag(node), str(node.value)
        try:
            match tag.rpartition(":")[2]:
                case "str" | "timestamp":
                    return text
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return _integer(text)
                case "float":
                    return _float(text)
        except ValueError:
            return text
        self.tree.error(path, f"the tag {tag} means nothing here")
        return text


def _integer(text: str) -> int | str:
    digits = text.replace("_", "")
    if len(digits) > 30:
        return text
    if re.match(r"^[-+]?0[xo]", digits):
        return int(digits, 0)
    return int(digits, 10)


def _float(text: str) -> float:
    digits = text.replace("_", "").lower()
    if digits.endswith((".inf", ".nan")):
        return float(digits.replace(".inf", "inf").replace(".nan", "nan"))
    return float(digits)


def _tag(node: Node) -> str:
    return str(node.tag)


def parse_value(text: str) -> Any:
    """Read the VALUE of `--set PATH=VALUE`: YAML on one line; anything that is not YAML is a string."""
    tree = Tree("--set")
    try:
        node = compose("--set", text)
        if node is None:
            return ""
        _Builder(tree).build_root(node)
    except InputError:
        return text
    return text if tree.findings else tree.root
