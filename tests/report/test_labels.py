"""Texts in pictures never lie on each other and never leave the paper: measured from their real extents."""

import itertools
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

import vrrpsim

ROOT = Path(__file__).parents[2]
SHIPPED = ("haproxy-crash", "packet-loss", "active-active")
NODES = [f"load-balancer-{place}-rack-{row}" for place in ("amsterdam", "rotterdam") for row in (11, 12, 13)]


def large():
    """6 nodes × 8 instances, all with long names, each node the master of some."""
    lines = ["version: 1", "name: a-cluster-with-a-rather-long-name-of-its-own", "duration: 60s"]
    lines += ["segments:", "  production-network: {subnet: 10.20.0.0/16}", "nodes:"]
    for number, node in enumerate(NODES):
        instances = ", ".join(
            f"VI_CUSTOMER_FACING_{router}: {{interface: ens192, virtual_router_id: {router + 1},"
            f" priority: {100 + (router + number) % 6 * 10},"
            f" virtual_ipaddress: [10.20.{router}.100/16]}}"
            for router in range(8)
        )
        lines += [
            f"  {node}:",
            "    interfaces:",
            f"      ens192: {{segment: production-network, address: 10.20.255.{number + 1}/16}}",
            f"    keepalived: {{vrrp_instances: {{{instances}}}}}",
        ]
    lines += ["clients:"]
    lines += [
        f"  customers-of-address-{router}: {{segment: production-network, target: '10.20.{router}.100:443',"
        " every: 100ms, timeout: 1s}"
        for router in range(4)
    ]
    lines += ["events:"]
    lines += [f"  - {{at: {20 + number * 0.4}s, power_off: {node}}}" for number, node in enumerate(NODES[:4])]
    lines += [f"  - {{at: 40s, link_down: {NODES[4]}/ens192, for: 5s}}"]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "large.yaml"
    path.write_text(large())
    return vrrpsim.load(path).run()


def drawn(figure):
    """Every text that is really drawn, with its box in pixels."""
    texts, draw = [], Text.draw

    def note(text, renderer):
        draw(text, renderer)
        if text.get_visible() and text.get_text().strip():
            texts.append((text.get_text(), text.get_window_extent(renderer)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", note)
        FigureCanvasAgg(figure).draw()
    return texts


def check(figure):
    texts, paper = drawn(figure), figure.bbox.padded(1)
    assert len(texts) > 3
    assert [text for text, box in texts if not (paper.containsx(box.x0) and paper.containsx(box.x1))] == []
    assert [text for text, box in texts if not (paper.containsy(box.y0) and paper.containsy(box.y1))] == []
    lie = [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(texts, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 2 and min(a.y1, b.y1) - max(a.y0, b.y0) > 3
    ]
    assert lie == []


def test_the_timeline_of_six_nodes_with_eight_instances(crowd):
    check(crowd.plot())


@pytest.mark.parametrize("kind", ["topology", "sequence"])
def test_other_pictures_of_six_nodes(crowd, kind):
    check(getattr(crowd, kind)())


@pytest.mark.parametrize("kind", ["plot", "topology", "sequence"])
@pytest.mark.parametrize("name", SHIPPED)
def test_the_pictures_of_shipped_scenarios(name, kind):
    check(getattr(vrrpsim.load(ROOT / "scenarios" / f"{name}.yaml").run(), kind)())
