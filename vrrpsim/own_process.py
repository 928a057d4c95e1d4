"""A SimPy process of the user's own in a run: it waits, does every verb, looks around, draws and writes.

    def storm(env, world):
        while True:
            yield world.after({"exponential": 20})
            world.kill(f"{world.owners('10.0.0.100')[0]}/haproxy", for_=3)

`env` is the run's `simpy.Environment`, in whole nanoseconds. What a process does is in the trace like any
event; one that only looks changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from functools import partial
from ipaddress import ip_address
from random import Random
from typing import TYPE_CHECKING, Any

from vrrpsim.protocol.instances import Instance
from vrrpsim.scenario.file.fields import BROKEN, Reading
from vrrpsim.scenario.file.format import Events, KeepalivedDocument
from vrrpsim.scenario.file.plain_values import plain
from vrrpsim.scenario.file.resolve_events import resolve_events
from vrrpsim.scenario.file.yaml_tree import Keys, Tree
from vrrpsim.scenario.model import Scenario
from vrrpsim.scenario.quantities import parse_distribution
from vrrpsim.scenario.verbs import VERBS
from vrrpsim.trace import Remark

if TYPE_CHECKING:
    from vrrpsim.world.world import World

Function = Callable[[Any, Any], Generator[Any, Any, Any]]
EVENTS = Events()


class OwnProcess:
    """A generator function `f(env, world)` that a scenario starts with each run."""

    def __init__(self, function: Function, others: Collection[str] = ()) -> None:
        self.function = function
        self.name = name = getattr(function, "__name__", type(function).__name__)
        number = 1
        while self.name in others:  # each draws from streams of its own
            number += 1
            self.name = f"{name}-{number}"

    def start(self, world: World) -> None:
        """Begin in a world that is about to run."""
        world.calendar.process(self.function(world.calendar, Control(world, self.name)))


class Control:
    """What a process gets as `world`: eyes and hands in a run. Every verb of the YAML is a method."""

    def __init__(self, world: World, name: str) -> None:
        self._world, self._name = world, name
        self._streams: dict[str, Any] = {}

    def __getattr__(self, verb: str) -> Callable[..., tuple[str, ...]]:
        word = verb.removesuffix("_")
        if word not in VERBS:
            raise AttributeError(f"no verb '{verb}'; one of {', '.join(VERBS)}")
        return partial(self.do, word)

    def do(self, verb: str, target: Any, **words: Any) -> tuple[str, ...]:
        """Do what an event of the scenario would do now; return whom it met.

        `target` and `words` are the YAML's; what Python keeps for itself ends in `_`: `for_`, `from_`.
        Raises `InputError` if they mean nothing.
        """
        given = {word.removesuffix("_"): value for word, value in words.items()}
        return self._world.faults.act(_event(self._world, self._name, {"at": 0, verb: target, **given}))

    @property
    def env(self) -> Any:
        """The `simpy.Environment`, in whole nanoseconds."""
        return self._world.calendar

    @property
    def now_s(self) -> float:
        """The time of the run in seconds."""
        return (self._world.calendar.now_ns - self._world.context.origin_ns) / 1e9

    def after(self, delay: Any, stream: str = "") -> Any:
        """Wait for seconds, `250ms`, or a distribution as in YAML, drawn from the stream of that name."""
        tree = Tree(self._name)
        distribution = parse_distribution(plain(delay, tree))
        tree.raise_if_broken()
        return self._world.calendar.timeout(self._draws(stream or "after").ns(distribution))

    def random(self, stream: str = "") -> Random:
        """Return a generator of its own for each process, stream and seed; the same one each time."""
        key = f"random/{stream}"
        if key not in self._streams:
            self._streams[key] = Random(self._world.context.streams.numbered(self._purpose(key)).key)
        return self._streams[key]  # type: ignore[no-any-return]  # of two kinds

    def owners(self, address: object) -> tuple[str, ...]:
        """Return the nodes that answer for an address now."""
        wanted = ip_address(str(address))
        nodes = (node for node in self._world.nodes.values() if node.kernel_runs)
        return tuple(node.name for node in nodes if any(wanted in port.local for port in node.ports.values()))

    def answered_by(self, client: str) -> str | None:
        """Return the node that answers what a client of the scenario asks now, None if it waits in vain."""
        return self._world.clients[client].answered_by

    def state(self, node: str, instance: str | None = None) -> str:
        """Return `MASTER`, `BACKUP`, `FAULT` or `INIT` of an instance, the first one unless named."""
        daemon = self._world.nodes[node].daemon
        if daemon is None or not daemon.exists:
            return "INIT"
        instances: dict[str, Instance] = dict(daemon.router.instances)
        found = instances[instance] if instance is not None else next(iter(instances.values()))
        return found.state.state.name

    def record(self, text: str) -> None:
        """Write a remark into the trace; it is no part of the digest."""
        self._world.trace.add(Remark(self._world.calendar.now_ns, text))

    def _draws(self, stream: str) -> Any:
        if stream not in self._streams:
            self._streams[stream] = self._world.context.streams.draws(self._purpose(stream))
        return self._streams[stream]

    def _purpose(self, stream: str) -> str:
        return f"process/{self._name}/{stream}"


def _event(world: World, name: str, words: dict[str, Any]) -> Any:
    """Read an event as the file's reader would, and resolve its names in the run's scenario."""
    tree = Tree(name, values={(): (0, 0)})
    index = world.faults.next_index
    said = plain(words, tree)
    tree.root = {"events": {index: said}}
    reading = Reading(tree)
    [verb] = (word for word in words if word in VERBS)
    document = EVENTS.verbs[verb].read(said, ("events", index), reading)
    tree.raise_if_broken()
    assert document is not BROKEN
    [event] = resolve_events(_Names(world.scenario, tree), world.scenario.nodes, {index: document})
    tree.raise_if_broken()
    return event


class _Names:
    """What the reader of events asks of the rest of a file, answered by the model."""

    def __init__(self, scenario: Scenario, tree: Tree) -> None:
        self.scenario, self.tree, self.nodes = scenario, tree, dict(scenario.nodes)
        known = KeepalivedDocument()
        self.daemons = {name: known if node.keepalived else None for name, node in self.nodes.items()}

    def is_damaged(self, *_: str | int) -> bool:
        return False

    def names(self, *path: str) -> list[str]:
        return list(getattr(self.scenario, path[0])) if len(path) == 1 else []

    def warn(self, path: Keys, code: str, message: str) -> None:
        """A warning has no reader here."""

    def read_conf(self, file: str, config_id: str, dialect: str, path: Keys) -> None:
        self.tree.error(path, "a process cannot read another configuration")

    def check_config(self, *_: object) -> None:
        """Nothing is read, so nothing is compared."""
