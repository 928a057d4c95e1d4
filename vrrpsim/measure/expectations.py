"""Whether a run kept what its scenario expects: pass, fail or unknown; none if it expects nothing.

Unknown means that nothing exercised the expectation: a bound on failovers without a failover, on an
outage without a client, or an outage that was within its bound when the run ended but was not over.
Bounds on percentiles speak of a sweep; a single run leaves them out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from vrrpsim.scenario.model import Bound, Expect, Owns

from .failovers import Failover, FailoverKind
from .outages import ClientView, Outage
from .ownership import Ownership

SINGLE_RUN = ("max", "min")
HARM: Final = (
    "dual_master",
    "vacancy",
    "outage",
)  # a least of one of these is damage that a scenario is there to show


class Verdict(NamedTuple):
    """One expectation judged. `measured` is ns, for `moves` a count, for `owner` names; None: nothing.

    `ok` None is unknown. `span` is where the worst of it stood, start and end in ns.
    """

    measure: str  # "owner" or what a Bound measures, with ".ADDRESS" or ".CLIENT" where it names one
    statistic: str  # "max", "min", or "at" for an owner
    bound: int | str
    measured: int | str | None
    ok: bool | None
    at_ns: int | None = None  # of an owner
    span: tuple[int, int] | None = None
    note: str = ""

    @property
    def shows_harm(self) -> bool:
        """Whether damage was expected, and came: a `min` of an outage, an overlap or a vacancy."""
        return self.ok is True and self.statistic == "min" and self.measure.partition(".")[0] in HARM


def overall(verdicts: Sequence[Verdict]) -> str:
    """Return fail, unknown or pass, in that order of weight; none where nothing was expected."""
    answers = [verdict.ok for verdict in verdicts]
    if not answers:
        return "none"
    if False in answers:
        return "fail"
    return "unknown" if None in answers else "pass"


def judge(
    expect: Expect,
    owned: Sequence[Ownership],
    found: Sequence[Failover],
    clients: Mapping[str, ClientView],
    end_ns: int,
) -> tuple[Verdict, ...]:
    """Return the verdicts in the order of the scenario: owners first, then bounds."""
    owners = (_owner(wanted, owned, end_ns) for wanted in expect.owner)
    bounds = (
        _bound(bound, owned, found, clients) for bound in expect.bounds if bound.statistic in SINGLE_RUN
    )
    return (*owners, *bounds)


def owner_measure(wanted: Owns) -> str:
    """Name what an expectation of an owner speaks of: `owner`, or `owner.ADDRESS`."""
    return f"owner.{wanted.address}" if wanted.address else "owner"


def _owner(wanted: Owns, owned: Sequence[Ownership], end_ns: int) -> Verdict:
    """Every address, or the one that is named, must be owned by this node alone."""
    measure, node, at_ns = owner_measure(wanted), wanted.node, end_ns if wanted.at == "end" else wanted.at
    asked = [each.line for each in owned if wanted.address in ("", each.address)]
    if not asked or at_ns > end_ns:
        return Verdict(measure, "at", node, None, None, at_ns, note="the run ended before")
    lines = {"+".join(sorted(line.at(at_ns))) or "nobody" for line in asked}
    return Verdict(measure, "at", node, ", ".join(sorted(lines)), lines == {node}, at_ns)


def _bound(
    bound: Bound, owned: Sequence[Ownership], found: Sequence[Failover], clients: Mapping[str, ClientView]
) -> Verdict:
    match bound.measure:
        case "failover":
            return _failover(bound, [each for each in found if each.is_takeover])
        case "return":
            return _failover(bound, [each for each in found if each.kind is FailoverKind.RETURN])
        case "outage":
            return _outage(bound, clients)
        case "moves":
            return _compare(bound, max((each.moves for each in owned), default=None))
        case "dual_master":
            worst = max(owned, key=lambda each: each.dual_master_ns, default=None)
            return _compare(bound, worst.dual_master_ns if worst else None)
        case "vacancy":
            worst = max(owned, key=lambda each: each.vacancy_ns, default=None)
            return _compare(bound, worst.vacancy_ns if worst else None)


def _failover(bound: Bound, found: Sequence[Failover]) -> Verdict:
    pick = max if bound.statistic == "max" else min
    worst = pick(found, key=lambda each: each.length_ns, default=None)
    if worst is None:
        return _compare(bound, None, note=f"no {bound.measure} happened")
    return _compare(bound, worst.length_ns, (worst.fault_ns, worst.owner_ns))


def _outage(bound: Bound, clients: Mapping[str, ClientView]) -> Verdict:
    views = [view for view in clients.values() if bound.client in (None, view.name)]
    if not views:
        return _compare(bound, None, note="no client asked")
    worst: Outage | None = max(
        (outage for view in views for outage in view.outages), key=lambda each: each.length_ns, default=None
    )
    if worst is None:
        return _compare(bound, 0)
    span = (worst.start_ns, worst.end_ns)
    if worst.ended:
        return _compare(bound, worst.length_ns, span)
    verdict = _compare(bound, worst.length_ns, span, "not over when the run ended")
    within = verdict.ok and bound.statistic == "max"  # but how long it really was nobody knows
    return verdict._replace(ok=None) if within else verdict


def _compare(bound: Bound, value: int | None, span: tuple[int, int] | None = None, note: str = "") -> Verdict:
    measure = f"{bound.measure}.{bound.client}" if bound.client else bound.measure
    ok: bool | None = None
    if value is not None:
        ok = value <= bound.limit if bound.statistic == "max" else value >= bound.limit
    return Verdict(measure, bound.statistic, bound.limit, value, ok, span=span, note=note)
