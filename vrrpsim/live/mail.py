"""`smtp_alert`: a mail for each state, worded as keepalived 2.2.7 words it, sent by a thread of its own.

An instance or a group that is MASTER, BACKUP or FAULT is told to each `notification_email`, if there is an
`smtp_server`. A server that is slow, full or gone costs the mail and a line in the log, never an advert.
"""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from vrrpsim.keepalived.lexer import Row

from .background import WriterThread

WAITING = 100  # mails; what comes while so many wait is lost
CONNECT_TIMEOUT_S = 30.0  # keepalived's DEFAULT_SMTP_CONNECTION_TIMEOUT
SMTP_PORT = 25
_NO = frozenset(("off", "no", "false"))
_OWNERS = {"vrrp_instance": "INSTANCE", "vrrp_sync_group": "GROUP"}
_NAMES = {"INSTANCE": "Instance", "GROUP": "Group"}
_BODIES = {
    ("INSTANCE", "MASTER"): "=> VRRP Instance is now owning VRRP VIPs <=",
    ("INSTANCE", "BACKUP"): "=> VRRP Instance is no longer owning VRRP VIPs <=",
    ("INSTANCE", "FAULT"): "=> VRRP Instance is no longer owning VRRP VIPs <=",
    ("GROUP", "MASTER"): "=> All VRRP group instances are now in MASTER state <=",
    ("GROUP", "BACKUP"): "=> All VRRP group instances are now in BACKUP state <=",
    ("GROUP", "FAULT"): "=> All VRRP group instances are now in FAULT state <=",
}


@dataclass(frozen=True, slots=True)
class Alerts:
    """Who is told what: `wanted` has (kind, name) of those with smtp_alert on, and those with it off."""

    to: tuple[str, ...] = ()
    sender: str = ""
    server: str = ""
    port: int = SMTP_PORT
    helo: str = ""
    timeout_s: float = CONNECT_TIMEOUT_S
    router_id: str = ""
    faults: bool = True
    by_default: bool = False
    wanted: dict[tuple[str, str], bool] = field(default_factory=dict)

    def wants(self, kind: str, name: str, state: str) -> bool:
        """Whether this change of state is a mail."""
        return (
            bool(self.to and self.server and (kind, state) in _BODIES)
            and (self.faults or state != "FAULT")
            and self.wanted.get((kind, name), self.by_default)
        )


def read_alerts(rows: Iterable[Row]) -> tuple[Alerts, list[str]]:
    """Find the mail settings in a file that has been found good; beside them, why no mail will be sent."""
    said: dict[str, list[str]] = {}
    to: list[str] = []
    wanted: dict[tuple[str, str], bool] = {}
    for path, words in _placed(rows):
        outer = path[0] if path else []
        if [each[0] for each in path] == ["global_defs", "notification_email"]:
            to += words
        elif [each[0] for each in path] == ["global_defs"]:
            said.setdefault(words[0], words[1:])
        elif len(path) == 1 and outer[0] in _OWNERS and len(outer) > 1 and words[0] == "smtp_alert":
            wanted[_OWNERS[outer[0]], outer[1]] = not _NO & set(words[1:2])

    def first(keyword: str, otherwise: str) -> str:
        return next(iter(said.get(keyword, ())), otherwise)

    host = socket.gethostname()
    server = [*said.get("smtp_server", []), "", ""]
    timeout_s = CONNECT_TIMEOUT_S
    with suppress(ValueError):
        timeout_s = max(float(first("smtp_connect_timeout", "")), 1.0)
    general = [said[word] for word in ("smtp_alert_vrrp", "smtp_alert") if word in said]
    alerts = Alerts(
        to=tuple(to),
        sender=first("notification_email_from", f"{_user()}@{host}"),
        server=server[0],
        port=int(server[1]) if server[1].isdigit() and 0 < int(server[1]) < 65536 else SMTP_PORT,
        helo=first("smtp_helo_name", host),
        timeout_s=timeout_s,
        router_id=first("router_id", host),
        faults="no_email_faults" not in said,
        by_default=bool(general) and not _NO & set(general[0][:1]),
        wanted=wanted,
    )
    missing = [
        word for word, there in (("notification_email", to), ("smtp_server", alerts.server)) if not there
    ]
    if missing and (alerts.by_default or any(wanted.values())):
        return alerts, [f"smtp_alert: no mail is sent without {' and '.join(missing)}"]
    return alerts, []


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name
        return "root"


def _placed(rows: Iterable[Row]) -> Iterator[tuple[list[list[str]], list[str]]]:
    """Each row that opens no block, with the rows that opened those around it."""
    path: list[list[str]] = []
    last: list[str] | None = None
    for row in rows:
        words = [word.text for word in row.words]
        if row.brace == "{":
            path.append(last or [""])
            last = None
            continue
        if last is not None:
            yield path, last
        last = None if row.brace == "}" else words
        if row.brace == "}" and path:
            path.pop()


class Mail:
    """Sends alerts, one after the other."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._alerts = Alerts()
        self._thread: WriterThread | None = None

    def open(self, alerts: Alerts) -> None:
        """Have these from now on; the thread starts with the first alerts that can be sent."""
        self._alerts = alerts
        if alerts.to and alerts.server and self._thread is None:
            import email.message  # noqa: F401  # a tenth of an advert's interval: not under way
            import smtplib  # noqa: F401

            self._thread = WriterThread(WAITING)

    def tell(self, kind: str, name: str, state: str) -> None:
        """Have the mail of a notification sent, if it is one that anybody wants."""
        alerts = self._alerts
        if self._thread is not None and alerts.wants(kind, name, state):
            self._thread.do(lambda: self._send(alerts, kind, name, state))

    def _send(self, alerts: Alerts, kind: str, name: str, state: str) -> None:
        import smtplib
        from email.message import EmailMessage
        from email.utils import formatdate

        message = EmailMessage()
        message["Date"] = formatdate()
        message["From"] = alerts.sender
        message["Subject"] = f"[{alerts.router_id}] VRRP {_NAMES[kind]} {name} - Entering {state} state"
        message["X-Mailer"] = "vrrpsim"
        message["To"] = ", ".join(alerts.to)
        message.set_content(_BODIES[kind, state] + "\n")
        try:
            with smtplib.SMTP(alerts.server, alerts.port, alerts.helo, alerts.timeout_s) as server:
                server.send_message(message, alerts.sender, alerts.to)
        except (OSError, ValueError, smtplib.SMTPException) as error:
            self._log(f"smtp_alert to {alerts.server}:{alerts.port} is lost: {error}")

    def close(self) -> None:
        """What waits gets a moment."""
        if self._thread is not None:
            self._thread.close()
            self._thread = None
