"""Which files are compared with which: never strangers."""

import cProfile
import pstats

import pytest
from checking.conf_files import codes, instance, node, peers, write

import vrrpsim


def clusters(report):
    """The stems of the files, by cluster."""
    found = {}
    for each in report.files:
        found.setdefault(each.cluster, set()).add(each.file.rpartition("/")[2].removesuffix(".conf"))
    return sorted(map(sorted, found.values()))


def test_clusters_of_one_vrid_in_other_networks_are_strangers(tmp_path):
    """51 is in every example of the manual: alone it says nothing."""
    files = write(
        tmp_path,
        a1=node("192.0.2.100/24", priority=150),
        a2=node("192.0.2.100/24"),
        b1=node("198.51.100.1/24", priority=150),
        b2=node("198.51.100.1/24"),
    )
    report = vrrpsim.check(*files)
    assert clusters(report) == [["a1", "a2"], ["b1", "b2"]]
    assert not [code for code in codes(report) if code.startswith("VRRP2")]


def test_two_clusters_in_one_network_are_not_one_because_of_their_vrid(tmp_path):
    files = write(
        tmp_path,
        a1=node("192.0.2.100/24", priority=150),
        a2=node("192.0.2.100/24"),
        b1=node("192.0.2.200/24", priority=150),
        b2=node("192.0.2.200/24"),
    )
    assert clusters(vrrpsim.check(*files)) == [["a1", "a2"], ["b1", "b2"]]


def test_a_file_whose_address_differs_joins_those_with_its_vrid_in_its_network(tmp_path):
    files = write(
        tmp_path,
        a1=node("192.0.2.100/24", priority=150),
        a2=node("192.0.2.100/24"),
        a3=node("192.0.2.101/24", priority=90),
        other=node("203.0.113.1/24"),
    )
    report = vrrpsim.check(*files)
    assert clusters(report) == [["a1", "a2", "a3"], ["other"]]
    assert "VRRP212" in codes(report)


def test_addresses_are_used_again_at_other_sites(tmp_path):
    for site in ("north", "south"):
        write(tmp_path / site, **{f"{site}1": node(priority=150), f"{site}2": node()})
    assert clusters(vrrpsim.check(tmp_path)) == [["north1", "north2"], ["south1", "south2"]]


def test_nodes_may_have_a_folder_each(tmp_path):
    for at, name in enumerate(("lb1", "lb2", "lb3")):
        write(tmp_path / "host_vars" / name, **{name: node(priority=150 - at)})
    assert clusters(vrrpsim.check(tmp_path)) == [["lb1", "lb2", "lb3"]]


def test_of_many_nodes_the_one_that_differs_is_told_once(tmp_path):
    files = {f"n{at}": node(priority=150 - at) for at in range(40)}
    files["n7"] = node("192.0.2.100/24", "advert_int 3", priority=143)
    report = vrrpsim.check(*write(tmp_path, **files))
    [finding] = [each for each in report.findings if each.code == "VRRP207"]
    assert finding.place.file.endswith("n7.conf")


def test_peers_make_a_cluster(tmp_path):
    files = write(
        tmp_path,
        a=node("192.0.2.100/24", *peers("192.0.2.1", "192.0.2.2"), priority=150),
        b=node("192.0.2.101/24", *peers("192.0.2.2", "192.0.2.1"), vrid=52),
        c=node("192.0.2.102/24", *peers("192.0.2.3", "192.0.2.4"), vrid=53),
    )
    assert clusters(vrrpsim.check(*files)) == [["a", "b"], ["c"]]


def test_a_shared_address_makes_a_cluster_whatever_the_vrid(tmp_path):
    files = write(tmp_path, a=node(priority=150), b=node(vrid=52), c=node("203.0.113.1/24", vrid=53))
    report = vrrpsim.check(*files)
    assert clusters(report) == [["a", "b"], ["c"]]
    assert "VRRP201" in codes(report)


def test_two_files_are_a_pair(tmp_path):
    files = write(tmp_path, a=node("192.0.2.100/24"), b=node("203.0.113.1/24", vrid=52))
    assert clusters(vrrpsim.check(*files)) == [["a", "b"]]


def test_a_cluster_can_be_said(tmp_path):
    a, b, c = write(tmp_path, a=node(priority=150), b=node("203.0.113.1/24"), c=node("198.51.100.1/24"))
    report = vrrpsim.check(a, b, c, clusters=[[a, b]])
    assert clusters(report) == [["a", "b"], ["c"]]
    assert codes(report).count("VRRP212") == 1


def test_nodes_of_one_file_are_said_by_their_id(tmp_path):
    [file] = write(tmp_path, both=f"@a {instance('priority 150')}@b {instance()}".replace("\n", "\n"))
    text = "@a $PRIO=150\n@b $PRIO=300\n" + instance("priority $PRIO")
    file.write_text(text)
    report = vrrpsim.check(f"{file}@a", f"{file}@b")
    assert [each.file for each in report.files] == [f"{file}@a", f"{file}@b"]
    assert {each.cluster for each in report.files} == {1}
    assert codes(report).count("VRRP303") == 1


def test_what_both_ids_share_is_said_once(tmp_path):
    [file] = write(tmp_path, both="@a $PRIO=150\n@b $PRIO=100\n" + instance("priority $PRIO", "foo"))
    assert codes(vrrpsim.check(f"{file}@a", f"{file}@b")).count("VRRP114") == 1


def test_a_file_that_another_includes_is_a_part_of_it(tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "vi.conf").write_text(instance("foo"))
    (tmp_path / "keepalived.conf").write_text("include conf.d/*.conf\n")
    report = vrrpsim.check(tmp_path)
    assert [each.file for each in report.files] == [str(tmp_path / "keepalived.conf")]
    assert str(report.findings[0].place).startswith(str(tmp_path / "conf.d" / "vi.conf:"))


def test_the_work_for_a_thousand_files_is_in_proportion(tmp_path):
    def calls(number):  # counted, not timed: a busy machine counts the same
        folder = tmp_path / str(number)
        for at in range(number // 2):
            vip = f"10.{at // 250}.{at % 250}.100/24"
            write(folder, **{f"a{at}": node(vip, priority=150), f"b{at}": node(vip)})
        profile = cProfile.Profile()
        report = profile.runcall(vrrpsim.check, folder)
        assert len({each.cluster for each in report.files}) == number // 2
        return pstats.Stats(profile).total_calls

    calls(10)  # imports
    assert calls(800) < 8.5 * calls(100)


@pytest.mark.parametrize("number", [3, 40])
def test_every_file_is_in_one_cluster(tmp_path, number):
    files = write(tmp_path, **{f"n{at}": node(f"10.0.{at}.1/24") for at in range(number)})
    report = vrrpsim.check(*files)
    assert len(report.files) == len(files)
    assert len({each.cluster for each in report.files}) == number
