"""vrrpsim: a discrete-event simulator for VRRP clusters that reads your real keepalived.conf."""

from __future__ import annotations

__version__ = "0.1.0"
