"""`notify_fifo_script`: who reads the FIFOs, when, and what it is told; the same of us and of keepalived."""

import signal

from clusters import VIP, conf
from lan import Lan, needs_namespaces

from vrrpsim.keepalived.lexer import Lexer
from vrrpsim.live import fifo
from vrrpsim.live.scripts import Security

# A reader that writes down what it is told; for a while after TERM lines may still come.
READER = """#!/usr/bin/python3 -IS
import os, select, signal, sys, time
told, until = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND), time.monotonic() + 60
def say(text):
    os.write(told, f"{sys.argv[2]}: {text}\\n".encode())
def term(*_):
    global until
    say("TERM")
    until = time.monotonic() + 0.4  # keepalived kills it within a second
signal.signal(signal.SIGTERM, term)
say(f"begins as {os.getuid()}, leads {os.getpgid(0) == os.getpid()}, {sys.argv[3:-1]}")
fifo = os.open(sys.argv[-1], os.O_RDONLY | os.O_NONBLOCK)
while time.monotonic() < until:
    if select.select([fifo], [], [], 0.05)[0]:
        try:
            lines = os.read(fifo, 65536).decode().splitlines()
        except BlockingIOError:  # it was the end of the file, and now somebody writes again
            continue
        for line in lines:
            say(line)
            if "STOP" in line or "FAULT" in line and sys.argv[2] == "vrrp":
                until = 0
say("ends")
"""
HEAD = """
    global_defs {{
        script_user root
        notify_fifo {folder}/general.fifo
        notify_fifo_script "{reader} {told} general"
        vrrp_notify_fifo {folder}/vrrp.fifo nobody daemon
        vrrp_notify_fifo {folder}/another.fifo
        vrrp_notify_fifo_script "{reader} {told} vrrp 'two words'" nobody nogroup
    }}
"""


def heard(lan, daemon, folder):
    """A life: master, reload, fault and back, stop; what each reader wrote down, in its order."""
    told = folder / "told"
    readers = {"general": [], "vrrp": []}

    def lines(name):
        return [line for line in told.read_text().splitlines() if line.startswith(name)]

    def wait(name, text, times=1):
        lan.wait(lambda: sum(text in line for line in lines(name)) >= times, f"{name} {text} {times}")

    wait("general", "begins")
    lan.wait(lambda: lan.owns("n1", VIP), "master")
    owners = {each.name: (each.owner(), each.group()) for each in folder.glob("*.fifo")}
    for name in readers:
        wait(name, "MASTER")
    daemon.signal(signal.SIGHUP)
    for name in readers:
        wait(name, "begins", 2)
        wait(name, "ends")
    lan.link("n1", "down")
    for name in readers:
        wait(name, "FAULT")
    wait("vrrp", "ends", 2)
    lan.link("n1", "up")
    wait("general", "MASTER", 2)
    assert lan.stop(daemon) == 0
    wait("general", "ends", 2)
    assert not list(folder.glob("*.fifo"))
    assert lines("general")[-3:] == ["general: TERM", 'general: INSTANCE "VI_1" STOP 100', "general: ends"]
    return owners, {name: sorted(lines(name)) for name in readers}


@needs_namespaces()
def test_readers_are_run_and_told_as_by_keepalived(open_path):
    """One that has ended by itself stays so until a reload; TERM comes before the STOP lines."""
    reader = open_path / "reader"
    reader.write_text(READER)
    reader.chmod(0o755)
    results = {}
    for kind in ("keepalived", "vrrpsim"):
        folder = open_path / kind
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
        (folder / "told").touch()
        (folder / "told").chmod(0o666)
        with Lan(open_path / f"{kind}-lan", ["n1"]) as lan:
            text = HEAD.format(folder=folder, reader=reader, told=folder / "told") + conf(1, 100, "v3")
            results[kind] = heard(lan, getattr(lan, kind)("n1", text), folder)
            assert "notify fifo script terminated" in (open_path / f"{kind}-lan" / "n1" / "log").read_text()
    assert results["vrrpsim"] == results["keepalived"]
    owners, said = results["vrrpsim"]
    assert owners == {"general.fifo": ("root", "root"), "vrrp.fifo": ("nobody", "daemon")}
    assert said["vrrp"].count("vrrp: begins as 65534, leads True, ['two words']") == 2
    assert said["vrrp"].count('vrrp: INSTANCE "VI_1" FAULT 100') == 1


def test_what_the_file_says_of_fifos(tmp_path):
    """Of each keyword the first counts; a script without its FIFO is nothing."""
    path = tmp_path / "k.conf"
    path.write_text(
        "global_defs {\n vrrp_notify_fifo /run/a\n vrrp_notify_fifo /run/b\n"
        " vrrp_notify_fifo_script /no/such\n notify_fifo_script /bin/true\n}\n"
    )
    lexer = Lexer()
    lexer.read_file(path)
    fifos, remarks = fifo.read_fifos(lexer.rows, Security("nobody nogroup"))
    assert fifos == (fifo.Fifo("/run/a", "nobody nogroup", (), "nobody nogroup"),)
    assert remarks == ["Disabling vrrp_notify_fifo_script: /no/such not found or not accessible"]
