"""The report of one run for a person: timeline, story, waterfalls, expectations, digest, verdict.

Plain text in a fixed width. The same run gives the same bytes; nothing here knows how long the
computation took. Words carry the meaning, colour only repeats it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import NamedTuple

from vrrpsim.measure.causes import Cause, causes
from vrrpsim.measure.expectations import SINGLE_RUN, Verdict
from vrrpsim.measure.failovers import Failover
from vrrpsim.measure.outage_parts import OutagePart
from vrrpsim.measure.outages import Outage
from vrrpsim.measure.ownership import Ownership
from vrrpsim.measure.result import Result
from vrrpsim.measure.seconds import fixed_s
from vrrpsim.protocol.reasons import Reason, in_words
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import format_duration
from vrrpsim.trace import (
    AdvertSent,
    Fault,
    FaultEnd,
    FrameLost,
    NodeChange,
    PriorityChange,
    Reachability,
    Record,
    Remark,
    StateChange,
    Trace,
    TrackerChange,
)

from .ascii_timeline import timeline
from .lanes import alike

LIKE = 4  # lines of one shape that a story tells before it says "… n more"
BAR = 30  # columns of a waterfall
ASCII = str.maketrans(
    {
        "×": "x",
        "…": "...",
        "≤": "<=",
        "≥": ">=",
        "█": "#",
        "–": "-",
        "→": "->",
        "±": "+/-",
        "µ": "u",
        "\xa0": " ",
    }
)
COLOURS = {"ok": 32, "passed": 32, "shown": 33, "FAIL": 31, "failed": 31, "unknown": 33}
OK_WORDS = {True: "ok", False: "FAIL", None: "unknown"}  # of an expectation


class Terminal(NamedTuple):
    """How text may look: columns, whether more than ASCII, whether coloured."""

    width: int = 80
    unicode: bool = True
    colour: bool = False
    fold: bool = False  # what is wider continues below itself; a pipe gets its lines whole

    def styled(self, text: str) -> str:
        """Fit finished text to what the terminal can show."""
        if self.fold:
            text = "\n".join(part for line in text.split("\n") for part in folded(line, self.width))
        if not self.unicode:
            text = text.translate(ASCII)
        return _coloured(text) if self.colour else text


def folded(line: str, width: int) -> list[str]:
    """Break a line between words, so that its last column continues below itself; commands stay whole."""
    if len(line) <= width or line.lstrip().startswith(("vrrpsim ", "digest ")):
        return [line]
    columns = [match.end() for match in re.finditer(r"(?<=\S) {2,}(?=\S)", line)]
    start = len(line) - len(line.lstrip())
    hang = max((column for column in columns if column <= 0.6 * width), default=start + 2)
    rest = " " * hang
    return wrap(line, width, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)


def report(
    scenario: Scenario,
    trace: Trace,
    result: Result,
    *,
    command: str = "",
    look: Terminal = Terminal(),
    time: str = "simulated",
) -> str:
    """Return the whole report without a final newline; `command` is what repeats this run."""
    together = failovers_alike(result.failovers)
    blocks = [
        [headline(scenario, result, time)],
        list(timeline(scenario, trace, result, look.width)),
        list(abridged(story(trace, result))),
        list(longest_outage(result)),
        *(list(waterfall(*each)) for each in together[:LIKE]),
        [f"  … {len(together) - LIKE} more failovers"] if len(together) > LIKE else [],
        [*expectations(result.expectations, command), *_for_a_sweep(scenario)],
        [f"digest {result.digest}"],
        [verdict_line(result)],
    ]
    return look.styled("\n\n".join("\n".join(block) for block in blocks if block))


def headline(scenario: Scenario, result: Result, time: str = "simulated") -> str:
    """Name what ran: nodes, how long and in what time, seed."""
    nodes = len(scenario.nodes)
    shown = f"{nodes} node{'s' * (nodes != 1)}, {format_duration(result.duration_ns)} {time}"
    return f"{result.name or 'run'}: {shown}, seed {result.seed}"


def verdict_line(result: Result) -> str:
    """Return the last line: the verdict in words."""
    answers = Counter(verdict.ok for verdict in result.expectations)
    total = len(result.expectations)
    noun = f"expectation{'s' * (total != 1)}"
    match result.verdict:
        case _ if not total:
            return "no verdict: nothing was expected"
        case "pass" if harm := harm_shown(result):
            return f"shown: {harm}, as described; {total} of {total} {noun}"
        case "pass":
            return f"passed: {total} of {total} {noun}"
        case "fail":
            return f"failed: {answers[False]} of {total} {noun}"
        case _:
            return f"unknown: nothing exercised {answers[None]} of {total} {noun}"


HARM_WORDS = {"dual_master": "split brain", "vacancy": "no owner", "outage": "outage"}


def harm_shown(result: Result) -> str:
    """Write the damage that the scenario is there to show, the most telling first; "" if it shows none."""
    found: dict[str, int] = {}
    for each in result.expectations:
        if each.shows_harm and isinstance(each.measured, int):
            name = each.measure.partition(".")[0]
            found[name] = max(found.get(name, 0), each.measured)
    words = [f"{HARM_WORDS[name]} of {brief(found[name])}" for name in HARM_WORDS if name in found]
    return " and ".join(words)


# --- story ----------------------------------------------------------------------------------------


class StoryLine(NamedTuple):
    """One sentence of the story."""

    at_ns: int
    who: str
    text: str


def story(trace: Trace, result: Result) -> list[StoryLine]:
    """Tell what happened, in order of time."""
    lines = list(_record_lines(trace))
    lines += [line for label, owned in alike(result.ownerships) for line in _moves(label, owned)]
    lines += _clients(trace, result)
    return sorted(lines, key=lambda line: line.at_ns)


def abridged(lines: Sequence[StoryLine]) -> Iterator[str]:
    """Write the lines; of one shape only the first few, then how many more there are and until when."""
    who = max((len(line.who) for line in lines), default=0)
    at = max((len(fixed_s(line.at_ns)) for line in lines), default=0)
    like: dict[str, list[StoryLine]] = {}
    for line in lines:
        like.setdefault(_shape(line), []).append(line)
    seen: Counter[str] = Counter()
    for line in lines:
        shape, same = _shape(line), like[_shape(line)]
        seen[shape] += 1
        if seen[shape] <= LIKE or len(same) == LIKE + 1:
            yield f"  {fixed_s(line.at_ns):>{at}}  {line.who:{who}}  {line.text}"
        elif seen[shape] == LIKE + 1:
            more = f"… {len(same) - LIKE} more like this until {fixed_s(same[-1].at_ns)}: {line.text}"
            yield f"  {'':>{at}}  {line.who:{who}}  {more}"


def _shape(line: StoryLine) -> str:
    return line.who + re.sub(r"(?<![\w.])\d+(\.\d+)?( [mun]?s\b)?(?![\w.])", "0", line.text)


Merged = Record | tuple[TrackerChange, PriorityChange]


def _merged(records: Sequence[Record]) -> Iterator[Merged]:
    """Join a tracker's change and the priority that follows from it at the same instant."""
    news = [r for r in records if not isinstance(r, Reachability)]
    for _, group in groupby(news, key=lambda record: record.at_ns):
        waiting: TrackerChange | None = None
        for record in group:
            match record:
                case PriorityChange() if waiting and waiting.node == record.node:
                    yield waiting, record
                    waiting = None
                    continue
                case _ if waiting:
                    yield waiting
            waiting = record if isinstance(record, TrackerChange) else None
            if waiting is None:
                yield record
        if waiting:
            yield waiting


def _record_lines(trace: Trace) -> Iterator[StoryLine]:
    """Tell the records that say something by themselves."""
    ends = {
        cause.number: cause
        for cause in causes((each for each in trace.records if isinstance(each, (Fault, FaultEnd))), ())
        if cause.undone
    }
    instances = {(r.node, r.instance) for r in trace.records if isinstance(r, StateChange)}
    several = {node for node, count in Counter(node for node, _ in instances).items() if count > 1}
    resigned: dict[str, int] = {}  # when a master of an instance last sent priority 0
    for record in _merged(trace.records):
        match record:
            case AdvertSent(priority=0):
                resigned[record.instance] = record.at_ns
            case FrameLost(kind="vrrp", reason="carrier"):  # through a dead link nothing leaves
                resigned = {name: at_ns for name, at_ns in resigned.items() if at_ns != record.at_ns}
            case (TrackerChange() as tracker, PriorityChange() as moved):
                whose = f"{moved.instance} " if moved.node in several else ""
                text = f"{_tracker(tracker)}: {whose}effective priority {moved.old} -> {moved.new}"
                yield StoryLine(tracker.at_ns, tracker.node, text)
            case TrackerChange():
                yield StoryLine(record.at_ns, record.node, _tracker(record))
            case PriorityChange(reason=reason):
                whose = f"{record.instance} " if record.node in several else ""
                text = f"{whose}effective priority {record.old} -> {record.new}"
                text += f"  {reason}" if reason else ""
                yield StoryLine(record.at_ns, record.node, text)
            case StateChange():
                who = f"{record.instance} " if record.node in several else ""
                yield StoryLine(
                    record.at_ns, record.node, who + _state(record, resigned.get(record.instance))
                )
            case Fault():
                targets = " | ".join(record.resolved) or record.target
                asked = f"({record.target})" if record.target not in (targets, "") else ""
                whom = "" if record.verb == "partition" and record.detail else targets
                words = (record.verb, whom, asked, record.detail)
                yield StoryLine(record.at_ns, "event", " ".join(word for word in words if word))
            case FaultEnd() if record.number in ends:
                yield StoryLine(record.at_ns, "event", str(ends[record.number]))
            case NodeChange():
                yield StoryLine(record.at_ns, record.node, f"machine is {record.state}")
            case Remark():
                yield StoryLine(record.at_ns, "note", record.text)


def _tracker(change: TrackerChange) -> str:
    if change.tracker == "interface":
        return f"{change.name} is {'up' if change.ok else 'down'}"
    return f"{change.name} {'succeeds' if change.ok else 'fails'}"


def _state(change: StateChange, resigned_ns: int | None) -> str:
    why = in_words(change.reason)
    if change.reason == Reason.MASTER_DOWN_TIMER:
        heard_ns = change.last_advert_ns
        if resigned_ns is not None and resigned_ns >= max(heard_ns or 0, change.at_ns - 1_000_000_000):
            why = f"the master resigned {fixed_s(change.at_ns - resigned_ns)} s ago"
        elif heard_ns is not None:
            why += f" for {fixed_s(change.at_ns - heard_ns)} s"
    return f"{change.old} -> {change.new}" + (f"  {why}" if why else "")


def _moves(label: str, owned: Ownership) -> Iterator[StoryLine]:
    for tenure in owned.tenures:
        text = f"{label} is on {tenure.node}"
        for span in owned.dual_master:
            if span.start_ns == tenure.start_ns:
                others = ", ".join(node for node in span.nodes if node != tenure.node)
                until = f"for {brief(span.length_ns)}" if span.ended else "until the end"
                text += f", {until} beside {others}"
        for gap in owned.vacancies:
            if gap.end_ns == tenure.start_ns and gap.start_ns:
                text += f", after {brief(gap.length_ns)} without owner"
        yield StoryLine(tenure.start_ns, "address", text)
    for gap in owned.vacancies:
        if gap.start_ns and not gap.ended:
            yield StoryLine(gap.start_ns, "address", f"{label} has no owner until the end")


def _clients(trace: Trace, result: Result) -> Iterator[StoryLine]:
    changes = [record for record in trace.records if isinstance(record, Reachability)]
    for name, view in result.clients.items():
        own = [change for change in changes if change.client == name]
        when = [change.at_ns for change in own]
        for outage in view.outages:
            why = own[bisect_right(when, outage.start_ns) - 1].reason if own else ""
            yield StoryLine(outage.start_ns, name, "no answer" + (f": {why}" if why else ""))
            if outage.ended:
                node = own[bisect_right(when, outage.end_ns) - 1].node
                by = f" by {node}" if node else ""
                yield StoryLine(outage.end_ns, name, f"answered{by} after {fixed_s(outage.length_ns)} s")


# --- the longest outage ---------------------------------------------------------------------------


def worst_outage(result: Result) -> tuple[str, Outage, tuple[OutagePart, ...]] | None:
    """Return the longest outage of any client, whose it is, and its parts; None if there was none."""
    outages = [
        (name, outage, parts)
        for name, why in result.why.items()
        for outage, parts in zip(result.clients[name].outages, why, strict=True)
    ]
    return max(outages, key=lambda each: each[1].length_ns, default=None)


def longest_outage(result: Result) -> Iterator[str]:
    """Say why the longest outage of any client lasted, part by part: the first thing to know of a run."""
    found = worst_outage(result)
    if found is None:
        return
    name, outage, parts = found
    until = fixed_s(outage.end_ns) if outage.ended else "the end"
    client = f"  {name}" if len(result.clients) > 1 else ""
    yield f"LONGEST OUTAGE{client}  {fixed_s(outage.length_ns)} s, from {fixed_s(outage.start_ns)} to {until}"
    event = None
    for part in parts:
        if part.event and part.event != event:
            event = part.event
            yield f"  after {event}"
        yield f"    {fixed_s(part.length_ns):>8} s  {part.cause}"
        if part.keyword:
            yield f"    {'':8}    {part.keyword}"


# --- waterfall ------------------------------------------------------------------------------------


def failovers_alike(failovers: Sequence[Failover]) -> list[tuple[str, Failover]]:
    """Join what one event did to several addresses of one owner: the slowest stands for all."""
    groups: dict[tuple[Cause, str, str], list[Failover]] = {}
    for each in failovers:
        groups.setdefault((each.cause, each.old, each.new), []).append(each)
    slowest = [max(group, key=lambda each: each.total_ns or 1 << 62) for group in groups.values()]
    return [
        (each.address + (f" +{len(group) - 1}" if len(group) > 1 else ""), each)
        for each, group in zip(slowest, groups.values(), strict=True)
    ]


def waterfall(label: str, failover: Failover) -> Iterator[str]:
    """Draw where the time of a failover went, one bar for each part."""
    yield f"{failover.kind.value.upper()}  {label}  {failover.old} -> {failover.new}   {failover.cause}"
    known = [part for part in failover.parts if part.length_ns is not None]
    total_ns = max(sum(part.length_ns or 0 for part in known), 1)
    gone_ns = 0
    for part in known:
        length_ns = part.length_ns or 0
        left, right = gone_ns * BAR // total_ns, (gone_ns + length_ns) * BAR // total_ns
        bar = " " * left + ("█" * (right - left) or ("|" if length_ns else ""))
        yield f"  {part.name:8}{fixed_s(length_ns):>8} s  {bar:{BAR + 1}}  {part.keyword}".rstrip()
        gone_ns += length_ns
    shown = "never" if failover.total_ns is None else f"{fixed_s(failover.total_ns)} s"
    missing = "  no client was answered by the new owner" if failover.total_ns is None else ""
    yield f"  {'total':8}{shown:>10}{missing}"


# --- expectations ---------------------------------------------------------------------------------


def expectations(verdicts: Sequence[Verdict], command: str) -> Iterator[str]:
    """Write one line for each expectation; a failed one says how to see it again."""
    if not verdicts:
        return
    yield "EXPECTATIONS"
    rows = [(verdict, bound_words(verdict)) for verdict in verdicts]
    wide = max(len(wanted) for _, wanted in rows)
    for verdict, wanted in rows:
        word = answer_word(verdict)
        yield f"  {word:7}  {wanted:{wide}}  {measured_words(verdict)}".rstrip()
        if verdict.ok is False and command:
            yield f"           {command}"


def _for_a_sweep(scenario: Scenario) -> Iterator[str]:
    """Name the bounds that speak of many runs, so that nobody thinks them kept."""
    for bound in scenario.expect.bounds if scenario.expect else ():
        if bound.statistic not in SINGLE_RUN:
            measure = f"{bound.measure}.{bound.client}" if bound.client else bound.measure
            wanted = f"{bound.statistic} of {measure} ≤ {format_duration(bound.limit)}"
            yield f"  not asked  {wanted}: it takes a sweep"


def answer_word(verdict: Verdict) -> str:
    """Write whether an expectation held; damage that was expected is not ok, it is shown."""
    return "shown" if verdict.shows_harm else OK_WORDS[verdict.ok]


def bound_words(verdict: Verdict) -> str:
    """Write what an expectation wants."""
    if verdict.statistic == "at":
        return owner_words(verdict.measure, verdict.at_ns or 0, str(verdict.bound))
    sign = "≤" if verdict.statistic == "max" else "≥"
    return f"{verdict.measure} {sign} {_quantity(verdict, verdict.bound)}"


def owner_words(measure: str, at_ns: int, node: str) -> str:
    """Write who is wanted: `owner of 10.0.0.9 at 12 s is lb1`."""
    return f"{measure.replace('.', ' of ', 1)} at {format_duration(at_ns)} is {node}"


def measured_words(verdict: Verdict) -> str:
    """Write what was measured for it, and where."""
    value = verdict.measured
    measured = (
        brief(value)
        if isinstance(value, int) and verdict.measure != "moves"
        else ""
        if value is None
        else str(value)
    )
    if verdict.statistic == "at" and verdict.ok:
        measured = ""
    where = f"({fixed_s(verdict.span[0])} .. {fixed_s(verdict.span[1])})" if verdict.span else ""
    return "  ".join(part for part in (measured, where, verdict.note) if part)


def _quantity(verdict: Verdict, value: int | str) -> str:
    return str(value) if isinstance(value, str) or verdict.measure == "moves" else format_duration(value)


def brief(ns: int) -> str:
    """Write a measured time: seconds with three decimals, below one second ms or us with one."""
    if ns >= 1_000_000_000 or not ns:
        return f"{fixed_s(ns)} s"
    return f"{fixed_s(ns * 1000, 1)} ms" if ns >= 100_000 else f"{fixed_s(ns * 1_000_000, 1)} us"


def _coloured(text: str) -> str:
    def paint(match: re.Match[str]) -> str:
        return f"{match[1]}\x1b[{COLOURS[match[2]]}m{match[2]}\x1b[0m"

    return re.sub(rf"(?m)^( *)({'|'.join(COLOURS)})\b", paint, text)
