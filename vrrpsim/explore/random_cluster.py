"""Sensible clusters and operations, drawn by a seed: what an operator could run, and what could befall it.

`vrrpsim lab --random` runs them on real daemons and in the simulator; nothing here knows which.
"""

from __future__ import annotations

from random import Random

ADDRESS = "10.77.0.100"
NODES = ("n1", "n2", "n3")


def random_scenario(seed: int) -> str:
    """Return the scenario of a seed as YAML: two or three nodes, one client, one or two operations."""
    draw = Random(f"cluster/{seed}")
    nodes = NODES[: draw.choices((2, 3), (3, 1))[0]]
    lines = [
        "version: 1",
        f"name: random-{seed}",
        "duration: 34s",
        f"seed: {seed}",
        "segments: {lan: {subnet: 10.77.0.0/24, delay: 100us}}",
        "nodes:",
    ]
    shared = _shared(draw)
    check = _check(draw)
    priorities = _priorities(draw, len(nodes), check)
    for number, (name, priority) in enumerate(zip(nodes, priorities, strict=True), 1):
        peers = [f"10.77.0.{other}" for other in range(1, len(nodes) + 1) if other != number]
        own = list(shared)
        if "unicast" in own:
            own.remove("unicast")
            own += [f"unicast_src_ip: 10.77.0.{number}", f"unicast_peer: [{', '.join(peers)}]"]
        state = "MASTER" if number == 1 and "nopreempt: true" not in own else "BACKUP"
        words = [
            f"state: {state}",
            f"priority: {priority}",
            *own,
            *(["track_script: [chk]"] if check else []),
        ]
        checks = f"vrrp_scripts: {{chk: {{{check}}}}}, " if check else ""
        joined = ", ".join(words)
        starts = "0s" if number == 1 else "{uniform: [0s, 1s]}"
        lines += [
            f"  {name}:",
            f"    interfaces: {{eth0: {{segment: lan, address: 10.77.0.{number}/24}}}}",
            "    processes: {haproxy: {serves: [80/tcp]}}",
            f"    keepalived: {{starts: {starts}, {checks}vrrp_instances: {{VI_1: {{{joined}}}}}}}",
        ]
    lines += ['clients: {web: {segment: lan, target: "10.77.0.100:80"}}', "events:"]
    lines += [f"  - {{{event}}}" for event in _events(draw, nodes, bool(check))]
    return "\n".join(lines) + "\n"


def _shared(draw: Random) -> list[str]:
    """The keywords that all nodes have alike."""
    words = ["interface: eth0", "virtual_router_id: 51", f"virtual_ipaddress: [{ADDRESS}]"]
    if draw.random() < 0.3:
        words += ["version: 3", f"advert_int: {draw.choice((0.5, 1, 1))}"]
    else:
        words.append(f"advert_int: {draw.choice((1, 1, 1, 2))}")
    if draw.random() < 0.5:
        words.append("unicast")
    elif draw.random() < 0.2:
        words.append("use_vmac: true")
    if "version: 3" not in words and draw.random() < 0.3:
        words.append('authentication: {auth_type: PASS, auth_pass: "1234"}')
    if draw.random() < 0.2:
        words.append("nopreempt: true")
    elif draw.random() < 0.15:
        words.append(f"preempt_delay: {draw.choice((2, 5))}")
    if draw.random() < 0.15:
        words.append("garp_master_refresh: 5")
    if draw.random() < 0.1:
        words.append("down_timer_adverts: 2")
    return words


def _check(draw: Random) -> str:
    """A check of HAProxy, or none."""
    if draw.random() < 0.35:
        return ""
    words = ['script: "pkill -0 -x haproxy"', f"interval: {draw.choice((1, 2, 2))}", "user: root"]
    weight = draw.choice((2, 2, -20, 0))
    words += [f"weight: {weight}"] if weight else []
    if draw.random() < 0.3:
        words += [f"fall: {draw.choice((2, 3))}", f"rise: {draw.choice((1, 2))}"]
    return ", ".join(words)


def _priorities(draw: Random, count: int, check: str) -> list[int]:
    """Falling by less than the check's weight; sometimes the last two are equal."""
    step = 1 if "weight: 2" in check else draw.choice((1, 5, 10))
    priorities = [101 - step * number for number in range(count)]
    if count == 3 and draw.random() < 0.3:
        priorities[2] = priorities[1]
    return priorities


def _events(draw: Random, nodes: tuple[str, ...], checked: bool) -> list[str]:
    """One operation at any phase of everything, and perhaps another that follows it."""
    victim = draw.choices(nodes, [4, *[1] * (len(nodes) - 1)])[0]
    others = ", ".join(name for name in nodes if name != victim)
    short, long = f"for: {draw.randint(1, 6)}s", f"for: {draw.randint(6, 10)}s"
    choices = [
        f"power_off: {victim}, {long}",
        f"stop: {victim}/keepalived, {long}",
        f"freeze: {victim}/keepalived, {short}",
        f"pause: {victim}, {short}",
        f"link_down: {victim}/eth0, {long}",
        f"set_down: {victim}/eth0, {long}",
        f"partition: [[{victim}], [{others}]], {long}",
        f"flush_address: {victim}, address: {ADDRESS}",
        f"restart: {victim}/keepalived",
        f"set: {victim}/VI_1, priority: {draw.randint(50, 140)}",
    ]
    if checked:
        choices += [f"kill: {victim}/haproxy, {long}"] * 3 + [f"fail: {victim}/chk, {long}"]
    first = f"name: first, at: {{uniform: [9s, 11s]}}, {draw.choice(choices)}"
    if draw.random() < 0.7:
        return [first]
    after = draw.uniform(2, 8)
    return [first, f"at: {{after: first, plus: {after:.3f}s}}, {draw.choice(choices)}"]
