"""The table of `--status`."""

from __future__ import annotations

from typing import Any

from rich.table import Table

_COLOURS = {"MASTER": "green", "BACKUP": "cyan", "FAULT": "red", "INIT": "yellow"}


def table(entries: list[dict[str, Any]]) -> Table:
    """One row for each instance of a snapshot."""
    result = Table("instance", "on", "VRID", "state", "prio", "master", "sent", "rcvd", "due in")
    for entry in entries:
        data, stats = entry["data"], entry["stats"]
        state, due = data["state_name"], data["due_in"]
        result.add_row(
            data["iname"],
            data["ifp_ifname"],
            str(data["vrid"]),
            f"[{_COLOURS[state]}]{state}[/]",
            str(data["effective_priority"]),
            data["master"] or ("this node" if state == "MASTER" else ""),
            str(stats["advert_sent"]),
            str(stats["advert_rcvd"]),
            "" if due is None else f"{max(due, 0):.1f} s",
        )
    return result
