"""How long failovers can take by formula alone: best and worst case for each thing that can fail.

The master is the node with the highest effective priority while everything is well, its rival the best
of the others. Run times of checks, latencies and the clients' caches come on top (keepalived.md §2.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vrrpsim.keepalived.members import Member, members_of
from vrrpsim.protocol.configuration import RouterConfig, Track
from vrrpsim.scenario.model import Scenario

from .keywords import DaemonRules
from .result import daemons
from .seconds import fixed_s, short_s


@dataclass(frozen=True, slots=True)
class Forecast:
    """From a failure to the new owner, in ns; None: the addresses never move. `because` is the formula."""

    failure: str
    best_ns: int | None
    worst_ns: int | None
    because: str


@dataclass(frozen=True, slots=True)
class VirtualRouter:
    """One virtual router of a scenario: who should be master, who comes next, and what follows."""

    vrid: int
    addresses: tuple[str, ...]
    master: Member
    rival: Member | None
    forecasts: tuple[Forecast, ...]


def virtual_routers(scenario: Scenario) -> tuple[VirtualRouter, ...]:
    """Return the virtual routers of a scenario in its order."""
    running = daemons(scenario)
    groups: dict[tuple[int, int], list[Member]] = {}
    for node, daemon in running.items():
        for member in members_of(node, daemon.config, daemon.dialect):
            groups.setdefault((member.config.family, member.config.vrid), []).append(member)
    return tuple(_virtual_router(group, running) for group in groups.values())


def _virtual_router(group: Sequence[Member], running: dict[str, DaemonRules]) -> VirtualRouter:
    ranked = sorted(group, key=Member.priority, reverse=True)
    master, rival = ranked[0], ranked[1] if len(ranked) > 1 else None
    addresses = tuple(str(each.address) for each in master.config.addresses)
    forecasts = tuple(_forecasts(master, rival, running)) if rival else ()
    return VirtualRouter(master.config.vrid, addresses, master, rival, forecasts)


def _forecasts(master: Member, rival: Member, running: dict[str, DaemonRules]) -> Iterator[Forecast]:
    daemon, priority = running[rival.node], rival.priority()
    interval_ns = daemon.learned_ns(rival.config, master.config)
    skew_ns = daemon.skew_ns(rival.config, priority, interval_ns)
    down_ns = daemon.down_ns(rival.config, priority, interval_ns)
    skew = f"skew {fixed_s(skew_ns)} s (priority {priority})"
    down = f"advert_int {short_s(interval_ns)} × {rival.config.down_timer_adverts} + {skew}"
    age_ns = master.config.advert_int_ns  # of the last advert, at most
    silent = Forecast(f"power loss of {master.node}", down_ns - age_ns, down_ns, down)
    yield silent
    yield Forecast(f"stop of keepalived on {master.node}", skew_ns, skew_ns, f"priority 0: {skew}")
    for track in master.config.track_scripts:
        low_ns, high_ns, detect = _detection(running[master.node].config, track)
        failure = f"{track.name} fails on {master.node}"
        if track.weight == 0:
            because = f"{detect}, then priority 0: {skew}"
            yield Forecast(failure, low_ns + skew_ns, high_ns + skew_ns, because)
        elif reason := _immovable(master, rival, track):
            yield Forecast(failure, None, None, reason)
        else:
            delay_ns = rival.config.preempt_delay_ns
            then = f"preempt_delay {short_s(delay_ns)}, {down}" if delay_ns else down
            best_ns, worst_ns = low_ns + delay_ns + down_ns - age_ns, high_ns + delay_ns + down_ns
            yield Forecast(failure, best_ns, worst_ns, f"{detect}, then {then}")
    for name in dict.fromkeys((master.config.interface, *_unweighted_interfaces(master))):
        yield Forecast(f"link loss of {master.node}/{name}", silent.best_ns, silent.worst_ns, down)


def _detection(config: RouterConfig, track: Track) -> tuple[int, int, str]:
    """Best and worst time until a script counts as failed; the failure falls between two runs."""
    script = next((script for script in config.scripts if script.name == track.name), None)
    if script is None:
        return 0, 0, f"{track.name} never runs"
    formula = f"interval {short_s(script.interval_ns)} × fall {script.fall}"
    return script.interval_ns * (script.fall - 1), script.interval_ns * script.fall, formula


def _immovable(master: Member, rival: Member, track: Track) -> str:
    """Say why this tracker alone cannot move the addresses, or ""."""
    left = master.priority([track])
    if left >= rival.priority():
        return f"weight {track.weight} leaves {left} against {rival.priority()} of {rival.node}"
    return "" if rival.config.preempt else f"{rival.node} has nopreempt"


def _unweighted_interfaces(master: Member) -> Iterator[str]:
    return (track.name for track in master.config.track_interfaces if track.weight == 0)
