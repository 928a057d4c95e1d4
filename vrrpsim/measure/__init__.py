"""From a trace to tenures, failovers, overlaps, vacancies, outages and a verdict."""

from .result import Result, measure

__all__ = ["Result", "measure"]
