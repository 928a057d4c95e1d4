"""What the page asks of vrrpsim: plain values in, plain values out. Tests run the same code in CPython.

A cluster is `files`: names and texts, one of them a scenario. They lie in the current folder meanwhile.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import vrrpsim
from vrrpsim import examples
from vrrpsim.findings import Finding, InputError, Place, Severity
from vrrpsim.keepalived.compiler import read_keepalived
from vrrpsim.keepalived.lint import lint
from vrrpsim.keepalived.members import members_of
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.report.html.run import data
from vrrpsim.scenario.file.yaml_tree import read_tree
from vrrpsim.scenario.model import Scenario
from vrrpsim.trace import Level

Files = dict[str, str]
HOUR_NS = 3_600_000_000_000
SCENARIOS = (".yaml", ".yml")
LEVELS = Path(__file__).parent / "levels"


class Mistake(Exception):
    """What somebody asked for cannot be done; the text says why."""


# --- files ----------------------------------------------------------------------------------------


def place(files: Mapping[str, str]) -> None:
    """Make the current folder hold exactly these files."""
    for old in Path().iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    for name, text in files.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise Mistake(f"{name!r} is no name for a file here")
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")


def scenario_of(files: Mapping[str, str]) -> str:
    """Return the name of the scenario among the files; `Mistake` without one."""
    for name in files:
        if name.endswith(SCENARIOS):
            return name
    raise Mistake("there is no scenario among the files")


def listed() -> list[tuple[str, str]]:
    """Return name and description of every example."""
    return [(name, examples.description(name)) for name in examples.names()]


def example(name: str) -> Files:
    """Return the files of an example, or of a level `level/NAME`."""
    if name.startswith("level/"):
        pair = {
            conf: (examples.folder() / "keepalived" / conf).read_text() for conf in ("lb1.conf", "lb2.conf")
        }
        return {"scenario.yaml": (LEVELS / f"{name[6:]}.yaml").read_text(encoding="utf-8"), **pair}
    if name not in examples.names():
        raise Mistake(f"there is no example {name!r}")
    return {
        file.as_posix(): (examples.folder() / file).read_text(encoding="utf-8")
        for file in examples.files_of(name)
    }


def begin(files: Files) -> Files:
    """Return the files with a scenario: theirs, or the one that `vrrpsim init` makes. Raises `InputError`."""
    if any(name.endswith(SCENARIOS) for name in files):
        return files
    place(files)
    draft = vrrpsim.init(*files, out="scenario.yaml", force=True)
    return {"scenario.yaml": draft.text, **files}


# --- check and run --------------------------------------------------------------------------------


def study(files: Files, seed: int | None = None) -> dict[str, Any]:
    """Check and run: findings at their places, and where the files can be used all that a page shows."""
    place(files)
    name = scenario_of(files)
    try:
        loaded = vrrpsim.load(name)
    except InputError as error:
        return {"findings": told([*error.findings, *conf_findings(files, None)]), "run": None}
    scenario = loaded.scenario
    long = scenario.duration_ns > HOUR_NS
    run = loaded.run(seed, level=Level.STATES if long else Level.ADVERTS, fast_forward=long or None)
    return {
        "findings": told([*scenario.findings, *conf_findings(files, scenario)]),
        "run": data(scenario, run.trace, run.result, run.command),
        "html": run.html().decode(),
        "nodes": {node: parts(scenario, node) for node in scenario.nodes},
        "segments": list(scenario.segments),
        "knobs": [knob.shown() for knob in knobs(files)],
    }


def parts(scenario: Scenario, node: str) -> dict[str, list[str]]:
    """Return what of a node a fault can meet."""
    machine = scenario.nodes[node]
    scripts = machine.keepalived.config.scripts if machine.keepalived else ()
    return {
        "processes": [*machine.processes, *(["keepalived"] if machine.keepalived else [])],
        "scripts": [script.name for script in scripts],
        "interfaces": list(machine.interfaces),
    }


def conf_findings(files: Files, scenario: Scenario | None) -> Iterator[Finding]:
    """Yield what `vrrpsim check` says of the keepalived.conf files, one by one and as a cluster."""
    used: dict[str, list[tuple[str | None, str]]] = {}
    for name, node in scenario.nodes.items() if scenario else ():
        if node.keepalived and node.keepalived.file:
            asked = (node.keepalived.config_id, scenario.dialect_of(name) if scenario else "")
            used.setdefault(node.keepalived.file.as_posix(), []).append(asked)
    members = []
    for file in files:
        if file.endswith(SCENARIOS):
            continue
        for config_id, dialect in used.get(file, [(None, "keepalived-2.2.7")]):
            spoken = DIALECTS[dialect]
            compiled = read_keepalived(Path(file), config_id=config_id, dialect=spoken)
            yield from compiled.findings
            if compiled.config:
                members += members_of(
                    f"{file}@{config_id}" if config_id else file, compiled.config, spoken, compiled.places
                )
    for name, node in scenario.nodes.items() if scenario else ():
        if node.keepalived and not node.keepalived.file and scenario:
            members += members_of(name, node.keepalived.config, DIALECTS[scenario.dialect_of(name)])
    for finding in lint(members):
        if finding.place.file in files:
            yield finding
        else:  # inline: the node is the file
            text = f"{finding.place.file}: {finding.message}".replace(":1:1;", ";")
            yield Finding(Place(scenario_of(files), 1, 1), finding.code, text, Severity.WARNING)


def told(findings: list[Finding]) -> list[dict[str, Any]]:
    """Return findings as plain values, each once, sorted by place."""
    return [
        {
            "file": each.place.file,
            "line": each.place.line,
            "col": each.place.col,
            "severity": str(each.severity),
            "code": each.code,
            "message": each.message,
        }
        for each in sorted(dict.fromkeys(findings), key=lambda each: (each.place, each.message))
    ]


def seeds(files: Files, first: int, count: int) -> dict[str, list[int]]:
    """Return the measures of `count` runs from seed `first` on, in ns; only runs that have one are listed."""
    place(files)
    loaded = vrrpsim.load(scenario_of(files))
    found: dict[str, list[int]] = {"outage": [], "failover": [], "two owners": [], "nobody": []}
    for seed in range(first, first + count):
        result = loaded.run(seed, level=Level.STATES, fast_forward=True).result
        found["outage"] += [max((client.longest_ns for client in result.clients.values()), default=0)]
        found["failover"] += [max(each.length_ns for each in result.failovers)] if result.failovers else []
        found["two owners"] += [max((each.dual_master_ns for each in result.ownerships), default=0)]
        found["nobody"] += [max((each.vacancy_ns for each in result.ownerships), default=0)]
    return found


class Serial(Executor):
    """Does the work at once: a page has no processes."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call it now."""
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # who asks for the result is told
            done.set_exception(error)
        return done


def single_faults(files: Files) -> list[str]:
    """Return the name of every single fault that the cluster can meet."""
    from vrrpsim.explore.census import faults_of

    place(files)
    return [fault.name for fault in faults_of(vrrpsim.load(scenario_of(files)).scenario)]


def census(files: Files, only: list[str], phases: int = 4) -> list[dict[str, Any]]:
    """Return what comes of these faults, as `vrrpsim census --cell` does; `rank` 0 is the worst outcome."""
    from vrrpsim.explore.census_result import OUTCOMES
    from vrrpsim.review import read_cluster, take_census

    place(files)
    cluster = read_cluster(scenario_of(files))
    taken = take_census(cluster, phases=phases, pair_phases=0, only=only, executor=Serial(), progress=False)
    return [
        {
            "fault": cell.name,
            "outcome": cell.outcome,
            "rank": OUTCOMES.index(cell.outcome),
            "outage": max(row.outage.value for row in cell.rows),
            "cut": any(row.outage.cut for row in cell.rows),
            "two_owners": cell.two_owners_ns,
            "beyond": cell.beyond,
        }
        for cell in taken.outcome.cells
    ]


# --- faults ---------------------------------------------------------------------------------------


def add(files: Files, event: str) -> Files:
    """Return the files with one more line under `events:`, such as `{at: 3s, kill: lb1/haproxy}`."""
    name = scenario_of(files)
    lines = files[name].rstrip("\n").split("\n")
    start = next((at for at, line in enumerate(lines) if re.match(r"events:", line)), None)
    if start is None:
        at = next((at for at, line in enumerate(lines) if re.match(r"expect:", line)), len(lines))
        lines[at:at] = ["events:", f"  - {event}", ""]
    elif re.fullmatch(r"events:\s*(\[\s*\])?\s*(#.*)?", lines[start]):
        lines[start] = "events:"
        end, indent = start + 1, "  "
        for at in range(start + 1, len(lines)):
            if item := re.match(r"( *)- ", lines[at]):
                indent = item[1] if end == start + 1 else indent
            elif lines[at].strip() and not lines[at].startswith((" ", "#")):
                break
            end = at + 1 if lines[at].strip() and not lines[at].startswith("#") else end
        lines.insert(end, f"{indent}- {event}")
    else:
        raise Mistake(
            "write 'events:' as a list of lines that begin with '-', then faults can be added by click"
        )
    return {**files, name: "\n".join(lines) + "\n"}


def remove(files: Files, event: str) -> Files:
    """Return the files without the last event line that reads so."""
    name = scenario_of(files)
    lines = files[name].split("\n")
    found = [at for at, line in enumerate(lines) if line.strip() == f"- {event}"]
    if not found:
        raise Mistake("this event is no longer in the scenario")
    del lines[found[-1]]
    left = re.search(r"^events:\n(?=\S|\Z|\n)", "\n".join(lines), re.MULTILINE)
    return {
        **files,
        name: re.sub(r"^events:\n\n?(?=\S|\Z)", "", "\n".join(lines), flags=re.MULTILINE)
        if left
        else "\n".join(lines),
    }


# --- keywords -------------------------------------------------------------------------------------

RANGES = {  # keyword: what it is without being written, least, most, step, unit
    "advert_int": ("1", 0.1, 5, 0.1, "s"),
    "interval": ("1", 1, 10, 1, "s"),
    "fall": ("1", 1, 6, 1, ""),
    "rise": ("1", 1, 6, 1, ""),
    "weight": ("0", -60, 60, 1, ""),
    "preempt_delay": ("0", 0, 60, 1, "s"),
    "priority": ("100", 1, 254, 1, ""),
}
VERSION_3 = re.compile(r"^[^#!]*\b(?:vrrp_)?version[ \t:]+3\b", re.MULTILINE)
OF_BLOCK = {
    "vrrp_script": ("interval", "fall", "rise", "weight"),
    "vrrp_instance": ("advert_int", "preempt_delay", "priority"),
}
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
KEYWORD = re.compile(rf"(\s*([a-z_]+)\s+)({NUMBER.pattern})(?!\S)")


class Knob:
    """One keyword of one block, in every file that has the block; a priority is each node's own."""

    def __init__(self, keyword: str, block: str, owner: str) -> None:
        self.keyword, self.block, self.owner = keyword, block, owner
        self.tenths = False  # VRRPv3 counts in hundredths of a second, VRRPv2 in whole seconds
        self.spots: list[
            tuple[str, int, int, str]
        ] = []  # file, line from 0, column from 0, what stands there

    @property
    def key(self) -> str:
        """How the page calls it."""
        return " ".join(filter(None, (self.keyword, self.block, self.owner)))

    def shown(self) -> dict[str, Any]:
        """Return what a slider needs."""
        usual, least, most, step, unit = RANGES[self.keyword]
        if self.keyword == "advert_int" and not self.tenths:
            least, step = 1, 1
        values = [float(text or usual) for *_, text in self.spots]
        return {
            "key": self.key,
            "keyword": self.keyword,
            "of": " ".join(filter(None, (self.block, self.owner))),
            "value": values[0],
            "differ": len(set(values)) > 1,
            "least": min(least, *values),
            "most": max(most, *values),
            "step": step,
            "unit": unit,
        }


def knobs(files: Files) -> list[Knob]:
    """Return the keywords that decide how long it takes, in keepalived.conf files and inline."""
    found: dict[str, Knob] = {}

    def spot(keyword: str, block: str, owner: str, file: str, line: int, col: int, text: str) -> None:
        knob = Knob(keyword, block, owner if keyword == "priority" else "")
        found.setdefault(knob.key, knob).spots.append((file, line, col, text))

    for file, text in files.items():
        if file.endswith(SCENARIOS):
            for words in inline(file):
                spot(*words)
        else:
            for keyword, block, line, col, value in written(text):
                spot(keyword, block, Path(file).stem, file, line, col, value)
    tenths = any(VERSION_3.search(text) for text in files.values())
    for knob in found.values():
        knob.tenths = tenths
    order = list(RANGES)
    return sorted(found.values(), key=lambda knob: (order.index(knob.keyword), knob.key))


def written(text: str) -> Iterator[tuple[str, str, int, int, str]]:
    """Yield keyword, block, line, column, value of a keepalived.conf; if absent the block's line, -1, ""."""
    block: tuple[str, str] | None = None
    depth, opened, seen = 0, 0, set[str]()
    for number, line in enumerate(text.split("\n")):
        code = re.split(r"[#!]", line)[0]
        if depth == 0 and (head := re.match(r"\s*(vrrp_script|vrrp_instance)\s+([^\s{]+)", code)):
            block, opened, seen = (head[1], head[2]), -1, set()
        elif block and depth == 1 and (word := KEYWORD.match(code)) and word[2] in OF_BLOCK[block[0]]:
            if word[2] not in seen:  # keepalived takes the last; written twice it is left to its author
                yield word[2], block[1], number, len(word[1]), word[3]
            seen.add(word[2])
        depth += code.count("{") - code.count("}")
        if block and opened < 0 and "{" in code:
            opened = number
        if block and opened >= 0 and depth <= 0:
            for keyword in OF_BLOCK[block[0]]:
                if keyword not in seen and opened < number:
                    yield keyword, block[1], opened, -1, ""
            block, depth = None, max(depth, 0)


def inline(file: str) -> Iterator[tuple[str, str, str, str, int, int, str]]:
    """Yield the same for what stands under `keepalived:` of a scenario; only what is written there."""
    kinds = {"vrrp_scripts": "vrrp_script", "vrrp_instances": "vrrp_instance"}
    tree = read_tree(Path(file))
    for path, (line, col) in tree.values.items():
        if len(path) == 6 and path[0] == "nodes" and path[2] == "keepalived" and path[3] in kinds:
            node, kind, block, keyword = str(path[1]), kinds[str(path[3])], str(path[4]), str(path[5])
            value = str(tree.lookup(path))
            if keyword in OF_BLOCK[kind] and NUMBER.fullmatch(value):
                yield keyword, block, node, file, line - 1, col - 1, value


def turn(files: Files, key: str, value: float) -> Files:
    """Return the files with another value of a keyword, written in where it was left out."""
    place(files)
    [knob] = [knob for knob in knobs(files) if knob.key == key] or [None]
    if knob is None:
        raise Mistake(f"nothing here is called {key!r}")
    text = f"{value:g}"
    lines = {file: files[file].split("\n") for file, *_ in knob.spots}
    for file, line, col, old in sorted(knob.spots, key=lambda spot: spot[:2], reverse=True):
        row = lines[file][line]
        if col < 0:
            indent = re.match(r"\s*", lines[file][line + 1])
            lines[file].insert(line + 1, f"{indent[0] if indent else ''}{knob.keyword} {text}")
        else:
            assert row[col : col + len(old)] == old, (row, col, old)
            lines[file][line] = row[:col] + text + row[col + len(old) :]
    return {**files, **{file: "\n".join(rows) for file, rows in lines.items()}}


# --- files to take away ---------------------------------------------------------------------------


def capture(files: Files, seed: int | None = None) -> bytes:
    """Return the run as pcapng."""
    place(files)
    return vrrpsim.load(scenario_of(files)).run(seed).pcap()


# --- the page's calls -----------------------------------------------------------------------------


def serve(call: str, words: str) -> str:
    """Answer one call of the page: JSON in, JSON out, whatever happens."""
    import base64
    import json

    known: dict[str, Callable[..., Any]] = {
        each.__name__: each
        for each in (example, begin, study, seeds, add, remove, turn, capture, single_faults, census)
    }
    try:
        good = known[call](**json.loads(words))
        answer = {"good": base64.b64encode(good).decode() if isinstance(good, bytes) else good}
    except InputError as error:
        answer = {"findings": told([*error.findings])}
    except Mistake as error:
        answer = {"mistake": str(error)}
    except Exception:  # a page that says what broke is better than one that stands still
        import traceback

        answer = {"bug": traceback.format_exc()}
    return json.dumps(answer, default=float)
