"""Who owned which address and when: tenures, dual-master, vacancies, moves (DESIGN §6).

A node owns an address while its kernel has it and the node is on. A machine that is off or paused owns
nothing; one whose keepalived was killed or frozen still does, because its kernel answers. A machine that
goes off forgets its addresses; a paused one has them again when it resumes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from vrrpsim.trace import AddressChange, NodeChange, Record

HAND_OVER_NS: Final = 50_000_000  # two owners for longer than this are no hand-over any more


class Tenure(NamedTuple):
    """One node owning one address. `ended` is False where only the horizon cut it.

    `resumed` says that the machine woke up with the address; no election gave it.
    """

    address: str
    node: str
    start_ns: int
    end_ns: int
    ended: bool
    resumed: bool = False


class Span(NamedTuple):
    """A stretch in which an address had several owners, or none. `ended` as in `Tenure`."""

    address: str
    start_ns: int
    end_ns: int
    nodes: tuple[str, ...]
    ended: bool

    @property
    def length_ns(self) -> int:
        """How long it was within the run."""
        return self.end_ns - self.start_ns


class OwnerLine(NamedTuple):
    """The owners of one address over time: from `instants[i]` on they are `owners[i]`."""

    address: str
    instants: tuple[int, ...]  # the first is 0
    owners: tuple[tuple[str, ...], ...]
    end_ns: int

    def at(self, at_ns: int) -> tuple[str, ...]:
        """Return the owners at an instant; a change at that very instant has happened."""
        return self.owners[bisect_right(self.instants, at_ns) - 1]

    def spans(self, wanted: Callable[[int], bool]) -> tuple[Span, ...]:
        """Return the longest stretches in which the number of owners is `wanted`."""
        spans: list[Span] = []
        for at_ns, until_ns, owners in self._steps():
            if not wanted(len(owners)):
                continue
            start_ns, nodes = at_ns, owners
            if spans and spans[-1].end_ns == at_ns:
                last = spans.pop()
                start_ns, nodes = last.start_ns, tuple(dict.fromkeys((*last.nodes, *owners)))
            spans.append(Span(self.address, start_ns, until_ns, nodes, until_ns < self.end_ns))
        return tuple(spans)

    def _steps(self) -> Iterable[tuple[int, int, tuple[str, ...]]]:
        return zip(self.instants, (*self.instants[1:], self.end_ns), self.owners, strict=True)

    @property
    def first_owned_ns(self) -> int | None:
        """When the address had an owner for the first time; None: never."""
        return next((at for at, owners in zip(self.instants, self.owners, strict=True) if owners), None)


class Ownership(NamedTuple):
    """Everything about one address."""

    address: str
    tenures: tuple[Tenure, ...]  # in order of their start
    line: OwnerLine
    dual_master: tuple[Span, ...]
    vacancies: tuple[Span, ...]

    @property
    def moves(self) -> int:
        """How often a node began to own the address after the first time (the ground truth's `takes`)."""
        return max(0, len(self.tenures) - 1)

    @property
    def dual_master_ns(self) -> int:
        """Total time with two owners or more."""
        return sum(span.length_ns for span in self.dual_master)

    @property
    def vacancy_ns(self) -> int:
        """Total time without an owner after the first one; the whole run if there never was one.

        The wait for the first election is no failure of anything, so no expectation counts it.
        """
        first_ns = self.line.first_owned_ns or 0
        return sum(span.length_ns for span in self.vacancies if span.start_ns >= first_ns)


def ownerships(
    records: Iterable[Record], end_ns: int, addresses: Sequence[str] = ()
) -> tuple[Ownership, ...]:
    """Return one `Ownership` for each address: `addresses` first, then those that only the trace knows."""
    found: dict[str, list[Tenure]] = {address: [] for address in addresses}
    for tenure in _tenures(records, end_ns):
        found.setdefault(tenure.address, []).append(tenure)
    return tuple(_ownership(address, tenures, end_ns) for address, tenures in found.items())


def _ownership(address: str, tenures: list[Tenure], end_ns: int) -> Ownership:
    tenures.sort(key=attrgetter("start_ns", "node"))
    line = owner_line(address, tenures, end_ns)
    several, none = line.spans(lambda count: count > 1), line.spans(lambda count: count == 0)
    return Ownership(address, tuple(tenures), line, several, none)


def owner_line(address: str, tenures: Iterable[Tenure], end_ns: int) -> OwnerLine:
    """Fold tenures into the owners over time; equal instants are one step."""
    edges = sorted(
        (at_ns, begins, tenure.node)
        for tenure in tenures
        for at_ns, begins in ((tenure.start_ns, True), (tenure.end_ns, False))
        if begins or tenure.ended
    )
    steps: dict[int, tuple[str, ...]] = {0: ()}
    owners: list[str] = []
    for at_ns, begins, node in edges:
        if begins:
            owners.append(node)
        else:
            owners.remove(node)
        steps[at_ns] = tuple(owners)
    return OwnerLine(address, tuple(steps), tuple(steps.values()), end_ns)


def changes_of_owner(owned: Ownership) -> Iterator[tuple[Tenure, Tenure]]:
    """Return each tenure that began by election while another node owned the address, or was the last to.

    Before it the tenure that the address came from: of several owners the one that began last. A node that
    owned it all along, or was one of the last to own it before a vacancy, begins nothing new.
    """
    begun: dict[int, list[Tenure]] = {}
    for tenure in owned.tenures:
        begun.setdefault(tenure.start_ns, []).append(tenure)
    last: tuple[str, ...] = ()
    latest: dict[str, Tenure] = {}
    for at_ns, owners in zip(owned.line.instants, owned.line.owners, strict=True):
        new = begun.get(at_ns, ())
        for tenure in new:
            if last and tenure.node not in last and not tenure.resumed:
                yield latest[last[-1]], tenure
        latest |= {tenure.node: tenure for tenure in new}
        last = owners or last


class _Machine:
    """What a machine has (kernel) and what it answers for (owned), while the records go by."""

    def __init__(self) -> None:
        self.state = "on"
        self.kernel: dict[str, set[str]] = {}  # address -> the interfaces that have it
        self.owned: dict[str, tuple[int, bool]] = {}  # address -> (since, resumed)


def _tenures(records: Iterable[Record], end_ns: int) -> Iterable[Tenure]:
    machines: dict[str, _Machine] = {}
    for record in records:
        if isinstance(record, AddressChange):
            machine = machines.setdefault(record.node, _Machine())
            _note_address(machine, record)
        elif isinstance(record, NodeChange):
            machine = machines.setdefault(record.node, _Machine())
            machine.state = record.state
            if record.state == "off":
                machine.kernel.clear()
        else:
            continue
        yield from _settle(machine, record)
    for node, machine in machines.items():
        for address, (since_ns, resumed) in machine.owned.items():
            yield Tenure(address, node, since_ns, end_ns, False, resumed)


def _note_address(machine: _Machine, record: AddressChange) -> None:
    interfaces = machine.kernel.setdefault(record.address, set())
    if record.present:
        interfaces.add(record.interface)
    else:
        interfaces.discard(record.interface)


def _settle(machine: _Machine, record: AddressChange | NodeChange) -> Iterable[Tenure]:
    """Begin and end tenures so that `owned` says what the machine now answers for."""
    now = [address for address, on in machine.kernel.items() if on] if machine.state == "on" else []
    for address in [address for address in machine.owned if address not in now]:
        since_ns, resumed = machine.owned.pop(address)
        if since_ns < record.at_ns:
            yield Tenure(address, record.node, since_ns, record.at_ns, True, resumed)
    for address in now:
        machine.owned.setdefault(address, (record.at_ns, isinstance(record, NodeChange)))
