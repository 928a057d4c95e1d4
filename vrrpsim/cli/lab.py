"""`vrrpsim lab`: a scenario on real keepalived and HAProxy, in network namespaces and in real time."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from vrrpsim.atomic_write import write_whole

from . import BAD, GOOD, code_of, worst
from ._options import (
    InputFile,
    json_option,
    look,
    quiet_option,
    seed_option,
    set_option,
    trace_option,
    verbose_option,
)

if TYPE_CHECKING:
    from vrrpsim.api import Study
    from vrrpsim.explore.comparison import Comparison
    from vrrpsim.run import Run
    from vrrpsim.scenario.model import Scenario

DAEMONS = ("keepalived", "vrrpsim")
SIMULATIONS = 200


@click.command(
    epilog="""\b
Needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN), keepalived, haproxy and nft. Takes as long as the scenario.

\b
Examples:
  vrrpsim lab haproxy-crash
  vrrpsim lab haproxy-crash --runs 10 --parallel 5 --compare
  vrrpsim lab power-loss --daemon gw-a=vrrpsim,gw-b=keepalived
  vrrpsim lab --random 20 --runs 3 --parallel 3
  vrrpsim lab --cleanup
"""
)
@click.argument("file", metavar="SCENARIO", required=False, type=InputFile())
@click.option(
    "--daemon",
    default="keepalived",
    metavar="DAEMON|NODE=DAEMON,...",
    help=f"What the nodes run: {' or '.join(DAEMONS)}.  [default: keepalived]",
)
@click.option(
    "-n", "--runs", type=click.IntRange(min=1), default=1, help="How often, with consecutive seeds."
)
@click.option("-p", "--parallel", type=click.IntRange(min=1), default=1, help="How many at a time.")
@click.option("--compare", is_flag=True, help=f"Simulate it {SIMULATIONS} times, too: do both agree?")
@click.option(
    "--random",
    "clusters",
    metavar="N",
    type=click.IntRange(min=1),
    help="Draw N clusters and operations, run and compare each; --seed is the first one's.",
)
@click.option("--cleanup", is_flag=True, help="Remove what labs that were killed have left behind.")
@seed_option
@set_option
@json_option
@trace_option
@quiet_option
@verbose_option
def command(
    file: Path | None,
    daemon: str,
    runs: int,
    parallel: int,
    compare: bool,
    clusters: int | None,
    cleanup: bool,
    seed: int | None,
    overrides: dict[str, str],
    as_json: bool,
    trace_file: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run a scenario on real daemons and judge what it expects.

    Each node becomes network, process and mount namespaces of its own; nothing leaves them, and nothing of
    them stays. The events fire at the instants of a simulated run with the same seed.
    """
    if cleanup:
        from vrrpsim.lab.runner import clean_up

        click.echo(f"{clean_up()} processes of labs that are gone were ended")
        return GOOD
    if clusters is not None:
        if file is not None or trace_file or overrides:
            raise click.UsageError("--random draws its scenarios: no SCENARIO, --set or --trace")
        return _random(range(seed or 1, (seed or 1) + clusters), runs, parallel, as_json, quiet, verbose)
    if file is None:
        raise click.UsageError("Missing argument 'SCENARIO'.")
    if trace_file and runs > 1:
        raise click.UsageError("--trace takes one run")
    from vrrpsim.build import load

    study = load(file, overrides)
    nodes = _daemons(daemon, study.scenario)
    study = _installed(study, nodes)
    done: list[Run] = []
    documents: dict[str, Any] = {}
    comparison: list[Comparison] = []
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        for run in study.lab(runs, seed=seed, daemons=nodes, parallel=parallel):
            done.append(run)
            if trace_file:
                write_whole(trace_file, run.trace.json_lines())
            if verbose:
                click.echo(f"seed {run.seed}: {len(run.trace.records)} records, {run.verdict}", err=True)
            if not as_json and not (quiet and compare):
                _print(run, many=runs > 1, quiet=quiet)
        if compare:
            comparison = _compare(done, verbose)
            documents = {each.name: each.to_dict() for each in comparison}
    finally:  # interrupted, what is finished is printed
        signal.signal(signal.SIGTERM, before)
        if as_json and done:
            click.echo(_json(done, documents, single=runs == 1 and not compare))
    if compare:
        from vrrpsim.explore.comparison import told, verdict

        lines = told(comparison, len(done), SIMULATIONS)
        if not as_json:
            click.echo("\n".join([] if quiet else ["", *lines[:-1]]) + ("" if quiet else "\n") + lines[-1])
        return GOOD if verdict(comparison) == "agrees" else BAD
    return worst([code_of(run.verdict) for run in done])


def _random(seeds: range, runs: int, parallel: int, as_json: bool, quiet: bool, verbose: bool) -> int:
    """Run and compare a drawn cluster for each seed; say which disagree, and how to see that again."""
    from tempfile import TemporaryDirectory

    from vrrpsim.build import load
    from vrrpsim.explore.comparison import told, verdict
    from vrrpsim.explore.random_cluster import random_scenario
    from vrrpsim.measure.seconds import to_json

    found: list[dict[str, Any]] = []
    with TemporaryDirectory(prefix="vrrpsim-random-") as folder:
        for seed in seeds:
            path = Path(folder) / f"random-{seed}.yaml"
            path.write_text(random_scenario(seed), encoding="utf-8")
            study = load(path)
            study = _installed(study, dict.fromkeys(study.scenario.nodes, "keepalived"))
            comparison = _compare(list(study.lab(runs, parallel=parallel)), verbose)
            said = verdict(comparison)
            command = f"vrrpsim lab --random 1 --seed {seed} --runs {runs} --verbose"
            found.append({"seed": seed, "verdict": said, "command": command})
            if not as_json and not quiet:
                click.echo(f"seed {seed}: {said}; {_operations(study.scenario)}")
            if verbose:
                click.echo(path.read_text(encoding="utf-8"), err=True)
                click.echo("\n".join(told(comparison, runs, SIMULATIONS)), err=True)
    bad = [each for each in found if each["verdict"] != "agrees"]
    if as_json:
        click.echo(to_json({"clusters": found, "agree": len(found) - len(bad)}))
    else:
        again = "".join(f"\n  {each['verdict']}: {each['command']}" for each in bad)
        click.echo(f"{len(found) - len(bad)} of {len(found)} clusters agree{again}")
    return BAD if bad else GOOD


def _operations(scenario: Scenario) -> str:
    return ", ".join(f"{event.verb} {event.target or ''}".strip() for event in scenario.events)


def _daemons(text: str, scenario: Scenario) -> dict[str, str]:
    """Read `--daemon`: one for all nodes, or NODE=DAEMON with commas; the rest run keepalived."""
    from vrrpsim.findings import did_you_mean

    words = text.split(",")
    chosen = dict.fromkeys(scenario.nodes, words[0] if words[0] in DAEMONS else "keepalived")
    for word in words[words[0] in DAEMONS :]:
        node, equals, daemon = word.partition("=")
        if not equals:
            problem = f"'{word}' is neither {' nor '.join(DAEMONS)} nor NODE=DAEMON"
            raise click.BadParameter(problem, param_hint="--daemon")
        if node not in scenario.nodes:
            hint = did_you_mean(node, scenario.nodes)
            raise click.BadParameter(f"no node '{node}'{hint}", param_hint="--daemon")
        if daemon not in DAEMONS:
            raise click.BadParameter(f"'{word}': write {node}={' or '.join(DAEMONS)}", param_hint="--daemon")
        chosen[node] = daemon
    return chosen


def _installed(study: Study, daemons: Mapping[str, str]) -> Study:
    """Read the scenario in the dialect of the installed keepalived, if that is another one; say so."""
    from vrrpsim.build import load
    from vrrpsim.keepalived.installed import installed_version
    from vrrpsim.protocol.dialect import DIALECTS

    scenario, version = study.scenario, installed_version()
    ours = f"keepalived-{version}"
    real = [
        name for name, node in scenario.nodes.items() if node.keepalived and daemons[name] == "keepalived"
    ]
    other = sorted({scenario.dialect_of(name) for name in real} - {ours})
    if not other or not version:
        return study
    known = ours in DIALECTS
    consequence = f"simulated as {ours}" if known else f"which is not known; simulated as {other[0]}"
    click.echo(f"{scenario.name} is for {', '.join(other)}, installed is {ours}: {consequence}", err=True)
    if not known or scenario.path is None:
        return study
    per_node = [f"nodes.{name}.dialect" for name in real if scenario.nodes[name].dialect]
    return load(scenario.path, {**study.overrides, **dict.fromkeys(["dialect", *per_node], ours)})


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _print(run: Run, *, many: bool, quiet: bool) -> None:
    from vrrpsim.report.text import report, verdict_line

    if many or quiet:
        click.echo(f"seed {run.seed}: " * many + look().styled(verdict_line(run.result)))
        return
    click.echo(report(run.scenario, run.trace, run.result, look=look(), time="in real time"))


def _json(done: list[Run], comparison: Mapping[str, Any], *, single: bool) -> str:
    from vrrpsim.measure.seconds import to_json

    if single:
        return done[0].to_json()
    document: dict[str, Any] = {
        "runs": [run.result.to_dict() for run in sorted(done, key=lambda run: run.seed)]
    }
    if comparison:
        agrees = all(each["agrees"] for each in comparison.values())
        document |= {"compare": comparison, "agrees": agrees}
    return to_json(document)


def _compare(done: list[Run], verbose: bool) -> list[Comparison]:
    """Simulate what was run and compare; expectations are left out of it."""
    from vrrpsim.explore.comparison import at_its_instants, compare, shown, simulated

    scenario = replace(done[0].scenario, expect=None, age_ns=0)  # what runs in the lab has just started
    if verbose:
        click.echo(f"simulating it {SIMULATIONS} times, at the instants of the real runs", err=True)
    as_run = [at_its_instants(scenario, run.seed, run.trace) for run in done]
    ours = [each for n in range(SIMULATIONS) for each in simulated(as_run[n % len(done)], [n])]
    return compare([shown(scenario, run.trace) for run in done], ours)
