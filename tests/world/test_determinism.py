"""Same scenario, same seed, same bytes; and what must not change a digest."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_world import WEB, S, node, pair, unicast, world

from vrrpsim.trace import Fault, FaultEnd, Level
from vrrpsim.world import World


def rough(*events: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A lossy, jittery segment, imprecise machines and a bit of everything."""
    document = pair(
        {"name": "kill", "at": {"uniform": ["8s", "12s"]}, "kill": "master/haproxy", "for": "9s"},
        {"name": "cut", "at": "25s", "partition": [["lb1"], ["lb2"]], "for": {"uniform": ["3s", "20s"]}},
        {"name": "power", "at": "70s", "power_off": "lb1", "for": "5s"},
        {"name": "noise", "at": "50s", "impair": "lan", "loss": "20%", "jitter": "1ms", "for": "10s"},
        *events,
        lan={
            "delay": {"uniform": ["80us", "400us"]},
            "jitter": {"exponential": "50us"},
            "loss": "5%",
            "burst": 2,
        },
        nodes={
            f"lb{n}": node(
                n,
                102 - n,
                scripts={"chk": {"script": "pkill -0 haproxy", "interval": 2, "weight": 2}},
                track_script=["chk"],
                node={"slop": "default", "boots": {"uniform": ["1s", "2s"]}},
                **unicast(n, 3 - n),
            )
            for n in (1, 2)
        },
        clients=WEB,
        duration="90s",
    )
    return document | changes


def lines(document: dict[str, Any], seed: int = 1, level: Level = Level.ALL) -> list[str]:
    made = world(document, seed, level)
    made.run()
    return list(made.trace.json_lines())


def digest(document: dict[str, Any], seed: int = 1, level: Level = Level.STATES) -> str:
    made = world(document, seed, level)
    made.run()
    return made.trace.digest()


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert lines(rough(), 3) == lines(rough(), 3)
    assert lines(rough(), 3) != lines(rough(), 4)


PROGRAM = """
import json, sys
from tiny_world import world
made = world(json.load(sys.stdin), 5)
made.run()
print("\\n".join(made.trace.json_lines()))
"""


def test_the_hash_seed_does_not_matter() -> None:
    def output(hash_seed: str) -> str:
        environment = os.environ | {
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[2]}",
        }
        command = [sys.executable, "-c", PROGRAM]
        document = json.dumps(rough())
        done = subprocess.run(
            command, input=document, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert output("1") == output("777") != ""


@pytest.mark.parametrize("seed", range(4))
def test_clients_do_not_change_what_the_cluster_does(seed: int) -> None:
    """Even where frames are lost and delayed at random: each conversation has its own draws."""
    many = {f"c{n}": WEB["web"] | {"every": "37ms"} for n in range(4)}
    assert digest(rough(), seed) == digest(rough(clients={}), seed) == digest(rough(clients=WEB | many), seed)


@pytest.mark.parametrize("level", Level)
def test_the_level_of_the_trace_does_not_change_the_digest(level: Level) -> None:
    assert digest(rough(), level=level) == digest(rough(), level=Level.STATES)


def test_each_level_includes_the_ones_before() -> None:
    states, adverts, frames = (lines(rough(), level=level) for level in Level)
    assert set(states) < set(adverts) < set(frames)


def test_named_events_may_be_written_in_any_order() -> None:
    document = rough()
    turned = document | {"events": document["events"][::-1]}
    assert lines(document) == lines(turned)


def test_one_more_event_does_not_change_the_draws_of_the_others() -> None:
    """An event that changes nothing, before all others: same losses, same durations."""
    idle = {"name": "idle", "at": "1s", "start": "lb1/haproxy"}

    def rest(document: dict[str, Any]) -> list[object]:
        made = world(document)
        made.run()
        return [record for record in made.trace.records if not isinstance(record, (Fault, FaultEnd))]

    assert rest(rough()) == rest(rough(idle))


def test_two_worlds_in_one_process_do_not_meet() -> None:
    one, other = world(rough(), 1), world(rough(), 2)
    alone = lines(rough(), 1), lines(rough(), 2)

    def start(made: World) -> None:
        for each in made.nodes.values():
            each.start_processes()
        made.faults.schedule()
        made.context.reconsider()

    for made in (one, other):
        start(made)
    for second in range(1, 91):
        for made in (one, other):
            made.calendar.run(second * S)
    for made, expected in zip((one, other), alone, strict=True):
        made.trace.end_ns = 90 * S
        assert list(made.trace.json_lines()) == expected


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    short = lines(rough(duration="60s"))
    assert lines(rough())[: len(short) - 1] == short[:-1]
