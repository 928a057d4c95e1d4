"""What `check` says of the small clusters in tests/cases, and of files that are sound: no false alarm."""

from pathlib import Path

import pytest

from vrrpsim.checking import check
from vrrpsim.findings import Severity

TESTS = Path(__file__).parents[1]
SAMPLES = Path("/usr/share/doc/keepalived/samples")
INFOS = {"VRRP350", "VRRP352", "VRRP351", "VRRP359", "VRRP190"}  # true of most, and asked for by few
CASES = {  # beside these infos; `VRRP430`, scripts as root, is left out where it is not the point
    "ah-master": {"VRRP354"},
    "bom-before-keyword": {"VRRP018", "VRRP021"},
    "both-master": {"VRRP229"},
    "bug-1465-address-removed": set(),
    "bug-1675-check-asks-vip": {"VRRP433"},
    "bug-1719-unicast-other-if": {"VRRP358"},
    "bug-1940-track-bfd": set(),
    "bug-2087-notify-drift": set(),
    "bug-2091-vip-is-own-address": set(),
    "bug-2114-track-file": {"VRRP206"},
    "bug-2156-all-links-down": {"VRRP203"},  # a warning: all of its links together do move it
    "bug-2164-vmac-cable": set(),
    "bug-2190-interface-recreated": set(),
    "bug-2202-ifdown-backup": set(),
    "bug-2237-late-address": set(),
    "bug-2270-unicast-no-interface": {"VRRP307"},
    "bug-2275-v6-vmac-down-at-start": set(),
    "bug-2319-strict-drops": {"VRRP336"},
    "bug-2393-pidof-symlink": {"VRRP420"},
    "bug-2485-notify-starts-service": {"VRRP435"},
    "bug-2573-same-ll-two-ifs": set(),
    "bug-2645-strict-unicast": {"VRRP336"},
    "bug-2702-peer-with-prefix": {"VRRP206"},
    "bug-truenas-v6-unicast": {"VRRP337"},
    "dual-plain": set(),
    "dual-vmac": set(),
    "empty": {"VRRP021"},
    "empty-unicast-peer": {"VRRP334"},
    "equal-backups": {"VRRP206"},
    "garp-interval-0": {"VRRP355"},
    "hint-one-sided": {"VRRP203", "VRRP225"},
    "init-curl-own-address": {"VRRP434"},
    "init-curl-port": set(),
    "init-devtcp": set(),
    "init-docker-exec": set(),
    "init-mysqladmin": set(),
    "init-nc": set(),
    "init-own-script": set(),
    "init-pg-isready": set(),
    "init-pgrep-redirect": {"VRRP421"},
    "init-ping-gateway": set(),
    "init-pkill": set(),
    "init-redis-cli": set(),
    "init-service-overwritten": set(),
    "init-service-status": set(),
    "init-sh-pgrep": set(),
    "init-systemctl": set(),
    "init-test-e": set(),
    "init-timeout-killall": set(),
    "init-wget": set(),
    "kind-1847-track-src-ip-no": {"VRRP358"},
    "kind-1847-track-src-ip-yes": {"VRRP358"},
    "kind-dev-and-weight": set(),
    "kind-mcsrc": set(),
    "kind-no-such-if": set(),
    "kind-noaddr": set(),
    "kind-routes-no-dev": {"VRRP347"},
    "kind-src-del-mc": set(),
    "kind-src-del-uni": set(),
    "kind-unisrc": {"VRRP213"},
    "kind-v6-link": set(),
    "kind-vmac-none": set(),
    "lvs-typos": {"VRRP370", "VRRP371"},
    "master-has-lower-priority": {"VRRP230"},
    "n14-behind-a-wrapper": set(),
    "nginx-file-by-mistake": {"VRRP021", "VRRP114", "VRRP103"},
    "no-accept-drops": {"VRRP357"},
    "no-twin": {"VRRP232"},
    "no-vip": {"VRRP353"},
    "peers-one-way": {"VRRP214", "VRRP220"},
    "prefix-differs": {"VRRP223"},
    "priority-255-not-owner": {"VRRP356"},
    "same-peer-list-no-source": {"VRRP219", "VRRP220"},
    "same-vrid-on-two-interfaces": {"VRRP228"},
    "script-security-missing": {"VRRP420", "VRRP430"},
    "single-quotes": {"VRRP111"},
    "source-of-the-other": {"VRRP218"},
    "strict-drops": {"VRRP336"},
    "sync-group-on-one-node": {"VRRP226"},
    "timeout-above-interval": {"VRRP430", "VRRP431"},
    "unicast-with-prefix": set(),
    "vip-is-node-address": {"VRRP221"},
    "vip-twice": {"VRRP360"},
    "vmac4": set(),
    "vmac4-xmit": set(),
    "vmac6": set(),
    "vrid-differs-no-vip": {"VRRP232", "VRRP353"},
}
ALONE = {  # folders of files that are no cluster
    "kind-fatal/dup-vrid": {"VRRP345"},
    "kind-fatal/dup-vrid-uni": {"VRRP345"},
    "kind-fatal/missing-param": {"VRRP113"},
    "kind-fatal/no-if": {"VRRP307"},
    "kind-fatal/no-if-uni": {"VRRP307"},
    "kind-fatal/no-vip-strict": {"VRRP325", "VRRP336"},
    "kind-fatal/no-vip-v3": {"VRRP325"},
    "kind-fatal/no-vip-v3-excl": {"VRRP325"},
    "kind-fatal/no-vrid": {"VRRP306"},
    "kind-fatal/track-if-missing": set(),
    "kind-fatal/vip-dev-missing": set(),
    "kind-parse/dup-vip": {"VRRP360"},
    "kind-parse/empty-peers": {"VRRP334"},
    "kind-parse/notify-redirect": {"VRRP423"},
    "kind-parse/peer-prefix": set(),
    "kind-parse/peers-inline": {"VRRP126"},
    "kind-parse/script-unquoted": {"VRRP411"},
    "kind-parse/v6-in-v4": {"VRRP125"},
    "kind-parse/vip-mask-bad": {"VRRP123"},
    "kind-parse/vips-inline": {"VRRP127"},
    "kind-parse/weight-reverse": set(),
}
LESSONS = {  # of the recorded clusters: what is wrong with them is what was recorded
    "12-weight-too-small": {"VRRP203"},
    "16a-hang-timeout3": {"VRRP431"},
    "17a-nopreempt-crash": {"VRRP204"},
    "17b-nopreempt-power": {"VRRP204"},
    "22-auth-mismatch": {"VRRP211"},
    "23a-advert-1-3-v2": {"VRRP207"},
    "23b-advert-1-3-v3": {"VRRP208"},
    "24-three-nodes": {"VRRP203"},
    "25a-equal-both-backup": {"VRRP206"},
    "26a-sync-group": {"VRRP404"},
    "28a-vrid-clash-higher": {"VRRP203", "VRRP217"},
    "29-both-master": {"VRRP229"},
    "31-vip-mismatch": {"VRRP212"},
    "44a-middle-nopreempt-crash": {"VRRP233"},
    "52-two-owners": {"VRRP205", "VRRP356"},
    "53-timer-expired-backup": {"VRRP132", "VRRP204"},
    "54-checksum-as-v2": {"VRRP132"},
    "59a-equal-backups-term": {"VRRP206"},
}


def codes(files):
    return {finding.code for finding in check(*sorted(files)).findings} - INFOS


@pytest.mark.parametrize("name", CASES)
def test_a_case_has_its_findings_and_no_other(name):
    found = codes((TESTS / "cases" / name).glob("*.conf"))
    assert found - ({"VRRP430"} - CASES[name]) == CASES[name]


@pytest.mark.parametrize("name", ALONE)
def test_a_file_has_its_findings_and_no_other(name):
    assert codes([TESTS / "cases" / f"{name}.conf"]) - {"VRRP430"} == ALONE[name]


def test_no_case_is_left_out():
    folders = {path.parent.name for path in (TESTS / "cases").glob("*/*.conf")}
    assert folders == {*CASES} | {name.partition("/")[0] for name in ALONE}


CANNOT = {
    "bug-1675-check-asks-vip",
    "bug-2393-pidof-symlink",
    "init-pgrep-redirect",
    "script-security-missing",
}


@pytest.mark.parametrize("name", sorted(CANNOT))
def test_a_pair_whose_check_never_succeeds_does_not_pass_a_gate(name):
    findings = check(*sorted((TESTS / "cases" / name).glob("*.conf"))).findings
    assert any(finding.severity is Severity.ERROR for finding in findings)


RECORDED = sorted({path.parent for path in (TESTS / "groundtruth").glob("*/*.conf")})


@pytest.mark.parametrize("folder", RECORDED, ids=lambda path: path.name)
def test_a_recorded_cluster_has_only_what_it_was_recorded_for(folder):
    expected = LESSONS.get(folder.name.partition("@")[0], set())
    assert codes(folder.glob("*.conf")) - {"VRRP354", "VRRP356", "VRRP358", "VRRP432"} <= expected | {
        "VRRP430"
    }


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="Debian's samples come with its keepalived")
def test_the_samples_of_debian_have_no_error_that_keepalived_would_not_have():
    """Looked at one by one: what is left is true of them."""
    errors = {
        path.name: {finding.code for finding in check(path).findings if finding.severity is Severity.ERROR}
        for path in sorted(SAMPLES.glob("keepalived.conf*"))
    }
    assert len(errors) > 20
    left = {"keepalived.conf.conditional_conf": {"VRRP401"}}  # without -i its script has no name, as it says
    assert {name: found for name, found in errors.items() if found} == left
