"""What to change in a cluster: small changes, each judged by the census and by its price.

All variants meet the same faults at the same instants of the same seeds: every single one, and each check
failing on two nodes. What is judged:

- unhealed: faults that a configuration can mend and that end with nobody, two owners or never,
- outage: the mean over these faults and their runs (all faults weigh the same),
- pause: how long the master may stand still, and burst: how many adverts in a row may be lost, without a
  false failover, both by the formula of the Master_Down_Interval at the worst phase,
- packets a second in quiet times.

A variant is kept if no other is at least as good in all of these and better in one (the Pareto front).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import Any

from vrrpsim.measure.forecast import virtual_routers
from vrrpsim.measure.result import daemons
from vrrpsim.measure.seconds import seconds, short_s, to_json
from vrrpsim.protocol.configuration import AuthType, InstanceConfig, ScriptConfig
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import SECOND_NS

from .census import CensusFault, cell_scenario, faults_of, plan_of, run_cells, seeds_of
from .census_result import OUTCOMES, CensusCell
from .workers import Progress, Workers, collect

PHASES = 5
PAIRED = 6  # of the best single changes, each with each
Overrides = Mapping[str, str]
Read = Callable[[Overrides], "Scenario | None"]  # the cluster with these changes; None: not to be recommended


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a variant is worth; the smaller the better, but for `pause_ns` and `burst`."""

    unhealed: int
    outage_ns: int
    worst_ns: int
    pause_ns: int
    burst: int
    packets: float

    @property
    def costs(self) -> tuple[float, ...]:
        """What the Pareto front compares, each the smaller the better."""
        return (self.unhealed, self.outage_ns, -self.pause_ns, -self.burst, self.packets)

    def beats(self, other: Verdicts) -> bool:
        """Whether this is at least as good in everything and better in something."""
        pairs = list(zip(self.costs, other.costs, strict=True))
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


@dataclass(frozen=True, slots=True)
class Advised:
    """One variant: what it changes (nothing: the cluster as it is) and what it is worth."""

    overrides: Overrides
    verdicts: Verdicts

    @property
    def label(self) -> str:
        """`advert_int 0.5, interval 1`: each change by its keyword."""
        said = {path.rpartition(".")[2]: value for path, value in self.overrides.items()}
        shown = (f"{_LABELS.get((key, value), f'{key} {value}')}" for key, value in said.items())
        return ", ".join(filter(None, shown)) or "as it is"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; times are `Decimal` seconds."""
        each = self.verdicts
        return {
            "change": self.label,
            "set": dict(self.overrides),
            "unhealed": each.unhealed,
            "outage_s": seconds(each.outage_ns),
            "worst_s": seconds(each.worst_ns),
            "pause_s": seconds(each.pause_ns),
            "burst": each.burst,
            "packets_per_s": round(each.packets, 3),
        }


_LABELS = {
    ("nopreempt", "true"): "nopreempt",
    ("nopreempt", "false"): "preempt",
    ("state", "BACKUP"): "",
    ("authentication", "false"): "no authentication",
    ("unicast_peer", "false"): "multicast",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """The front of the variants that are better than the cluster in something; `base` is the cluster."""

    base: Advised
    front: tuple[Advised, ...]
    tried: int
    refused: int  # that `check` complains of, or that no line of the files can say
    faults: int
    interrupted: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document as plain values."""
        return {
            "base": self.base.to_dict(),
            "front": [each.to_dict() for each in self.front],
            "tried": self.tried,
            "refused": self.refused,
            "faults": self.faults,
            "interrupted": self.interrupted,
        }

    def to_json(self) -> str:
        """Return the document as JSON, without a final newline."""
        return to_json(self.to_dict())


def advise(
    scenario: Scenario,
    read: Read,
    *,
    phases: int = PHASES,
    seed: int | None = None,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> Advice:
    """Try the changes of the grid one by one, then the best of them in pairs. Ctrl-C ends it early."""
    judge = _Judge(scenario, phases, scenario.seed if seed is None else seed, workers or Workers(), progress)
    tried = {key: read(dict(key)) for key in dict.fromkeys(tuple(c.items()) for c in grid(scenario))}
    variants = {key: found for key, found in tried.items() if found is not None}
    judged = judge.judge({(): scenario, **variants})
    if () not in judged:
        raise KeyboardInterrupt
    base = judged.pop(())
    best = _front(base, judged.values())
    pairs = {}
    for one, other in combinations(_best(best), 2):
        both = {**one.overrides, **other.overrides}
        if len({path.rpartition(".")[2] for path in both}) == len(both) and not judge.interrupted:
            pairs[tuple(both.items())] = read(both)
    judged |= judge.judge({key: found for key, found in pairs.items() if found is not None})
    refused = sum(found is None for found in (*tried.values(), *pairs.values()))
    count = len(tried) + len(pairs)
    return Advice(base, tuple(_front(base, judged.values())), count, refused, judge.faults, judge.interrupted)


class _Judge:
    """Takes the census of many variants with the same plan and the same seeds, in one go."""

    def __init__(
        self, scenario: Scenario, phases: int, seed: int, workers: Workers, progress: Progress | None
    ) -> None:
        self.scenario, self.phases, self.seed = scenario, phases, seed
        self.workers, self.progress = workers, progress
        self.done = self.faults = 0
        self.interrupted = False

    def judge(self, variants: Mapping[Any, Scenario]) -> dict[Any, Advised]:
        """Judge what could be finished."""
        if not variants or self.interrupted:
            return {}
        longest = plan_of(self.scenario, *variants.values()).duration_ns  # a slow variant settles later …
        plan = replace(plan_of(self.scenario), duration_ns=longest)  # … but must cope as soon as the cluster
        cells = [
            (key, tuple(fault.name for fault in faults), cell_scenario(variant, plan, faults))
            for key, variant in variants.items()
            for faults in _cells(variant)
        ]
        self.faults = self.faults or len(faults_of(self.scenario))
        collected = collect(
            [cell for _, _, cell in cells],
            seeds_of(cells[0][2], self.seed, self.phases),
            self.workers,
            run_cells,
            total=len(cells) * self.phases,
            progress=self.progress,
        )
        self.interrupted = collected.interrupted
        taken: dict[Any, list[CensusCell]] = {}
        whole: dict[Any, bool] = {}
        for (key, names, cell), rows in zip(cells, collected.rows, strict=True):
            whole[key] = whole.get(key, True) and len(rows) == self.phases
            if rows:
                taken.setdefault(key, []).append(
                    CensusCell(names, cell, tuple(rows[each] for each in sorted(rows)))
                )
        return {
            key: Advised(dict(key), verdicts_of(variants[key], found))
            for key, found in taken.items()
            if whole[key]
        }


def _cells(scenario: Scenario) -> Iterator[tuple[CensusFault, ...]]:
    """Every single fault, and each check failing on two nodes: where it decides alone, nobody is left."""
    faults = faults_of(scenario)
    yield from ((fault,) for fault in faults)
    for one, other in permutations(faults, 2):
        first, second = (fault.events[0][1] for fault in (one, other))
        checks = {each.target.item for each in (first, second) if each.target}
        if first.verb == second.verb == "fail" and len(checks) == 1:
            yield one, other


def verdicts_of(scenario: Scenario, cells: Sequence[CensusCell]) -> Verdicts:
    """Judge a variant by the cells of its census and by its configuration."""
    mendable = [cell for cell in cells if not cell.beyond]
    outages = [row.outage.value for cell in mendable for row in cell.rows]
    pause_ns, burst = patience(scenario)
    return Verdicts(
        unhealed=sum(cell.outcome in OUTCOMES[:3] for cell in mendable),
        outage_ns=sum(outages) // max(len(outages), 1),
        worst_ns=max(outages, default=0),
        pause_ns=pause_ns,
        burst=burst,
        packets=packets_per_s(scenario),
    )


def patience(scenario: Scenario) -> tuple[int, int]:
    """Return the longest pause in ns and the longest burst of lost adverts that move no address.

    At the worst phase the pause begins when an advert is due, one `advert_int` after the last one heard
    (RFC 9568 §6.1); of several virtual routers the least patient counts.
    """
    running, pauses, bursts = daemons(scenario), [], []
    for router in virtual_routers(scenario):
        if router.rival is None:
            continue
        rules, master, rival = running[router.rival.node], router.master.config, router.rival.config
        sent_ns, learned_ns = master.advert_int_ns, rules.learned_ns(rival, master)
        down_ns = rules.down_ns(rival, router.rival.priority(), learned_ns)
        pauses.append(max(down_ns - sent_ns, 0))
        bursts.append(max(-(-down_ns // sent_ns) - 2, 0))
    return min(pauses, default=0), min(bursts, default=0)


def packets_per_s(scenario: Scenario) -> float:
    """Return how many adverts and repeated gratuitous ARPs the masters send in quiet times."""
    total = 0.0
    for router in virtual_routers(scenario):
        config = router.master.config
        total += max(len(config.unicast_peers), 1) * SECOND_NS / config.advert_int_ns
        if config.garp.master_refresh_ns:
            sent = config.garp.master_refresh_repeat * len((*config.addresses, *config.excluded))
            total += sent * SECOND_NS / config.garp.master_refresh_ns
    return total


def _front(base: Advised, judged: Any) -> list[Advised]:
    """The variants that nothing beats, the cluster included, and that are better than it in something."""
    every = [base, *judged]
    found: dict[tuple[float, ...], Advised] = {}
    for each in sorted(judged, key=lambda one: (len(one.overrides), *one.verdicts.costs)):
        better = any(a < b for a, b in zip(each.verdicts.costs, base.verdicts.costs, strict=True))
        if better and not any(other.verdicts.beats(each.verdicts) for other in every):
            found.setdefault(each.verdicts.costs, each)
    return sorted(found.values(), key=lambda one: one.verdicts.costs)


def _best(front: Sequence[Advised]) -> list[Advised]:
    return list(front[:PAIRED])


# --- the grid


def grid(scenario: Scenario) -> Iterator[Overrides]:
    """Yield every single change; what belongs together, such as `nopreempt` and `state`, is one."""
    nodes = {name: node.keepalived.config for name, node in scenario.nodes.items() if node.keepalived}
    instances: dict[str, InstanceConfig] = {}
    scripts: dict[str, ScriptConfig] = {}
    for config in nodes.values():
        for instance in config.instances:
            instances.setdefault(instance.name, instance)
        for script in config.scripts:
            scripts.setdefault(script.name, script)
    for name, instance in instances.items():
        yield from _of_instance(f"*.{name}", instance)
        yield from _ways(scenario, name, instance)
    for name, script in scripts.items():
        yield from _of_script(f"*.{name}", script)
    if not any(config.startup_delay_ns for config in nodes.values()):
        yield {"*.global_defs.vrrp_startup_delay": "5"}


def _of_instance(path: str, one: InstanceConfig) -> Iterator[Overrides]:
    yield from _other(f"{path}.advert_int", one.advert_int_ns, (0.1, 0.25, 0.5, 1, 2, 3))
    if one.version == 2:
        plain = {f"{path}.version": "3"}
        if one.authentication.auth_type is not AuthType.NONE:
            plain[f"{path}.authentication"] = "false"
        yield plain
        for value in ("0.25", "0.5"):
            yield {**plain, f"{path}.advert_int": value}
    if one.preempt:
        yield {f"{path}.nopreempt": "true", f"{path}.state": "BACKUP"}
        for change in _other(f"{path}.preempt_delay", one.preempt_delay_ns, (5, 30)):
            yield {**change, f"{path}.state": "BACKUP"}  # with MASTER it would be ignored
    else:
        yield {f"{path}.nopreempt": "false"}
    yield from _other(f"{path}.garp_master_refresh", one.garp.master_refresh_ns, (5, 30))
    tracked = {track.name for track in one.track_interfaces} | {one.interface}
    others = {each.interface for each in (*one.addresses, *one.excluded) if each.interface} - tracked
    if others:
        names = [*(track.name for track in one.track_interfaces), *sorted(others)]
        yield {f"{path}.track_interface": f"[{', '.join(names)}]"}


def _ways(scenario: Scenario, name: str, one: InstanceConfig) -> Iterator[Overrides]:
    """Multicast instead of unicast, or the other way round."""
    if one.unicast:
        yield {f"*.{name}.unicast_peer": "false"}
        return
    sources = {}
    for node, model in scenario.nodes.items():
        config = model.keepalived.config if model.keepalived else None
        mine = next((each for each in config.instances if each.name == name), None) if config else None
        if mine is None or mine.source is None:
            return  # nobody says at which address the others find it
        sources[node] = str(mine.source)
    yield {
        f"{node}.{name}.unicast_peer": f"[{', '.join(a for other, a in sources.items() if other != node)}]"
        for node in sources
    }


def _of_script(path: str, script: ScriptConfig) -> Iterator[Overrides]:
    yield from _other(f"{path}.interval", script.interval_ns, (1, 2, 5))
    yield from _other(f"{path}.timeout", script.effective_timeout_ns, (1, 2))
    for keyword, value, values in (("fall", script.fall, (1, 2, 3)), ("rise", script.rise, (1, 2, 3))):
        yield from ({f"{path}.{keyword}": str(each)} for each in values if each != value)
    yield from ({f"{path}.weight": str(each)} for each in (0, 20, -20) if each != script.weight)


def _other(path: str, now_ns: int, values: Sequence[float]) -> Iterator[Overrides]:
    """Every value but the one that it has."""
    for value in values:
        if round(value * SECOND_NS) != now_ns:
            yield {path: short_s(round(value * SECOND_NS))}
