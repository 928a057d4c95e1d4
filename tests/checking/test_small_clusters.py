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
    "bug-1675-check-asks-vip": {"VRRP433"},
    "bug-2156-all-links-down": {"VRRP203"},  # a warning: all of its links together do move it
    "bug-2319-strict-drops": {"VRRP336"},
    "bug-2393-pidof-symlink": {"VRRP420"},
    "bug-2485-notify-starts-service": {"VRRP435"},
    "dual-plain": set(),
    "dual-vmac": set(),
    "empty": {"VRRP021"},
    "empty-unicast-peer": {"VRRP334"},
    "equal-backups": {"VRRP206"},
    "garp-interval-0": {"VRRP355"},
    "hint-one-sided": {"VRRP203", "VRRP225"},
    "init-pgrep-redirect": {"VRRP421"},
    "init-nc": set(),
    "init-sh-pgrep": set(),
    "init-wget": set(),
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
    "source-of-the-other": {"VRRP218", "VRRP219"},
    "strict-drops": {"VRRP336"},
    "sync-group-on-one-node": {"VRRP226"},
    "timeout-above-interval": {"VRRP430", "VRRP431"},
    "unicast-with-prefix": set(),
    "vip-is-node-address": {"VRRP221"},
    "vip-twice": {"VRRP360"},
    "vmac4": set(),
    "vrid-differs-no-vip": {"VRRP232", "VRRP353"},
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
    "53-timer-expired-backup": {"VRRP114", "VRRP204"},
    "54-checksum-as-v2": {"VRRP114"},
    "59a-equal-backups-term": {"VRRP206"},
}


def codes(files):
    return {finding.code for finding in check(*sorted(files)).findings} - INFOS


@pytest.mark.parametrize("name", CASES)
def test_a_case_has_its_findings_and_no_other(name):
    found = codes((TESTS / "cases" / name).glob("*.conf"))
    assert found - ({"VRRP430"} - CASES[name]) == CASES[name]


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
