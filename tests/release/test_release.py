"""The scripts of a release, and that the workflow runs these and no others."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from installed import ROOT
from ruamel.yaml import YAML

sys.path.insert(0, str(ROOT / "packaging"))

import sbom
import version

WORKFLOW = YAML(typ="safe").load((ROOT / ".github/workflows/release.yml").read_text())
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
SCRIPTS = {step["run"].split()[1] for step in STEPS if step.get("run", "").startswith("python ")}


def test_every_step_is_an_action_or_a_script_that_exists():
    assert {
        f"packaging/{name}.py" for name in ("version", "wheel", "compare_builds", "sbom", "site")
    } == SCRIPTS
    assert all((ROOT / script).is_file() for script in SCRIPTS)
    others = {step["run"].split()[0] for step in STEPS if "run" in step} - {"python"}
    assert others == {"pip", "rm"}
    assert WORKFLOW["permissions"] == {}


def test_wheel_and_archive_are_built_twice_alike(tmp_path):
    pytest.importorskip("hatchling")
    pytest.importorskip("click_man")
    hashes = []
    for name in ("one", "two"):
        command = [sys.executable, str(ROOT / "packaging/wheel.py"), str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        files = done.stdout.split()
        assert [re.sub(r"-[\d.]+(?=[-.])", "", file.rpartition("/")[2]) for file in files] == [
            "vrrpsim-py3-none-any.whl",
            "vrrpsim.tar.gz",
        ]
        hashes.append([hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files])
    assert hashes[0] == hashes[1]
    with tarfile.open(files[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "tests/check.sh", "playground/build.py", "packaging/hatch_build.py"} <= names
    assert not any("node_modules" in name or name.endswith("playground.html") for name in names)


def test_the_bill_lists_what_is_needed_and_how_it_hangs_together():
    document = sbom.bill()
    names = {part["name"].lower().replace("_", "-") for part in document["components"]}
    assert {"simpy", "ruamel.yaml", "click", "numpy"} <= names
    assert document["metadata"]["component"]["name"] == "vrrpsim"
    known = {part["bom-ref"] for part in document["components"]} | {
        document["metadata"]["component"]["bom-ref"]
    }
    for each in document["dependencies"]:
        assert each["ref"] in known
        assert {*each["dependsOn"]} <= known
    assert json.loads(json.dumps(document)) == document


def test_a_tag_that_is_not_the_version_is_refused():
    said = version.versions()
    assert said["vrrpsim/__init__.py"] == said["CITATION.cff"]
    assert version.wrong("v9.9.9")
    assert not [line for line in version.wrong(f"v{said['CITATION.cff']}") if "CHANGELOG" not in line]


def test_the_container_has_what_the_lab_asks_for():
    text = (ROOT / "packaging/Containerfile").read_text()
    packages = re.search(r"--no-install-recommends (.*?) \\$", text, re.MULTILINE)[1].split()
    assert {"keepalived", "haproxy", "nftables", "iproute2"} <= {*packages}
    copied = re.findall(r"^RUN python (\S+)", text, re.MULTILINE)
    assert copied == ["packaging/wheel.py"]


@pytest.mark.skipif(shutil.which("podman") is None, reason="needs podman, and a registry that it may ask")
def test_the_container_builds():
    subprocess.run(["podman", "build", "-f", "packaging/Containerfile", "."], cwd=ROOT, check=True)
