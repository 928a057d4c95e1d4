"""Sweeps on disk: killed and resumed, in shards and put together, the same bytes; folders that are none."""

import json
import signal
import subprocess
import sys
import time

import pytest
from pair_files import pair

import vrrpsim
from vrrpsim.cli import main
from vrrpsim.explore import sweep_folder
from vrrpsim.explore.sweep_manifest import NAME, fingerprint

pytest.importorskip("pyarrow")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(sweep_folder, "PART", 16)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    file = tmp_path_factory.mktemp("pair") / "pair.yaml"
    file.write_text(pair(expect="  owner: {9s: lb1}\n  failover: {max: 5s, p50: 4.3s}\n"))
    return vrrpsim.load(file)


GRID = {"segments.lan.loss": ["0%", "40%"]}


def files(folder):
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def test_a_folder_holds_all_runs_and_says_the_same(study, tmp_path):
    done = study.sweep(40, jobs=2, vary=GRID, folder=tmp_path / "a")
    assert len(list((tmp_path / "a").glob("part-*.parquet"))) == 3
    again = vrrpsim.Sweep.read(tmp_path / "a")
    assert again.to_json() == done.to_json() == study.sweep(40, jobs=1, vary=GRID).to_json()
    assert again.html() == done.html()
    study.sweep(40, jobs=1, vary=GRID, folder=tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_shards_put_together_are_the_bytes_of_one_run(study, tmp_path):
    whole = study.sweep(250, jobs=1, folder=tmp_path / "whole")
    shards = [tmp_path / f"shard-{number}" for number in range(1, 201)]
    for number, folder in enumerate(shards, 1):
        study.sweep(250, jobs=1, folder=folder, shard=(number, 200))
    merged = vrrpsim.Sweep.read(*shards, into=tmp_path / "merged")
    assert merged.to_json() == whole.to_json()
    assert merged.html() == whole.html()
    assert files(tmp_path / "merged") == files(tmp_path / "whole")


def test_what_was_interrupted_goes_on_to_the_same_bytes(study, tmp_path):
    class Enough(Exception):
        pass

    def enough(done, of):
        if done >= 60:
            raise Enough

    study.sweep(60, jobs=1, vary=GRID, folder=tmp_path / "whole")
    with pytest.raises(Enough):
        study.sweep(60, jobs=1, vary=GRID, folder=tmp_path / "killed", progress=enough)
    before = len(vrrpsim.Sweep.read(tmp_path / "killed").outcome.cells[0].rows)
    assert 0 < before < 60
    told = []
    study.sweep(
        60, jobs=2, vary=GRID, folder=tmp_path / "killed", resume=True, progress=lambda *n: told.append(n)
    )
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert told[0][0] > before
    assert told[-1] == (120, 120)


def test_a_sweep_that_is_killed_outright_goes_on_to_the_same_bytes(study, tmp_path):
    small = "import sys; from vrrpsim.explore import sweep_folder; sweep_folder.PART = 16; "
    words = [sys.executable, "-c", small + "from vrrpsim.cli import main; sys.exit(main(sys.argv[1:]))"]
    words += ["sweep", str(study.scenario.path), "-n", "300", "-j", "1", "-q", "-o"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with subprocess.Popen([*words, str(killed)]) as run:
        while not list(killed.glob("part-*.parquet")) and run.poll() is None:
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
    (killed / ".part-000009.parquet.0123456789abcdef.part").write_bytes(b"PAR1")  # it was writing
    assert len(list(killed.glob("part-*.parquet"))) < 19
    assert subprocess.call([*words, str(killed), "--resume"], stdout=subprocess.DEVNULL) == 1
    assert subprocess.call([*words, str(whole)], stdout=subprocess.DEVNULL) == 1
    assert files(killed) == files(whole)


def test_new_thresholds_are_asked_of_a_folder(study, tmp_path, capsys):
    study.sweep(20, jobs=1, folder=tmp_path / "a")
    assert main(["sweep", "--from", str(tmp_path / "a"), "--threshold", "failover.p95 < 2s"]) == 1
    assert "FAIL     failover.p95 < 2s" in capsys.readouterr().out
    assert main(["sweep", "--from", str(tmp_path / "a"), "-o", str(tmp_path / "runs.csv"), "-q"]) == 1
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 21


def test_a_shard_that_is_not_there_is_missed(study, tmp_path, capsys):
    study.sweep(20, jobs=1, folder=tmp_path / "a", shard=(1, 2))
    assert main(["sweep", "--from", str(tmp_path / "a")]) == 4
    out, err = capsys.readouterr()
    assert "(of 20 asked)" in out
    assert "10 runs are missing" in err
    assert main(["sweep", "--from", str(tmp_path / "a"), "-o", str(tmp_path / "all")]) == 3
    assert "10 of 20 runs are missing" in capsys.readouterr().err
    assert not (tmp_path / "all").exists()


def test_a_trial_that_raises_is_kept_in_its_part(study, tmp_path, monkeypatch):
    from vrrpsim.explore import trial

    real = trial.trial
    monkeypatch.setattr(trial, "trial", lambda scenario, seed: real(scenario, seed if seed != 3 else "x" / 2))
    study.sweep(20, jobs=1, stratify=False, folder=tmp_path / "a")
    [cell] = vrrpsim.Sweep.read(tmp_path / "a").outcome.cells
    assert list(cell.errors) == [3]
    assert study.sweep(20, jobs=1, stratify=False, folder=tmp_path / "a", resume=True).outcome.cells[0].errors


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["FILE", "-o", "DIR"], 3, "--resume"),
        (["FILE", "-o", "DIR", "-n", "30", "--resume"], 3, "runs differ"),
        (["FILE", "-o", "DIR", "-n", "20", "--resume", "--set", "duration=23s"], 3, "cells differ"),
        (["FILE", "-o", "DIR", "-n", "20", "--resume", "--shard", "1/2"], 3, "shard differ"),
        (["FILE", "-o", "full"], 4, "not empty"),
        (["--from", "full"], 3, "holds no sweep"),
        (["--from", "torn"], 3, "not the manifest"),
        (["--from", "DIR", "odd"], 3, "is no part of this sweep"),
        (["--from", "DIR", "-n", "3"], 2, "--runs"),
        (["FILE", "--resume"], 2, "-o DIR"),
        (["FILE", "--shard", "3/2"], 2, "K/N"),
        (["FILE", "--shard", "1/2", "--until", "failover.p50 ±1s"], 2, "exclude"),
        (["FILE", "--until", "failover.max ±1s"], 2, "no interval"),
        (["FILE", "--until", "failover.p50 < 1s"], 2, "MEASURE.STATISTIC"),
        (["FILE", "FILE"], 2, "one scenario"),
        (["FILE", "--rare", "loss", "--threshold", "failover.max < 1s"], 2, "rate"),
    ],
)
def test_what_does_not_fit_is_said(study, tmp_path, capsys, monkeypatch, words, code, says):
    monkeypatch.chdir(tmp_path)
    study.sweep(20, jobs=1, folder="DIR")
    for name in ("full", "torn"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    (tmp_path / "torn" / NAME).write_text('{"format": 1, "runs": [')
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / NAME).write_bytes((tmp_path / "DIR" / NAME).read_bytes())
    (tmp_path / "odd" / "part-000000.parquet").write_bytes(b"PAR1")
    words = [str(study.scenario.path) if word == "FILE" else word for word in words]
    assert main(["sweep", *words]) == code
    out, err = capsys.readouterr()
    assert not out
    assert says in err


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["runs"], -5),
        (["runs"], "many"),
        (["shard"], [3, 2]),
        (["until"], ["soon"]),
        (["cells"], []),
        (["cells", 0, "scenario", "name"], "\x1b[2J"),
        (["cells", 0, "scenario", "clients"], None),
        (["cells", 0, "scenario", "expect", "bounds"], [["failover", None, "p12", 1]]),
        (["cells", 0, "scenario", "expect", "owner"], [[1]]),
        (["format"], 2),
    ],
)
def test_a_manifest_that_lies_is_refused(study, tmp_path, capsys, place, value):
    study.sweep(4, jobs=1, folder=tmp_path / "a")
    content = inner = json.loads((tmp_path / "a" / NAME).read_text())
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (tmp_path / "a" / NAME).write_text(json.dumps(content))
    assert main(["sweep", "--from", str(tmp_path / "a")]) == 3
    out, err = capsys.readouterr()
    assert not out
    assert "is not the manifest of a sweep" in err
    assert "\x1b" not in err


def test_without_pyarrow_a_folder_is_4(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["sweep", str(study.scenario.path), "-o", str(tmp_path / "runs")]) == 4
    assert "vrrpsim[notebook]" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_fingerprint_is_of_what_runs_not_of_where_it_is(study, tmp_path):
    copy = tmp_path / "copy.yaml"
    copy.write_text("# the same\n" + study.scenario.path.read_text())
    same = fingerprint(study.scenario)
    assert fingerprint(vrrpsim.load(copy).scenario) == same
    assert fingerprint(vrrpsim.load(copy, {"nodes.lb1.slop": "default"}).scenario) != same


def test_until_it_is_known(study, tmp_path):
    wide = study.sweep(3000, jobs=1, until=["failover.p50 ±400ms"], folder=tmp_path / "a")
    assert len(wide.outcome.cells[0].rows) == wide.outcome.asked == 200
    narrow = study.sweep(3000, jobs=2, until=["failover.p50 ±150ms"])
    runs = narrow.outcome.asked
    assert 200 < runs < 1000
    quantile = narrow.outcome.cells[0].summaries["failover"].quantiles[50]
    assert max(quantile.value - quantile.low, quantile.high - quantile.value) <= 150_000_000
    assert json.loads(vrrpsim.Sweep.read(tmp_path / "a").to_json())["asked"] == 200
