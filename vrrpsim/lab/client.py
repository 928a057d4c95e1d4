"""A client: a request every so often in an open loop, from a network namespace of its own.

What it writes down is what the simulator's clients do: from which request on they are answered, by whom,
and if not, why not. The instant is the request's own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Iterator

from vrrpsim.scenario.addressing import client_addresses
from vrrpsim.scenario.model import Client as ClientModel
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Reachability

from . import kernel
from .recorder import Recorder

REQUEST = b"GET / HTTP/1.0\r\n\r\n"
RESET_AT_CLOSE = struct.pack("=ii", 1, 0)  # SO_LINGER: leave no connection behind


class LabClient:
    """One client of the scenario."""

    def __init__(self, name: str, model: ClientModel, recorder: Recorder) -> None:
        self.name, self.model, self._recorder = name, model, recorder
        self.network = kernel.new_network()
        self._answers: list[tuple[bool, str, str]] = []  # by request: answered, by whom, why not
        self._asking: set[asyncio.Task[None]] = set()

    async def ask(self, until_ns: int) -> None:
        """Send the requests of the whole run and wait for the last answer."""
        every_ns = self.model.every_ns
        for number in range(-(-until_ns // every_ns)):
            ahead_ns = number * every_ns - self._recorder.now_ns()
            if ahead_ns > 0:
                await asyncio.sleep(ahead_ns / 1e9)
            self._answers.append((False, "", "no answer yet"))
            task = asyncio.create_task(self._request(number))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        if self._asking:
            await asyncio.wait(self._asking)

    async def _request(self, number: int) -> None:
        address, port = self.model.target
        loop = asyncio.get_running_loop()
        with kernel.inside(self.network):
            caller = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
        try:
            caller.setblocking(False)
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            async with asyncio.timeout(self.model.timeout_ns / 1e9):
                await loop.sock_connect(caller, (str(address), port))
                await loop.sock_sendall(caller, REQUEST)
                reply = b""
                while data := await loop.sock_recv(caller, 4096):
                    reply += data
            node = reply.rpartition(b"\r\n")[2].decode(errors="replace")
            self._answers[number] = (bool(reply), node, "" if reply else "an empty answer")
        except TimeoutError:
            self._answers[number] = (False, "", "no answer in time")
        except OSError as error:
            self._answers[number] = (False, "", os.strerror(error.errno or 0).lower())
        finally:
            caller.close()

    def records(self) -> Iterator[Reachability]:
        """The changes, in order of time."""
        last = (False, "", "")
        for number, answer in enumerate(self._answers):
            if answer != last:
                yield Reachability(number * self.model.every_ns, self.name, *answer)
                last = answer


def address_of(scenario: Scenario, name: str) -> str | None:
    """The client's own address or a free one, with its prefix length; None: the segment has no subnet."""
    client = scenario.clients[name]
    subnet = scenario.segments[client.segment].network(client.asks.version)
    if client.address is not None:
        return str(client.address)
    if subnet is None:
        return None
    return f"{client_addresses(scenario)[name]}/{subnet.prefixlen}"
