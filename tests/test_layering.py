"""Who may import whom (DESIGN §3), read from the source of every module."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "vrrpsim"
MODULES = {
    ".".join(("vrrpsim", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
PACKAGES = {name for name, path in MODULES.items() if path.name == "__init__.py"}
GROUND = ("findings", "redaction", "atomic_write")  # what every layer above the engine may use
BELOW = {  # each layer and those of ours that it may import
    "protocol": {"protocol"},
    "trace": set(),
    "findings": set(),
    "redaction": set(),
    "atomic_write": set(),
    "recording": {"trace", "protocol"},
    "keepalived": {"keepalived", "protocol", *GROUND},
    "scenario": {"scenario", "protocol", *GROUND},
    "scenario.file": {"scenario.file", "scenario", "keepalived", "protocol", *GROUND},
    "measure": {"measure", "trace", "keepalived", "scenario", "protocol", *GROUND},
    "world": {"world", "recording", "trace", "scenario", "protocol", *GROUND},
    "live": {"live", "recording", "trace", "keepalived", "protocol", *GROUND},
    "lab": {
        "lab",
        "live",
        "trace",
        "measure",
        "keepalived",
        "scenario.file",
        "scenario",
        "protocol",
        *GROUND,
    },
    "report": {"report", "measure", "trace", "keepalived", "scenario", "protocol", *GROUND},
    "explore": {
        "explore",
        "measure",
        "world",
        "trace",
        "scenario.file",
        "scenario",
        "protocol",
        "api",
        *GROUND,
    },
    "starter": {
        "starter",
        "report",
        "explore",
        "measure",
        "world",
        "keepalived",
        "scenario.file",
        "scenario",
        "protocol",
        *GROUND,
    },
}
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


def imports(name):
    """Every module that one of ours imports, anywhere in it."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = name.split(".") if name in PACKAGES else name.split(".")[:-1]
            prefix = base[: len(base) - node.level + 1] if node.level else []
            module = ".".join((*prefix, *filter(None, [node.module])))
            deeper = (f"{module}.{alias.name}" for alias in node.names)
            yield from (each if each in MODULES else module for each in deeper)


def tree(name):
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def ours(name):
    """Without the bare package, which is only asked for its version."""
    return {each for each in imports(name) if each.split(".")[0] == "vrrpsim"} - {"vrrpsim"}


@pytest.mark.parametrize("name", [name for name in MODULES if layer(name) in BELOW])
def test_arrows_point_down(name):
    assert {each for each in ours(name) if layer(each) not in BELOW[layer(name)]} == set()


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
