"""The command line as a user meets it: by subprocess, with exit codes, streams and files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = sorted(
    path.stem for path in (Path(__file__).parents[1] / "vrrpsim/cli").glob("*.py") if path.name[0] != "_"
)
# What a command imports only when it cannot do without.
HEAVY = (
    *("numpy", "scipy", "pandas", "networkx", "matplotlib", "hypothesis", "rich", "distributed"),
    *("asyncio", "multiprocessing", "concurrent.futures", "pyroute2", "prometheus_client", "scapy"),
)

SCENARIO = """\
version: 1
name: pair
duration: 20s
segments: {lan: {subnet: 192.168.50.0/24}}
nodes:
  lb1:
    interfaces: {eth0: {segment: lan, address: 192.168.50.10/24}}
    keepalived:
      vrrp_instances:
        VI_1: {interface: eth0, virtual_router_id: 51, priority: 101, virtual_ipaddress: [192.168.50.108]}
  lb2:
    interfaces: {eth0: {segment: lan, address: 192.168.50.20/24}}
    keepalived:
      vrrp_instances:
        VI_1: {interface: eth0, virtual_router_id: 51, priority: 100, virtual_ipaddress: [192.168.50.108]}
clients:
  web: {segment: lan, target: "192.168.50.108:80"}
events:
  - {at: 10s, power_off: lb1}
expect:
  owner: {9s: lb1, end: lb2}
  failover: {max: 4s}
"""
CONF = """\
vrrp_instance VI_1 {
  interface eth0
  virtual_router_id 51
  priority %s
  advert_int %s
  virtual_ipaddress {
    192.168.50.108/24
  }
}
"""


def vrrpsim(*arguments, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, "-m", "vrrpsim", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "120", **environment},
    )


@pytest.fixture
def pair(tmp_path):
    file = tmp_path / "pair.yaml"
    file.write_text(SCENARIO)
    return file


# --- help and wrong command lines


def loaded_by(names, *arguments):
    """Which of these modules there are when the command is done."""
    code = (
        f"import sys; sys.argv = {['vrrpsim', *map(str, arguments)]}\n"
        "from vrrpsim.cli import main\n"
        "assert main() == 0\n"
        f"print([name for name in {names} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.strip()


def test_help_imports_nothing_heavy():
    own = ("vrrpsim.api", "vrrpsim.scenario.model", "vrrpsim.world")
    assert loaded_by((*HEAVY, "simpy", "ruamel", "importlib.metadata", "difflib", *own), "--help") == "[]"


def test_a_run_imports_neither_what_draws_nor_what_explores(pair):
    assert loaded_by((*HEAVY, "vrrpsim.explore", "vrrpsim.report.figure"), "run", pair, "-q") == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    shown = vrrpsim(command, "--help")
    assert shown.returncode == 0
    assert f"vrrpsim {command}" in shown.stdout
    assert "Example" in shown.stdout
    assert command in vrrpsim("--help").stdout


def test_the_version_is_printed():
    assert vrrpsim("--version").stdout.startswith("vrrpsim, version 0.")


@pytest.mark.parametrize(
    "arguments",
    [["--nonsense"], ["nonsense"], ["run"], ["run", "x", "--nonsense"], ["run", "x", "--set", "y"]],
)
def test_a_wrong_command_line_is_2(arguments):
    assert vrrpsim(*arguments).returncode == 2


@pytest.mark.parametrize("command", ["run", "check", "show"])
def test_a_missing_file_is_3_and_says_which(command, tmp_path):
    shown = vrrpsim(command, tmp_path / "nowhere.yaml")
    assert shown.returncode == 3
    assert "nowhere.yaml" in shown.stdout + shown.stderr


# --- run


def test_a_good_run_is_0_and_ends_with_the_verdict(pair):
    shown = vrrpsim("run", pair)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines()[-1] == "passed: 3 of 3 expectations"


def test_quiet_prints_the_verdict_only(pair):
    assert vrrpsim("run", pair, "-q").stdout == "passed: 3 of 3 expectations\n"


def test_a_bad_run_is_1_with_the_command_that_repeats_it(pair):
    shown = vrrpsim("run", pair, "--seed", 5, "--set", "expect.failover.max=1s")
    assert shown.returncode == 1
    assert f"vrrpsim run {pair} --seed 5 --set expect.failover.max=1s" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "failed: 1 of 3 expectations"


def test_json_is_one_document_and_several_files_are_a_list(pair):
    document = json.loads(vrrpsim("run", pair, "--json").stdout)
    assert document["verdict"] == "pass"
    several = json.loads(vrrpsim("run", pair, pair, "--json").stdout)
    assert several == [document, document]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed(pair):
    runs = [vrrpsim("run", pair, "--json", PYTHONHASHSEED=str(number)).stdout for number in (0, 1)]
    texts = [vrrpsim("run", pair, "-v", PYTHONHASHSEED=str(number)).stdout for number in (0, 1)]
    assert runs[0] == runs[1]
    assert texts[0] == texts[1]


def test_of_several_files_the_worst_code_wins_and_the_others_still_run(pair, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("version: 1\nnoodles: {}\n")
    shown = vrrpsim("run", broken, pair, "-q")
    assert shown.returncode == 3
    assert "broken.yaml:2" in shown.stderr
    assert f"{pair}: passed" in shown.stdout


def test_a_trace_is_written_whole_or_not_at_all(pair, tmp_path):
    file = tmp_path / "out.jsonl"
    assert vrrpsim("run", pair, "--trace", file).returncode == 0
    assert json.loads(file.read_text().splitlines()[-1]) == {"record": "End", "at_ns": 20_000_000_000}
    shown = vrrpsim("run", pair, "--trace", tmp_path / "no/such/folder.jsonl")
    assert shown.returncode == 4
    assert "cannot write" in shown.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "pair.yaml"]


def test_ascii_and_width_follow_the_environment(pair):
    shown = vrrpsim("run", pair, PYTHONIOENCODING="ascii", COLUMNS="60")
    assert shown.stdout.isascii()
    assert "\x1b" not in shown.stdout


def test_a_reader_that_leaves_is_no_error(pair):
    line = f"{sys.executable} -m vrrpsim schema | head -1"
    shown = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert shown.stdout == "{\n"
    assert shown.stderr == ""


# --- errors of ours and of the environment


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        ("KeyError('x')", 70, "please report"),
        ("KeyboardInterrupt()", 130, "interrupted"),
        ("ModuleNotFoundError('no', name='pyroute2.x')", 4, "pyroute2"),
        ("type('NoRoot', (Exception,), {'exit_code': 4})('needs CAP_NET_RAW')", 4, "CAP_NET_RAW"),
    ],
)
def test_every_exception_has_one_code_and_no_command_decides_it(error, code, says):
    program = (
        "import vrrpsim.scenario.file.json_schema, vrrpsim.cli as cli, sys\n"
        f"def broken(): raise {error}\n"
        "vrrpsim.scenario.file.json_schema.scenario_schema = broken\n"
        "sys.exit(cli.main(['schema']))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert shown.returncode == code
    assert says in shown.stderr
    assert ("Traceback" in shown.stderr) == (code == 70)


# --- check, show, schema


@pytest.fixture
def confs(tmp_path):
    files = tmp_path / "lb1.conf", tmp_path / "lb2.conf"
    for file, priority in zip(files, (101, 100), strict=True):
        file.write_text(CONF % (priority, 1))
    return files


def test_a_clean_pair_is_0(confs):
    shown = vrrpsim("check", *confs)
    assert shown.returncode == 0
    assert shown.stdout.splitlines()[-1].startswith("2 files, 0 errors")


def test_what_is_wrong_between_two_nodes_is_found_at_its_place(confs):
    confs[1].write_text(CONF % (100, 3))
    shown = vrrpsim("check", *confs)
    assert shown.returncode == 1
    assert f"{confs[1]}:5:3: error: VRRP207 advert_int 3 here, 1 in {confs[0]}:5:3" in shown.stdout


def test_what_is_wrong_between_the_nodes_of_a_scenario_is_a_warning_at_its_place():
    shown = vrrpsim("check", Path(__file__).parents[1] / "scenarios" / "auth-mismatch.yaml")
    assert shown.returncode == 0
    assert "auth-mismatch.yaml:32:51: warning: VRRP211 auth_pass differs from the one in " in shown.stdout
    assert "auth-mismatch.yaml:24:51; each rejects the other" in shown.stdout


def test_check_json_has_the_keys_of_the_design(confs, pair):
    document = json.loads(vrrpsim("check", "--json", *confs, pair).stdout)
    assert [each["kind"] for each in document["files"]] == ["keepalived.conf", "keepalived.conf", "scenario"]
    assert document["files"][0].keys() == {
        *("file", "kind", "cluster", "instances", "scripts", "groups", "findings")
    }
    assert document["files"][0]["instances"] == ["VI_1"]


def test_github_gets_workflow_commands(confs):
    confs[1].write_text(CONF % (100, 3))
    shown = vrrpsim("check", "--format", "github", *confs)
    line = f"::error file={confs[1]},line=5,col=3,endLine=5,endColumn=13,title=VRRP207 advert-int-differs::"
    assert f"{line}advert_int 3 here" in shown.stdout


@pytest.mark.parametrize(("text", "code"), [("version: 1\nnoodles: 3\n", 1), ("a: [\n", 3), ("", 3)])
def test_check_tells_wrong_from_unreadable(tmp_path, text, code):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    shown = vrrpsim("check", file)
    assert shown.returncode == code
    assert "x.yaml:" in shown.stdout


def test_show_gives_timers_and_failover_times_by_formula(pair):
    shown = vrrpsim("show", pair).stdout
    assert "advert_int 1 s, skew 0.605 s, master down after 3.605 s" in shown
    [line] = [line for line in shown.splitlines() if "power loss of lb1" in line]
    assert "2.609 .. 3.609 s  advert_int 1 × 3 + skew 0.609 s (priority 100)" in line
    assert "single points of failure: lan" in shown


def test_show_draws_the_topology_for_markdown(pair):
    lines = vrrpsim("show", pair, "--graph", "mermaid").stdout.splitlines()
    assert lines[0] == "graph LR"
    assert sum("---" in line for line in lines) == 3


def test_the_schema_is_json():
    assert json.loads(vrrpsim("schema").stdout)["$schema"].startswith("https://json-schema.org")


# --- the library has the same nouns


def test_load_run_and_to_json_are_what_the_command_prints(pair):
    import vrrpsim as library

    run = library.load(pair).run(seed=7)
    assert run.to_json() + "\n" == vrrpsim("run", pair, "--json", "-s", 7).stdout
    assert run.verdict == "pass"
    assert run.verdict in run._repr_html_()
    with pytest.raises(AttributeError, match="nonsense"):
        _ = library.nonsense
