"""Whatever is wrong with an input, the answer is a line with a place, never a traceback."""

import copy
import io
import os
import random
import re
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from ruamel.yaml import YAML

from vrrpsim.findings import InputError
from vrrpsim.scenario.file.reader import load_scenario

GOOD = """\
version: 1
name: good
duration: 45s
segments:
  lan: {subnet: 10.0.0.0/24, delay: 100us}
nodes:
  lb1:
    interfaces: {eth0: {segment: lan, address: 10.0.0.1/24}}
    processes: {haproxy: {serves: [80/tcp]}}
  lb2:
    interfaces: {eth0: {segment: lan, address: 10.0.0.2/24}}
    processes: {haproxy: {serves: [80/tcp]}}
clients:
  web: {segment: lan, target: "10.0.0.1:80"}
events:
  - {name: fault, at: 12s, kill: lb1/haproxy, for: 5s}
  - {at: {after: fault, plus: 2s}, partition: [[lb1], [lb2]], for: 5s}
expect:
  owner: {end: lb1}
  outage: {max: 6s}
"""


@dataclass(frozen=True)
class Row:
    """`old` becomes `new` in GOOD; the message at `place` (line:column) contains `fragment`."""

    old: str
    new: str
    place: str
    fragment: str


# What the shape alone shows: the JSON Schema rejects these as well.
STRUCTURAL = [
    Row("version: 1", "version: 2", "1:10", "version 2 needs a newer vrrpsim"),
    Row("version: 1", "version: one", "1:10", "must be 1"),
    Row("version: 1\n", "", "1:1", "'version:' is missing"),
    Row("duration: 45s\n", "", "1:1", "'duration:' is missing"),
    Row("duration: 45s", "duration: 0", "3:11", "must be more than 0"),
    Row("duration: 45s", "duration: 1 fortnight", "3:11", "write 250ms, 3.6s or 1m30s"),
    Row("duration: 45s", "duration: -3s", "3:11", "cannot be negative"),
    Row("duration: 45s", "duration: 45s\nsead: 7", "4:1", "sead: unknown key; did you mean 'seed'?"),
    Row("duration: 45s", "duration: 45s\nseed: -1", "4:7", "greater than or equal to 0"),
    Row("duration: 45s", "duration: 45s\nseed: x", "4:7", "must be a whole number"),
    Row(
        "duration: 45s",
        "duration: 45s\ndialect: keepalived-2.2.9",
        "4:10",
        "did you mean 'keepalived-2.2.8'?",
    ),
    Row("name: good", "name: 17", "2:7", "quote it"),
    Row("delay: 100us", "delay: 100us, loss: 10", "5:50", "write 10% or 0.1"),
    Row("delay: 100us", "delay: {unifrom: [1, 2]}", "5:38", "did you mean 'uniform'?"),
    Row("delay: 100us", "delay: {uniform: [1]}", "5:47", "uniform takes [low, high]"),
    Row("delay: 100us", "burst: 0.5", "5:37", "greater than or equal to 1"),
    Row("subnet: 10.0.0.0/24", "subnet: lan", "5:17", "is not a network"),
    Row(
        "address: 10.0.0.1/24",
        "adress: 10.0.0.1/24",
        "8:39",
        "nodes.lb1.interfaces.eth0.adress: unknown key; did",
    ),
    Row("address: 10.0.0.1/24", "address: ten", "8:48", "is not an address such as 10.0.0.1/24"),
    Row("address: 10.0.0.1/24", "mac: 00:11:22", "8:44", "is not a MAC address"),
    Row("serves: [80/tcp]", "serves: [80]", "9:36", "is not a port such as 80/tcp"),
    Row("processes: {haproxy", "process: {haproxy", "9:5", "did you mean 'processes'?"),
    Row("\n  lb1:\n", "\n  lb 3: {}\n  lb1:\n", "7:3", "a name has letters, digits and _ . : -"),
    Row(
        "processes: {haproxy: {serves: [80/tcp]}}\n  lb2",
        "slop: some\n  lb2",
        "9:11",
        "must be one of 'none' or 'd",
    ),
    Row('target: "10.0.0.1:80"', "target: 10.0.0.1", "14:31", "is not ADDRESS:PORT"),
    Row('target: "10.0.0.1:80"', "every: 1s", "14:3", "'target:' is missing"),
    Row('target: "10.0.0.1:80"', 'target: "10.0.0.1:80", every: 0s', "14:53", "must be more than 0"),
    Row("kill: lb1", "kil: lb1", "16:5", "needs exactly one verb; did you mean 'kill'?"),
    Row("kill: lb1", "start: lb2/haproxy, kill: lb1", "16:5", "this one has kill and start"),
    Row("at: 12s, ", "", "16:5", "'at:' is missing"),
    Row("at: 12s", "at: {after: fault, puls: 1s}", "16:38", "did you mean 'plus'?"),
    Row("kill: lb1/haproxy, for: 5s", "pause: lb1", "16:5", "'for:' is missing"),
    Row("kill: lb1/haproxy", "restart: lb1/haproxy", "16:50", "'restart' cannot be undone"),
    Row("kill: lb1/haproxy", "kill: lb1/haproxy, count: 0, every: 1s", "16:54", "greater than or equal to 1"),
    Row("kill: lb1/haproxy", "kill: [lb1]", "16:34", "is not a target"),
    Row("kill: lb1/haproxy", "impair: lan, only: [vrp], loss: 1%", "16:48", "did you mean 'vrrp'?"),
    Row("[[lb1], [lb2]]", "[[lb1]]", "17:47", "needs at least two groups"),
    Row("[[lb1], [lb2]]", "[[lb1], [lb2]], one_way: no", "17:72", "must be true or false"),
    Row("  - {name: fault", "  - kill\n  - {name: fault", "16:5", "an event is a mapping"),
    Row("outage: {max: 6s}", "outage: {p98: 6s}", "20:12", "expect.outage.p98: unknown key"),
    Row("outage: {max: 6s}", "outage: {}", "20:11", "needs at least one of: max"),
    Row("outage: {max: 6s}", "outages: {max: 6s}", "20:3", "did you mean 'outage'?"),
    Row("outage: {max: 6s}", "moves: {max: 2s}", "20:16", "must be a whole number"),
    Row("end: lb1", "soon: lb1", "19:11", "is not a duration"),
    Row("  web:", "  web0: []\n  web:", "14:9", "must be a mapping"),
]
INLINE = """nodes:
  lb0:
    keepalived:
      vrrp_instances:
        VI_1: {interface: eth0, virtual_router_id: 51, %s}
"""
STRUCTURAL += [
    Row("nodes:\n", INLINE % "prioity: 7", "10:56", "VI_1.prioity: unknown key; did you mean 'priority'?"),
    Row("nodes:\n", INLINE % "authentication: {auth_pass: 0123}", "10:84", "quote it"),
    Row("nodes:\n", INLINE % "priority: high", "10:66", "must be a whole number"),
    Row("nodes:\n", INLINE % "nopreempt: yes", "10:67", "must be true or false"),
    Row("nodes:\n", INLINE % "advert_int: soon", "10:68", "is not a duration"),
    Row("nodes:\n", "nodes:\n  lb0: {keepalived: {fiel: x.conf}}\n", "7:22", "did you mean 'file'?"),
    Row(
        "nodes:\n",
        "nodes:\n  lb0: {keepalived: {file: x.conf, vrrp_instances: {}}}\n",
        "7:36",
        "'file:' and inline keywords exclude each other",
    ),
]

# What only a look at other parts, or at the YAML itself, shows: fine for the schema.
SEMANTIC = [
    Row("segment: lan, address: 10.0.0.1/24", "segment: lam", "8:34", "no segment 'lam'"),
    Row("address: 10.0.0.1/24", "address: 10.1.0.1/24", "8:48", "10.1.0.1 is not in 10.0.0.0/24"),
    Row("lan, target", "lan, address: 10.0.0.1/24, target", "14:32", "given twice; the first is on line 8"),
    Row("10.0.0.1/24", "[10.0.0.1/24, 10.0.0.1/24]", "8:48", "given twice; the first is on line 8"),
    Row("\n  lb2:\n", "\n  master: {}\n  lb2:\n", "10:3", "is a role"),
    Row("\n  web:", "\n  lb1:", "14:3", "is also the name of a node"),
    Row('target: "10.0.0.1:80"', 'target: "10.0.0.1:99999"', "14:31", "is not ADDRESS:PORT"),
    Row("kill: lb1/haproxy", "kill: lb3/haproxy", "16:34", "no node 'lb3'"),
    Row(
        "kill: lb1/haproxy",
        "kill: lb1/haprox",
        "16:34",
        "no process 'haprox' on lb1; did you mean 'haproxy'?",
    ),
    Row("kill: lb1/haproxy", "kill: lb1/keepalived", "16:34", "no process 'keepalived' on lb1"),
    Row("kill: lb1/haproxy", "kill: lb1", "16:34", "'kill' needs NODE/PROCESS, not 'lb1'"),
    Row("kill: lb1/haproxy", "kill: lan", "16:34", "'kill' needs NODE/PROCESS"),
    Row("kill: lb1/haproxy", "kill: web/haproxy", "16:34", "'kill' needs NODE/PROCESS"),
    Row("kill: lb1/haproxy", "link_down: lb1/eth1", "16:39", "no interface 'eth1' on lb1"),
    Row("kill: lb1/haproxy", "link_down: master/eth7", "16:39", "no interface 'eth7' on any node"),
    Row("kill: lb1/haproxy", "power_off: lb1/haproxy", "16:39", "'power_off' needs NODE"),
    Row("kill: lb1/haproxy, for: 5s", "reload: lb1", "16:36", "lb1 runs no keepalived"),
    Row("kill: lb1/haproxy", "hang: lb1/chk", "16:34", "no vrrp_script in use 'chk'"),
    Row("kill: lb1/haproxy", "impair: lb1, loss: 1%", "16:36", "needs SEGMENT, CABLE or NODE/INTERFACE"),
    Row("kill: lb1/haproxy", "impair: lan", "16:36", "does nothing"),
    Row("kill: lb1/haproxy", "kill: lb1(VI_1)/haproxy", "16:34", "only master(INSTANCE)"),
    Row("kill: lb1/haproxy", "kill: master(VI_9)/haproxy", "16:34", "no vrrp_instance 'VI_9'"),
    Row("kill: lb1/haproxy", "kill: lb1/haproxy, count: 3", "16:47", "needs 'every:'"),
    Row("after: fault", "after: falt", "17:18", "no event is named 'falt'; did you mean 'fault'?"),
    Row("at: 12s", "at: {after: fault}", "16:31", "a loop"),
    Row("at: {after", "name: fault, at: {after", "17:12", "already the name of events[0]"),
    Row("[[lb1], [lb2]]", "[[lb1], [lb1]]", "17:47", "lb1 is named twice"),
    Row("[[lb1], [lb2]]", "[[lb1], [lan]]", "17:47", "needs NODE, NODE/INTERFACE, CLIENT or SWITCH"),
    Row("end: lb1", "end: lb9", "19:16", "no node 'lb9'"),
    Row("end: lb1", "99s: lb1", "19:11", "is after the end"),
    Row("outage: {max: 6s}", "outage.wbe: {max: 6s}", "20:3", "no client 'wbe'"),
    Row("outage: {max: 6s}", "owner.10.0.0.9: {9s: lb1}", "20:3", "no virtual address '10.0.0.9'"),
    Row("outage: {max: 6s}", "outage: {max: 6s, min: 7s}", "20:26", "is more than max"),
    Row("nodes:\n", "nodes:\n  lb0: {keepalived: {file: x.conf}}\n", "7:28", "no such file"),
]
SYNTAX = [
    Row("name: good", "name: good\nname: better", "3:1", "duplicate key; the first is on line 2"),
    Row("name: good", "name: [good", "", "not valid YAML"),
    Row("  lan: {", "\tlan: {", "5:1", "a tab cannot indent"),
    Row("name: good", "name: &a [*a]", "2:7", "an alias that contains itself"),
    Row("name: good", "name: *nobody", "2:7", "undefined alias"),
    Row("name: good", "name: !!python/object:os.system x", "2:7", "means nothing here"),
    Row("name: good", "name: good\n---\nname: other", "3:1", "single document"),
    Row("name: good", "name: good\n? [a, b]\n: c", "3:3", "a key must be a word"),
    Row("name: good", "name: " + "[" * 5000, "", "nested too deeply"),
    Row("name: good", "name: go\x00od", "2:9", "not valid YAML"),
]


def broken(row: Row) -> str:
    assert GOOD.count(row.old) >= 1, row
    return GOOD.replace(row.old, row.new, 1)


def errors_of(path) -> list[str]:
    started = time.process_time()  # of this process: a busy neighbour does not count
    with pytest.raises(InputError) as caught:
        load_scenario(path)
    assert time.process_time() - started < 2
    assert caught.value.findings
    return str(caught.value).splitlines()


def test_the_good_one_is_good(tmp_path):
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    assert load_scenario(path).name == "good"


@pytest.mark.parametrize("row", STRUCTURAL + SEMANTIC + SYNTAX, ids=lambda row: row.fragment[:40])
def test_a_broken_scenario_says_what_and_where(row, tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text(broken(row))
    lines = errors_of(path)
    place = re.escape(f"{path}:{row.place}") if row.place else re.escape(str(path)) + r":\d+"
    assert [line for line in lines if re.match(place, line) and row.fragment in line], "\n".join(lines)
    assert len(lines) == 1, "one slip, one line:\n" + "\n".join(lines)


def test_all_errors_come_at_once_sorted_by_place(tmp_path):
    path = tmp_path / "broken.yaml"
    text = GOOD
    for old, new in [
        ("name: good", "nam: good"),
        ("delay: 100us", "loss: 10"),
        ("kill: lb1/haproxy", "kill: lb9/haproxy"),
        ("end: lb1", "end: lb9"),
        ("outage: {max: 6s}", "outage: {mx: 6s}"),
    ]:
        text = text.replace(old, new, 1)
    path.write_text(text)
    lines = errors_of(path)
    assert [int(line.split(":")[1]) for line in lines] == [2, 5, 16, 19, 20]


def test_every_missing_key_is_named_and_the_rest_still_judged(tmp_path):
    path = tmp_path / "broken.yaml"
    text = GOOD.replace("duration: 45s\n", "").replace('segment: lan, target: "10.0.0.1:80"', "every: 1s")
    path.write_text(text.replace("kill: lb1/haproxy", "kill: lb9/haproxy"))
    lines = [line.partition(": ")[2] for line in errors_of(path)]
    assert [line for line in lines if "missing" in line] == [
        "'duration:' is missing",
        "clients.web: 'segment:' is missing",
        "clients.web: 'target:' is missing",
    ]
    assert "events[0].kill: 'lb9/haproxy': no node 'lb9'" in lines
    assert len(lines) == 4


@pytest.mark.parametrize("words", ["count: 3, every: soon", "impair: lan, loss: 10", "burst: 2, loss: x"])
def test_what_is_wrong_is_not_also_missed(words, tmp_path):
    """One slip, one line, also where the wrong value is what another key needs."""
    path = tmp_path / "broken.yaml"
    kept = words if "impair" in words else f"impair: lan, delay: 1ms, {words}"
    path.write_text(GOOD.replace("kill: lb1/haproxy", kept))
    assert len(errors_of(path)) == 1


def many_aliases() -> str:
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"", "the file is empty"),
        (b"# only a comment\n", "the file is empty"),
        (b"- a\n- b\n", "the top level is a list"),
        (b"42\n", "the top level is a single value"),
        (bytes(range(256)), "is not UTF-8"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "not valid YAML"),
        ("version: 1\nname: é".encode("latin-1"), "is not UTF-8"),
        (b"a: 1\n" * 2_500_000, "is larger than"),
        (many_aliases().encode(), "values after aliases"),
        (b"a: " + b"{a: " * 500, "nested too deeply"),
        (b"version: 1\n<<: 3\n", "'<<' needs a mapping"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_a_file_that_is_no_scenario(content, fragment, tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    lines = errors_of(path)
    assert fragment in "\n".join(lines)
    assert all(re.match(re.escape(str(path)) + r":\d+:\d+: ", line) for line in lines)


JUNK = [
    None,
    True,
    -1,
    0,
    3.5,
    float("inf"),
    "",
    "x",
    "1s",
    "lb1",
    "a/b",
    "10.0.0.1",
    [],
    {},
    [None],
    {"x": 1},
    [[]],
]


def paths_of(value, path=()):
    yield path
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, child in children:
        yield from paths_of(child, (*path, step))


def put(tree, path, value):
    """Put the value there, unless an earlier one has cut the path."""
    *parents, last = path
    for step in parents:
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(tree, dict) or (isinstance(tree, list) and isinstance(last, int) and last < len(tree)):
        tree[last] = copy.deepcopy(value)


@pytest.mark.parametrize("seed", range(8))
def test_any_value_anywhere_gives_a_scenario_or_input_errors(seed, tmp_path):
    good = YAML(typ="safe", pure=True).load(GOOD)
    rng = random.Random(f"junk/{seed}")
    path = tmp_path / "junk.yaml"
    paths = [found for found in paths_of(good) if found]
    for _ in range(40):
        tree = copy.deepcopy(good)
        for target in rng.sample(paths, 2):
            put(tree, target, rng.choice(JUNK))
        text = io.StringIO()
        YAML(typ="safe", pure=True).dump(tree, text)
        path.write_text(text.getvalue())
        lines: list[str] = []
        try:
            load_scenario(path)
        except InputError as error:
            lines = str(error).splitlines()
        assert all(re.match(re.escape(str(path)) + r":\d+:\d+: ", line) for line in lines)


def test_missing_file_and_directory(tmp_path):
    assert "no such file" in errors_of(tmp_path / "none.yaml")[0]
    assert "is a directory" in errors_of(tmp_path)[0]
    assert "is not a" in errors_of("/dev/zero")[0]
    assert "not a file name" in errors_of("a\x00b")[0]


def test_the_command_line_says_the_same_and_exits_3(tmp_path):
    path = tmp_path / "broken.yaml"
    for row in (STRUCTURAL[0], SEMANTIC[0], SYNTAX[0]):
        path.write_text(broken(row))
        started = os.times().children_user
        command = [sys.executable, "-m", "vrrpsim", "run", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert os.times().children_user - started < 2
        assert done.returncode == 3, done.stderr
        assert row.fragment in done.stderr
        assert "Traceback" not in done.stderr
