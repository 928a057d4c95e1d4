"""What runs on the nodes and who asks: processes from the checks, clients from the addresses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vrrpsim.keepalived.commands import Check
from vrrpsim.protocol.configuration import InstanceConfig, ScriptConfig
from vrrpsim.redaction import masked
from vrrpsim.scenario.model import Address, Client, Probe, Process
from vrrpsim.world.checks import check_of

from .haproxy import Bind, port_of
from .machines import Card, Remarks, SourceNode, clean, mates, twins

SERVERS = {  # what checks are often about, and the port it is asked at
    "haproxy": 80,
    "nginx": 80,
    "apache2": 80,
    "httpd": 80,
    "varnishd": 80,
    "traefik": 80,
    "envoy": 80,
    "squid": 3128,
    "kube-apiserver": 6443,
    "mysqld": 3306,
    "mariadbd": 3306,
    "postgres": 5432,
    "redis-server": 6379,
    "named": 53,
    "unbound": 53,
    "dnsmasq": 53,
    "sshd": 22,
}
ALSO = {"apiserver": "kube-apiserver", "apache": "apache2", "postgresql": "postgres", "redis": "redis-server"}
HAPROXY = "haproxy"
SPARE_PORTS = (80, 443, 8080, 8443)
MOST_CLIENTS = 8  # one for each address; of more addresses only the first of each instance


def processes_of(
    machines: Sequence[SourceNode], remarks: Remarks, binds: Sequence[Bind] = ()
) -> tuple[dict[str, Process], dict[str, dict[str, Probe]], dict[str, str]]:
    """Return the processes of every node, the probes of each, and what each tracker looks at."""
    ports: dict[str, set[int]] = {HAPROXY: {bind.port for bind in binds}} if binds else {}
    asked: list[tuple[str, int]] = []
    process_of: dict[str, str] = {}
    probes: dict[str, dict[str, Probe]] = {}
    own = _addresses(machines)
    for machine in machines:
        config = machine.compiled.config
        for tracked in config.processes if config else ():
            process_of[tracked.name] = _known(tracked.process, ports)
        for script in config.scripts if config else ():
            check = check_of(script, None, {})
            if check.process and check.process != "keepalived":
                process_of[script.name] = _known(check.process, ports)
            elif check.port:
                asked.append((script.name, int(check.port.partition("/")[0])))
            elif check.answers and check.answers.port and check.answers.address in own:
                asked.append((script.name, check.answers.port))
            elif check == Check() or (check.answers and check.answers.address not in own):
                _unknown(machine, script, ports, process_of, probes, remarks)
    host = next((machine.host for machine in machines if machine.host), None)
    for name, port in asked:
        owner = next((each for each in ports if port in ports[each] or SERVERS.get(each) == port), None)
        owner = (host and host.serving(port)) or owner
        process_of[name] = owner or next(
            (each for each in ports if each != "sshd"), _guess(name) or "service"
        )
        ports.setdefault(process_of[name], set()).add(port)
    for name, known in ports.items():
        if host and not known:
            known |= host.ports.get(name, frozenset())
    guessed = {name: SERVERS.get(name, SPARE_PORTS[0]) for name, own in ports.items() if not own}
    for name, port in guessed.items():
        ports[name] = {port}
    if guessed:
        shown = " and ".join(f"{name} {port}" for name, port in guessed.items())
        remarks["processes",] = f"the ports are a guess, no check names them: {shown}"
    processes = {
        name: Process(serves=tuple(f"{port}/tcp" for port in sorted(own))) for name, own in ports.items()
    }
    looked_at = (probe.process for each in probes.values() for probe in each.values())
    idle = dict.fromkeys(name for name in looked_at if name and name not in processes)
    processes |= {name: Process(starts="manual") for name in idle}
    return processes, probes, process_of


def _addresses(machines: Sequence[SourceNode]) -> set[Address]:
    """What is asked of one of the cluster's own machines: virtual addresses, sources and peers."""
    instances = [instance for machine in machines for instance in machine.instances]
    virtual = {each.address for one in instances for each in (*one.addresses, *one.excluded)}
    peers = {peer.address for one in instances for peer in one.unicast_peers}
    return virtual | peers | {one.source for one in instances if one.source is not None}


def _known(process: str, ports: dict[str, set[int]]) -> str:
    name = clean(Path(process).name) or "service"
    ports.setdefault(name, set())
    return name


def _unknown(
    machine: SourceNode,
    script: ScriptConfig,
    ports: dict[str, set[int]],
    process_of: dict[str, str],
    probes: dict[str, dict[str, Probe]],
    remarks: Remarks,
) -> None:
    """Guess by its name what a script of the operator's own looks at; else it always succeeds."""
    path = ("nodes", machine.name, "keepalived", script.name)
    answers = check_of(script, None, {}).answers
    guess = None if answers else _guess(f"{script.name} {script.command}")
    if answers:
        remarks[path] = (
            f"{script.name} always succeeds here, as nobody has {answers.address}: add a node that has, "
            "and it is asked through the network"
        )
        return
    tracks = [t for one in machine.instances for t in one.track_scripts if t.name == script.name]
    if guess is None and tracks and all(track.reverse for track in tracks):
        probes.setdefault(machine.name, {})[script.name] = Probe(process=clean(script.name))
        remarks[path] = (
            f"{script.name} fails here, which is well, as `reverse` says; "
            f"the event `start: {machine.name}/{clean(script.name)}` makes it succeed"
        )
        return
    if guess is None:
        remarks[path] = (
            f"{script.name} always succeeds here: `{masked(script.command)}` does not say what it looks at. "
            f"If that is a process or a port of the node, say probes: {{{script.name}: {{serves: 80/tcp}}}}"
        )
        return
    process_of[script.name] = _known(guess, ports)
    probes.setdefault(machine.name, {})[script.name] = Probe(process=guess)
    remarks[path] = (
        f"`{masked(script.command)}` is taken to see whether {guess} runs; correct it if it looks elsewhere"
    )


def _guess(text: str) -> str | None:
    words = re.findall(r"[a-z0-9]+(?:-[a-z]+)?", text.lower())
    named = next((name for name in SERVERS if name in words or name.removesuffix("d") in words), None)
    return named or next((ALSO[word] for word in words if word in ALSO), None)


def clients_of(
    machines: Sequence[SourceNode],
    segment_of: dict[Card, str],
    processes: dict[str, Process],
    process_of: dict[str, str],
    remarks: Remarks,
    binds: Sequence[Bind] = (),
) -> dict[str, Client]:
    """One client for each address that another node can take over, at the port that its checks protect."""
    asked: dict[Address, tuple[str, str, int]] = {}  # address: segment, instance, its number there
    ports: dict[Address, int | None] = {}
    for machine in machines:
        others = [one for other in machines if other is not machine for one in other.instances]
        for instance in machine.instances:
            if not twins(instance, others):
                continue
            virtual = [v for v in (*instance.addresses, *instance.excluded) if not v.address.is_unspecified]
            usable = [each for each in virtual if not each.address.is_link_local] or virtual
            for number, each in enumerate(usable):
                segment = segment_of[machine.carrier(instance, each)]
                asked.setdefault(each.address, (segment, instance.name, number))
                ports[each.address] = (
                    ports.get(each.address)
                    or port_of(binds, each.address)
                    or _port(machine, instance, processes, process_of)
                )
    if len(asked) > MOST_CLIENTS:
        first = {address: what for address, what in asked.items() if what[2] == 0}
        remarks["clients",] = f"{len(asked)} addresses: the first of each instance is asked"
        asked = first
    spare = _spare(processes) if None in (ports[address] for address in asked) else 0
    if spare:
        name = "service"
        while name in processes:
            name = f"other-{name}"
        processes[name] = Process(serves=(f"{spare}/tcp",))
        text = f"{name} stands for what answers at the addresses that no check protects"
        remarks["processes",] = "\n".join(filter(None, (remarks.get(("processes",)), text)))
    taken = {*segment_of.values(), *(machine.name for machine in machines)}
    clients: dict[str, Client] = {}
    for address, (segment, instance_name, number) in asked.items():
        wanted = "client" if len(asked) == 1 else f"client-{clean(instance_name) or 'vip'}"
        name = f"{wanted}-{number + 1}" if number else wanted
        while name in taken or name in clients:
            name += "-2"
        clients[name] = Client(segment=segment, target=(address, ports[address] or spare))
    return clients


def _port(
    machine: SourceNode, instance: InstanceConfig, processes: dict[str, Process], process_of: dict[str, str]
) -> int | None:
    """Return the first port of what the trackers of the instance, or of its sync group, look at."""
    tracks = [
        track
        for mate in mates(machine, instance)
        for track in (*mate.track_scripts, *mate.track_processes)
        if track.name in process_of
    ]
    looked_at = [process_of[track.name] for track in tracks]
    best = next((name for name in looked_at if name != "sshd"), looked_at[0] if looked_at else None)
    return int(processes[best].serves[0].partition("/")[0]) if best else None


def _spare(processes: dict[str, Process]) -> int:
    used = {port for process in processes.values() for port in process.serves}
    return next((port for port in SPARE_PORTS if f"{port}/tcp" not in used), 9000)
