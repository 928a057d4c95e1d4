"""What one configuration leaves to chance, though keepalived takes it: what `check` says beside the reader.

Nothing here changes what the configuration means; each finding is a rule of the catalogue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network

from vrrpsim.findings import Finding, Place
from vrrpsim.protocol.configuration import (
    SECOND_NS,
    AuthType,
    RouterConfig,
    ScriptConfig,
)
from vrrpsim.protocol.dialect import Dialect

from .commands import base, meaning_of, unwrapped
from .compiler import Compiled
from .lexer import Row, Word
from .lvs import lvs
from .members import Member

SLOW_NS = 10 * SECOND_NS
MARKERS = ("<<<<<<<", "=======", ">>>>>>>")
Line = tuple[tuple[str, ...], Row]  # the blocks around it, from outside


def one_file(
    compiled: Compiled, members: Sequence[Member], dialect: Dialect, file: str, *, asked: bool
) -> tuple[Finding, ...]:
    """Return what is to be said of a file by itself, whoever is beside it; `members` are its instances."""
    lines = [*_lines(compiled.rows)]
    config = compiled.config or RouterConfig()
    bare = _without_prefix(lines)
    found = [
        *_whole(compiled, lines, file, asked),
        *_globals(lines),
        *_empty_peers(compiled.rows),
        *lvs(lines),
    ]
    for member in members:
        found += _instance(member, lines, bare)
        found += _checks(member)
    for script in config.scripts:
        found += _script(compiled, script, dialect)
    found += _root(compiled, config, lines)
    return tuple(sorted(dict.fromkeys(found), key=lambda each: (each.place, each.code)))


def conflict(rows: Sequence[Row]) -> Finding | None:
    """Return the first conflict marker of a merge that was not finished."""
    for row in rows:
        if row.words[0].text.startswith(MARKERS[0]) or row.words[0].text in MARKERS:
            message = "a merge was not finished: both sides stand here, between conflict markers"
            return Finding(row.words[0].place, "VRRP019", message)
    return None


def _lines(rows: Sequence[Row]) -> Iterator[Line]:
    around: list[str] = []
    before = ""
    for row in rows:
        if row.brace == "{":
            around.append(before)
        elif row.brace == "}":
            around = around[:-1]
        else:
            before = row.words[0].text
            yield tuple(around), row


def _whole(compiled: Compiled, lines: Sequence[Line], file: str, asked: bool) -> Iterator[Finding]:
    first = next((row.words[0].text for _, row in lines), "")
    serves = any(row.words[0].text in ("virtual_server", "virtual_server_group") for _, row in lines)
    if not compiled.instances and not serves:
        what = "it is empty" if not first else f"it begins with '{first[:40]}'"
        yield Finding(Place(file, 1, 1), "VRRP021", f"has no vrrp_instance: {what}")
    if compiled.depends_on_id and not asked:
        message = "lines with @ hold for one configuration only: say which with --config-id, or as FILE@ID"
        yield Finding(Place(file, 1, 1), "VRRP033", message)


def _globals(lines: Sequence[Line]) -> Iterator[Finding]:
    mails = False
    for around, row in lines:
        keyword, words = row.words[0], [word.text for word in row.words]
        if around == ("global_defs",):
            mails = mails or words[0] in ("smtp_server", "notification_email")
            if words[0] in ("vrrp_garp_interval", "vrrp_gna_interval") and words[1:2] in (["0"], ["0.0"]):
                message = f"{words[0]} 0 is refused; leave it out, that is the same"
                yield Finding(keyword.place, "VRRP355", message)
        if around[-1:] == ("notification_email",) and "@" not in words[0]:
            message = f"'{words[0]}' is taken for an address; close the block of notification_email before it"
            yield Finding(keyword.place, "VRRP361", message)
    if not mails:
        for around, row in lines:
            if row.words[0].text == "smtp_alert" and around[:1] in (("vrrp_instance",), ("vrrp_sync_group",)):
                message = "smtp_alert without notification_email in global_defs: nobody is told"
                yield Finding(row.words[0].place, "VRRP362", message)


def _empty_peers(rows: Sequence[Row]) -> Iterator[Finding]:
    for row, opening, closing in zip(rows, rows[1:], rows[2:], strict=False):
        if row.words[0].text == "unicast_peer" and (opening.brace, closing.brace) == ("{", "}"):
            yield Finding(row.words[0].place, "VRRP334", "unicast_peer is empty: multicast is used")


# --- an instance ----------------------------------------------------------------------------------


def _without_prefix(lines: Sequence[Line]) -> dict[str, list[Word]]:
    """Where each virtual address stands that has no /LEN."""
    found: defaultdict[str, list[Word]] = defaultdict(list)
    for around, row in lines:
        word = row.words[0]
        if around[-1:] in (("virtual_ipaddress",), ("virtual_ipaddress_excluded",)) and "/" not in word.text:
            found[word.text].append(word)
    return found


def _instance(
    member: Member, lines: Sequence[Line], without: Mapping[str, Sequence[Word]]
) -> Iterator[Finding]:
    instance, begins = member.config, member.at("")

    def said(code: str, keyword: str, message: str) -> Finding:
        return Finding(member.at(keyword), code, message)

    tracked = sum(map(len, instance.tracked.values()))
    if not tracked and not any(route.interfaces for route in instance.routes):
        yield said("VRRP350", "", "nothing is tracked: only the death of the node moves the addresses")
    if not instance.addresses and not instance.excluded:
        yield said("VRRP353", "", "no virtual_ipaddress: nothing moves")
    own = dict.fromkeys(str(each.address) for each in (*instance.addresses, *instance.excluded))
    places = (word for address in own for word in without.get(address, ()) if word.place >= begins)
    bare = sorted(places, key=lambda word: word.place)
    if bare:
        length = 32 if instance.family == 4 else 128
        more = f" and {len(bare) - 1} more" if len(bare) > 1 else ""
        yield Finding(bare[0].place, "VRRP351", f"{bare[0].text}{more} without /LEN is a /{length}")
    auth = instance.authentication.auth_type
    if instance.version == 2 and auth is AuthType.NONE and not instance.unicast:
        yield said("VRRP352", "", "no authentication: anybody on the segment can take the addresses")
    if auth is AuthType.AH and _words(lines, member.at("state"))[:2] == ["state", "MASTER"]:
        yield said("VRRP354", "state", "state MASTER is ignored with auth_type AH")
    if instance.is_owner:
        message = "priority 255 takes over from everybody at once and ignores weights; 254 does neither"
        yield said("VRRP356", "priority", message)
    if not instance.accept and not instance.strict:
        message = "no_accept: the host drops what is sent to the addresses, except as a router's next hop"
        yield said("VRRP357", "no_accept", message)
    if member.deaf:
        message = "it listens at its link-local address and its peers send to another; say unicast_src_ip"
        yield said("VRRP337", "unicast_peer", message)
    yield from _networks(member)
    if instance.use_vmac and instance.preempt and not instance.is_owner:
        message = "at a return clients may wait for the second burst of gratuitous ARP (garp_master_delay)"
        yield said("VRRP359", "use_vmac", message)
    seen: set[object] = set()
    for entry in (*instance.addresses, *instance.excluded):
        there = (entry.address, entry.interface or instance.interface)
        if there in seen:
            yield said("VRRP360", "virtual_ipaddress", f"{entry.address} stands here twice")
        seen.add(there)


def _words(lines: Sequence[Line], place: Place) -> list[str]:
    found = next((row for _, row in lines if row.words[0].place == place), None)
    return [word.text for word in found.words] if found else []


def _networks(member: Member) -> Iterator[Finding]:
    """A node can only answer for an address whose network it is in, or to which there is a route."""
    instance = member.config
    known = [peer.address for peer in instance.unicast_peers]
    known += [instance.source] if instance.source is not None else []
    for entry in instance.addresses:
        whole = entry.prefix_length == entry.address.max_prefixlen
        bits = (24 if entry.address.version == 4 else 64) if whole else entry.prefix_length
        network = ip_network(f"{entry.address}/{bits}", strict=False)
        alike = [each for each in known if each.version == entry.address.version]
        if alike and entry.interface in (None, instance.interface) and not any(a in network for a in alike):
            message = f"{entry.address} is in no network of a source or peer, such as {alike[0]}"
            yield Finding(member.at("virtual_ipaddress"), "VRRP358", message)


# --- checks and notify scripts --------------------------------------------------------------------


def _script(compiled: Compiled, script: ScriptConfig, dialect: Dialect) -> Iterator[Finding]:
    place = compiled.places.get(("script", script.name)) or Place(script.name, 1, 1)

    def at(keyword: str) -> Place:
        return compiled.places.get(("script", script.name, keyword)) or place

    if script.timeout_ns > script.interval_ns and dialect.runs_overlapping_scripts:
        message = f"{script.name}: timeout is longer than interval, so a second copy begins beside the first"
        yield Finding(at("timeout"), "VRRP431", message)
    slow_ns = script.interval_ns * script.fall
    if slow_ns > SLOW_NS:
        message = f"{script.name}: it takes {slow_ns / 1e9:g} s to count a failure (interval × fall)"
        yield Finding(at("interval"), "VRRP432", message)
    words = [*unwrapped(script.words)]
    if words and base(words[0]) == "curl":
        short = {letter for word in words if word[:1] == "-" and word[:2] != "--" for letter in word[1:]}
        if "f" not in short and not any(word.startswith("--fail") for word in words):
            message = f"{script.name}: curl without -f takes an error page for success"
            yield Finding(at("script"), "VRRP434", message)


def _checks(member: Member) -> Iterator[Finding]:
    instance = member.config
    own = {entry.address for entry in (*instance.addresses, *instance.excluded)}
    notify = instance.notify
    told = [notify.master, notify.backup, notify.fault, notify.stop, notify.any]
    for track in instance.track_scripts:
        script = member.script(track.name)
        if script is None:
            continue
        place = member.places.get(("script", script.name, "script")) or member.at("")
        looks = meaning_of(script.command)
        if looks.answers is not None and looks.answers.address in own:
            message = f"{script.name} asks {looks.answers.address}, the address that it decides about"
            yield Finding(place, "VRRP433", message)
        if looks.process and any(_touches(command, looks.process) for command in told):
            message = f"a notify script of {instance.name} starts or stops {looks.process}, which it watches"
            yield Finding(place, "VRRP435", message)


def _touches(command: str, process: str) -> bool:
    words = {base(word) for word in command.replace("'", " ").replace(";", " ").split()}
    verbs = {"start", "stop", "restart", "kill", "killall", "pkill"}
    return bool(words & verbs) and any(word.removesuffix(".service") == process for word in words)


def _root(compiled: Compiled, config: RouterConfig, lines: Sequence[Line]) -> Iterator[Finding]:
    """Of 2.2.7: without script_user scripts run as root, and it calls that a violation."""
    said = {row.words[0].text for _, row in lines}
    if said & {"script_user", "enable_script_security"}:
        return
    tracked = [compiled.places.get(("script", script.name)) for script in config.scripts if not script.user]
    first = min((place for place in tracked if place), default=None)
    if first:
        message = "scripts run as root: set script_user and enable_script_security in global_defs"
        yield Finding(first, "VRRP430", message)
