"""vrrpsim's speed as ratios to yardsticks of its own, taken in the same run: `python -m benchmarks`."""
