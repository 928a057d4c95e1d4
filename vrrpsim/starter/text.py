"""A first scenario as the text of a file: one thing a line, and beside each guess a comment that says so."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from vrrpsim.findings import Severity
from vrrpsim.scenario.model import Client, Interface, Node, Process, Segment
from vrrpsim.scenario.quantities import SECOND_NS, Distribution

from .deduce import Cluster
from .machines import NOTHING
from .plan import Plan, duration

WIDTH = 110
DAY_NS = 86_400 * SECOND_NS
SCHEMA = "yaml-language-server: $schema=schema.json"
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./+-]*")
WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")


def scenario_text(
    cluster: Cluster, plan: Plan, *, beside: Path, file: str, texts: Mapping[str, str] = NOTHING
) -> str:
    """Return the scenario; paths are relative to the folder `beside`, comments name it `file`.

    Nodes that are in `texts` have that keepalived.conf within the scenario.
    """
    return "\n".join(_lines(cluster, plan, beside, file, texts)) + "\n"


def _lines(cluster: Cluster, plan: Plan, beside: Path, file: str, texts: Mapping[str, str]) -> Iterator[str]:
    scenario = plan.scenario
    yield f"# Editor completion: vrrpsim schema > schema.json, then make this line: {SCHEMA}"
    names = ", ".join(machine.name for machine in cluster.machines)
    yield from _comment(
        f"A first scenario of {names}, by `vrrpsim init`. Change what it got wrong, then ask:", ""
    )
    yield f"#   vrrpsim run {file}              what happens, once"
    yield f"#   vrrpsim sweep {file} -n 1000    how long it can take, and how often"
    yield f"#   vrrpsim hunt {file}             which faults break it"
    if wrong := [each for each in cluster.findings if each.severity is Severity.ERROR]:
        yield "# Mend this first, `vrrpsim check` calls it wrong:"
        for each in wrong:
            text = f"- {Path(each.place.file).name}:{each.place.line}: {each.code} {each.message}"
            yield from _comment(text, "")
    yield "version: 1"
    yield f"name: {_word(scenario.name)}"
    yield f"description: {_word(plan.story)}"
    yield f"duration: {duration(scenario.duration_ns)}"
    if scenario.age_ns:
        yield "# The cluster has run this long when the run begins; without it the run begins with the boot."
        yield "# Where frames are lost, all of it is lived through first: --set age=0s spares that."
        yield f"age: {scenario.age_ns // DAY_NS}d"
    yield f"seed: {scenario.seed}"
    yield f"dialect: {scenario.dialect}"
    yield ""
    yield "segments:"
    for name, segment in scenario.segments.items():
        yield from _comment(cluster.remarks.get(("segments", name), ""))
        yield f"  {_word(name)}: {_segment(segment)}"
    yield ""
    yield "nodes:"
    yield from _comment(cluster.remarks.get(("processes",), ""))
    for name, node in scenario.nodes.items():
        yield from _node(name, node, cluster, beside, texts.get(name))
    if scenario.clients:
        yield ""
        yield "clients:"
        yield from _comment(cluster.remarks.get(("clients",), ""))
        yield from (f"  {_word(name)}: {_client(client)}" for name, client in scenario.clients.items())
    yield ""
    yield "events:"
    for line in plan.events:
        yield from _comment(line.comment)
        yield f"  {line.text}"
    yield ""
    yield "expect:"
    for line in plan.expect:
        yield from _comment(line.comment)
        if line.text:
            yield f"  {line.text}"


def _node(name: str, node: Node, cluster: Cluster, beside: Path, text: str | None) -> Iterator[str]:
    yield f"  {_word(name)}:"
    yield "    interfaces:"
    for label, interface in node.interfaces.items():
        yield from _comment(cluster.remarks.get(("nodes", name, "interfaces", label), ""), "      ")
        yield f"      {_word(label)}: {_interface(interface)}"
    if node.processes:
        shown = ", ".join(f"{_word(p)}: {_process(each)}" for p, each in node.processes.items())
        yield f"    processes: {{{shown}}}"
    keepalived = node.keepalived
    if keepalived is None or keepalived.file is None:
        return
    for path, remark in cluster.remarks.items():
        if path[:3] == ("nodes", name, "keepalived"):
            yield from _comment(remark, "    ")
    parts = [] if text is not None else [f"file: {_word(os.path.relpath(keepalived.file, beside))}"]
    if keepalived.config_id:
        parts.append(f"config_id: {_word(keepalived.config_id)}")
    if isinstance(keepalived.starts, Distribution) and keepalived.starts.mean_ns:
        yield "    # when the services of the node run, the preferred node first"
        parts.append(f"starts: {duration(keepalived.starts.mean_ns)}")
    if keepalived.probes:
        probes = ", ".join(
            f"{_word(s)}: {{process: {_word(p.process or '')}}}" for s, p in keepalived.probes.items()
        )
        parts.append(f"probes: {{{probes}}}")
    if text is None:
        yield f"    keepalived: {{{', '.join(parts)}}}"
        return
    yield "    keepalived:"
    yield from (f"      {part}" for part in parts)
    if all(letter.isprintable() or letter in "\n\t" for letter in text):
        yield "      conf: |2"
        yield from (f"        {line}" if line else "" for line in text.rstrip("\n").split("\n"))
    else:  # a block has no escapes
        yield f"      conf: {json.dumps(text)}"


def _process(process: Process) -> str:
    return "{starts: manual}" if process.starts == "manual" else f"{{serves: [{', '.join(process.serves)}]}}"


def _segment(segment: Segment) -> str:
    subnet = f"subnet: {_word(str(segment.subnet))}, " if segment.subnet else ""
    return f"{{{subnet}delay: {{uniform: [80us, 400us]}}}}"


def _interface(interface: Interface) -> str:
    addresses = [_word(str(address)) for address in interface.addresses]
    shown = addresses[0] if len(addresses) == 1 else f"[{', '.join(addresses)}]"
    return f"{{segment: {_word(interface.segment)}{f', address: {shown}' if addresses else ''}}}"


def _client(client: Client) -> str:
    address, port = client.target
    host = f"[{address}]" if address.version == 6 else str(address)
    own = f", address: {_word(str(client.address))}" if client.address else ""
    every = f"every: {duration(client.every_ns)}"
    return f'{{segment: {_word(client.segment)}, target: "{host}:{port}", {every}{own}}}'


def _word(text: str) -> str:
    """Quote what YAML would read as something else."""
    if text and re.fullmatch(r"[0-9]+(\.[0-9]+){3}/[0-9]+", text):
        return text
    return (
        text if PLAIN.fullmatch(text) and text.lower() not in WORDS else json.dumps(text, ensure_ascii=False)
    )


def _comment(text: str, indent: str = "  ") -> Iterator[str]:
    for paragraph in text.splitlines():
        yield from textwrap.wrap(
            " ".join(paragraph.split()),
            WIDTH,
            initial_indent=f"{indent}# ",
            subsequent_indent=f"{indent}# {'  ' if paragraph.startswith('- ') else ''}",
            break_long_words=False,
            break_on_hyphens=False,
        )
