"""`vrrpsim show`: what a scenario means before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ._complete import inputs
from ._options import InputFile, look, set_option
from ._pictures import draw, plot_option

if TYPE_CHECKING:
    import networkx as nx

    from vrrpsim.keepalived.members import Member
    from vrrpsim.measure.forecast import Forecast, VirtualRouter
    from vrrpsim.measure.keywords import DaemonRules
    from vrrpsim.scenario.model import Scenario


@click.command(
    epilog="""\b
Examples:
  vrrpsim show haproxy-crash
  vrrpsim show haproxy-crash --graph mermaid
  vrrpsim show partition --plot cluster.svg --at 30s
"""
)
@click.argument("file", metavar="SCENARIO", type=InputFile(), shell_complete=inputs)
@set_option
@click.option("--graph", type=click.Choice(["text", "mermaid"]), help="Print the topology only.")
@plot_option("Draw the topology.")
@click.option("--at", metavar="TIME", help="With --plot: who owns what and what is cut then, in a run.")
def command(
    file: Path, overrides: dict[str, str], graph: str | None, plot: Path | None, at: str | None
) -> None:
    """Show timers, failover times by formula, topology.

    Everything that follows from the configuration before anything runs.
    """
    from vrrpsim.scenario.file.reader import load_scenario
    from vrrpsim.scenario.network import graph_of as topology

    if at and not plot:
        raise click.UsageError("--at needs --plot")
    scenario = load_scenario(file, overrides=overrides)
    if plot:
        _plot(scenario, plot, at)
    if graph == "mermaid":
        lines = list(mermaid(topology(scenario)))
    elif graph == "text":
        lines = list(topology_text(scenario))
    else:
        lines = [*_routers(scenario), "TOPOLOGY", *topology_text(scenario)]
    click.echo(look().styled("\n".join(lines)))


def _plot(scenario: Scenario, file: Path, at: str | None) -> None:
    """Draw the scenario, or with an instant the run with its own seed."""
    from vrrpsim.api import Study
    from vrrpsim.measure import measure
    from vrrpsim.report.topology import topology
    from vrrpsim.scenario.quantities import parse_duration_ns
    from vrrpsim.trace import Trace

    if at is None:
        picture = topology(scenario, Trace(), measure(scenario, Trace()), 0)
    else:
        try:
            at_ns = parse_duration_ns(at)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--at") from error
        picture = Study(scenario).run().topology(at_ns / 1e9)
    draw(file, picture)


def _routers(scenario: Scenario) -> Iterator[str]:
    from vrrpsim.measure.forecast import virtual_routers
    from vrrpsim.measure.result import daemons

    running = daemons(scenario)
    for router in virtual_routers(scenario):
        yield f"VIRTUAL ROUTER {router.vrid}  {', '.join(router.addresses)}"
        for node, daemon in running.items():
            for instance in daemon.config.instances:
                if (instance.vrid, instance.family) == (router.vrid, router.master.config.family):
                    yield from _instance(node, daemon, instance.name, scenario)
        yield ""
        yield from _failovers(router)
        yield ""


def _instance(node: str, daemon: DaemonRules, name: str, scenario: Scenario) -> Iterator[str]:
    from vrrpsim.keepalived.members import members_of
    from vrrpsim.measure.seconds import fixed_s, short_s

    [member] = [each for each in members_of(node, daemon.config, daemon.dialect) if each.config.name == name]
    config = member.config
    priority = member.priority()
    shown = (
        f"{config.priority}" if priority == config.priority else f"{config.priority}, {priority} with checks"
    )
    skew_ns = daemon.skew_ns(config, priority, config.advert_int_ns)
    down_ns = daemon.down_ns(config, priority, config.advert_int_ns)
    dialect = scenario.dialect_of(node)
    yield f"  {node}  {name} on {config.owned_interface}, {dialect}, VRRP version {config.version}"
    yield f"      priority {shown}; {_preemption(member)}"
    yield (
        f"      advert_int {short_s(config.advert_int_ns)} s, skew {fixed_s(skew_ns)} s, "
        f"master down after {fixed_s(down_ns)} s"
    )
    peers = ", ".join(str(peer.address) for peer in config.unicast_peers)
    yield f"      unicast to {peers}" if peers else f"      multicast to {config.multicast_group}"
    for line in _trackers(daemon, member):
        yield f"      {line}"


def _preemption(member: Member) -> str:
    from vrrpsim.measure.seconds import short_s

    if not member.config.preempt:
        return "nopreempt"
    delay_ns = member.config.preempt_delay_ns
    return f"preempts after {short_s(delay_ns)} s" if delay_ns else "preempts"


def _trackers(daemon: DaemonRules, member: Member) -> Iterator[str]:
    from vrrpsim.measure.seconds import short_s

    scripts = {script.name: script for script in daemon.config.scripts}
    for track in member.config.track_scripts:
        script = scripts[track.name]
        yield (
            f"script {track.name} every {short_s(script.interval_ns)} s, fall {script.fall}, "
            f"rise {script.rise}, timeout {short_s(script.effective_timeout_ns)} s: {_effect(track.weight)}"
        )
    for kind in ("interface", "process", "file"):
        for track in member.config.tracked[kind]:
            yield f"{kind} {track.name}: {_effect(track.weight)}"


def _effect(weight: int) -> str:
    return f"weight {weight:+d}" if weight else "FAULT if it fails"


def _failovers(router: VirtualRouter) -> Iterator[str]:
    if router.rival is None:
        yield "  nobody takes over: there is one node"
        return
    yield f"  FAILOVER BY FORMULA  {router.master.node} -> {router.rival.node}"
    rows = [(each.failure, _range(each), each.because) for each in router.forecasts]
    wide, times = (max(len(row[column]) for row in rows) for column in (0, 1))
    for failure, time, because in rows:
        yield f"    {failure:{wide}}  {time:>{times}}  {because}"


def _range(forecast: Forecast) -> str:
    from vrrpsim.measure.seconds import fixed_s

    if forecast.best_ns is None or forecast.worst_ns is None:
        return "never"
    best, worst = fixed_s(forecast.best_ns), fixed_s(forecast.worst_ns)
    return f"{worst} s" if best == worst else f"{best} .. {worst} s"


# --- topology -------------------------------------------------------------------------------------


def topology_text(scenario: Scenario) -> Iterator[str]:
    """List each segment or switch with what is attached, then the points whose loss splits the rest."""
    import networkx as nx

    from vrrpsim.report.topology import LINES
    from vrrpsim.scenario.network import graph_of as topology

    graph = topology(scenario)
    for place, data in graph.nodes(data=True):
        if data["kind"] not in LINES:
            continue
        yield f"  {data['label']}"
        attached = [(other, edge["label"]) for _, other, edge in graph.edges(place, data=True)]
        wide = max((len(name) for name, _ in attached), default=0)
        yield from (f"    {name:{wide}}  {label}" for name, label in attached)
    weak = sorted(nx.articulation_points(graph))
    if weak:
        yield f"  single points of failure: {', '.join(weak)}"


def mermaid(graph: nx.Graph[str]) -> Iterator[str]:
    """Write the graph for Markdown: segments are round, clients slanted, switches hexagonal."""
    shapes = {"segment": ("((", "))"), "switch": ("{{", "}}"), "node": ("[", "]"), "client": ("[/", "/]")}
    names = {name: f"v{number}" for number, name in enumerate(graph.nodes)}
    yield "graph LR"
    for name, data in graph.nodes(data=True):
        left, right = shapes[data["kind"]]
        yield f'  {names[name]}{left}"{data["label"]}"{right}'
    for one, other, data in graph.edges(data=True):
        yield f'  {names[one]} ---|"{data["label"]}"| {names[other]}'
