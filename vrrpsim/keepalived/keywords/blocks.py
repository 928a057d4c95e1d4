"""The keywords of `global_defs`, `vrrp_sync_group` and the smaller blocks of the root."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from vrrpsim.keepalived.arguments import Line
from vrrpsim.keepalived.parsed import ParsedGarpGroup, ParsedGroup, ParsedRouter, as_written
from vrrpsim.protocol.configuration import SECOND_NS, GarpGroup, InterfaceDelay

from .walker import Handler

# --- global_defs


def skip_check(line: Line, target: Any) -> None:
    """N26: any valid boolean behind it, even `off`, turns the check off."""
    value = line.boolean()
    if value is False:
        line.say("VRRP305", f"{line.keyword} {line.word().text} turns the option on", 1)
    if value is not None:
        target.skip_check_adv_addr = True


def min_garp(line: Line, router: ParsedRouter) -> None:
    """GA-7: one GARP, not repeated, unless said otherwise before."""
    if not line.boolean():
        return
    for name, value in (("master_repeat", 1), ("master_delay_ns", 0), ("master_refresh_ns", 0)):
        vars(router.garp).setdefault(name, value)


def garp_extra_if(line: Line, garp: SimpleNamespace) -> None:
    """GA-8: `[all] SECONDS`, in any order. Without `all` it is for VMACs of single addresses: none here."""
    seconds = None
    for index, word in enumerate(line.texts, 1):
        if word != "all":
            seconds = line.integer(index, 0, 86_400)
            if seconds is None:
                return
    if seconds is None:
        line.say("VRRP117", f"{line.keyword} names no time; ignored")
    else:
        garp.extra_ns = seconds * SECOND_NS if "all" in line.texts else 0


def multicast_group(family: int) -> Handler:
    """`vrrp_mcast_group4` and `vrrp_mcast_group6`."""

    def handle(line: Line, router: ParsedRouter) -> None:
        address = line.address(1)
        if address is None:
            return
        if address.version != family or not address.is_multicast:
            line.say("VRRP122", f"{line.keyword}: {address} is not an IPv{family} multicast address", 1)
            return
        setattr(router, f"multicast_group{family}", address)

    return handle


def global_defs(line: Line, router: ParsedRouter) -> None:
    """LX-20: read first at start, in its place on reload."""
    router.places.setdefault(("global_defs",), line.place)
    if router.instances:
        line.say("VRRP131", "global_defs behind instances: defaults differ after a reload")


# --- vrrp_sync_group


def open_group(line: Line, router: ParsedRouter) -> ParsedGroup | None:
    """Begin a `vrrp_sync_group`; a second one of the same name is skipped (LX-9)."""
    name = line.word().text
    if name in router.groups:
        line.say("VRRP109", f"sync group {name} is already defined; this block is skipped")
        return None
    draft = ParsedGroup(name, line.word().place, router)
    router.groups[name] = draft
    router.places[("group", name)] = draft.place
    return draft


def add_members(line: Line, draft: ParsedGroup) -> None:
    """LX-7: every word is a member."""
    draft.members += [(word.text, word.place) for word in line.row.words]


# --- the remaining blocks of the root


def interface_delay(line: Line, router: ParsedRouter) -> None:
    """`IF down [up]`; an omitted up delay is 0 (§1.5)."""
    down = line.decimal_ns(1, 0, 255_000_000) if line.has(1) else None
    if down is None:
        line.say("VRRP130", "interface_up_down_delays: write INTERFACE DOWN [UP]; ignored")
        return
    up = line.decimal_ns(2, 0, 255_000_000) if line.has(2) else 0
    router.places.setdefault(("interface_delay", line.keyword), line.place)
    router.interface_delays.append(InterfaceDelay(interface=line.keyword, down_ns=down, up_ns=up or 0))


def open_garp_group(line: Line, router: ParsedRouter) -> ParsedGarpGroup:
    """Begin a `garp_group`."""
    return ParsedGarpGroup("", line.place, router)


def add_interfaces(line: Line, draft: ParsedGarpGroup) -> None:
    """LX-7: every word is an interface."""
    draft.interfaces += [word.text for word in line.row.words]


def add_interface(line: Line, draft: ParsedGarpGroup) -> None:
    """`interface IF`."""
    draft.interfaces.append(line.word().text)


def close_garp_group(line: Line, draft: ParsedGarpGroup) -> None:
    """Define the group; it must name interfaces and an interval."""
    if not draft.interfaces or not (draft.garp_interval_ns or draft.gna_interval_ns):
        line.say("VRRP320", "garp_group without interfaces or interval; ignored")
        return
    draft.router.garp_groups.append(as_written(GarpGroup, draft, interfaces=tuple(draft.interfaces)))


def dynamic_interfaces(_line: Line, router: ParsedRouter) -> None:
    """`dynamic_interfaces [allow_if_changes]`: interfaces may come later."""
    router.dynamic_interfaces = True


def not_simulated(line: Line, router: ParsedRouter) -> None:
    """Class O: another subsystem."""
    if line.keyword not in router.not_simulated:
        router.not_simulated.add(line.keyword)
        line.say("VRRP190", f"{line.keyword} is not simulated; the block is skipped")
