"""What tests of several folders need: a second chance in real time, and a folder that everybody can read."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

REAL_TIME = ("real daemons:", "the lab:", "a real browser:", "the unit:")  # how the reason to skip begins


def pytest_collection_modifyitems(items):
    """A machine that others use may stand still at the wrong instant; a fault of ours fails three times."""
    for item in items:
        reasons = [mark.kwargs.get("reason", "") for mark in item.iter_markers("skipif")]
        if any(reason.startswith(REAL_TIME) for reason in reasons):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=2))


@pytest.fixture
def open_path():
    """A temporary folder for programs that run as somebody else; pytest keeps those of `tmp_path` closed."""
    with TemporaryDirectory(prefix="vrrpsim-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
