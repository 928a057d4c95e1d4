"""A rule as a page: for `vrrpsim check --explain` and for the docs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping

from .rule import Example, Rule

MOST_LINES = 30  # of an example


def explained(rule: Rule) -> Iterator[str]:
    """Yield what `--explain` prints, 80 columns wide."""
    yield f"{rule.code} {rule.name} ({_kind(rule)})"
    yield ""
    yield from textwrap.wrap(rule.why, 80)
    for title, example in (("Bad:", rule.bad), ("Good:", rule.good)):
        for name, text in _files(example):
            yield ""
            yield f"{title} {name}".rstrip()
            yield ""
            yield from (f"    {line}".rstrip() for line in _short(text))
    yield ""
    yield from textwrap.wrap(_known(rule), 80)
    yield rule.url


def page(rule: Rule) -> str:
    """Return the page of the docs, in Markdown."""
    parts = [f"# {rule.code} {rule.name}\n", f"*{_kind(rule)}*\n", f"{rule.why}\n"]
    for title, example in (("Bad", rule.bad), ("Good", rule.good)):
        for name, text in _files(example):
            language = "yaml" if name.endswith(".yaml") else "text"
            shown = "\n".join(_short(text))
            parts += [f"{title}{f': `{name}`' if name else ''}\n", f"```{language}\n{shown}\n```\n"]
    parts.append(f"{_known(rule)}\n")
    if rule.said_by == "check":
        parts.append(
            f"To leave one out: `# vrrpsim: ignore[{rule.code}] why` at the end of its line; "
            f"all of them: `--ignore {rule.code}`.\n"
        )
    return "\n".join(parts)


def table(rules: Mapping[str, Rule]) -> str:
    """Return the list of all rules, in Markdown."""
    rows = ["| code | name | severity | why |", "|---|---|---|---|"]
    for rule in rules.values():
        mends = " `--fix`" if rule.fixable else ""
        why = re.sub(r"([|<>*_`~\[\]])", r"\\\1", rule.why)
        rows.append(f"| {rule.code} | {rule.name} | {rule.severity}{mends} | {why} |")
    return "\n".join(rows) + "\n"


def _kind(rule: Rule) -> str:
    by = "" if rule.said_by == "check" else f", said by `{rule.said_by}`"
    return f"{rule.severity}{by}{', mended by --fix' if rule.fixable else ''}"


def _known(rule: Rule) -> str:
    """Say for whom it holds, what comes with it and how it is known."""
    said = [f"Holds for {', '.join(rule.dialects)}." if rule.dialects else "Holds for every dialect."]
    if rule.brings:
        said.append(f"It brings {', '.join(rule.brings)} with it.")
    if rule.source:
        said.append(f"Known from: {rule.source}.")
    return " ".join(said)


def _files(example: Example) -> list[tuple[str, str]]:
    if isinstance(example, str):
        return [("", example)] if example else []
    return [("" if name == "-" else name, text) for name, text in example.items()]


def _short(text: str) -> list[str]:
    """Return the lines, cut where an example is long on purpose; what cannot be printed is escaped."""
    lines = [
        "".join(char if char.isprintable() or char == "\t" else repr(char)[1:-1] for char in line)
        for line in text.rstrip("\n").split("\n")
    ]
    lines = [line if len(line) <= 100 else f"{line[:90]}..." for line in lines]
    if len(lines) > MOST_LINES:
        lines[5:-10] = ["..."]
    return lines
