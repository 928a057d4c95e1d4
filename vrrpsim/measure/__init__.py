"""From a trace to tenures, failovers, overlaps, vacancies, outages and a verdict."""
