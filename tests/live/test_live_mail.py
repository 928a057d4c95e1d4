"""`smtp_alert` against a real SMTP server: keepalived's words; one that says nothing delays nothing."""

import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from clusters import conf, together
from lan import Lan, needs_namespaces

from vrrpsim.live import loading
from vrrpsim.protocol.dialect import DEFAULT_DIALECT

pytest.importorskip("aiosmtpd")

GLOBAL = """
    global_defs {{
        router_id lb1
        notification_email {{
          ops@example.org
          "oncall@example.org"
        }}
        notification_email_from vrrp@example.org
        smtp_server 10.77.0.2 2525
        smtp_connect_timeout {timeout}
        {more}
    }}
    vrrp_sync_group G1 {{
        group {{
          VI_1
        }}
        smtp_alert
    }}
"""
SERVER = """
import json, time
from aiosmtpd.controller import Controller
class Keeps:
    async def handle_DATA(self, server, session, envelope):
        print(json.dumps([envelope.mail_from, envelope.rcpt_tos, envelope.content.decode()]), flush=True)
        return "250 OK"
Controller(Keeps(), hostname="10.77.0.2", port=2525).start()
print("listening", flush=True)
time.sleep(60)
"""
SILENT = """
import socket, time
server = socket.create_server(("10.77.0.2", 2525))
print("listening", flush=True)
held = []
while True:
    held.append(server.accept())
"""


def served(lan, text):
    lan.folder.mkdir(exist_ok=True)
    server = lan.start("n2", [sys.executable, "-c", text], lan.folder / "smtp", kind="smtp")
    lan.wait(lambda: "listening" in server.log.read_text(), "the server listens")
    return server


def delivered(folder):
    with Lan(folder, ["n1", "n2"]) as lan:
        server = served(lan, SERVER)
        daemon = lan.vrrpsim("n1", GLOBAL.format(timeout=5, more="") + conf(1, 100, "v3", "smtp_alert"))
        lan.only("10.77.0.1", 0.5)
        lan.wait(lambda: server.log.read_text().count("\n") >= 5, "four mails")
        assert lan.stop(daemon) == 0
        mails = [json.loads(line) for line in server.log.read_text().splitlines()[1:]]
        server.kill()
    assert {(sender, *to) for sender, to, _ in mails} == {
        ("vrrp@example.org", "ops@example.org", "oncall@example.org")
    }
    subjects = [line for *_, text in mails for line in text.splitlines() if line.startswith("Subject")]
    assert sorted(subjects[:2]) == [
        "Subject: [lb1] VRRP Group G1 - Entering BACKUP state",
        "Subject: [lb1] VRRP Instance VI_1 - Entering BACKUP state",
    ]
    assert sorted(subjects[2:4]) == [
        "Subject: [lb1] VRRP Group G1 - Entering MASTER state",
        "Subject: [lb1] VRRP Instance VI_1 - Entering MASTER state",
    ]
    assert "=> VRRP Instance is now owning VRRP VIPs <=" in "".join(text for *_, text in mails)
    assert "To: ops@example.org, oncall@example.org" in mails[0][2]


def undelivered(folder):
    """Given a server that accepts and says nothing, then adverts go on in time and TERM is obeyed."""
    with Lan(folder, ["n1", "n2"]) as lan:
        server = served(lan, SILENT)
        daemon = lan.vrrpsim("n1", GLOBAL.format(timeout=1, more="") + conf(1, 100, "v3", "smtp_alert"))
        lan.only("10.77.0.1", 0.5)
        lan.wait(lambda: "smtp_alert to 10.77.0.2:2525 is lost: " in daemon.log.read_text(), "said")
        heard = [advert.at_s for advert in lan.adverts()]
        assert max(later - sooner for sooner, later in pairwise(heard)) < 0.15
        assert lan.stop(daemon) == 0
        server.kill()


@needs_namespaces()
def test_alerts_are_mailed_and_never_in_the_way(tmp_path):
    together(tmp_path, {"delivered": delivered, "undelivered": undelivered})


def read(tmp_path, text):
    file = Path(tmp_path, "k.conf")
    file.write_text(text)
    file.chmod(0o600)
    return loading.load(file, DEFAULT_DIALECT)


def test_who_is_told(tmp_path):
    """A keyword of an instance or group wins over the general one; without a server nobody is told."""
    loaded = read(tmp_path, GLOBAL.format(timeout=5, more="smtp_alert\nno_email_faults") + conf(1, 100, "v3"))
    alerts = loaded.alerts
    assert (alerts.router_id, alerts.timeout_s, alerts.port) == ("lb1", 5.0, 2525)
    assert [alerts.wants("INSTANCE", "VI_1", state) for state in ("MASTER", "BACKUP", "FAULT", "STOP")] == [
        True, True, False, False]  # fmt: skip
    off = read(tmp_path, GLOBAL.format(timeout=5, more="smtp_alert") + conf(1, 100, "v3", "smtp_alert off"))
    assert not off.alerts.wants("INSTANCE", "VI_1", "MASTER")
    assert off.alerts.wants("GROUP", "G1", "FAULT")
    alone = read(tmp_path, conf(1, 100, "v3", "smtp_alert"))
    assert "smtp_alert: no mail is sent without notification_email and smtp_server" in alone.remarks
    assert not alone.alerts.wants("INSTANCE", "VI_1", "MASTER")
