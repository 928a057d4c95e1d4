"""Write what is generated in docs/: `python docs/generate.py`; tests/test_docs.py says whether it is current.

Whole pages come from the JSON Schema (scenario.md), click's help (cli.md) and the records (trace.md). In the
pages written by hand, what stands between `<!-- name -->` and `<!-- /name -->` comes from code or from a run.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import click
import scenario_reference
import trace_reference

import vrrpsim
from vrrpsim.cli import vrrpsim as group
from vrrpsim.protocol.dialect import DIALECTS, Dialect
from vrrpsim.rules import RULES, page
from vrrpsim.scenario.quantities import Distribution, format_duration
from vrrpsim.world import latencies

# How keepalived's answers are known: measured (by which recorded case), run by hand on 2.2.7, or read.
KNOWN_FROM = {
    "default_version": "measured: 01",
    "list_mismatch": "measured: 28a, 31",
    "padded_short_ok": "read",
    "source_check_needs_list_check": "read",
    "own_source_dropped": "run by hand",
    "zero_count_rejected": "read",
    "zero_interval_rejected": "read",
    "first_address_link_local": "read",
    "checksum": "measured: 54",
    "checks_in_rfc_order": "read",
    "authentication": "measured: 22",
    "skew_rounding": "measured: 05",
    "skew_recomputed_on_learning": "measured: 23b",
    "priority_change_shifts_deadline": "run by hand",
    "remaining_time_overwrites_down_time": "run by hand",
    "rejected_restarts_advert_timer": "measured: 22, 31",
    "answers_lower_advert": "measured: 08b, 41b",
    "answers_own_source": "read",
    "lower_advert_restarts_timer": "read",
    "fault_priority_zero_adverts": "measured: 13",
    "stop_keeps_addresses": "measured on FRR 8.4, ten trials each",
    "resigns_without_source": "run by hand, 2.2.7 and 2.3.3",
    "owner_starts_as_master": "measured: 52",
    "owner_needs_wanted_state": "run by hand",
    "owner_conflict": "measured: 52",
    "owner_preempts_regardless": "read",
    "startup_delay_discards": "measured: 46",
    "has_timer_expired_backup": "read",
    "reload_adverts": "measured: 38a",
    "runs_overlapping_scripts": "measured: 16b",
    "script_interval_in_ms": "read",
    "garp_refresh_on_adverts": "read",
    "garp_interval_collapses": "run by hand",
    "garp_target_is_sender_mac": "run by hand",
    "garp_repeats": "measured: 08, 27b",
    "garp_on_lower_advert": "measured: 08b, 41b",
    "always_vmac": "measured: 34a",
    "has_v3_checksum_as_v2": "read",
    "has_no_virtual_ipaddress": "read",
    "has_owner_ignore_adverts": "read",
    "has_symlink_paths": "read",
    "ignores_equal_addresses": "read",
    "missing_source_is_fault": "run by hand, each version",
    "strict_excludes_unicast": "run by hand on 2.2.7, others read",
    "unicast_needs_interface": "run by hand on 2.2.7, others read",
    "vmac_source_is_read_once": "run by hand on 2.2.7, others read",
    "unicast_ends_with_interface": "run by hand on 2.2.7, others not known",
    "reject_log_every_packet": "read",
}

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PICTURE = DOCS / "haproxy-crash.svg"
PAGES = {"scenario.md": scenario_reference.page, "trace.md": trace_reference.page}
MARKED = re.compile(r"(<!-- (?P<what>[a-z]+)(?P<words> [^>]*)? -->\n).*?(<!-- /(?P=what) -->)", re.DOTALL)


def generated() -> dict[str, str]:
    """Return every page as it should be, by file name."""
    pages = {"cli.md": cli(), **{name: make() for name, make in PAGES.items()}}
    for path in DOCS.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        if path.name not in pages and MARKED.search(text):
            pages[path.name] = filled(text)
    return pages


def filled(text: str) -> str:
    """Return a page with each marked part as it is now."""
    return MARKED.sub(lambda m: f"{m[1]}{PARTS[m['what']](*(m['words'] or '').split())}{m[4]}", text)


# --- parts ----------------------------------------------------------------------------------------


def cli() -> str:
    """docs/cli.md: the help of every command, 100 columns wide."""
    parts = ["# The command line\n", "Generated from `--help` by `python docs/generate.py`.\n"]
    settings = {**group.context_settings, "terminal_width": 100}
    context = click.Context(group, info_name="vrrpsim", **settings)
    for name in ["", *group.list_commands(context)]:
        command = group.get_command(context, name) if name else group
        assert command is not None
        own = click.Context(command, info_name=name, parent=context, **settings) if name else context
        parts.append(f"## vrrpsim{f' {name}' if name else ''}\n\n```text\n{command.get_help(own)}\n```\n")
    return "\n".join(parts)


def measured(name: str, *changes: str) -> str:
    """Return the command, with `--set` for each `PATH=VALUE`, and what it shows with its own seed."""
    words = [
        "vrrpsim",
        "run",
        f"scenarios/{name}.yaml",
        *(w for change in changes for w in ("--set", change)),
    ]
    command = shlex.join(words)
    result = _recorded(name) if not changes else _run(name, dict(change.split("=", 1) for change in changes))
    return f"> `{command}`<br>\n> {'; '.join(_summary(result))}.\n"


def _recorded(name: str) -> dict[str, Any]:
    """Return the result that tests/test_scenarios.py holds a run of the scenario to."""
    recorded = ROOT / f"tests/recorded/{name}.json"
    return cast("dict[str, Any]", json.loads(recorded.read_text(encoding="utf-8")))


def _run(name: str, overrides: dict[str, str]) -> dict[str, Any]:
    """Return the same of a run with changes."""
    document = json.loads(vrrpsim.load(ROOT / f"scenarios/{name}.yaml", overrides).run().to_json())
    own: dict[str, list[list[Any]]] = {address: [] for address in document["moves"]}
    two = dict.fromkeys(own, 0.0)
    for each in document["tenures"]:
        own[each["address"]].append([each["start_s"], each["end_s"], *each["nodes"]])
    for each in document["dual_master"]:
        two[each["address"]] += each["end_s"] - each["start_s"]
    return {
        "failovers": [
            [f["address"], f["from"], f["to"], f["kind"], f["cause"], f["total_s"]]
            for f in document["failovers"]
        ],
        "longest_outage_s": {
            name: client["longest_outage_s"] for name, client in document["clients"].items()
        },
        "dual_master_s": two,
        "owners": own,
    }


def _summary(result: dict[str, Any]) -> Iterator[str]:
    longest = max(result["longest_outage_s"].values())
    yield f"longest outage **{_time(longest)}**" if longest else "**no outage**"
    two = max(result["dual_master_s"].values())
    if two >= 0.1:  # more than a hand-over
        yield f"two owners for **{_time(two)}**"
    changes = max(
        sum(one[2] != next_one[2] for one, next_one in pairwise(owners))
        for owners in result["owners"].values()
    )
    yield f"{changes or 'no'} change{'s' * (changes != 1)} of owner"
    false = sum(kind == "false takeover" for *_, kind, _cause, _total in result["failovers"])
    if false:
        yield f"{false} false takeover{'s' * (false != 1)}"
    for wanted, words in (("takeover", "at the new owner"), ("return", "back")):
        answers: dict[str, float] = {}
        for *_, kind, cause, total in result["failovers"]:
            if total and kind == wanted:
                answers[cause] = max(total, answers.get(cause, 0))
        if 0 < len(answers) <= 3:
            yield f"{words} " + ", ".join(f"{_time(total)} after {cause}" for cause, total in answers.items())


def _time(seconds: float) -> str:
    return format_duration(round(seconds * 100) * 10_000_000)


def dialects() -> str:
    """Return the table of switches; a bold cell differs from keepalived 2.2.7."""
    names = list(DIALECTS)
    rows = [f"| switch | {' | '.join(names)} | known from |", f"|---|{'---|' * len(names)}---|"]
    default = DIALECTS["keepalived-2.2.7"]
    for field in Dialect._fields[1:]:
        usual = _shown(getattr(default, field))
        cells = [_shown(getattr(dialect, field)) for dialect in DIALECTS.values()]
        marked = (cell if cell == usual else f"**{cell}**" for cell in cells)
        rows.append(f"| `{field}` | {' | '.join(marked)} | {KNOWN_FROM[field]} |")
    return "\n".join(rows) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value.value if isinstance(value, Enum) else value)


def figures() -> str:
    """Return the table of `slop: default`, with the comments that name the sources."""
    rows = ["| figure | distribution | what it is, and where it was measured |", "|---|---|---|"]
    source = Path(latencies.__file__).read_text(encoding="utf-8")
    for name, comment in re.findall(r"^([A-Z_]+) = .*?#\s*(.*)$", source, re.MULTILINE):
        value = getattr(latencies, name)
        if isinstance(value, Distribution):
            rows.append(f"| `{name}` | {_distribution(value)} | {comment} |")
    return "\n".join(rows) + "\n"


def _distribution(value: Distribution) -> str:
    shown = [format_duration(ns) for ns in value.parameters]
    words = {"lognormal": "lognormal, median {}, p99 {}", "uniform": "{} to {}", "fixed": "{}"}
    return words[value.kind].format(*shown)


def fits() -> str:
    """Return how many measured cases the simulator fits, from fidelity.md."""
    rows = re.findall(
        r"^\| \d.*\| (.*) \|$", (DOCS / "fidelity.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    return f"{rows.count('yes')} of {len(rows)} measured cases fit.\n"


def rules() -> str:
    """Return the table of `vrrpsim check`'s rules."""
    return page.table(RULES)


PARTS: dict[str, Callable[..., str]] = {
    "rules": rules,
    "measured": measured,
    "dialects": dialects,
    "figures": figures,
    "fits": fits,
}


# --- the picture ----------------------------------------------------------------------------------


def shown_run() -> vrrpsim.Run:
    """Return the run of the README's picture."""
    return vrrpsim.load(ROOT / f"scenarios/{PICTURE.stem}.yaml").run()


def mark(run: vrrpsim.Run) -> str:
    """Return the comment by which the picture says which run it shows."""
    return f"<!-- digest {run.trace.digest()} -->"


def draw() -> None:
    """Draw the picture anew if it shows another run; matplotlib's versions differ in their bytes."""
    from vrrpsim.report.style import render

    run = shown_run()
    if PICTURE.is_file() and mark(run) in PICTURE.read_text(encoding="utf-8"):
        return
    svg = render(run.plot(), "svg").decode()
    PICTURE.write_text(svg.replace("<svg ", f"{mark(run)}\n<svg ", 1), encoding="utf-8")


def main() -> None:
    """Write everything."""
    for name, text in generated().items():
        (DOCS / name).write_text(text, encoding="utf-8")
    draw()


if __name__ == "__main__":
    main()
