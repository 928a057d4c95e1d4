"""Trackers: from what is known of scripts, interfaces, files and processes to priority or fault.

Pure arithmetic of keepalived.md §3. A `Standing` is computed afresh from all tracker states whenever
one of them changes, so nothing is counted up and down and nothing can drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .configuration import OWNER_PRIORITY, InstanceConfig, ProcessConfig, ScriptConfig, Track


class ScriptHealth(NamedTuple):
    """SC-7: the counter r in [0, rise+fall-1], OK iff r ≥ rise; `known` after the first result."""

    counter: int
    known: bool = False

    def ok(self, script: ScriptConfig) -> bool:
        """Whether the script counts as succeeding."""
        return self.counter >= script.rise


def unknown_health(script: ScriptConfig) -> ScriptHealth:
    """Before the first result: r = rise − 1 (SC-7). `init_fail` changes nothing (SC-8)."""
    return ScriptHealth(script.rise - 1)


def after_result(script: ScriptConfig, health: ScriptHealth, success: bool) -> ScriptHealth:
    """SC-7: `fall` failures or `rise` successes in a row; the first result ever decides alone."""
    counter, rise, top = health.counter, script.rise, script.rise + script.fall - 1
    if not health.known:
        return ScriptHealth(top if success else 0, True)
    if success:
        return ScriptHealth(counter + 1 if counter < rise - 1 else top, True)
    return ScriptHealth(counter - 1 if counter > rise else 0, True)


def after_reload(old: ScriptConfig, new: ScriptConfig, health: ScriptHealth) -> ScriptHealth:
    """SC-10: the verdict is kept by name and mapped to the new rise and fall."""
    if not health.known:
        return unknown_health(new)
    return ScriptHealth(new.rise + new.fall - 1 if health.ok(old) else 0, True)


def quorum_ok(process: ProcessConfig, count: int) -> bool:
    """§3.3: OK iff quorum ≤ count ≤ quorum_max."""
    return process.quorum <= count and (process.quorum_max is None or count <= process.quorum_max)


class Known(NamedTuple):
    """All that a daemon knows of its surroundings; absent names are unknown or 0."""

    interfaces_down: frozenset[str]
    scripts: Mapping[str, bool]  # only scripts with a result
    files: Mapping[str, int]
    processes: Mapping[str, bool]
    bfds_up: frozenset[str] = frozenset()
    excused: frozenset[str] = frozenset()  # scripts without a result for which nobody waits (SC-10)


class Standing(NamedTuple):
    """What the trackers make of one instance (§3.1)."""

    total: int  # base plus contributions, not clamped
    faults: tuple[str, ...]  # reasons to be in FAULT, in the order of the configuration
    waiting: bool  # an unweighted script has no result yet (FSM-7)
    reasons: tuple[tuple[str, int], ...]  # (tracker, contribution): to say what changed


def effective_priority(base: int, total: int) -> int:
    """§3.1: clamp to 1 … 254; an owner stays 255."""
    return OWNER_PRIORITY if base == OWNER_PRIORITY else min(max(total, 1), 254)


def contribution(track: Track, good: bool) -> int:
    """§3.1: what a weighted tracker adds when good or failed.

    Positive weights reward success, negative ones punish failure; `reverse` turns the sign and
    keeps the case in which it acts.
    """
    if track.weight > 0:
        amount = track.weight if good else 0
    else:
        amount = 0 if good else track.weight
    return -amount if track.reverse else amount


def standing(config: InstanceConfig, base: int, known: Known) -> Standing:
    """Priority and faults of one instance from everything known."""
    faults = list(config.config_faults)
    reasons: list[tuple[str, int]] = []
    waiting = False

    def weigh(track: Track, label: str, good: bool) -> None:
        if track.weight == 0:
            if good == track.reverse:
                faults.append(label)
        else:
            reasons.append((track.name, contribution(track, good)))

    for interface in _essential_interfaces(config):
        if interface in known.interfaces_down:
            faults.append(f"interface {interface} down")
    for track in config.track_interfaces:
        weigh(track, f"interface {track.name} down", track.name not in known.interfaces_down)
    for track in config.track_scripts:
        good = known.scripts.get(track.name)
        if good is None:
            waiting = waiting or (track.weight == 0 and track.name not in known.excused)
        else:
            weigh(track, f"script {track.name}", good)
    for track in config.track_files:
        amount = file_contribution(track, known.files.get(track.name, 0))
        if amount is None:
            faults.append(f"tracked file {track.name}")
        elif track.weight:
            reasons.append((track.name, amount))
    for track in config.track_processes:
        weigh(track, f"process {track.name}", known.processes.get(track.name, False))
    for track in config.track_bfds:
        weigh(track, f"bfd {track.name}", track.name in known.bfds_up)
    total = base + sum(amount for _, amount in reasons)
    return Standing(total, tuple(faults), waiting, tuple(reasons))


def tracks_interface(config: InstanceConfig, interface: str) -> bool:
    """Whether the state of this interface matters to the instance."""
    return interface in _essential_interfaces(config) or any(
        track.name == interface for track in config.track_interfaces
    )


def file_contribution(track: Track, value: int) -> int | None:
    """§3.3: value × weight, at most 253; None is FAULT (product ≤ −254, or unweighted non-zero)."""
    if track.weight == 0:
        return None if (value != 0) != track.reverse else 0
    product = value * track.weight * (-1 if track.reverse else 1)
    return None if product <= -254 else min(product, 253)


def _essential_interfaces(config: InstanceConfig) -> tuple[str, ...]:
    """FSM-3: the own interface, and those of addresses, routes and rules unless `no_track`."""
    own = () if config.dont_track_primary else (config.interface,)
    others = (
        *(
            each.interface
            for each in (*config.addresses, *config.excluded)
            if each.interface and not each.no_track
        ),
        *(name for route in config.routes for name in route.interfaces),
    )
    return tuple(dict.fromkeys((*own, *(name for name in others if name != config.vmac_interface))))
