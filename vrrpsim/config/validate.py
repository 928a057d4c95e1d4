"""A tree against the document models: every structural error at once, in our words, and what is left.

pydantic stops inside a mapping that is wrong, so the wrong part is taken out and the rest is validated again,
until it passes. The references of the sound parts can then be checked in the same run.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from vrrpsim.config.document import Document, KeepalivedFile, ScenarioDocument
from vrrpsim.config.events import INSTANT_VERBS, VERBS
from vrrpsim.config.inline import BLOCKS, DELAYS
from vrrpsim.config.source import did_you_mean
from vrrpsim.config.values import MAX_DURATION_NS, ValueSyntaxError, unknown_key
from vrrpsim.config.yaml_places import Keys, Tree

ROUNDS = 100  # each takes out at least one part

_SUBSTITUTES: dict[str, Any] = {"version": 1, "duration": MAX_DURATION_NS // 1_000_000_000}


@dataclass(slots=True)
class Sound:
    """What passed: the document, the original index of each of its events, and the paths taken out."""

    document: ScenarioDocument | None
    event_index: list[int]
    damaged: set[Keys]

    def is_damaged(self, *path: str | int) -> bool:
        """Whether something at or below `path` was taken out."""
        return any(damaged[: len(path)] == path for damaged in self.damaged)


def validate(tree: Tree) -> Sound:
    """Judge the tree; errors go to `tree.findings`."""
    root = copy.deepcopy(tree.root)
    events = root.get("events")
    sound = Sound(None, list(range(len(events))) if isinstance(events, list) else [], set())
    for _ in range(ROUNDS):
        classes: dict[int, type[Document]] = {}
        try:
            sound.document = ScenarioDocument.model_validate(root, context=classes)
            return sound
        except ValidationError as error:
            wrong = [
                _report(tree, root, sound, dict(item), classes) for item in error.errors(include_url=False)
            ]
        for path in sorted(set(wrong), key=lambda path: [str(step) for step in path], reverse=True):
            if not _take_out(root, sound, path):
                return sound
    return sound


def _report(
    tree: Tree, root: Any, sound: Sound, item: dict[str, Any], classes: dict[int, type[Document]]
) -> Keys:
    """Add the error to the tree, unless it follows from an earlier one; return the path to take out."""
    path, is_key = _real_path(root, item["loc"])
    inner: Keys = ()
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, ValueSyntaxError):
        inner = cause.path
    original = _original(sound, path)
    kind = item["type"]
    if kind == "missing":
        if (*original,) not in sound.damaged:
            tree.error(original[:-1], f"'{original[-1]}:' is missing", at_key=True)
        return path[:-1]
    where = (*original, *inner)
    if sound.is_damaged(*where):  # only because a part of it is gone
        return path
    at_key = is_key or kind == "extra_forbidden" or getattr(cause, "at_key", False)
    tree.error(where, _message(root, path, item, classes), at_key=at_key)
    deeper = inner and id(_at(root, path)) in classes
    return (*path, *inner) if deeper else path


def _real_path(root: Any, loc: tuple[str | int, ...]) -> tuple[Keys, bool]:
    """Drop the union tags and the mark of a key from pydantic's location."""
    path: Keys = ()
    here = root
    for step in loc:
        if step == "[key]":
            return path, True
        tag = isinstance(step, str) and step.startswith(("verb:", "form:"))
        if tag and not (isinstance(here, dict) and step in here):
            continue
        path = (*path, step)
        here = _at(here, (step,))
    return path, False


def _at(root: Any, path: Keys) -> Any:
    for step in path:
        try:
            root = root[step]
        except (KeyError, IndexError, TypeError):
            return None
    return root


def _original(sound: Sound, path: Keys) -> Keys:
    if (
        len(path) > 1
        and path[0] == "events"
        and isinstance(path[1], int)
        and path[1] < len(sound.event_index)
    ):
        return ("events", sound.event_index[path[1]], *path[2:])
    return path


def _take_out(root: Any, sound: Sound, path: Keys) -> bool:
    """Remove the part; False where nothing would be left to judge."""
    for length, step in enumerate(path):
        if isinstance(step, int) and path[:length] != ("events",):
            path = path[:length]  # a list is sound or not as a whole
            break
    if not path:
        return False
    sound.damaged.add(_original(sound, path))
    parent = _at(root, path[:-1])
    if path[0] == "events" and len(path) == 2:
        assert isinstance(path[1], int)
        del sound.event_index[path[1]]
        del parent[path[1]]
    elif isinstance(parent, dict) and path[-1] in parent:
        del parent[path[-1]]
        if len(path) == 1 and path[0] in _SUBSTITUTES:
            root[path[0]] = _SUBSTITUTES[str(path[0])]
    return True


# --- our words for pydantic's errors

_WANTED = {
    "string_type": "must be text; quote it if it is a number",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "list_type": "must be a list",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "string_pattern_mismatch": "a name has letters, digits and _ . : -",
}


def _message(root: Any, path: Keys, item: dict[str, Any], classes: dict[int, type[Document]]) -> str:
    kind, context = item["type"], item.get("ctx", {})
    match kind:
        case "value_error":
            return str(context["error"])
        case "extra_forbidden":
            return _unknown(str(path[-1]), _at(root, path[:-1]), classes)
        case "verb":
            return _verb(_at(root, path))
        case "greater_than_equal" | "less_than_equal" | "greater_than" | "less_than":
            return f"{item['msg'].removeprefix('Input should be ').replace('or equal to', 'or equal to')}"
        case "literal_error":
            choices = context.get("expected", "")
            near = did_you_mean(
                str(item["input"]), choices.replace("'", "").replace(" or ", ", ").split(", ")
            )
            return f"must be one of {choices}{near}"
        case "too_short":
            return "must not be empty"
    return _WANTED.get(kind, str(item["msg"]))


def _unknown(key: str, parent: Any, classes: dict[int, type[Document]]) -> str:
    cls = classes.get(id(parent), ScenarioDocument)
    if issubclass(cls, KeepalivedFile) and key in (*BLOCKS, DELAYS):
        return "'file:' and inline keywords exclude each other"
    verb = next((verb for verb in INSTANT_VERBS if isinstance(parent, dict) and verb in parent), None)
    if key == "for" and verb:
        return f"'{verb}' cannot be undone, so it takes no 'for:'"
    known = cls.known_keys()
    if "probes" in known:  # the forms of keepalived: a slip of `file` lands in the inline form
        known = (*known, "file")
    return unknown_key(key, known)


def _verb(value: Any) -> str:
    if not isinstance(value, dict):
        return "an event is a mapping such as {at: 12s, kill: lb1/haproxy}"
    verbs = [verb for verb in VERBS if verb in value]
    if verbs:
        return f"an event has exactly one verb; this one has {' and '.join(verbs)}"
    common = ("at", "for", "every", "count", "name")
    near = next((hint for key in value if key not in common and (hint := did_you_mean(key, VERBS))), "")
    return f"an event needs exactly one verb{near or f': {chr(44).join(VERBS)}'.replace(',', ', ')}"
