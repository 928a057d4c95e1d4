"""Small inputs with right answers: what 2.2.7 did with each, in tests/cases (its README says where).

A row is who has the address at the end, `+` between several, "" nobody; or that nobody is ever answered.
Messages of `check` are tested where the rules are.
"""

import shutil
from functools import cache
from pathlib import Path

import pytest

import vrrpsim
from vrrpsim.findings import InputError
from vrrpsim.keepalived.compiler import read_keepalived
from vrrpsim.measure.told import told
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.trace import AdvertSent, Level, StateChange

CASES = Path(__file__).parents[1] / "cases"

OWNERS = {
    "bug-1465-address-removed/s.yaml": "b",
    "bug-1675-check-asks-vip/s.yaml": "",
    "bug-1719-unicast-other-if/s.yaml": "a",
    "bug-1940-track-bfd/s.yaml": "b",
    "bug-2087-notify-drift/s.yaml": "a",
    "bug-2091-vip-is-own-address/own.yaml": "b",
    "bug-2156-all-links-down/s.yaml": "b",
    "bug-2164-vmac-cable/s.yaml": "a",
    "bug-2202-ifdown-backup/s.yaml": "a+b",
    "bug-2237-late-address/s.yaml": "b",
    "bug-2275-v6-vmac-down-at-start/s.yaml": "a",
    "bug-2275-v6-vmac-down-at-start/set-down.yaml": "b",
    "bug-2319-strict-drops/s.yaml": "a",
    "bug-2393-pidof-symlink/s.yaml": "",
    "bug-2485-notify-starts-service/s.yaml": "a",
    "bug-2645-strict-unicast/s.yaml": "a",
    "bug-truenas-v6-unicast/s.yaml": "a+b",
    "kind-dev-and-weight/s.yaml": "b",
    "kind-mcsrc/s.yaml": "a",
    "kind-no-such-if/s.yaml": "b",
    "kind-noaddr/s.yaml": "b",
    "kind-routes-no-dev/s.yaml": "a",
    "kind-unisrc/s.yaml": "b",
    "kind-v6-link/s.yaml": "a",
    "kind-vmac-none/s.yaml": "a",
    "lab/a-bfd-session-that-is-cut.yaml": "a",
    "lab/a-check-that-asks-the-gateway.yaml": "a",
    "lab/a-check-that-gives-up.yaml": "a",
    "lab/a-check-that-never-succeeds.yaml": "b",
    "lab/a-notify-script-starts-the-service.yaml": "a",
    "lab/a-tracked-file.yaml": "a",
    "lab/a-unicast-source-that-comes-late.yaml": "b",
    "lab/a-virtual-address-of-its-own.yaml": "b",
    "lab/an-address-that-comes-back.yaml": "a",
    "lab/an-address-that-comes-late.yaml": "a",
    "lab/an-owner-stops.yaml": "b",
    "lab/backup-loses-its-unicast-source.yaml": "a+b",
    "lab/ipv6-unicast-without-source.yaml": "a+b",
    "lab/master-loses-its-address.yaml": "b",
    "lab/peers-with-a-prefix.yaml": "b",
    "lab/routes-track-their-interface.yaml": "b",
    "lab/set-down-and-up.yaml": "a",
    "lab/strict-drops-requests.yaml": "a",
    "lab/strict-with-unicast.yaml": "b",
    "lab/two-switches-cable.yaml": "a",
    "lab/two-switches-power.yaml": "a",
    "lab/two-switches-one-way.yaml": "a+b",
    "lab/multicast-interface-recreated.yaml": "a",
    "lab/unicast-interface-recreated.yaml": "",
    "lab/unicast-over-another-interface.yaml": "b",
}
UNANSWERED = (
    "bug-2319-strict-drops/s.yaml",
    "bug-2645-strict-unicast/s.yaml",
    "lab/strict-drops-requests.yaml",
    "lab/strict-with-unicast.yaml",
)
DRAFTS = {  # configurations alone, through `vrrpsim init`: the owner at the end
    "bug-2573-same-ll-two-ifs": "a",
    "dual-plain": "a",
    "dual-vmac": "a",
    "equal-backups": "a",
    "no-accept-drops": "a",
    "peers-one-way": "a+b",
    "same-peer-list-no-source": "a",
    "source-of-the-other": "a",
    "same-vrid-on-two-interfaces": "a",
    "strict-drops": "a",
    "unicast-with-prefix": "a",
    "vip-is-node-address": "b",
    "vmac4": "a",
    "vmac6": "a",
}
REFUSED = {  # keepalived exits
    "bug-2270-unicast-no-interface/s.yaml": "interface must be set",
}


@cache
def ran(path):
    return vrrpsim.load(CASES / path).run()


def last_owners(run):
    [owned, *_] = run.result.ownerships
    return "+".join(sorted(owned.line.owners[-1]))


@pytest.mark.parametrize(("path", "owners"), OWNERS.items(), ids=list(OWNERS))
def test_who_has_the_address_in_the_end(path, owners):
    assert last_owners(ran(path)) == owners


NEVER_OWNED = {path for path, owners in OWNERS.items() if not owners}


@pytest.mark.parametrize(
    "path", sorted({*OWNERS} - {*UNANSWERED} - NEVER_OWNED - {"bug-2091-vip-is-own-address/own.yaml"})
)
def test_clients_are_answered_unless_the_host_drops(path):
    assert all(client.answered for client in ran(path).result.clients.values())


@pytest.mark.parametrize("path", UNANSWERED)
def test_a_host_that_drops_never_answers(path):
    assert not any(client.answered for client in ran(path).result.clients.values())
    assert "drops requests" in ran(path).text()


@pytest.mark.parametrize(("folder", "owners"), DRAFTS.items(), ids=list(DRAFTS))
def test_what_init_makes_of_configurations(folder, owners, tmp_path):
    files = sorted((CASES / folder).glob("*.conf"))
    vrrpsim.init(*files, out=tmp_path / "my.yaml")
    run = vrrpsim.load(tmp_path / "my.yaml").run()
    assert last_owners(run) == owners
    answered = any(client.answered for client in run.result.clients.values())
    assert answered is (folder not in ("strict-drops", "no-accept-drops"))


@pytest.mark.parametrize(("path", "message"), REFUSED.items(), ids=list(REFUSED))
def test_what_keepalived_does_not_start_with(path, message):
    with pytest.raises(InputError, match=message):
        vrrpsim.load(CASES / path)
    for version, owners in (("2.2.8", "a"), ("2.3.3", "a")):  # mended there
        assert last_owners(vrrpsim.load(CASES / path, {"dialect": f"keepalived-{version}"}).run()) == owners


def test_what_notify_scripts_said_last_may_differ_from_the_owner():
    """field.md, #2087: b claimed during the cut, and nobody corrects it."""
    run = ran("bug-2087-notify-drift/s.yaml")
    assert told(run.scenario, run.trace.records)["192.0.2.200"][-1][1] == "b"
    assert "told 192.0.2.200" in run.text()


def test_peers_with_a_prefix_are_unicast():
    run = vrrpsim.load(CASES / "bug-2702-peer-with-prefix/s.yaml").run(level=Level.ADVERTS)
    sent = {record.destination for record in run.trace.records if isinstance(record, AdvertSent)}
    assert sent <= {"192.0.2.11", "192.0.2.12"}


def test_an_interface_of_a_route_or_a_rule_is_tracked(tmp_path):
    """field.md 5: FAULT, priority 0, the peer in 0.6 s; without `dev`, or with no_track, nothing."""
    text = (CASES / "lab/routes-track-their-interface.yaml").read_text()
    route = '"203.0.113.0/24 via 198.51.100.1 dev eth1"'
    rows = {
        f"virtual_routes: [{route}]": "b",
        'virtual_routes: ["203.0.113.0/24 via 198.51.100.1"]': "a",
        'virtual_routes: ["203.0.113.0/24 dev eth1 no_track"]': "a",
        'virtual_rules: ["from 192.0.2.200 iif eth1 table 9"]': "b",
    }
    for row, owners in rows.items():
        path = tmp_path / "s.yaml"
        path.write_text(text.replace(f"virtual_routes: [{route}]", row))
        assert last_owners(vrrpsim.load(path).run()) == owners, row


def test_a_unicast_source_is_missed_for_ever():
    """field.md 17: FAULT, and still FAULT after the address has come."""
    run = ran("lab/a-unicast-source-that-comes-late.yaml")
    states = [r.new for r in run.trace.records if isinstance(r, StateChange) and r.node == "a"]
    assert states == ["FAULT"]


def test_init_file_counts_at_the_start(tmp_path):
    """field.md 15: `init_file 60 overwrite` on a (150 against 140): b is Master."""
    for name in ("a", "b"):
        shutil.copy(CASES / f"bug-2114-track-file/{name}.conf", tmp_path)
    conf = tmp_path / "a.conf"
    conf.write_text(conf.read_text().replace("init_file 0 overwrite", "init_file 60 overwrite"))
    scenario = (CASES / "bug-2114-track-file/s.yaml").read_text()
    (tmp_path / "s.yaml").write_text(scenario[: scenario.index("events:")])
    assert last_owners(vrrpsim.load(tmp_path / "s.yaml").run()) == "b"


def test_every_input_has_its_row_or_its_reason():
    rows = {Path(path).parts[0] for path in (*OWNERS, *REFUSED)} | {*DRAFTS}
    about_runs = {path.parent.name for path in CASES.glob("*/*.yaml")} - {"fidelity", "kind-fatal"}
    assert about_runs - {"bug-2114-track-file", "bug-2702-peer-with-prefix"} <= rows


def test_a_reload_opens_the_sockets_of_an_interface_that_was_made_again():
    """Asked of 2.2.7: SIGHUP five seconds later, and it is MASTER 3.6 s after that."""
    lost = vrrpsim.Scenario.of(CASES / "lab/unicast-interface-recreated.yaml")
    run = lost.event(at=20, reload="a").run()
    assert last_owners(run) == "a"
    [back] = [each for each in run.trace.records if isinstance(each, StateChange) and each.at_ns > 20e9][:1]
    assert (back.node, back.new) == ("a", "MASTER")
    assert 23.5e9 < back.at_ns < 23.7e9


def states_of_a(run):
    return [
        (each.new, each.at_ns / 1e9)
        for each in run.trace.records
        if isinstance(each, StateChange) and each.node == "a" and each.at_ns > 10e9
    ]


def test_a_macvlan_keeps_the_link_local_address_of_the_start(tmp_path):
    """Asked of 2.2.7: IPv6, the card set down at 8 s and up at 16 s, with a macvlan and without one.

    The macvlan has its address still; a card has one again when the kernel has looked for a duplicate.
    """
    for name in ("a", "b"):
        conf = CASES / f"bug-2275-v6-vmac-down-at-start/{name}.conf"
        (tmp_path / f"{name}.conf").write_text(conf.read_text())
    text = (CASES / "bug-2275-v6-vmac-down-at-start/set-down.yaml").read_text()
    (tmp_path / "s.yaml").write_text(text.replace("at: 2s", "at: 8s").replace(", starts: 4s", ""))
    [(state, at_s), *_] = states_of_a(vrrpsim.load(tmp_path / "s.yaml").run())
    assert state == "BACKUP"
    assert 16 <= at_s < 16.1
    for name in ("a", "b"):
        conf = tmp_path / f"{name}.conf"
        conf.write_text(conf.read_text().replace("use_vmac vrrp6\n", "\n"))
    [(state, at_s), *_] = states_of_a(vrrpsim.load(tmp_path / "s.yaml").run())
    assert state == "BACKUP"
    assert 17 <= at_s < 18.1


def test_a_reload_finds_the_link_local_address_that_was_missing_at_the_start():
    """Asked of 2.2.7: BACKUP at once; 2.3.3 was mended (keepalived issue 2574)."""
    path = CASES / "bug-2275-v6-vmac-down-at-start/set-down.yaml"
    run = vrrpsim.Scenario.of(path).event(at=20, reload="a").run()
    assert [state for state, _ in states_of_a(run)] == ["BACKUP", "MASTER"]
    assert last_owners(vrrpsim.load(path, {"dialect": "keepalived-2.3.3"}).run()) == "a"


def test_both_interfaces_carry_a_link_local_address_of_a_virtual_router():
    """bug-2573, asked of 2.2.7; by its source, 2.3.3 ignores the second one."""
    conf = CASES / "bug-2573-same-ll-two-ifs/a.conf"
    for dialect, count in (("keepalived-2.2.7", 2), ("keepalived-2.3.3", 1), ("keepalived-2.3.4", 2)):
        compiled = read_keepalived(conf, dialect=DIALECTS[dialect])
        assert len(compiled.config.instances[0].addresses) == count
        assert ("VRRP338" in {each.code for each in compiled.findings}) is (count == 1)
