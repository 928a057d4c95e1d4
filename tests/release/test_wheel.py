"""What the wheel carries works for those who have nothing else: no checkout, another folder."""

import email
import re
import shutil
import tomllib
import zipfile

import pytest
from installed import ROOT, build, examples_of

COMMANDS = sorted(path.stem for path in (ROOT / "vrrpsim/cli").glob("*.py") if path.name[0] != "_")
# They need capabilities, real time, a terminal, a browser; advise runs in the tutorial (test_site.py).
ELSEWHERE = ("lab", "live", "watch", "playground", "advise")
QUICK = {
    "sweep": "-n 8",
    "hunt": "--max-examples 8",
    "census": "-n 1 --no-pairs",
    "diff": "-n 1 --no-pairs",
}  # the last option of a name wins


def test_it_comes_from_the_wheel(installed):
    where = installed.run("python -c 'import vrrpsim; print(vrrpsim.__file__)'").stdout
    assert where.startswith(str(installed.prefix))


@pytest.mark.parametrize("name", ["haproxy-crash", "long/a-year-of-loss"])
def test_an_example_runs_by_its_name(installed, name):
    shown = installed.run(f"vrrpsim run {name} --json").stdout
    assert installed.run(f"vrrpsim run {ROOT}/scenarios/{name}.yaml --json").stdout == shown


def test_a_file_of_the_name_comes_first(installed):
    (installed.folder / "partition").write_text("version: 2\n")
    assert "partition:1:" in installed.run("vrrpsim run partition", check=False).stderr
    (installed.folder / "partition").unlink()
    assert installed.run("vrrpsim run partition -q", check=False).returncode in (0, 1)


def test_every_example_is_carried_with_its_configurations(installed):
    names = {path.relative_to(ROOT / "scenarios") for path in (ROOT / "scenarios").rglob("*.yaml")}
    listed = installed.run("vrrpsim examples", COLUMNS="200").stdout.splitlines()
    assert {line.split()[0] for line in listed} == {str(name.with_suffix("")) for name in names}
    assert all(len(line.split()) > 3 for line in listed)
    installed.run("vrrpsim examples -o all")
    for path in (ROOT / "scenarios").rglob("*.*"):
        copy = installed.folder / "all" / path.relative_to(ROOT / "scenarios")
        assert path.name == "README.md" or copy.read_bytes() == path.read_bytes()
    again = installed.run("vrrpsim examples -o all", check=False)
    assert (again.returncode, "--force overwrites" in again.stderr) == (2, True)


def test_an_unknown_example_is_2_with_a_suggestion(installed):
    asked = installed.run("vrrpsim examples haproxy-crush -o x", check=False)
    assert asked.returncode == 2
    assert "did you mean 'haproxy-crash'?" in asked.stderr


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ELSEWHERE])
def test_the_examples_of_every_help_work(beginner, command):
    lines = examples_of(beginner(f"vrrpsim {command} --help", COLUMNS="200").stdout)
    assert lines
    for line in lines:
        if "--from" in line:
            continue  # needs the shards of other machines
        done = beginner(f"{line} {QUICK.get(command, '')}", check=False)
        assert done.returncode in (0, 1), f"{line}: {done.returncode}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        into_a_file = ">" in line or " -o " in line
        assert done.stdout or into_a_file or command == "check"  # nothing found is nothing said to GitHub


def test_man_pages_completions_and_the_unit_lie_in_the_prefix(installed):
    share = installed.prefix / "share"
    pages = {path.stem for path in (share / "man/man1").glob("*.1")}
    assert pages == {"vrrpsim", *(f"vrrpsim-{name}" for name in COMMANDS)}
    run = (share / "man/man1/vrrpsim-run.1").read_text()
    assert run.index(".SH OPTIONS") < run.index(".SH EXAMPLES") < run.index("vrrpsim run haproxy\\-crash")
    assert "vrrpsim-sweep(1)" in (share / "man/man1/vrrpsim.1").read_text()
    assert (installed.prefix / "lib/systemd/system/vrrpsim-live@.service").is_file()
    for place in ("bash-completion/completions/vrrpsim", "zsh/site-functions/_vrrpsim"):
        assert "_VRRPSIM_COMPLETE" in (share / place).read_text()
    for name in ("grafana.json", "alerts.yml"):
        assert (share / "vrrpsim" / name).read_bytes() == (ROOT / "packaging" / name).read_bytes()


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man")
def test_man_shows_them_without_a_warning(installed):
    for page in (installed.prefix / "share/man/man1").glob("*.1"):
        shown = installed.run(f"man --warnings=w -l {page} | col -b", MANWIDTH="80", LC_ALL="C.UTF-8")
        assert "SYNOPSIS" in shown.stdout
        assert not shown.stderr, shown.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_installed_completion_completes(installed):
    script = installed.prefix / "share/bash-completion/completions/vrrpsim"
    line = (
        f"source {script}; COMP_WORDS=(vrrpsim exam); COMP_CWORD=1; _vrrpsim_completion vrrpsim; "
        "echo ${COMPREPLY[@]}"
    )
    assert installed.run(line).stdout.split() == ["examples"]


def test_the_metadata_say_where_to_find_what(installed):
    with zipfile.ZipFile(installed.wheel) as wheel:
        [name] = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        found = email.message_from_bytes(wheel.read(name))
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [url.partition(",")[0] for url in found.get_all("Project-URL")] == [*declared["urls"]]
    assert found.get_all("Classifier") == sorted(declared["classifiers"])
    cited = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.*)$", cited, re.MULTILINE)[1] == found["Version"]
    assert declared["urls"]["Source"] in cited


def test_two_builds_are_the_same_bytes(installed, tmp_path):
    assert build(tmp_path).read_bytes() == installed.wheel.read_bytes()
