"""What changed from one configuration to another: for a person, and for a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .census import short
from .text import Terminal

Document = Mapping[str, Any]
PLAIN = Terminal()


def report(document: Document, look: Terminal = PLAIN, *, top: int | None = 10) -> str:
    """Return the whole report without a final newline; of each part the `top` first rows, None: all."""
    blocks = [list(_part(key, document[key], top)) for key in ("worse", "better")]
    blocks.append(list(_missing(document)))
    blocks.append([verdict_line(document)])
    return look.styled("\n\n".join("\n".join(block) for block in blocks if block))


def verdict_line(document: Document) -> str:
    """Return the last line."""
    worse, better = (len(document[key]) for key in ("worse", "better"))
    part = "interrupted, so far " if document["interrupted"] else ""
    about = f"{document['cells']} faults and pairs, the same seeds for both"
    if not worse and not better:
        return f"{part}nothing changed: {about}"
    return f"{part}{'failed' if worse else 'passed'}: worse in {worse}, better in {better} of {about}"


def _part(title: str, changes: Sequence[Document], top: int | None) -> Iterator[str]:
    if not changes:
        return
    yield title.upper()
    for each in changes[:top]:
        yield f"  {each['cell']}"
        yield from (f"      {line}" for line in words(each))
    if top is not None and len(changes) > top:
        yield f"  … {len(changes) - top} more"


def words(change: Document) -> Iterator[str]:
    """Say what changed of one cell: the outcome, then each measure with interval and ratio."""
    old, new = change["old"], change["new"]
    if old["outcome"] != new["outcome"]:
        runs, of = new["outcomes"][new["outcome"]], sum(new["outcomes"].values())
        yield f"{old['outcome']} → {new['outcome']} ({runs} of {of} runs)"
    for one in change["measures"]:
        was, now = one["old"], one["new"]
        ratio = f", × {one['ratio_p50']:.3g}" if one["ratio_p50"] else ""
        yield (
            f"{one['measure']} p50 {short(was['p50_s'])} {_interval(was)} →"
            f" {short(now['p50_s'])} {_interval(now)}{ratio}"
        )
        yield f"{one['measure']} worst {short(was['max_s'])} → {short(now['max_s'])}"


def _interval(summary: Document) -> str:
    low, high = (short(each) for each in summary["p50_ci_s"])
    return f"[{low}, {high}]"


def _missing(document: Document) -> Iterator[str]:
    for key, word in (("only_old", "gone"), ("only_new", "new")):
        if document[key]:
            yield f"{word}, so not compared: {', '.join(document[key])}"


def markdown(document: Document, *, top: int | None = 20) -> str:
    """Return the same as Markdown for a pull request."""
    return "\n".join([f"**{verdict_line(document)}**", *_tables(document, top), *_missing(document)])


def _tables(document: Document, top: int | None) -> Iterator[str]:
    for key in ("worse", "better"):
        if not document[key]:
            continue
        yield f"\n| {key} | what changed |\n|---|---|"
        for each in document[key][:top]:
            cell = each["cell"].replace("|", "\\|")
            yield f"| {cell} | {'<br>'.join(line.replace('|', chr(92) + '|') for line in words(each))} |"
        if top is not None and len(document[key]) > top:
            yield f"| … {len(document[key]) - top} more | |"
    yield ""
