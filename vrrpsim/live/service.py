"""`vrrpsim live`: read the configuration, run the daemon, obey signals, tell people how it is doing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from vrrpsim.findings import InputError
from vrrpsim.protocol.dialect import Dialect
from vrrpsim.trace import AdvertRejected, LogLine, Record, Remark, json_line

from . import systemd
from .background import LineWriter, RateLimit, WriterThread, background
from .linux import Linux, NoInterface
from .loading import Loaded, load
from .locks import Locks, keepaliveds_here, refuse_keepalived
from .netlink import VmacImpossible
from .privileges import CannotRun, keep_from_children, require
from .state import snapshot

LINES_PER_SECOND = 200
RECORDS_PER_SECOND = 2_000  # of rejected adverts and log lines
STATUS_EVERY_S = 0.5
EARLY = (signal.SIGHUP, signal.SIGUSR1)  # deadly until they have handlers: they wait for those
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    path: Path
    dialect: Dialect
    node: str
    config_id: str | None = None
    trace: Path | None = None
    metrics: tuple[str, int] | None = None
    dump: Path | None = None
    status: bool = False
    verbose: bool = False
    force: bool = False  # although another daemon serves the same virtual router
    allow_empty: bool = False  # a reload to a file without instances is meant
    version: str = ""


# --- running


def run(options: Options, loaded: Loaded, say: Say) -> int:
    """Run until SIGTERM or SIGINT; give the exit code."""
    import pyroute2  # noqa: F401  # asked for now, so that its absence is told before anything is opened

    require("CAP_NET_ADMIN", "CAP_NET_RAW")
    keep_from_children()
    return asyncio.run(LiveService(options, loaded, say).run())


def stamped(text: str) -> str:
    """With the time before it; the journal has times of its own."""
    if os.environ.get("JOURNAL_STREAM"):
        return text
    now_ns = time.time_ns()
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now_ns // 1_000_000_000))
    return f"{clock}.{now_ns // 1_000_000 % 1000:03d} {text}"


class LiveService:
    """The daemon with signals, logs, trace, metrics and status around it."""

    def __init__(self, options: Options, loaded: Loaded, say: Say) -> None:
        self.options, self.loaded, self._say = options, loaded, say
        self.speaker, self._locks = WriterThread(), Locks()
        self._lines, self._records = RateLimit(LINES_PER_SECOND), RateLimit(RECORDS_PER_SECOND)
        self._file: LineWriter | IO[str] | None = None
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._reloading: asyncio.Task[None] | None = None
        self._reload_again = False
        self.machine = Linux(
            options.node,
            loaded.config,
            options.dialect,
            record=self._record if options.trace is not None else None,
            log=self._log,
        )

    async def run(self) -> int:
        """Everything from start to end."""
        loop = self._loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._broken)
        stop_metrics: Callable[[], None] | None = None
        helpers: list[asyncio.Task[None]] = []
        try:
            if not self.options.force:
                self._locks.take(self.loaded.config.instances)
                refuse_keepalived(self.loaded.config.instances, self.options.dialect)
            if others := keepaliveds_here():
                self._log(
                    f"keepalived runs here too, process {others[0]}: no VRID may be served by both", False
                )
            if self.options.trace is not None:
                self._file = open_trace(self.options.trace, lambda text: self._log(text, False))
                began_ns = time.time_ns() - (self.machine.now_ns() - self.machine.epoch_ns)
                self._record(Remark(0, f"vrrpsim live {self.options.version}; 0 is {began_ns} ns after 1970"))
            if self.options.metrics is not None:
                stop_metrics = self._serve_metrics(*self.options.metrics)
            try:
                await self.machine.open(self.loaded.fifos, self.loaded.alerts)
            except OSError as error:
                raise CannotRun(f"cannot open the network: {error.strerror}") from error
            for number, obey in (
                (signal.SIGTERM, self._stop.set),
                (signal.SIGINT, self._stop.set),
                (signal.SIGHUP, self._reload),
                (signal.SIGUSR1, self._dump),
            ):
                loop.add_signal_handler(number, obey)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, EARLY)
            self.machine.start()
            helpers = [background(work()) for work in (self._report, self._show)]
            systemd.tell(READY=1)
            await self._stop.wait()
            systemd.tell(STOPPING=1)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await self.machine.stop()
            self._locks.close()
            if stop_metrics is not None:
                stop_metrics()
            if self._file is not None:
                end_ns = self.machine.now_ns() - self.machine.epoch_ns
                self._file.write(json.dumps({"record": "End", "at_ns": end_ns}) + "\n")
                self._file.close()
            self.speaker.close()
        if self._failure is not None:
            raise self._failure
        return 0

    def _broken(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A bug in a callback: release everything and crash, rather than go on half alive."""
        failure = context.get("exception")
        self._failure = self._failure or failure or RuntimeError(context["message"])
        self._stop.set()

    # --- signals

    def _reload(self) -> None:
        """SIGHUP; one that comes during a reload is obeyed after it."""
        self._reload_again = True
        if self._reloading is None or self._reloading.done():
            self._reloading = background(self._read_again())

    async def _read_again(self) -> None:
        while self._reload_again:
            self._reload_again = False
            systemd.reloading()
            await self._read_once()
            systemd.tell(READY=1)

    async def _read_once(self) -> None:
        try:
            options = self.options
            loaded = await asyncio.to_thread(load, options.path, options.dialect, options.config_id)
        except InputError as error:
            self._log(f"reload refused: {error}", False)
        except (OSError, RuntimeError) as error:  # no descriptor, no thread
            self._log(f"reload failed: {error}", False)
        else:
            for remark in loaded.remarks:
                self._log(remark, False)
            instances = loaded.config.instances
            if self.machine.config.instances and not instances and not options.allow_empty:
                why = "has no vrrp_instance; --allow-empty obeys such a file"
                self._log(f"reload refused: {options.path} {why}", False)
                return
            try:
                if not options.force:
                    self._locks.take(instances)
                    refuse_keepalived(instances, options.dialect)
                await self.machine.reload(loaded.config, loaded.fifos, loaded.alerts)
                self._locks.keep(instances)
                self._log("Reloaded", False)
            except (NoInterface, CannotRun) as error:
                self._locks.keep(self.machine.config.instances)
                self._log(f"reload refused: {error}", False)
            except (OSError, VmacImpossible) as error:
                self._log(f"reload failed: {error}", False)

    def _dump(self) -> None:
        """SIGUSR1: the state as JSON, readable by the owner only."""
        folder = Path(os.environ.get("RUNTIME_DIRECTORY") or tempfile.gettempdir())
        path = self.options.dump or folder / f"vrrpsim.{os.getpid()}.json"
        text = json.dumps(self.snapshot(), indent=1) + "\n"
        self.speaker.do(lambda: self._log(_kept(path, text), False))

    # --- telling

    def snapshot(self) -> list[dict[str, Any]]:
        """What every instance is doing now."""
        return snapshot(self.machine.daemon.router, self.machine.now_ns())

    def _totals(self) -> dict[str, float]:
        discarded: dict[str, float] = {**self.machine.daemon.discarded, **self.machine.wire.errors}
        tasks = len(asyncio.all_tasks(self._loop)) if self._loop else 0
        return {**discarded, "lag": self.machine.lag_ns / 1e9, "tasks": tasks}

    def _serve_metrics(self, host: str, port: int) -> Callable[[], None]:
        from .metrics import Collector, serve

        try:
            return serve(Collector(self.snapshot, self._totals, self.options.version), host, port)
        except OSError as error:
            raise CannotRun(f"cannot serve metrics on {host}:{port}: {error.strerror}") from error

    def _record(self, record: Record) -> None:
        if self._file is None:
            return
        if isinstance(record, (AdvertRejected, LogLine)):
            if left_out := self._records.left_out():
                self._record(Remark(record.at_ns, f"{left_out} rejected adverts and log lines left out"))
            if self._records.reached:
                return
        self._file.write(json_line(record) + "\n")

    def _log(self, text: str, detail: bool) -> None:
        if detail and not self.options.verbose:
            return
        if left_out := self._lines.left_out():
            self._tell(f"{left_out} lines left out")
        if not self._lines.reached:
            self._tell(text)

    def _tell(self, text: str) -> None:
        say, line = self._say, stamped(text)
        self.speaker.do(lambda: say(line))

    async def _report(self) -> None:
        """Status line and watchdog for systemd."""
        every_s = systemd.watchdog_interval_s() or 10.0
        while True:
            states = [f"{e['data']['state_name']} for {e['data']['vrid']}" for e in self.snapshot()]
            systemd.tell(WATCHDOG=1, STATUS=", ".join(states))
            await asyncio.sleep(min(every_s, 10.0))

    async def _show(self) -> None:
        """`--status`: a table on a terminal; elsewhere the log lines are all."""
        if not (self.options.status and sys.stdout.isatty()):
            return
        from rich.live import Live

        from .status import table

        above = sys.stderr.isatty()  # lines go above the table, not through it
        screen = Live(table(self.snapshot()), auto_refresh=False, redirect_stderr=above)
        do = self.speaker.do
        do(screen.start)
        try:
            while True:
                now = table(self.snapshot())
                do(lambda now=now: screen.update(now, refresh=True))  # type: ignore[misc]
                await asyncio.sleep(STATUS_EVERY_S)
        finally:
            do(screen.stop)


def _kept(path: Path, text: str) -> str:
    """Write it for our own eyes, wholly or not at all; say what came of it."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(fd, "w", encoding="utf-8") as file:  # noqa: PTH123  # a descriptor
            file.write(text)
        part.replace(path)
    except OSError as error:
        return f"cannot write {path}: {error.strerror}"
    return f"state written to {path}"


def open_trace(path: Path, complain: Say) -> LineWriter:
    """Begin the file of `--trace`; `CannotRun` if it is not to be had."""
    try:
        return LineWriter(path.open("w", encoding="utf-8", newline="\n"), complain)
    except OSError as error:
        raise CannotRun(f"{path}: cannot write: {error.strerror}") from error
