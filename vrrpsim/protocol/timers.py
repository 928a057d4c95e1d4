"""Skew_Time and Master_Down_Interval in integer nanoseconds: rfc.md §2.2, §2.3, keepalived.md §2.1.

The RFCs write the formulas over real numbers; implementations truncate, each in its own unit
(`SkewRounding`). `priority` is always the local effective priority, `interval_ns` in version 3 the
interval learned from the Master, in version 2 the own one.
"""

from __future__ import annotations

from typing import Final

from .configuration import SECOND_NS
from .dialect import SkewRounding

CENTISECOND_NS: Final = 10_000_000
_MICROSECOND_NS: Final = 1_000


def skew_time_ns(version: int, priority: int, interval_ns: int, rounding: SkewRounding) -> int:
    """Skew_Time: (256 - priority) / 256 of the interval, in version 2 of one second (§6.1)."""
    steps = 256 - priority
    scale_ns = interval_ns if version == 3 else SECOND_NS  # RFC 3768 §6.1: v2 does not scale
    match rounding:
        case SkewRounding.NANOSECONDS:
            return steps * scale_ns // 256  # floors: at most 1 ns early
        case SkewRounding.MICROSECONDS:
            # keepalived: whole centiseconds first, then steps · cs · 625 div 16 microseconds
            return steps * (scale_ns // CENTISECOND_NS) * 625 // 16 * _MICROSECOND_NS
        case SkewRounding.CENTISECONDS:
            return steps * (scale_ns // CENTISECOND_NS) // 256 * CENTISECOND_NS  # FRR


def master_down_interval_ns(
    version: int, priority: int, interval_ns: int, adverts: int, rounding: SkewRounding
) -> int:
    """Master_Down_Interval: the silence after which a Backup takes over.

    `adverts` is 3 in the RFCs and `down_timer_adverts` in keepalived.
    """
    return adverts * interval_ns + skew_time_ns(version, priority, interval_ns, rounding)
