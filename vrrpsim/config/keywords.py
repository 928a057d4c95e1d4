"""The keyword tables of keepalived.conf as data, and the walk of the rows through them (keepalived.md §6.2).

Reading order: the walk, which is keepalived's own recursion (LX-7, LX-8), then the handlers by block, then
the tables. A handler stores one value in a draft and reports what keepalived makes of a bad one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vrrpsim.config.arguments import Line, MissingParameterError, parse_address, split_command
from vrrpsim.config.drafts import (
    Draft,
    FileDraft,
    GarpGroupDraft,
    GroupDraft,
    InstanceDraft,
    ProcessDraft,
    RouterDraft,
    ScriptDraft,
)
from vrrpsim.config.lexer import Row
from vrrpsim.config.source import Finding, Severity, did_you_mean
from vrrpsim.protocol.configuration import (
    SECOND_NS,
    Address,
    AuthType,
    ChecksumMode,
    FileConfig,
    GarpGroup,
    InitialState,
    InterfaceDelay,
    ProcessConfig,
    ScriptConfig,
    Track,
    UnicastPeer,
    VirtualAddress,
)
from vrrpsim.protocol.dialect import Dialect

INT_MAX = 2**31 - 1
MAX_HINTS = 200  # looking for similar words is slow, and this is no configuration any more
SECONDS_MAX = 4294  # keepalived's limit: microseconds in 32 bits

Handler = Callable[[Line, Any], None]


@dataclass(frozen=True, slots=True)
class Keyword:
    """What follows a keyword: a value, a block of keywords (`table`), of entries, or one to skip."""

    handle: Handler | None = None
    opens: Callable[[Line, RouterDraft], Draft | None] | None = None  # None: skip the block (LX-9)
    closes: Handler | None = None
    table: Mapping[str, Keyword] | None = None
    entry: Handler | None = None
    skip: bool = False
    repeatable: bool = False  # saying it twice is normal, or has its own rule
    most: int = 2  # words that mean something; more are dropped (LX-6)
    needs: str = ""  # the dialect's switch without which the keyword is unknown


Table = Mapping[str, Keyword]


class FatalError(Exception):
    """Keepalived would exit here; the finding has been made."""


@dataclass(slots=True, eq=False, repr=False)
class Walker:
    """Takes the rows of a configuration through the tables and fills a `RouterDraft`."""

    rows: Sequence[Row]
    router: RouterDraft
    findings: list[Finding]
    position: int = 0
    unknown: int = 0
    secret: bool = False  # inside `authentication`: unknown words may be passwords

    def walk(self) -> None:
        """Read everything; raises FatalError where keepalived would exit."""
        while self.position < len(self.rows):
            self._stream(ROOT, None, nested=False)

    # --- keepalived's process_stream

    def _stream(self, table: Table, draft: Draft | None, *, nested: bool) -> None:
        """Read rows with one table up to the `}` that ends its block, whichever that is (LX-8)."""
        seen: dict[str, Line] = {}
        if nested:
            self._opening_brace()
        while (row := self._next()) is not None:
            if row.brace == "}":
                if nested:
                    return
                continue  # reported by the lexer as extra, or by LX-8 below
            line = Line(row, self.findings, _context(draft))
            if row.brace == "{":
                line.warn("LX-8", "unexpected '{' ignored; its '}' closes the enclosing block")
                continue
            if row.cut:
                line.warn(
                    "N06",
                    "a comment character behind the word cuts it off; quote the value",
                    len(row.words) - 1,
                )
            self._keyword(line, table, draft, seen)

    def _keyword(self, line: Line, table: Table, draft: Draft | None, seen: dict[str, Line]) -> None:
        keyword = table.get(line.keyword)
        if keyword is None or (keyword.needs and not getattr(self.router.dialect, keyword.needs)):
            self._unknown(line, table)
            return
        if line.keyword in seen and not (keyword.repeatable or keyword.opens or keyword.entry):
            line.warn("LX-9", f"{line.keyword} is repeated; the last one wins")
        seen[line.keyword] = line
        if len(line.row.words) > keyword.most and not keyword.skip:
            line.warn(
                "LX-6",
                f"{line.keyword}: the words from {line.shown(keyword.most)} on are ignored",
                keyword.most,
            )
        if draft is not None:
            draft.places[line.keyword] = line.place
        try:
            self._dispatch(line, keyword, draft)
        except MissingParameterError:
            line.say(Severity.ERROR, "LX-12", f"{line.keyword}: a parameter is missing; keepalived exits")
            raise FatalError from None

    def _dispatch(self, line: Line, keyword: Keyword, draft: Draft | None) -> None:
        target: Any = draft if draft is not None else self.router
        if keyword.opens is not None:
            target = keyword.opens(line, self.router)
            if target is None:
                self._skip_block()
                return
        if keyword.handle is not None:
            keyword.handle(line, target)
        if keyword.table is not None:
            outer, self.secret = self.secret, self.secret or line.keyword == "authentication"
            self._stream(keyword.table, target if isinstance(target, Draft) else None, nested=True)
            self.secret = outer
        elif keyword.entry is not None:
            self._entries(keyword.entry, target)
        elif keyword.skip:
            self._skip_block()
        if keyword.closes is not None:
            keyword.closes(line, target)

    def _unknown(self, line: Line, table: Table) -> None:
        if self.secret or line.row.secret:
            line.warn("N20", "unknown keyword (not shown, it may be a password)")
            return
        self.unknown += 1
        known = [name for name, keyword in table.items() if self._has(keyword)]
        hint = did_you_mean(line.keyword, known) if self.unknown <= MAX_HINTS else ""
        elsewhere = any(line.keyword in other for other in ALL_TABLES if other is not table)
        reason = "does not belong here" if elsewhere and not hint else f"is unknown{hint}"
        line.warn("N20", f"keyword '{line.keyword[:60]}' {reason}; ignored")

    def _has(self, keyword: Keyword) -> bool:
        return not keyword.needs or bool(getattr(self.router.dialect, keyword.needs))

    def _entries(self, handle: Handler, target: Any) -> None:
        """Read a value block: one entry a line, up to the first `}` (LX-7)."""
        self._opening_brace()
        while (row := self._next()) is not None:
            line = Line(row, self.findings, _context(target))
            if row.brace == "}":
                return
            if row.brace == "{":
                line.warn("LX-8", "unexpected '{' ignored; its '}' closes the enclosing block")
                continue
            if row.cut:
                line.warn("N06", "a comment character behind the word cuts it off", len(row.words) - 1)
            handle(line, target)

    def _opening_brace(self) -> None:
        if self._peek_brace() == "{":
            self.position += 1
        elif self.position:
            line = Line(self.rows[self.position - 1], self.findings)
            line.say(Severity.ERROR, "LX-5", f"'{{' is missing behind '{line.keyword}'")

    def _skip_block(self) -> None:
        """Skip a block with all braces in it, if the next row opens one."""
        depth = 0
        while self._peek_brace() == "{" or depth:
            row = self._next()
            if row is None:
                return
            depth += {"{": 1, "}": -1}.get(row.brace, 0)
            if not depth:
                return

    def _next(self) -> Row | None:
        if self.position >= len(self.rows):
            return None
        self.position += 1
        return self.rows[self.position - 1]

    def _peek_brace(self) -> str:
        return self.rows[self.position].brace if self.position < len(self.rows) else ""


def _context(target: object) -> str:
    return f"{_KINDS[type(target)]} {target.name}" if isinstance(target, Draft) and target.name else ""


_KINDS: dict[type, str] = {
    InstanceDraft: "instance",
    GroupDraft: "sync group",
    ScriptDraft: "script",
    FileDraft: "track_file",
    ProcessDraft: "track_process",
    GarpGroupDraft: "garp_group",
    Draft: "",
}


# --- handlers that many keywords share


def nothing(line: Line, target: Any) -> None:
    """Accept a keyword without effect on the protocol (class H)."""


def integer(name: str, low: int, high: int, *, rule: str = "LX-10", strict: bool = False) -> Handler:
    """Store an integer; a refused one leaves what was there."""

    def handle(line: Line, target: Any) -> None:
        value = line.integer(1, low, high, rule=rule, strict=strict)
        if value is not None:
            setattr(target, name, value)

    return handle


def at_least_one(name: str) -> Handler:
    """Store a count; 0 counts as 1."""

    def handle(line: Line, target: Any) -> None:
        value = line.integer(1, 0, INT_MAX)
        if value == 0:
            line.warn("LX-10", f"{line.keyword} 0 is read as 1", 1)
        if value is not None:
            setattr(target, name, max(value, 1))

    return handle


def seconds(
    name: str, low_us: int = 0, high_us: int = SECONDS_MAX * 1_000_000, *, rule: str = "LX-10"
) -> Handler:
    """Store a time with microsecond resolution."""

    def handle(line: Line, target: Any) -> None:
        value = line.decimal_ns(1, low_us, high_us, rule=rule)
        if value is not None:
            setattr(target, name, value)

    return handle


def whole_seconds(name: str) -> Handler:
    """Store a time in whole seconds."""

    def handle(line: Line, target: Any) -> None:
        value = line.integer(1, 0, SECONDS_MAX)
        if value is not None:
            setattr(target, name, value * SECOND_NS)

    return handle


def flag(name: str, value: bool = True) -> Handler:
    """Store a constant: the word alone says it."""

    def handle(line: Line, target: Any) -> None:
        if line.has(1):
            line.warn("LX-6", f"{line.keyword} takes no value; {line.shown(1)} is ignored", 1)
        setattr(target, name, value)

    return handle


def boolean(name: str) -> Handler:
    """Store an optional boolean (LX-11)."""

    def handle(line: Line, target: Any) -> None:
        value = line.boolean()
        if value is not None:
            setattr(target, name, value)

    return handle


def text(name: str) -> Handler:
    """Store one word."""

    def handle(line: Line, target: Any) -> None:
        setattr(target, name, line.word().text)

    return handle


def inner(name: str, handler: Handler) -> Handler:
    """Apply a handler to an attribute of the draft."""

    def handle(line: Line, target: Any) -> None:
        handler(line, getattr(target, name))

    return handle


def version(line: Line, target: Any) -> None:
    """`version` and `vrrp_version`."""
    value = line.integer(1, 2, 3)
    if value is not None:
        target.version = value


def notify(kind: str) -> Handler:
    """Store a notify script; the first one wins (LX-9)."""

    def handle(line: Line, draft: Draft) -> None:
        command = line.command()
        if kind in draft.notify:
            line.warn("LX-9", f"{line.keyword} is repeated; the first one wins")
        elif user := line.user():
            draft.notify_users[kind] = user
        draft.notify.setdefault(kind, command)

    return handle


# --- global_defs


def skip_check(line: Line, target: Any) -> None:
    """N26: any valid boolean behind it, even `off`, turns the check off."""
    value = line.boolean()
    if value is False:
        line.warn("N26", f"{line.keyword} {line.word().text} turns the option on", 1)
    if value is not None:
        target.skip_check_adv_addr = True


def min_garp(line: Line, router: RouterDraft) -> None:
    """GA-7: one GARP, not repeated, unless said otherwise before."""
    if not line.boolean():
        return
    garp = router.garp
    garp.master_repeat = 1 if garp.master_repeat is None else garp.master_repeat
    garp.master_delay_ns = 0 if garp.master_delay_ns is None else garp.master_delay_ns
    garp.master_refresh_ns = 0 if garp.master_refresh_ns is None else garp.master_refresh_ns


def multicast_group(family: int) -> Handler:
    """`vrrp_mcast_group4` and `vrrp_mcast_group6`."""

    def handle(line: Line, router: RouterDraft) -> None:
        address = line.address(1)
        if address is None:
            return
        if address.version != family or not address.is_multicast:
            line.warn("LX-10", f"{line.keyword}: {address} is not an IPv{family} multicast address", 1)
            return
        setattr(router, f"multicast_group{family}", address)

    return handle


def global_defs(line: Line, router: RouterDraft) -> None:
    """LX-20: read first at start, in its place on reload."""
    router.places.setdefault(("global_defs",), line.place)
    if router.instances:
        line.say(Severity.INFO, "N39", "global_defs behind instances: defaults differ after a reload")


# --- vrrp_instance


def open_instance(line: Line, router: RouterDraft) -> InstanceDraft | None:
    """Begin a `vrrp_instance`; a second one of the same name is skipped (LX-9)."""
    name = line.word().text
    if name in router.instances:
        line.say(Severity.ERROR, "LX-9", f"instance {name} is already defined; this block is skipped")
        return None
    draft = InstanceDraft(name, line.word().place, router)
    router.instances[name] = draft
    router.places[("instance", name)] = draft.place
    return draft


def state(line: Line, draft: InstanceDraft) -> None:
    """FSM-1: anything but MASTER and BACKUP is BACKUP; MASTER stays MASTER."""
    word = line.word().text
    if word not in ("MASTER", "BACKUP"):
        hint = did_you_mean(word.upper(), ("MASTER", "BACKUP"))
        line.warn("FSM-1", f"state '{word[:60]}' is unknown, BACKUP is used{hint}", 1)
    if word == "MASTER":
        draft.state = InitialState.MASTER
    elif draft.state is None:
        draft.state = InitialState.BACKUP


def priority(line: Line, draft: InstanceDraft) -> None:
    """An invalid priority is 100, even with `state MASTER`."""
    value = line.integer(1, 1, 255, strict=True)
    if value is None:
        line.warn("LX-10", "priority 100 is used instead", 1)
    draft.priority = 100 if value is None else value


def auth_type(line: Line, draft: InstanceDraft) -> None:
    """PASS or AH; the word is not echoed, it may be the password in the wrong line."""
    try:
        draft.auth_type = AuthType[line.word().text]
    except KeyError:
        line.warn("LX-10", "auth_type is neither PASS nor AH", 1)


def auth_pass(line: Line, draft: InstanceDraft) -> None:
    """The first 8 bytes of the word (N05)."""
    key = line.word().text.encode("utf-8", "surrogatepass")
    if len(key) > 8:
        line.warn("N05", "auth_pass is longer than 8 bytes; the rest is cut off", 1)
    draft.auth_key = key[:8]


def family_fits(line: Line, draft: InstanceDraft, address: Address, index: int = 0) -> bool:
    """Whether the address is of the instance's family; the first address decides which that is."""
    if draft.family in (0, address.version):
        draft.family = address.version
        return True
    message = f"{address} is not of the instance's family IPv{draft.family}; ignored"
    line.say(Severity.ERROR, "LX-7", message, line.row.words[index].place)
    return False


def virtual_address(line: Line) -> VirtualAddress | None:
    """`ADDR[/LEN]` and its options; unknown options are ignored (N21)."""
    address_text, slash, length_text = line.keyword.partition("/")
    address = parse_address(address_text)
    if address is None:
        line.warn("LX-7", f"'{line.keyword[:60]}' is not an IP address; ignored")
        return None
    prefix: int = address.max_prefixlen
    if slash:
        valid = length_text.isascii() and length_text.isdigit() and len(length_text) < 4
        if valid and int(length_text) <= prefix:
            prefix = int(length_text)
        else:
            line.warn("LX-10", f"prefix length '{length_text[:60]}' is invalid; {prefix} is used")
    interface, no_track, index = None, False, 1
    while line.has(index):
        option = line.word(index).text
        if option == "dev" and line.has(index + 1):
            interface = line.word(index + 1).text
        elif option == "no_track":
            no_track = True
        elif option not in ADDRESS_FLAGS and option not in ADDRESS_OPTIONS:
            rule = "N21" if parse_address(option.partition("/")[0]) else "LX-7"
            hint = "; write one address per line" if rule == "N21" else ""
            line.warn(rule, f"'{option[:60]}' is not an option of an address; ignored{hint}", index)
        index += 2 if option in ADDRESS_OPTIONS else 1
    return VirtualAddress(address, prefix, interface, no_track)


ADDRESS_OPTIONS = ("dev", "brd", "broadcast", "scope", "label", "peer", "preferred_lft", "track_group")
ADDRESS_FLAGS = ("home", "-nodad", "nodad", "mngtmpaddr", "noprefixroute", "autojoin", "no_track", "use_vmac")


def add_address(line: Line, draft: InstanceDraft) -> None:
    """Add one line of `virtual_ipaddress`."""
    address = virtual_address(line)
    if address is not None and family_fits(line, draft, address.address):
        draft.addresses.append(address)


def add_excluded(line: Line, draft: InstanceDraft) -> None:
    """Add one line of `virtual_ipaddress_excluded`, of either family."""
    address = virtual_address(line)
    if address is not None:
        draft.excluded.append(address)


def add_peer(line: Line, draft: InstanceDraft) -> None:
    """Add one line of `unicast_peer`: ADDR [min_ttl N] [max_ttl N]."""
    draft.unicast_keyword = True
    address = line.address(0)
    if address is None or not family_fits(line, draft, address):
        return
    limits = {"min_ttl": 0, "max_ttl": 255}
    for index in range(1, len(line.row.words), 2):
        option = line.word(index).text
        if option not in limits:
            line.warn("LX-7", f"'{option[:60]}' is not an option of a peer; ignored", index)
        elif not line.has(index + 1):
            line.warn("LX-7", f"{option} is missing a value", index)
        elif (value := line.integer(index + 1, 0, 255)) is not None:
            limits[option] = value
    if any(peer.address == address for peer in draft.unicast_peers):
        line.warn("LX-7", f"peer {address} is listed twice")
    draft.unicast_peers.append(UnicastPeer(address, limits["min_ttl"], limits["max_ttl"]))


def source(line: Line, draft: InstanceDraft) -> None:
    """`mcast_src_ip` and `unicast_src_ip`."""
    draft.unicast_keyword |= line.keyword.startswith("unicast")
    address = line.address(1)
    if address is not None and family_fits(line, draft, address, 1):
        draft.source = address


def multicast_destination(line: Line, draft: InstanceDraft) -> None:
    """`mcast_dst_ip`."""
    address = line.address(1)
    if address is None:
        return
    if not address.is_multicast:
        line.warn("LX-10", f"mcast_dst_ip: {address} is not a multicast address", 1)
    elif family_fits(line, draft, address, 1):
        draft.multicast_group = address


def unicast_ttl(line: Line, draft: InstanceDraft) -> None:
    """0 to 255; junk is refused (LX-10)."""
    draft.unicast_keyword = True
    draft.unicast_ttl = line.integer(1, 0, 255, strict=True)


def unicast_fault_no_peer(line: Line, draft: InstanceDraft) -> None:
    """§5.3: FAULT where no peer was accepted."""
    draft.unicast_keyword = draft.unicast_fault_no_peer = True


def check_unicast_src(line: Line, draft: InstanceDraft) -> None:
    """Accept only listed peers."""
    draft.unicast_keyword = draft.check_unicast_src = True


def old_unicast_checksum(line: Line, draft: InstanceDraft) -> None:
    """Alone or `never`."""
    draft.unicast_keyword = True
    if not line.has(1):
        draft.checksum = ChecksumMode.OLD_UNICAST
    elif line.word().text == "never":
        draft.checksum = ChecksumMode.NEVER_OLD
    else:
        line.warn("LX-10", f"old_unicast_checksum: {line.shown(1)} is unknown; ignored", 1)


def v3_checksum_as_v2(line: Line, draft: InstanceDraft) -> None:
    """K12."""
    if line.boolean():
        draft.checksum = ChecksumMode.AS_V2


def timer_expired_backup(line: Line, draft: InstanceDraft) -> None:
    """K11: with a priority or alone (0: the instance's own)."""
    value = line.integer(1, 1, 254) if line.has(1) else 0
    if value is not None:
        draft.timer_expired_backup = value


def use_vmac(line: Line, draft: InstanceDraft) -> None:
    """`use_vmac [IF] [MAC]`."""
    draft.use_vmac = True
    for word in line.texts:
        if word.count(":") != 5 and not draft.vmac_interface:
            draft.vmac_interface = word


def native_ipv6(line: Line, draft: InstanceDraft) -> None:
    """Deprecated: the addresses say it."""
    draft.family = draft.family or 6


# --- track blocks of instances and groups


def _track(line: Line, draft: Draft, kind: str, default: Track, limit: int) -> None:
    """Read `NAME [weight W [reverse|noreverse]]`; the first one of a name counts (§3.1)."""
    name, weight, reverse = line.keyword, default.weight, default.reverse
    if name in draft.tracks[kind]:
        line.warn("LX-9", f"track_{kind} {name} is listed twice; ignored")
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
                line.warn("LX-10", f"weight {value} of {name} is read as {weight}", index)
        elif option in ("reverse", "noreverse"):
            reverse = option == "reverse"
        else:
            line.warn("LX-7", f"'{option[:60]}' is not an option here; ignored", index)
        index += 1
    draft.tracks[kind][name] = Track(name, weight, reverse)
    draft.track_places[kind, name] = line.place
    draft.router.places.setdefault((f"track_{kind}", draft.name, name), line.place)


def track_interface(line: Line, draft: Draft) -> None:
    """Add one line of `track_interface`."""
    _track(line, draft, "interface", Track(line.keyword), 253)


def tracker(kind: str, collection: str, limit: int) -> Handler:
    """Entries that name an object defined above; others are dropped while parsing (N10)."""

    def handle(line: Line, draft: Draft) -> None:
        known: dict[str, Any] = getattr(draft.router, collection)
        if line.keyword not in known:
            message = f"track_{kind} '{line.keyword[:60]}' is not defined above; ignored"
            line.warn("N10", message + did_you_mean(line.keyword, known))
            return
        found = known[line.keyword]
        _track(line, draft, kind, Track(found.name, found.weight, found.reverse), limit)

    return handle


def track_bfd(line: Line, draft: Draft) -> None:
    """Drop the tracker: BFD is not part of the simulation."""
    if line.keyword not in draft.router.bfds:
        line.warn("N10", f"track_bfd '{line.keyword[:60]}' is not defined above; ignored")
    else:
        line.warn("N33", f"BFD is not simulated; tracker '{line.keyword[:60]}' is ignored")


# --- vrrp_sync_group


def open_group(line: Line, router: RouterDraft) -> GroupDraft | None:
    """Begin a `vrrp_sync_group`; a second one of the same name is skipped (LX-9)."""
    name = line.word().text
    if name in router.groups:
        line.say(Severity.ERROR, "LX-9", f"sync group {name} is already defined; this block is skipped")
        return None
    draft = GroupDraft(name, line.word().place, router)
    router.groups[name] = draft
    router.places[("group", name)] = draft.place
    return draft


def add_members(line: Line, draft: GroupDraft) -> None:
    """LX-7: every word is a member."""
    draft.members += [(word.text, word.place) for word in line.row.words]


# --- vrrp_script


def open_script(line: Line, router: RouterDraft) -> ScriptDraft:
    """Begin a `vrrp_script`."""
    return ScriptDraft(line.word().text, line.word().place, router)


SHELL_SYNTAX = ("|", ";", "&&", "$(", "`", "$?", ">", "<", "$$")
SHELLS = ("sh", "bash", "dash", "ash", "ksh", "zsh", "busybox")


def script(line: Line, draft: ScriptDraft) -> None:
    """Store the command, split without a shell (LX-19, SC-15)."""
    command = line.command()
    words = split_command(command)
    if line.row.raw is not None and len(split_command(line.row.raw)) > 2:  # LX-6
        line.warn("LX-6", "words behind the command are ignored; quote command and parameters together", 2)
    shell = bool(words) and words[0].rsplit("/", 1)[-1] in SHELLS
    existence_test = command.startswith("</")  # SC-12
    if not shell and not existence_test and (syntax := [mark for mark in SHELL_SYNTAX if mark in command]):
        line.warn("N14", f"no shell runs this command: {' '.join(syntax)} is passed as it stands", 1)
    draft.command, draft.words = command, tuple(words)


def script_interval(line: Line, draft: ScriptDraft) -> None:
    """K6: whole seconds, at least 1; later releases milliseconds."""
    if draft.router.dialect.script_interval_in_ms:
        value = line.decimal_ns(1, 1000, SECONDS_MAX * 1_000_000)
        draft.interval_ns = draft.interval_ns if value is None else value // 1_000_000 * 1_000_000
        return
    draft.interval_ns = _script_seconds(line, draft.interval_ns)


def script_timeout(line: Line, draft: ScriptDraft) -> None:
    """Whole seconds, at least 1 (SC-1)."""
    draft.timeout_ns = _script_seconds(line, draft.timeout_ns)


def _script_seconds(line: Line, old_ns: int) -> int:
    value = line.integer(1, 0, SECONDS_MAX)
    if value == 0:
        line.warn("SC-1", f"{line.keyword} 0 is read as 1", 1)
    return old_ns if value is None else max(value, 1) * SECOND_NS


def script_weight(line: Line, draft: ScriptDraft) -> None:
    """§3.1: out of range is an error, and stored all the same."""
    value = line.integer(1, -INT_MAX, INT_MAX)
    if value is None:
        return
    if not -253 <= value <= 253:
        line.warn("LX-10", f"weight {value} is outside -253 to 253, and used all the same", 1)
    draft.weight = value
    draft.reverse = "reverse" in line.texts[1:]


def rise_or_fall(line: Line, draft: ScriptDraft) -> None:
    """An invalid count is 1 (SC-1)."""
    setattr(draft, line.keyword, line.integer(1, 1, INT_MAX) or 1)


def script_user(line: Line, draft: Any) -> None:
    """`user U [G]`."""
    line.word()
    name = " ".join(line.texts[:2])
    if isinstance(draft, ScriptDraft):
        draft.user = name
    else:
        draft.script_user = name


def init_fail(line: Line, draft: ScriptDraft) -> None:
    """SC-8."""
    line.say(
        Severity.INFO, "N12", "init_fail has no effect; weight 0 keeps an unchecked node from being master"
    )


def close_script(line: Line, draft: ScriptDraft) -> None:
    """Define the script; without a command it is dropped, the first of a name is found (SC-14)."""
    router, name = draft.router, draft.name
    if draft.command is None:
        line.warn("SC-1", f"script {name} has no command; removed")
        return
    if name in router.scripts:
        line.warn("N11", f"script {name} is already defined; this one is never used")
        return
    _remember(router, "script", draft)
    router.scripts[name] = ScriptConfig(
        name=name,
        command=draft.command,
        words=draft.words,
        interval_ns=draft.interval_ns,
        timeout_ns=draft.timeout_ns,
        weight=draft.weight or 0,
        reverse=draft.reverse,
        rise=draft.rise,
        fall=draft.fall,
        user=draft.user,
    )


def _remember(router: RouterDraft, kind: str, draft: Draft) -> None:
    router.places[(kind, draft.name)] = draft.place
    for keyword, place in draft.places.items():
        router.places[(kind, draft.name, keyword)] = place


# --- track_file, vrrp_track_process


def tracker_weight(line: Line, draft: FileDraft | ProcessDraft) -> None:
    """LX-9: the first weight wins."""
    if draft.weight is not None:
        line.warn("LX-9", "weight is repeated; the first one wins")
        return
    value = line.integer(1, -254, 254)
    if value is not None:
        draft.weight = value
        draft.reverse = "reverse" in line.texts[1:]


def open_file(line: Line, router: RouterDraft) -> FileDraft:
    """Begin a `track_file`."""
    return FileDraft(line.word().text, line.word().place, router)


def file_path(line: Line, draft: FileDraft) -> None:
    """LX-9: the first file wins."""
    if draft.path:
        line.warn("LX-9", "file is repeated; the first one wins")
    draft.path = draft.path or line.word().text


def init_file(line: Line, draft: FileDraft) -> None:
    """`init_file [VALUE] [overwrite]`."""
    draft.init_value = 0
    for index, word in enumerate(line.texts, 1):
        if word == "overwrite":
            draft.overwrite = True
        else:
            draft.init_value = line.integer(index, -INT_MAX, INT_MAX) or 0


def close_file(line: Line, draft: FileDraft) -> None:
    """Define the file; the weight is 1 if none is given."""
    router = draft.router
    if not draft.path:
        line.warn("LX-7", f"track_file {draft.name} names no file; removed")
    elif draft.name in router.files:
        line.warn("LX-9", f"track_file {draft.name} is already defined; ignored")
    else:
        _remember(router, "file", draft)
        router.files[draft.name] = FileConfig(
            name=draft.name,
            path=draft.path,
            weight=1 if draft.weight is None else draft.weight,
            reverse=draft.reverse,
            init_value=draft.init_value,
            overwrite=draft.overwrite,
        )


def open_process(line: Line, router: RouterDraft) -> ProcessDraft:
    """Begin a `vrrp_track_process`."""
    return ProcessDraft(line.word().text, line.word().place, router)


def process(line: Line, draft: ProcessDraft) -> None:
    """`process CMD [ARGS…]`."""
    line.word()
    if line.row.raw is not None:
        words = split_command(line.row.raw)[1:]
    else:
        words = line.texts if line.has(2) else split_command(line.word().text)
    draft.process, *parameters = words or [line.word().text]
    draft.parameters = tuple(parameters)


def param_match(line: Line, draft: ProcessDraft) -> None:
    """`param_match [initial|partial]`; alone it is exact."""
    word = line.word().text if line.has(1) else "exact"
    if word in ("exact", "initial", "partial"):
        draft.param_match = word
    else:
        line.warn("LX-10", f"param_match: {line.shown(1)} is unknown; ignored", 1)


def process_delay(*names: str) -> Handler:
    """Store 1 µs to 3600 s in each of the fields."""

    def handle(line: Line, draft: ProcessDraft) -> None:
        value = line.decimal_ns(1, 1, 3600 * 1_000_000)
        for name in names if value is not None else ():
            setattr(draft, name, value)

    return handle


def close_process(line: Line, draft: ProcessDraft) -> None:
    """Define the process; the weight is 0 if none is given."""
    router = draft.router
    if not draft.process:
        line.warn("LX-7", f"track_process {draft.name} names no process; removed")
    elif draft.name in router.processes:
        line.warn("LX-9", f"track_process {draft.name} is already defined; ignored")
    else:
        _remember(router, "process", draft)
        exact = bool(draft.parameters) and not draft.param_match
        router.processes[draft.name] = ProcessConfig(
            name=draft.name,
            process=draft.process,
            parameters=draft.parameters,
            param_match="exact" if exact else draft.param_match,
            full_command=draft.full_command,
            weight=draft.weight or 0,
            reverse=draft.reverse,
            quorum=draft.quorum,
            quorum_max=draft.quorum_max,
            fork_delay_ns=draft.fork_delay_ns,
            terminate_delay_ns=draft.terminate_delay_ns,
        )


# --- the remaining blocks of the root


def interface_delay(line: Line, router: RouterDraft) -> None:
    """`IF down [up]`; an omitted up delay is 0 (§1.5)."""
    down = line.decimal_ns(1, 0, 255_000_000) if line.has(1) else None
    if down is None:
        line.warn("LX-7", "interface_up_down_delays: write INTERFACE DOWN [UP]; ignored")
        return
    up = line.decimal_ns(2, 0, 255_000_000) if line.has(2) else 0
    router.places.setdefault(("interface_delay", line.keyword), line.place)
    router.interface_delays.append(InterfaceDelay(interface=line.keyword, down_ns=down, up_ns=up or 0))


def open_garp_group(line: Line, router: RouterDraft) -> GarpGroupDraft:
    """Begin a `garp_group`."""
    return GarpGroupDraft("", line.place, router)


def add_interfaces(line: Line, draft: GarpGroupDraft) -> None:
    """LX-7: every word is an interface."""
    draft.interfaces += [word.text for word in line.row.words]


def add_interface(line: Line, draft: GarpGroupDraft) -> None:
    """`interface IF`."""
    draft.interfaces.append(line.word().text)


def close_garp_group(line: Line, draft: GarpGroupDraft) -> None:
    """Define the group; it must name interfaces and an interval."""
    if not draft.interfaces or not (draft.garp_interval_ns or draft.gna_interval_ns):
        line.warn("GA-6", "garp_group without interfaces or interval; ignored")
        return
    draft.router.garp_groups.append(
        GarpGroup(
            interfaces=tuple(draft.interfaces),
            garp_interval_ns=draft.garp_interval_ns,
            gna_interval_ns=draft.gna_interval_ns,
        )
    )


def bfd_instance(line: Line, router: RouterDraft) -> None:
    """Remember the name only."""
    router.bfds.add(line.word().text)
    not_simulated(line, router)


def not_simulated(line: Line, router: RouterDraft) -> None:
    """Class O: another subsystem."""
    if line.keyword not in router.not_simulated:
        router.not_simulated.add(line.keyword)
        line.say(Severity.INFO, "§6.2", f"{line.keyword} is not simulated; the block is skipped")


# --- the tables


def host(names: str) -> dict[str, Keyword]:
    """Keywords without effect on the protocol; their blocks are skipped."""
    return {name: Keyword(nothing, skip=True, repeatable=True) for name in names.split()}


ANY = 1000  # words


def plain(handlers: Mapping[str, Handler], *, most: int = 2) -> dict[str, Keyword]:
    """Keywords with a value of their own."""
    return {name: Keyword(handler, most=most) for name, handler in handlers.items()}


def garp_keywords(prefix: str) -> dict[str, Keyword]:
    """The GARP keywords, which `global_defs` and instances share."""
    handlers = {
        "garp_master_delay": whole_seconds("master_delay_ns"),
        "garp_master_repeat": at_least_one("master_repeat"),
        "garp_master_refresh": whole_seconds("master_refresh_ns"),
        "garp_master_refresh_repeat": at_least_one("master_refresh_repeat"),
        "garp_lower_prio_delay": whole_seconds("lower_prio_delay_ns"),
        "garp_lower_prio_repeat": integer("lower_prio_repeat", 0, INT_MAX),
    }
    return plain({prefix + name: inner("garp", handler) for name, handler in handlers.items()})


GLOBAL: Table = {
    **garp_keywords("vrrp_"),
    **plain(
        {
            "router_id": text("router_id"),
            "vrrp_version": version,
            "vrrp_mcast_group4": multicast_group(4),
            "vrrp_mcast_group6": multicast_group(6),
            "vrrp_garp_interval": seconds("garp_interval_ns"),
            "vrrp_gna_interval": seconds("gna_interval_ns"),
            "vrrp_min_garp": min_garp,
            "vrrp_down_timer_adverts": integer("down_timer_adverts", 1, 100),
            "vrrp_lower_prio_no_advert": boolean("lower_prio_no_advert"),
            "vrrp_higher_prio_send_advert": boolean("higher_prio_send_advert"),
            "vrrp_check_unicast_src": flag("check_unicast_src"),
            "vrrp_skip_check_adv_addr": skip_check,
            "vrrp_strict": flag("strict"),
            "vrrp_startup_delay": seconds("startup_delay_ns", 1000),
            "log_unknown_vrids": flag("log_unknown_vrids"),
            "vrrp_notify_priority_changes": boolean("notify_priority_changes"),
            "notify_fifo": text("notify_fifo"),
            "vrrp_notify_fifo": text("notify_fifo"),
        }
    ),
    "script_user": Keyword(script_user, most=3),
    "vrrp_owner_ignore_adverts": Keyword(boolean("owner_ignore_adverts"), needs="has_owner_ignore_adverts"),
    **host(
        """
        vrrp_garp_extra_if vrrp_vmac_garp_intvl fifo_write_vrrp_states_on_reload dynamic_interfaces
        default_interface enable_script_security vrrp_priority vrrp_rt_priority vrrp_cpu_affinity
        vrrp_rlimit_rttime vrrp_rlimit_rtime vrrp_no_swap max_auto_priority min_auto_priority_delay
        vrrp_iptables vrrp_ipsets iptables nftables nftables_priority nftables_ifindex nftables_counters
        nftables_ipvs nftables_ipvs_priority nftables_ipvs_start_fwmark vrrp_netlink_cmd_rcv_bufs
        vrrp_netlink_cmd_rcv_bufs_force vrrp_netlink_monitor_rcv_bufs vrrp_netlink_monitor_rcv_bufs_force
        process_monitor_rcv_bufs process_monitor_rcv_bufs_force vrrp_rx_bufs_policy
        vrrp_rx_bufs_multiplier disable_local_igmp vmac_prefix vmac_addr_prefix notify_fifo_script
        vrrp_notify_fifo_script lvs_sync_daemon notification_email notification_email_from smtp_server
        smtp_helo_name smtp_connect_timeout smtp_alert smtp_alert_vrrp smtp_alert_checker no_email_faults
        checker_log_all_failures process_names process_name vrrp_process_name checker_process_name
        lvs_process_name bfd_process_name startup_script startup_script_timeout shutdown_script
        shutdown_script_timeout snmp_socket enable_traps enable_snmp_vrrp enable_snmp_keepalived
        enable_snmp_checker enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3 enable_dbus
        dbus_service_name dbus_no_interface_name lvs_timeouts lvs_flush lvs_flush_on_stop lvs_notify_fifo
        lvs_notify_fifo_script lvs_netlink_cmd_rcv_bufs lvs_netlink_cmd_rcv_bufs_force
        lvs_netlink_monitor_rcv_bufs lvs_netlink_monitor_rcv_bufs_force checker_priority
        checker_no_swap checker_rt_priority checker_cpu_affinity checker_rlimit_rttime bfd_priority
        bfd_no_swap bfd_rt_priority bfd_cpu_affinity bfd_rlimit_rttime rs_init_notifies no_checker_emails
        umask random_seed reload_check_config reload_time_file reload_repeat reload_file include_check
        config_save_dir tmp_config_directory data_use_instance json_version json_dump_file
        state_dump_file stats_dump_file iproute_usr_dir iproute_etc_dir use_symlink_paths
        snmp_vrrp_update_interval snmp_checker_update_interval linkbeat_use_polling net_namespace
        net_namespace_ipvs namespace_with_ipsets instance use_pid_dir child_wait_time
        """
    ),
}

TRACK_KEYWORDS: Table = {
    "track_interface": Keyword(most=1, entry=track_interface),
    "track_script": Keyword(most=1, entry=tracker("script", "scripts", 253)),
    "track_file": Keyword(most=1, entry=tracker("file", "files", 254)),
    "track_process": Keyword(most=1, entry=tracker("process", "processes", 254)),
    "track_bfd": Keyword(most=1, entry=track_bfd),
}

NOTIFY_KEYWORDS: Table = {
    **{
        keyword: Keyword(notify(kind), repeatable=True, most=ANY)
        for keyword, kind in {
            "notify_master": "master",
            "notify_backup": "backup",
            "notify_fault": "fault",
            "notify_stop": "stop",
            "notify": "any",
        }.items()
    },
    "notify_priority_changes": Keyword(boolean("notify_priority_changes")),
    **host("smtp_alert"),
}

INSTANCE: Table = {
    **garp_keywords(""),
    **TRACK_KEYWORDS,
    **NOTIFY_KEYWORDS,
    **plain(
        {
            "state": state,
            "interface": text("interface"),
            "virtual_router_id": integer("vrid", 1, 255, strict=True),
            "priority": priority,
            "advert_int": seconds("advert_int_ns", 10_000, 255_000_000, rule="N08"),
            "version": version,
            "nopreempt": flag("nopreempt"),
            "preempt": flag("nopreempt", False),
            "preempt_delay": seconds("preempt_delay_ns", 0, 1_000_000_000),
            "down_timer_adverts": integer("down_timer_adverts", 1, 100),
            "unicast_src_ip": source,
            "mcast_src_ip": source,
            "mcast_dst_ip": multicast_destination,
            "unicast_ttl": unicast_ttl,
            "unicast_fault_no_peer": unicast_fault_no_peer,
            "check_unicast_src": check_unicast_src,
            "old_unicast_checksum": old_unicast_checksum,
            "skip_check_adv_addr": skip_check,
            "strict_mode": boolean("strict"),
            "lower_prio_no_advert": boolean("lower_prio_no_advert"),
            "higher_prio_send_advert": boolean("higher_prio_send_advert"),
            "dont_track_primary": flag("dont_track_primary"),
            "native_ipv6": native_ipv6,
            "vmac_xmit_base": flag("vmac_xmit_base"),
            "accept": flag("accept"),
            "no_accept": flag("accept", False),
        }
    ),
    "notify_deleted": Keyword(notify("deleted"), repeatable=True, most=ANY),
    "notify_master_rx_lower_pri": Keyword(notify("master_rx_lower_pri"), repeatable=True, most=ANY),
    "v3_checksum_as_v2": Keyword(v3_checksum_as_v2, needs="has_v3_checksum_as_v2"),
    "timer_expired_backup": Keyword(timer_expired_backup, needs="has_timer_expired_backup"),
    "thread_timer_expired": Keyword(timer_expired_backup, needs="has_timer_expired_backup"),
    "no_virtual_ipaddress": Keyword(flag("no_virtual_ipaddress"), needs="has_no_virtual_ipaddress"),
    "owner_ignore_adverts": Keyword(boolean("owner_ignore_adverts"), needs="has_owner_ignore_adverts"),
    "authentication": Keyword(table=plain({"auth_type": auth_type, "auth_pass": auth_pass}), most=1),
    "use_vmac": Keyword(use_vmac, most=3),
    "virtual_ipaddress": Keyword(most=1, entry=add_address),
    "virtual_ipaddress_excluded": Keyword(most=1, entry=add_excluded),
    "unicast_peer": Keyword(most=1, entry=add_peer),
    **host(
        """
        track_src_ip garp_extra_if vmac_garp_intvl use_vmac_addr use_ipvlan vrf virtual_routes
        virtual_rules promote_secondaries kernel_rx_buf_size debug lvs_sync_daemon_interface
        linkbeat_use_polling
        """
    ),
}

GROUP: Table = {
    **TRACK_KEYWORDS,
    **NOTIFY_KEYWORDS,
    "group": Keyword(most=1, entry=add_members),
    "sync_group_tracking_weight": Keyword(flag("tracking_weight")),
    "global_tracking": Keyword(flag("tracking_weight")),
}

SCRIPT: Table = {
    **plain({"script": script, "weight": script_weight, "user": script_user}, most=ANY),
    **plain(
        {
            "interval": script_interval,
            "timeout": script_timeout,
            "rise": rise_or_fall,
            "fall": rise_or_fall,
            "init_fail": init_fail,
        }
    ),
}

FILE: Table = {
    "file": Keyword(file_path, repeatable=True),
    "weight": Keyword(tracker_weight, repeatable=True, most=3),
    "init_file": Keyword(init_file, most=3),
}

PROCESS: Table = {
    "process": Keyword(process, most=ANY),
    "weight": Keyword(tracker_weight, repeatable=True, most=3),
    **plain(
        {
            "param_match": param_match,
            "full_command": flag("full_command"),
            "quorum": integer("quorum", 1, 65535),
            "quorum_max": integer("quorum_max", 0, 65535),
            "delay": process_delay("fork_delay_ns", "terminate_delay_ns"),
            "fork_delay": process_delay("fork_delay_ns"),
            "terminate_delay": process_delay("terminate_delay_ns"),
        }
    ),
}

GARP_GROUP: Table = {
    "garp_interval": Keyword(seconds("garp_interval_ns")),
    "gna_interval": Keyword(seconds("gna_interval_ns")),
    "interface": Keyword(add_interface, repeatable=True),
    "interfaces": Keyword(most=1, entry=add_interfaces),
}

_FILE_BLOCK = Keyword(opens=open_file, table=FILE, closes=close_file)
_OTHER_SUBSYSTEM = Keyword(not_simulated, skip=True, repeatable=True)

ROOT: Table = {
    "global_defs": Keyword(global_defs, table=GLOBAL, repeatable=True, most=1),
    "vrrp_instance": Keyword(opens=open_instance, table=INSTANCE),
    "vrrp_sync_group": Keyword(opens=open_group, table=GROUP),
    "vrrp_script": Keyword(opens=open_script, table=SCRIPT, closes=close_script),
    "vrrp_track_process": Keyword(opens=open_process, table=PROCESS, closes=close_process),
    "track_file": _FILE_BLOCK,
    "vrrp_track_file": _FILE_BLOCK,
    "interface_up_down_delays": Keyword(most=1, entry=interface_delay),
    "garp_group": Keyword(opens=open_garp_group, table=GARP_GROUP, closes=close_garp_group),
    "bfd_instance": Keyword(bfd_instance, skip=True, repeatable=True),
    "virtual_server": _OTHER_SUBSYSTEM,
    "virtual_server_group": _OTHER_SUBSYSTEM,
    "SSL": _OTHER_SUBSYSTEM,
    **host(
        """
        track_group static_ipaddress static_routes static_rules linkbeat_interfaces linkbeat_use_polling
        net_namespace net_namespace_ipvs namespace_with_ipsets instance use_pid_dir child_wait_time
        """
    ),
}

ALL_TABLES: tuple[Table, ...] = (ROOT, GLOBAL, INSTANCE, GROUP, SCRIPT, FILE, PROCESS, GARP_GROUP)


def read_rows(rows: Sequence[Row], dialect: Dialect, findings: list[Finding]) -> tuple[RouterDraft, bool]:
    """Return what the rows say, and whether keepalived would get to their end."""
    router = RouterDraft(dialect)
    try:
        Walker(rows, router, findings).walk()
    except FatalError:
        return router, False
    return router, True
