"""pre-commit, the GitHub action and the Ansible example work as they stand in the repository."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import jinja2
import jsonschema
import pytest
from checking.conf_files import CLEAN, TYPO, instance, write
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
HOOKS = YAML(typ="safe").load(ROOT / ".pre-commit-hooks.yaml")
ACTION = YAML(typ="safe").load(ROOT / "action.yml")
ANSIBLE = ROOT / "examples/ansible"
QUICK = {"files": "lb1.conf lb2.conf", "effort": "--no-pairs -n 3"}
PAIR = {"lb1": instance("priority 150"), "lb2": instance("priority 100")}
GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def run(*words, cwd, **environment):
    """Run with our programs first in PATH."""
    return subprocess.run(
        [*map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, **GIT, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **environment},
    )


@pytest.fixture
def repository(tmp_path):
    """An empty git repository."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def git(folder, *words):
    done = run("git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder, message="x"):
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


# --- pre-commit


def pre_commit(folder, *words, **environment):
    cache = str(folder.parent / "cache")
    return run(sys.executable, "-m", "pre_commit", *words, cwd=folder, PRE_COMMIT_HOME=cache, **environment)


def test_pre_commit_takes_the_manifest(repository):
    done = pre_commit(repository, "validate-manifest", ROOT / ".pre-commit-hooks.yaml")
    assert done.returncode == 0, done.stdout


def with_hook(repository, **changes):
    """The hooks as they are, but for the program: it is the one of this checkout."""
    hooks = [{**hook, "language": "system", **changes.get(hook["id"], {})} for hook in HOOKS]
    config = {"repos": [{"repo": "local", "hooks": hooks}]}
    (repository / ".pre-commit-config.yaml").write_text(json.dumps(config))


def test_pre_commit_checks_what_changes_and_stops_the_commit(repository):
    with_hook(repository, **{"vrrpsim-check-cluster": {"args": ["--strict", "keepalived"]}})
    write(repository / "keepalived", **PAIR)
    git(repository, "add", "-A")
    good = pre_commit(repository, "run")
    assert good.returncode == 0, good.stdout
    write(repository / "keepalived", lb2=PAIR["lb2"].replace("priority 100", "advert_int 3"))
    git(repository, "add", "-A")
    bad = pre_commit(repository, "run")
    assert bad.returncode == 1
    assert bad.stdout.count("VRRP207") == 2  # by either hook
    assert "keepalived/lb2.conf:" in bad.stdout


@pytest.mark.slow
def test_pre_commit_installs_the_hook_from_a_clone(repository, tmp_path):
    """As a project has it: `repo:` and `rev:`. What vrrpsim needs is that of these tests."""
    source = tmp_path / "vrrpsim"
    names = git(ROOT, "ls-files", "-co", "--exclude-standard").splitlines()
    for name in names:
        if re.match(r"(vrrpsim|scenarios|packaging)/|[^/]*$", name) and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    git(source, "init", "-q", "-b", "main")
    revision = commit(source)
    hooks = [{"id": "vrrpsim-check", "args": ["--strict"]}]
    config = {"repos": [{"repo": str(source), "rev": revision, "hooks": hooks}]}
    (repository / ".pre-commit-config.yaml").write_text(json.dumps(config))
    write(repository / "keepalived", lb1=TYPO)
    git(repository, "add", "-A")
    paths = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    done = pre_commit(
        repository, "run", PIP_NO_DEPS="1", PIP_NO_BUILD_ISOLATION="0", VRRPSIM_PURE="1", PYTHONPATH=paths
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "VRRP114" in done.stdout


# --- the GitHub action


def test_the_action_is_one_by_the_schema_of_actions():
    schema = distribution("check-jsonschema").locate_file(
        "check_jsonschema/builtin_schemas/vendor/github-actions.json"
    )
    jsonschema.Draft7Validator(json.loads(schema.read_text(encoding="utf-8"))).validate(ACTION)


def steps(folder, tmp_path, base="", **inputs):
    """Run the steps as a runner does; name -> the finished process, up to the first that fails."""
    given = {name: each.get("default", "") for name, each in ACTION["inputs"].items()}
    given |= {"base": base, **{name.replace("_", "-"): value for name, value in inputs.items()}}
    (tmp_path / "temp").mkdir(exist_ok=True)
    summary = tmp_path / "summary.md"
    done = {}
    for step in ACTION["runs"]["steps"]:
        if "run" not in step or step["name"] == "install" or not holds(step.get("if", ""), given):
            continue
        environment = {
            name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: str(given[match[1]]), value)
            for name, value in step.get("env", {}).items()
        }
        done[step["name"]] = each = run(
            *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]),
            cwd=folder,
            GITHUB_STEP_SUMMARY=str(summary),
            RUNNER_TEMP=str(tmp_path / "temp"),
            **environment,
        )
        if each.returncode:
            break
    return done, summary.read_text() if summary.exists() else ""


def holds(condition, given):
    """`inputs.x != '…'`, and more of them with && between."""
    parts = [re.fullmatch(r"inputs\.([\w-]+) != '(.*)'", part) for part in condition.split(" && ") if part]
    return all(part is not None and given[part[1]] != part[2] for part in parts)


def test_the_action_annotates_and_sums_up(repository, tmp_path):
    write(repository, lb1=CLEAN, lb2=TYPO)
    done, summary = steps(repository, tmp_path, files="*.conf")
    assert [*done] == ["check"]
    assert done["check"].returncode == 0
    assert "::warning file=lb2.conf,line=5,col=5,endLine=5,endColumn=12,title=VRRP114" in done["check"].stdout
    assert summary.startswith("**vrrpsim check:** 2 files, 0 errors")
    assert steps(repository, tmp_path, files="*.conf", fail_on="warning")[0]["check"].returncode == 1
    chosen = steps(repository, tmp_path, files="*.conf", fail_on="warning", options="--ignore VRRP114")
    assert chosen[0]["check"].returncode == 0


def test_the_action_takes_the_census(repository, tmp_path):
    write(repository, **PAIR)
    done, summary = steps(repository, tmp_path, **QUICK, census="outage>1ms")
    assert done["census"].returncode == 1
    assert "power off lb1" in summary
    done, _ = steps(repository, tmp_path, **QUICK, census="report")
    assert done["census"].returncode == 0


def test_the_action_compares_a_change_with_its_base(repository, tmp_path):
    write(repository, **PAIR)
    base = commit(repository)
    slower = {name: text.replace("priority", "advert_int 5\n    priority") for name, text in PAIR.items()}
    write(repository, **slower)
    done, summary = steps(repository, tmp_path, base, **QUICK)
    assert done["diff"].returncode == 1, done["diff"].stderr
    assert "power off lb1" in summary
    assert not (tmp_path / "temp" / "vrrpsim-base").exists()
    write(repository, **PAIR)
    assert steps(repository, tmp_path, base, **QUICK)[0]["diff"].returncode == 0


# --- Ansible


def rendered(folder):
    """The template for both nodes, as Ansible renders it."""
    molecule = YAML(typ="safe").load(ANSIBLE / "molecule/default/molecule.yml")
    inventory = molecule["provisioner"]["inventory"]
    template = jinja2.Template((ANSIBLE / "templates/keepalived.conf.j2").read_text(), trim_blocks=True)
    common = {**inventory["group_vars"]["all"], "ansible_managed": "Ansible managed"}
    return write(
        folder,
        **{
            name: template.render(inventory_hostname=name, **common, **words)
            for name, words in inventory["host_vars"].items()
        },
    )


def test_the_examples_for_ansible_are_yaml():
    files = [*ANSIBLE.rglob("*.yml")]
    assert len(files) == 4
    assert all(YAML(typ="safe").load(file) for file in files)


def test_the_line_that_validates_accepts_a_good_file_and_refuses_a_bad_one(tmp_path):
    [task] = YAML(typ="safe").load(ANSIBLE / "tasks/main.yml")
    command = task["ansible.builtin.template"]["validate"]
    assert command.count("%s") == 1
    good, bad = tmp_path / ".ansible_tmp1a2b3c", tmp_path / "tmpd4e5f6"
    good.write_text(rendered(tmp_path / "all")[0].read_text())
    bad.write_text(good.read_text().replace("priority", "prioriy"))
    assert run(*command.replace("%s", str(good)).split(), cwd=tmp_path).returncode == 0
    assert run(*command.replace("%s", str(bad)).split(), cwd=tmp_path).returncode == 1


def test_the_commands_of_molecules_verify_work_on_what_is_rendered(tmp_path):
    rendered(tmp_path / "rendered")
    [play] = YAML(typ="safe").load(ANSIBLE / "molecule/default/verify.yml")
    commands = [task.get("ansible.builtin.command") for task in play["tasks"]]
    commands = [command for command in commands if command]
    assert len(commands) == 2
    for command in commands:
        words = command.replace("{{ rendered }}", str(tmp_path / "rendered")).split()
        done = run(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
