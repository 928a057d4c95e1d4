"""The keywords of `vrrp_instance`, and the track blocks that groups have as well."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from vrrpsim.findings import did_you_mean
from vrrpsim.keepalived.arguments import Line, parse_address
from vrrpsim.keepalived.parsed import Parsed, ParsedInstance, ParsedRouter
from vrrpsim.protocol.configuration import (
    Address,
    AuthType,
    ChecksumMode,
    InitialState,
    Track,
    UnicastPeer,
    VirtualAddress,
    VirtualRoute,
)

from .walker import Handler


def open_instance(line: Line, router: ParsedRouter) -> ParsedInstance | None:
    """Begin a `vrrp_instance`; a second one of the same name is skipped (LX-9)."""
    name = line.word().text
    if name in router.instances:
        line.say("VRRP109", f"instance {name} is already defined; this block is skipped")
        return None
    draft = ParsedInstance(name, line.word().place, router)
    router.instances[name] = draft
    router.places[("instance", name)] = draft.place
    return draft


def state(line: Line, draft: ParsedInstance) -> None:
    """FSM-1: anything but MASTER and BACKUP is BACKUP; MASTER stays MASTER."""
    word = line.word().text
    if word not in ("MASTER", "BACKUP"):
        hint = did_you_mean(word.upper(), ("MASTER", "BACKUP"))
        line.say("VRRP304", f"state '{word[:60]}' is unknown, BACKUP is used{hint}", 1)
    if word == "MASTER":
        draft.state = InitialState.MASTER
    elif draft.state is None:
        draft.state = InitialState.BACKUP


def priority(line: Line, draft: ParsedInstance) -> None:
    """An invalid priority is 100, even with `state MASTER`."""
    value = line.integer(1, 1, 255, code="VRRP303", strict=True, instead="; 100 is used")
    draft.priority = 100 if value is None else value


def auth_type(line: Line, draft: ParsedInstance) -> None:
    """PASS or AH; the word is not echoed, it may be the password in the wrong line."""
    try:
        draft.auth_type = AuthType[line.word().text]
    except KeyError:
        line.say("VRRP310", "auth_type is neither PASS nor AH", 1)


def auth_pass(line: Line, draft: ParsedInstance) -> None:
    """The first 8 bytes of the word (N05)."""
    key = line.word().text.encode("utf-8", "surrogatepass")
    if len(key) > 8:
        line.say("VRRP311", "auth_pass is longer than 8 bytes; the rest is cut off", 1)
    draft.auth_key = key[:8]


def family_fits(line: Line, draft: ParsedInstance, address: Address, index: int = 0) -> bool:
    """Whether the address is of the instance's family; the first address decides which that is."""
    if draft.family in (0, address.version):
        draft.family = address.version
        return True
    message = f"{address} is not of the instance's family IPv{draft.family}; ignored"
    line.say("VRRP125", message, index)
    return False


def virtual_address(line: Line) -> VirtualAddress | None:
    """`ADDR[/LEN]` and its options; unknown options are ignored (N21)."""
    address_text, slash, length_text = line.keyword.partition("/")
    address = parse_address(address_text)
    if address is None:
        line.say("VRRP124", f"'{line.keyword[:60]}' is not an IP address; ignored")
        return None
    prefix: int = address.max_prefixlen
    if slash:
        valid = length_text.isascii() and length_text.isdigit() and len(length_text) < 4
        if valid and int(length_text) <= prefix:
            prefix = int(length_text)
        else:
            line.say("VRRP123", f"prefix length '{length_text[:60]}' is invalid; {prefix} is used")
    interface, no_track, index = None, False, 1
    while line.has(index):
        option = line.word(index).text
        if option == "dev" and line.has(index + 1):
            interface = line.word(index + 1).text
        elif option == "no_track":
            no_track = True
        elif option not in ADDRESS_FLAGS and option not in ADDRESS_OPTIONS:
            address_again = parse_address(option.partition("/")[0]) is not None
            hint = "; write one address per line" if address_again else ""
            code = "VRRP127" if address_again else "VRRP126"
            line.say(code, f"'{option[:60]}' is not an option of an address; ignored{hint}", index)
        index += 2 if option in ADDRESS_OPTIONS else 1
    return VirtualAddress(address, prefix, interface, no_track)


ADDRESS_OPTIONS = ("dev", "brd", "broadcast", "scope", "label", "peer", "preferred_lft", "track_group")
ADDRESS_FLAGS = ("home", "-nodad", "nodad", "mngtmpaddr", "noprefixroute", "autojoin", "no_track", "use_vmac")


def add_address(line: Line, draft: ParsedInstance) -> None:
    """Add one line of `virtual_ipaddress`."""
    address = virtual_address(line)
    if address is not None and family_fits(line, draft, address.address):
        draft.addresses.append(address)


def add_excluded(line: Line, draft: ParsedInstance) -> None:
    """Add one line of `virtual_ipaddress_excluded`, of either family."""
    address = virtual_address(line)
    if address is not None:
        draft.excluded.append(address)


def add_route(line: Line, draft: ParsedInstance) -> None:
    """Add one line of `virtual_routes`: the interface behind `dev` counts unless `no_track`.

    Of a route without an interface, or over several hops, 2.2.7 says that it cannot track it.
    """
    route = _virtual_route(line, ("dev",))
    words = {line.keyword, *line.texts}
    if "no_track" not in words and ("nexthop" in words or not route.interfaces):
        line.say(
            "VRRP347", f"the route {line.keyword} names no interface of its own, so none is watched for it"
        )
        route = route._replace(interfaces=())
    draft.routes.append(route)


def add_rule(line: Line, draft: ParsedInstance) -> None:
    """Add one line of `virtual_rules`: the interfaces behind `iif` and `oif` count unless `no_track`."""
    draft.routes.append(_virtual_route(line, ("iif", "oif"))._replace(is_rule=True))


def _virtual_route(line: Line, names: tuple[str, ...]) -> VirtualRoute:
    words = [line.keyword, *line.texts]
    interfaces = [following for word, following in pairwise(words) if word in names]
    return VirtualRoute(" ".join(words), tuple(interfaces) if "no_track" not in words else ())


def interface(line: Line, draft: ParsedInstance) -> None:
    """Take a name that Linux can have: at most 15 bytes."""
    name = line.word(1).text
    if len(name.encode("utf-8", "surrogatepass")) > INTERFACE_BYTES:
        line.say("VRRP302", f"interface name {line.shown(1)} is too long; ignored", 1)
    else:
        draft.interface = name


INTERFACE_BYTES = 15  # IFNAMSIZ


def add_peer(line: Line, draft: ParsedInstance) -> None:
    """Add one line of `unicast_peer`: ADDR [min_ttl N] [max_ttl N]."""
    draft.unicast_keyword = True
    address = line.address(0)
    if address is None or not family_fits(line, draft, address):
        return
    limits = {"min_ttl": 0, "max_ttl": 255}
    for index in range(1, len(line.row.words), 2):
        option = line.word(index).text
        if option not in limits:
            line.say("VRRP126", f"'{option[:60]}' is not an option of a peer; ignored", index)
        elif not line.has(index + 1):
            line.say("VRRP128", f"{option} is missing a value", index)
        elif (value := line.integer(index + 1, 0, 255)) is not None:
            limits[option] = value
    if any(peer.address == address for peer in draft.unicast_peers):
        line.say("VRRP129", f"peer {address} is listed twice")
    draft.unicast_peers.append(UnicastPeer(address, limits["min_ttl"], limits["max_ttl"]))


def source(line: Line, draft: ParsedInstance) -> None:
    """`mcast_src_ip` and `unicast_src_ip`."""
    draft.unicast_keyword |= line.keyword.startswith("unicast")
    address = line.address(1)
    if address is not None and family_fits(line, draft, address, 1):
        draft.source = address


def multicast_destination(line: Line, draft: ParsedInstance) -> None:
    """`mcast_dst_ip`."""
    address = line.address(1)
    if address is None:
        return
    if not address.is_multicast:
        line.say("VRRP122", f"mcast_dst_ip: {address} is not a multicast address", 1)
    elif family_fits(line, draft, address, 1):
        draft.multicast_group = address


def unicast_ttl(line: Line, draft: ParsedInstance) -> None:
    """0 to 255; junk is refused (LX-10)."""
    draft.unicast_keyword = True
    draft.unicast_ttl = line.integer(1, 0, 255, strict=True)


def unicast_fault_no_peer(line: Line, draft: ParsedInstance) -> None:
    """§5.3: FAULT where no peer was accepted."""
    draft.unicast_keyword = draft.unicast_fault_no_peer = True


def check_unicast_src(line: Line, draft: ParsedInstance) -> None:
    """Accept only listed peers."""
    draft.unicast_keyword = draft.check_unicast_src = True


def old_unicast_checksum(line: Line, draft: ParsedInstance) -> None:
    """Alone or `never`."""
    draft.unicast_keyword = True
    if not line.has(1):
        draft.checksum = ChecksumMode.OLD_UNICAST
    elif line.word().text == "never":
        draft.checksum = ChecksumMode.NEVER_OLD
    else:
        line.say("VRRP121", f"old_unicast_checksum: {line.shown(1)} is unknown; ignored", 1)


def v3_checksum_as_v2(line: Line, draft: ParsedInstance) -> None:
    """K12."""
    if line.boolean():
        draft.checksum = ChecksumMode.AS_V2


def timer_expired_backup(line: Line, draft: ParsedInstance) -> None:
    """K11: with a priority or alone (0: the instance's own)."""
    value = line.integer(1, 1, 254) if line.has(1) else 0
    if value is not None:
        draft.timer_expired_backup = value


def use_vmac(line: Line, draft: ParsedInstance) -> None:
    """`use_vmac [IF] [MAC]`."""
    draft.use_vmac = True
    for word in line.texts:
        if word.count(":") != 5 and not draft.vmac_interface:
            draft.vmac_interface = word


def native_ipv6(line: Line, draft: ParsedInstance) -> None:
    """Deprecated: the addresses say it."""
    draft.family = draft.family or 6


# --- track blocks of instances and groups


def _track(line: Line, draft: Parsed, kind: str, default: Track, limit: int) -> None:
    """Read `NAME [weight W [reverse|noreverse]]`; the first one of a name counts (§3.1)."""
    name, weight, reverse = line.keyword, default.weight, default.reverse
    if name in draft.tracks[kind]:
        line.say("VRRP108", f"track_{kind} {name} is listed twice; ignored")
        return
    index = 1
    while line.has(index):
        option = line.word(index).text
        if option == "weight" and line.has(index + 1):
            index += 1
            value = line.integer(index, -254, 254)
            if value is not None:
                weight = max(-limit, min(limit, value))
            if value is not None and value != weight:
                line.say("VRRP413", f"weight {value} of {name} is read as {weight}", index)
        elif option in ("reverse", "noreverse"):
            reverse = option == "reverse"
        else:
            line.say("VRRP126", f"'{option[:60]}' is not an option here; ignored", index)
        index += 1
    draft.tracks[kind][name] = Track(name, weight, reverse)
    draft.track_places[kind, name] = line.place
    draft.router.places.setdefault((f"track_{kind}", draft.name, name), line.place)


def track_interface(line: Line, draft: Parsed) -> None:
    """Add one line of `track_interface`."""
    _track(line, draft, "interface", Track(line.keyword), 253)


def tracker(kind: str, collection: str, limit: int) -> Handler:
    """Entries that name an object defined above; others are dropped while parsing (N10)."""

    def handle(line: Line, draft: Parsed) -> None:
        known: dict[str, Any] = getattr(draft.router, collection)
        if line.keyword not in known:
            draft.router.dropped.add(line.keyword)
            message = f"track_{kind} '{line.keyword[:60]}' is not defined above; ignored"
            line.say("VRRP401", message + did_you_mean(line.keyword, known))
            return
        found = known[line.keyword]
        _track(line, draft, kind, Track(found.name, found.weight, found.reverse), limit)
        if kind == "bfd" and draft.tracks[kind][found.name].weight == 0:
            line.say("VRRP416", f"no node is master while its BFD session {found.name} is down")

    return handle
