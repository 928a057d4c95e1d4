"""The notebooks, each executed top to bottom in a kernel of its own, as a reader does."""

import os
import time
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
IMAGES = {"01": 2, "02": 1, "03": 4, "04": 0, "05": 2, "06": 3, "07": 2}  # figures that a reader must see
LONGEST_S = 60

nbformat = pytest.importorskip("nbformat", reason="the extra `dev` brings nbclient and ipykernel")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("pandas")


def test_there_are_seven():
    assert [path.name[:2] for path in NOTEBOOKS] == list(IMAGES)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert [cell.id for cell in notebook.cells] == [
        f"{path.name[:2]}-{number:02d}" for number in range(len(notebook.cells))
    ]
    assert any("assert " in cell.source for cell in code)  # what is claimed is measured
    links = [word for cell in notebook.cells for word in cell.source.split("](")[1:]]
    assert all((path.parent / link.split(")")[0]).exists() for link in links)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_top_to_bottom(path, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    notebook = nbformat.read(path, as_version=4)
    before = {each.name for each in path.parent.parent.joinpath("scenarios").iterdir()}
    began = os.times().children_user, time.monotonic()
    nbclient.NotebookClient(
        notebook, timeout=5 * LONGEST_S, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    said = [output.text for output in outputs if output.get("name") == "stderr"]
    assert said == []  # no warnings
    data = [output.data for output in outputs if "data" in output]
    images = [each for each in data if "image/svg+xml" in each or "image/png" in each]
    assert len(images) >= IMAGES[path.name[:2]]
    assert {each.name for each in path.parent.parent.joinpath("scenarios").iterdir()} == before
    used_s = os.times().children_user - began[0]  # the processor's time: others may be at work here
    assert used_s < LONGEST_S, f"{used_s:.0f} s of processor time, {time.monotonic() - began[1]:.0f} s in all"
    keep = os.environ.get("VRRPSIM_EXECUTED")  # a folder for the executed notebooks, to look at them
    if keep:
        nbformat.write(notebook, Path(keep) / path.name)
