"""The instances of several nodes, as what is said between nodes looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from vrrpsim.findings import Place
from vrrpsim.protocol.configuration import InitialState, InstanceConfig, RouterConfig, ScriptConfig, Track
from vrrpsim.protocol.dialect import Dialect
from vrrpsim.protocol.tracking import contribution, effective_priority


@dataclass(frozen=True, slots=True)
class Member:
    """One instance of one node; `places` are those of `compiler.Compiled`."""

    node: str
    config: InstanceConfig
    dialect: Dialect
    places: Mapping[tuple[str, ...], Place]
    router: RouterConfig

    def at(self, keyword: str) -> Place:
        """Return the place of a keyword, else of the instance."""
        own = ("instance", self.config.name)
        return self.places.get((*own, keyword)) or self.places.get(own) or Place(self.node, 1, 1)

    def at_track(self, name: str) -> Place:
        """Return where the instance, or its group, says that it tracks `name`."""
        found = (
            place for key, place in self.places.items() if key[0].startswith("track_") and key[2:] == (name,)
        )
        return next(found, self.at("track_script"))

    @property
    def key(self) -> tuple[int, int]:
        """Family and VRID."""
        return self.config.family, self.config.vrid

    @property
    def addresses(self) -> set[str]:
        """What it advertises."""
        return {str(virtual.address) for virtual in self.config.addresses}

    @property
    def deaf(self) -> bool:
        """Whether its unicast socket is bound to the link-local address, while its peers have global ones."""
        config = self.config
        named = config.source is not None or not config.unicast
        return (
            config.family == 6
            and not named
            and not any(p.address.is_link_local for p in config.unicast_peers)
        )

    @property
    def starts_as_master(self) -> bool:
        """Whether the file says state MASTER; an owner is one without a word."""
        return self.config.initial_state is InitialState.MASTER and not self.config.is_owner

    @property
    def tracks(self) -> tuple[Track, ...]:
        """What is good or bad: scripts, interfaces and processes; a file has a value."""
        config = self.config
        return (*config.track_scripts, *config.track_interfaces, *config.track_processes)

    @property
    def weighted(self) -> tuple[Track, ...]:
        """The trackers that move the priority by a fixed amount."""
        return tuple(track for track in self.tracks if track.weight)

    def priority(self, failed: Iterable[Track] = ()) -> int:
        """Return the effective priority while these trackers are bad, all others good.

        A `reverse` tracker is bad while what it looks at is well.
        """
        bad = tuple(failed)
        total = sum(contribution(track, (track not in bad) != track.reverse) for track in self.weighted)
        return effective_priority(self.config.priority, self.config.priority + total)

    def script(self, name: str) -> ScriptConfig | None:
        """Return what a tracked script is defined as, if it is."""
        return next((script for script in self.router.scripts if script.name == name), None)

    def with_weight(self, name: str, weight: int) -> Member:
        """Return the same with another weight of a tracker."""

        def changed(tracks: Iterable[Track]) -> tuple[Track, ...]:
            return tuple(track._replace(weight=weight) if track.name == name else track for track in tracks)

        config = self.config._replace(
            track_scripts=changed(self.config.track_scripts),
            track_interfaces=changed(self.config.track_interfaces),
            track_processes=changed(self.config.track_processes),
        )
        return replace(self, config=config)


def ranked(group: Iterable[Member]) -> list[Member]:
    """Return who is master while all is well, and who follows; among equals the highest source first."""
    return sorted(group, key=lambda member: (-member.priority(), -int(member.config.source or 0)))


def members_of(
    node: str,
    config: RouterConfig,
    dialect: Dialect,
    places: Mapping[tuple[str, ...], Place] | None = None,
) -> tuple[Member, ...]:
    """Return the instances of one node."""
    return tuple(Member(node, instance, dialect, places or {}, config) for instance in config.instances)
