"""What tests of several folders need: what is slow, a second chance in real time, a folder for everybody."""

import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import current_thread, main_thread

import hypothesis  # noqa: F401  # its plugins warn when they are loaded, which would fail the first test that asks
import pytest

HERE = Path(__file__).parent
QUICK = ("protocol", "keepalived", "scenario", "world", "measure")  # the folders that one works with
QUICK_FILES = ("test_layering.py", "test_redaction.py", "test_digests.py", "test_cli.py", "test_scenarios.py")
REAL_TIME = ("real daemons:", "the lab:", "a real browser:", "the unit:")  # how the reason to skip begins

if current_thread() is main_thread():  # `&` and nohup ignore them, and then all that tests start does, too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for each in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, signal.SIG_DFL)


def _is_slow(path):
    place = path.relative_to(HERE).parts[0]
    return place not in QUICK and place not in QUICK_FILES


def pytest_ignore_collect(collection_path, config):
    """What `tests/check.sh --quick` leaves out is not even read: each worker would read it."""
    asked = config.option.markexpr == "not slow" and HERE in collection_path.parents
    return True if asked and _is_slow(collection_path) else None


def pytest_collection_modifyitems(items):
    """Mark what `tests/check.sh --quick` leaves out, and give tests in real time three chances.

    A machine that others use may stand still at the wrong instant; a fault of ours fails three times.
    """
    for item in items:
        if _is_slow(item.path):
            item.add_marker(pytest.mark.slow)
        reasons = [mark.kwargs.get("reason", "") for mark in item.iter_markers("skipif")]
        if any(reason.startswith(REAL_TIME) for reason in reasons):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=2))


@pytest.fixture
def open_path():
    """A temporary folder for programs that run as somebody else; pytest keeps those of `tmp_path` closed."""
    with TemporaryDirectory(prefix="vrrpsim-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
