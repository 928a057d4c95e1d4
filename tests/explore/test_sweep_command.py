"""`vrrpsim sweep` as a user meets it: exit codes, streams, files, Ctrl-C, the bar on a terminal."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from pair_files import pair

from vrrpsim.cli import main
from vrrpsim.cli.sweep import split_values

if sys.platform != "win32":
    import pty


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "pair.yaml"
    file.write_text(pair())
    return file


@pytest.fixture
def sweep(file, capsys):
    """Run the command here, one worker: (exit code, stdout, stderr)."""

    def run(*arguments, scenario=file):
        words = [arguments] if isinstance(arguments, str) else arguments
        code = main(["sweep", str(scenario), "-j", "1", *map(str, words)])
        return (code, *capsys.readouterr())

    return run


def test_good_is_0_and_the_verdict_is_last(sweep):
    code, out, err = sweep("-n", 20, "--threshold", "failover.p95 < 6s")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "pair: 20 runs, the instant of crash stratified"
    assert out.splitlines()[-1] == "passed: 1 of 1 bound"
    assert "0 of 20 runs: at most 16.8 %" in out


def test_bad_is_1_and_shows_the_run_to_look_at(sweep, file):
    code, out, _ = sweep("-n", 20, "--threshold", "failover.p95 < 2s")
    assert code == 1
    assert "FAIL     failover.p95 < 2s" in out
    assert f"vrrpsim run {file} --seed " in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--threshold", "failover < 1s"], "MEASURE.STATISTIC"),
        (["--threshold", "outage.nobody.p50 < 1s"], "no such client"),
        (["--vary", "segments.lan.loss"], "PATH=a,b,c"),
        (["--vary", "segments.lan.loss=1%,,2%"], "PATH=a,b,c"),
        (["--vary", "a=1", "--vary", "a=2"], "varied twice"),
        (["-o", "x.xls"], "must end in .csv"),
        (["--plot", "x.bmp"], "does not end in .svg"),
        (["-n", "0"], "range"),
        (["--scheduler", "tcp://x:1"], "exclude each other"),
    ],
)
def test_a_wrong_command_line_is_2_and_says_why(sweep, arguments, says):
    code, out, err = sweep(*arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_an_input_that_cannot_be_used_is_3(sweep, tmp_path):
    assert sweep(scenario=tmp_path / "nowhere.yaml")[0] == 3
    code, _, err = sweep("--vary", "segments.lan.loss=0%,many")
    assert code == 3
    assert "segments.lan.loss=many" in err


@pytest.mark.parametrize(
    ("arguments", "missing", "says"),
    [
        (["-o", "runs.parquet"], "pyarrow", "vrrpsim[notebook]"),
        (["--scheduler", "tcp://127.0.0.1:1"], "distributed", "vrrpsim[cluster]"),
    ],
)
def test_a_missing_extra_is_4_and_named(file, capsys, monkeypatch, arguments, missing, says):
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["sweep", str(file), *arguments]) == 4
    assert says in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")  # Dask's own
def test_one_worker_two_and_a_dask_cluster_give_the_same_bytes(file, capsys):
    distributed = pytest.importorskip("distributed")

    def told(*how):
        assert (
            main(["sweep", str(file), "-n", "200", "--vary", "segments.lan.loss=0%,5%", "--json", *how]) == 0
        )
        return capsys.readouterr().out

    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        assert told("-j", "1") == told("-j", "2") == told("--scheduler", cluster.scheduler_address)


def test_a_place_where_nothing_can_be_written_is_4_before_anything_runs(sweep, tmp_path):
    code, out, err = sweep("-n", 10**6, "-o", tmp_path / "nowhere" / "runs.csv")
    assert (code, out) == (4, "")
    assert "runs.csv" in err


def test_json_is_one_document(sweep):
    code, out, _ = sweep("-n", 10, "--json", "--no-stratify", "-s", 5)
    assert code == 0
    assert json.loads(out)["runs"] == 10
    assert json.loads(out)["verdict"] == "none"
    assert json.loads(out)["stratified"] is None


def test_quiet_prints_the_verdict_only(sweep):
    assert sweep("-n", 5, "-q") == (0, "no verdict: nothing was expected\n", "")


def test_runs_are_written_as_csv_and_json_lines(sweep, tmp_path):
    for suffix in ("csv", "jsonl"):
        sweep("-n", 5, "--vary", "segments.lan.loss=0%,1%", "-o", tmp_path / f"runs.{suffix}")
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    lines = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert len(rows) == len(lines) == 10
    assert [float(row["failover_s"]) for row in rows] == [line["failover_s"] for line in lines]
    assert {line["segments.lan.loss"] for line in lines} == {"0%", "1%"}


def test_runs_are_written_as_parquet(sweep, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    sweep("-n", 5, "-o", tmp_path / "runs.parquet")
    assert parquet.read_table(tmp_path / "runs.parquet").num_rows == 5


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_plot_is_the_same_bytes_each_time(sweep, tmp_path, suffix):
    for name in ("a", "b"):
        sweep("-n", 5, "--plot", tmp_path / f"{name}.{suffix}")
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_a_worker_that_raises_is_a_bug_and_the_rest_is_reported(sweep, monkeypatch):
    from vrrpsim.explore import trial

    real = trial.trial
    monkeypatch.setattr(trial, "trial", lambda scenario, seed: real(scenario, seed if seed != 3 else "x" / 2))
    code, out, err = sweep("-n", 5, "--no-stratify")
    assert code == 70
    assert "seed 3: TypeError" in err
    assert "4 runs (of 5 asked)" in out


def test_values_are_split_at_commas_outside_brackets():
    assert list(split_values("{uniform: [1s, 2s]},3s,'a,b'")) == ["{uniform: [1s, 2s]}", "3s", "'a,b'"]


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_prints_what_is_finished_and_the_bar_shows_the_rate(file, jobs):
    ours, theirs = pty.openpty()
    words = [
        sys.executable,
        "-m",
        "vrrpsim",
        "sweep",
        file,
        "-n",
        "1000000",
        "--no-stratify",
        "-j",
        str(jobs),
    ]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs ignore it
    ) as run:
        giving_up = threading.Timer(120, os.killpg, (run.pid, signal.SIGKILL))
        giving_up.start()
        os.close(theirs)
        seen = b""
        while b"/s" not in seen or b"/1000000" not in seen:
            seen += os.read(ours, 1000)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the workers, too
        out = run.stdout.read()
        while seen:
            try:
                seen = os.read(ours, 1000)
            except OSError:
                break
        giving_up.cancel()
        assert run.wait(30) == 130
    os.close(ours)
    assert "(of 1000000 asked)" in out
    assert out.splitlines()[-1] == "interrupted, so far no verdict: nothing was expected"


def test_age_is_that_of_the_scenario(tmp_path):
    from vrrpsim.cli import main

    for name, words in (("old", ["--age", "30d"]), ("said", ["--set", "age=30d"]), ("young", [])):
        assert (
            main(
                [
                    "sweep",
                    "haproxy-crash",
                    "-n",
                    "8",
                    "-q",
                    "-j",
                    "1",
                    *words,
                    "-o",
                    str(tmp_path / f"{name}.csv"),
                ]
            )
            == 0
        )
    old, said, young = ((tmp_path / f"{name}.csv").read_bytes() for name in ("old", "said", "young"))
    assert old == said != young


def test_a_cluster_of_files_has_an_age(capsys):
    from vrrpsim.cli import main

    pair = ["scenarios/keepalived/lb1.conf", "scenarios/keepalived/lb2.conf"]
    words = ["census", *pair, "--no-pairs", "-n", "1", "-j", "1", "--json"]
    assert main([*words, "--age", "30d"]) == 0
    told = capsys.readouterr().out
    assert "--set age=30d" in told
    assert main([*words, "--age", "3x"]) == 3
    assert "age=3x:1:1: error: VRRP023 " in capsys.readouterr().err
