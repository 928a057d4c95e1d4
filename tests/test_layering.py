"""Who may import whom (DESIGN §3), read from the source of every module."""

import ast
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).parents[1] / "vrrpsim"
MODULES = {
    ".".join(("vrrpsim", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
PACKAGES = {name for name, path in MODULES.items() if path.name == "__init__.py"}
GROUND = (
    "findings",
    "rules",
    "redaction",
    "atomic_write",
    "examples",
)  # what every layer above the engine may use
BELOW = {  # each layer and those of ours below it; it may import itself and the ground, too
    "protocol": "",
    "trace": "",
    "rules": "",
    "findings": "rules",
    "redaction": "",
    "atomic_write": "",
    "examples": "",
    "recording": "trace protocol",
    "keepalived": "protocol",
    "scenario": "protocol",
    "scenario.file": "scenario keepalived protocol",
    "checking": "keepalived scenario.file scenario protocol",
    "command_lines": "scenario protocol",
    "measure": "trace keepalived scenario protocol",
    "world": "recording trace keepalived scenario protocol",
    "live": "recording trace keepalived protocol",
    "lab": "live trace measure keepalived scenario.file scenario protocol",
    "report": "measure trace keepalived scenario protocol",
    "explore": "measure world trace command_lines scenario.file scenario protocol",
    "starter": "report explore measure world keepalived scenario.file scenario protocol",
}
ENGINE = ("protocol", "trace", *GROUND)  # what stands on nothing of ours
BELOW = {name: {name, *below.split(), *(() if name in ENGINE else GROUND)} for name, below in BELOW.items()}
ONLY = {  # a library and the layers that may import it
    "simpy": {"world"},
    "asyncio": {"live", "lab"},
    "socket": {"live", "lab"},
    "pyroute2": {"live", "lab"},
    "matplotlib": {"report"},
    "hypothesis": {"explore"},
}


def layer(module):
    parts = module.split(".")[1:]
    return "scenario.file" if parts[:2] == ["scenario", "file"] else "".join(parts[:1])


def imports(name, parsed=None):
    """Every module that one of ours imports, anywhere in it: for types only and within functions, too."""
    for node in ast.walk(parsed or tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = name.split(".") if name in PACKAGES else name.split(".")[:-1]
            prefix = base[: len(base) - node.level + 1] if node.level else []
            module = ".".join((*prefix, *filter(None, [node.module])))
            deeper = (f"{module}.{alias.name}" for alias in node.names)
            yield from (each if each in MODULES else module for each in deeper)


@cache
def text(name):
    return MODULES[name].read_text(encoding="utf-8")


@cache
def tree(name):
    return ast.parse(text(name))


def ours(name, parsed=None):
    """Without the bare package, which is only asked for its version."""
    return {each for each in imports(name, parsed) if each.split(".")[0] == "vrrpsim"} - {"vrrpsim"}


def upward(name, parsed=None):
    return {each for each in ours(name, parsed) if layer(each) not in BELOW[layer(name)]}


def cycles(changed=()):
    """The sets of modules that import each other; `changed` are sources instead of the written ones."""
    changed = {name: ast.parse(source) for name, source in dict(changed).items()}
    graph = networkx.DiGraph()
    for name in MODULES.keys() - {"vrrpsim"}:
        graph.add_edges_from((name, each) for each in ours(name, changed.get(name)) if each != name)
    return [each for each in networkx.strongly_connected_components(graph) if len(each) > 1]


@pytest.mark.parametrize("name", [name for name in MODULES if layer(name) in BELOW])
def test_arrows_point_down(name):
    assert upward(name) == set()


def test_no_module_imports_itself_by_way_of_others():
    assert cycles() == []


@pytest.mark.parametrize(
    "planted",
    [
        "from .world import World",
        "if TYPE_CHECKING:\n    from vrrpsim.world.world import World",
        "def later():\n    import vrrpsim.world.world",
    ],
    ids=["at import", "for types only", "within a function"],
)
def test_a_planted_cycle_is_found(planted):
    [found] = cycles({"vrrpsim.world.port": f"{text('vrrpsim.world.port')}\n{planted}\n"})
    assert {"vrrpsim.world.port", "vrrpsim.world.world"} <= found


def test_a_planted_arrow_up_is_found():
    name = "vrrpsim.protocol.fsm"
    assert upward(name, ast.parse(f"{text(name)}\nfrom vrrpsim.trace import Trace\n")) == {"vrrpsim.trace"}


SAME_NAME = {  # public classes of one name, and why it is the right one for both
    "Client": "a client as the scenario says it, and the one in the world that plays it",
    "Node": "the same of a node",
    "Segment": "the same of a segment",
    "Scenario": "the model that runs, and the one that Python builds in the YAML's words",
}


def test_no_two_public_classes_share_a_name():
    homes = defaultdict(list)
    for name in MODULES:
        for node in tree(name).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(name)
    shared = {name: found for name, found in homes.items() if len(found) > 1}
    assert {name: found for name, found in shared.items() if name not in SAME_NAME} == {}
    assert all(len(shared.get(name, ())) == 2 for name in SAME_NAME), "an exception that is none any more"
    assert len(SAME_NAME) <= 5


@pytest.mark.parametrize(
    "name", [name for name in MODULES if layer(name) in ("protocol", "trace", "measure")]
)
def test_protocol_trace_and_measure_need_only_the_standard_library(name):
    foreign = {each.split(".")[0] for each in imports(name)} - {"vrrpsim"}
    assert foreign <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", [name for name in MODULES if layer(name) == "protocol"])
def test_protocol_has_no_clock_no_io_no_randomness_no_logging(name):
    forbidden = {
        "time",
        "datetime",
        "random",
        "secrets",
        "logging",
        "os",
        "io",
        "socket",
        "asyncio",
        "pathlib",
    }
    assert {each.split(".")[0] for each in imports(name)} & forbidden == set()


@pytest.mark.parametrize("name", MODULES)
def test_libraries_stay_in_their_layers(name):
    used = {each.split(".")[0] for each in imports(name)}
    assert {library for library in used & ONLY.keys() if layer(name) not in ONLY[library]} == set()


@pytest.mark.parametrize("name", MODULES)
def test_nobody_asks_a_dialect_for_its_name(name):
    asked = [
        node.lineno
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Compare)
        for side in (node.left, *node.comparators)
        if isinstance(side, ast.Attribute) and side.attr == "name" and "dialect" in ast.unparse(side).lower()
    ]
    assert asked == []


@pytest.mark.parametrize("name", MODULES)
def test_nobody_draws_from_the_global_random_generator(name):
    drawn = [
        ast.unparse(node)
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "random"
        and node.attr not in ("Random", "SystemRandom")
    ]
    assert drawn == []
