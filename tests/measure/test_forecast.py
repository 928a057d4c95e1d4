import pytest
from pair import MS, router, scenario

from vrrpsim.measure.forecast import virtual_routers
from vrrpsim.protocol.configuration import Track
from vrrpsim.scenario.model import Keepalived, Node


def forecasts(first=router(101), second=router(100)):  # noqa: B008 - frozen
    nodes = {
        "lb1": Node(keepalived=Keepalived(config=first)),
        "lb2": Node(keepalived=Keepalived(config=second)),
    }
    [one] = virtual_routers(scenario(nodes=nodes))
    return {each.failure: (each.best_ns, each.worst_ns) for each in one.forecasts}


def changed(config, **changes):
    return config._replace(instances=(config.instances[0]._replace(**changes),))


def near(pair, best_ms, worst_ms):
    return pair == (pytest.approx(best_ms * MS, abs=MS), pytest.approx(worst_ms * MS, abs=MS))


def test_the_worked_example_of_the_reference():
    """keepalived.md §2.3: priorities 101 and 100, weight 2, interval 2."""
    times = forecasts()
    assert near(times["power loss of lb1"], 2602, 3602)
    assert near(times["stop of keepalived on lb1"], 602, 602)
    assert near(times["chk_haproxy fails on lb1"], 2602, 5602)


def test_an_unweighted_check_is_fast():
    first = changed(router(103), track_scripts=(Track("chk_haproxy"),))
    assert near(forecasts(first)["chk_haproxy fails on lb1"], 602, 2602)


def test_a_weight_too_small_never_moves_the_addresses():
    assert forecasts(router(110))["chk_haproxy fails on lb1"] == (None, None)


def test_nopreempt_on_the_rival_blocks_a_weight():
    second = changed(router(100), preempt=False)
    assert forecasts(second=second)["chk_haproxy fails on lb1"] == (None, None)


def test_a_lone_node_has_no_rival():
    [one] = virtual_routers(scenario(nodes={"lb1": Node(keepalived=Keepalived(config=router(101)))}))
    assert (one.rival, one.forecasts) == (None, ())
