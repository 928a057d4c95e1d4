"""The programs, files and processes of the live daemon: no root, no network."""

import asyncio
import os
import pwd
from pathlib import Path

import pytest
from memory import CONF, configured

from vrrpsim.keepalived.lexer import Lexer
from vrrpsim.live import scripts, watch
from vrrpsim.protocol.configuration import FileConfig, NotifyScripts, ProcessConfig, ScriptConfig

# --- scripts


def finished_runs(*commands, seconds=5.0, kill=None):
    """Run checks for real; {number: (code, signal)} of those that ended."""

    async def work():
        ended, log = {}, []
        children = scripts.Children(lambda run, code, signal: ended.update({run: (code, signal)}), log.append)
        for number, words in enumerate(commands):
            children.run(ScriptConfig(name="s", command="", words=tuple(words)), number)
        if kill:
            await asyncio.sleep(0.2)
            children.kill(0, kill)
        until = asyncio.get_running_loop().time() + seconds
        while len(ended) < len(commands) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)
        children.close()
        return ended, log

    return asyncio.run(work())


def test_checks_are_words_and_not_a_shell(tmp_path):
    """SC-5, SC-6, SC-15."""
    bad = tmp_path / "shebangless"
    bad.write_text("exit 1\n")
    bad.chmod(0o755)
    ended, log = finished_runs(
        ["/bin/true"], ["/bin/false"], ["/bin/test", "a", "=", "a;", "exit"], [str(bad)], ["/no/such"]
    )
    assert ended == {0: (0, None), 1: (1, None), 2: (2, None), 3: (0, None), 4: (0, None)}
    assert len(log) == 2


def test_term_reaches_the_whole_process_group():
    """SC-4: the shell and its child die together, by our signal."""
    ended, _ = finished_runs(["/bin/sh", "-c", "sleep 60 & wait"], kill="TERM")
    assert ended == {0: (None, 15)}


def test_a_user_who_has_gone_is_a_success():
    """SC-6: what cannot become its user exits 0."""

    async def work():
        ended = []
        children = scripts.Children(lambda *end: ended.append(end), lambda text: None)
        children.run(ScriptConfig(name="s", command="", words=("/bin/false",), user="no-such-user"), 7)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return ended

    if os.geteuid() != 0:
        pytest.skip("only root can run checks as others")
    assert asyncio.run(work()) == [(7, 0, None)]


def test_what_cannot_run_disappears(tmp_path):
    """SC-12: no weight, no fault, no tracker."""
    text = (
        "vrrp_script gone {\n script /no/such/check\n}\nvrrp_script there {\n script true\n}\n"
        + CONF.replace("priority 100", "priority 100\n track_script {\n gone\n there\n }")
    )
    config, remarks = scripts.usable_scripts(configured(text), scripts.Security())
    assert [script.name for script in config.scripts] == ["there"]
    assert config.scripts[0].words[0].endswith("/true")
    assert [track.name for track in config.instances[0].track_scripts] == ["there"]
    assert remarks == [
        "Disabling track script gone: /no/such/check not found or not accessible",
        "Disabling notify script of VI_1: /bin/own not found or not accessible",
        "Disabling notify script of VI_1: /bin/any not found or not accessible",
    ]
    assert config.instances[0].notify == NotifyScripts()


def test_enable_script_security(tmp_path):
    """SC-11, SC-12: root does not run what others can change."""
    loose = tmp_path / "check"
    loose.write_text("#!/bin/sh\n")
    loose.chmod(0o777)
    text = f"vrrp_script chk {{\n script {loose}\n}}\n" + CONF.replace(
        "priority 100", "priority 100\n track_script {\n chk\n }"
    )
    conf = tmp_path / "k.conf"
    conf.write_text("global_defs {\n enable_script_security\n script_user root\n}\n" + text)
    lexer = Lexer()
    lexer.read_file(conf)
    security = scripts.read_security(lexer.rows)
    assert security == scripts.Security("root", True)
    config, remarks = scripts.usable_scripts(configured(text), security)
    assert config.scripts == ()
    assert "unsafe permissions" in remarks[0]
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    nobody = scripts.Security(pwd.getpwuid(65534).pw_name, True)
    assert scripts.usable_scripts(configured(text), nobody)[0].scripts != ()


# --- files and processes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        (" -3\n", -3),
        ("0x10", 16),
        ("010", 8),
        ("089", 0),
        ("", 0),
        ("abc", 0),
        ("7 up", 7),
        ("+2", 2),
    ],
)
def test_file_values_are_read_as_c_does(tmp_path, text, value):
    path = tmp_path / "f"
    path.write_text(text)
    assert watch.file_value(path) == value
    assert watch.file_value(tmp_path / "missing") == 0


def test_files_are_watched(tmp_path):
    path = tmp_path / "weight"

    async def work():
        seen, changed = [], asyncio.Event()

        def note(name, value):
            seen.append((name, value))
            changed.set()

        watching = watch.Watch(note, lambda *_: None)
        watching.start((FileConfig(name="w", path=str(path)),), (), {})
        for act in (lambda: path.write_text("7"), path.unlink):
            changed.clear()
            act()
            await asyncio.wait_for(changed.wait(), 5)
        watching.close()
        return seen

    seen = asyncio.run(work())
    assert ("w", 7) in seen
    assert seen[-1] == ("w", 0)


def test_processes_match_by_name_or_command_line():
    by_name = ProcessConfig(name="p", process="/usr/sbin/haproxy-very-long")
    assert watch.process_matches(by_name, "haproxy-very-lo", ["whatever"])
    exact = ProcessConfig(name="p", process="haproxy", parameters=("-f", "x"), param_match="exact")
    assert watch.process_matches(exact, "haproxy", ["haproxy", "-f", "x"])
    assert not watch.process_matches(exact, "haproxy", ["haproxy", "-f", "y"])
    own = ProcessConfig(name="me", process=Path("/proc/self/comm").read_text().strip())
    assert watch.count_processes((own,))["me"] >= 1
