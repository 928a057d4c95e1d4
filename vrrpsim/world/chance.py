"""Randomness that adding a client or skipping a packet does not reshuffle (DESIGN §4).

A stream belongs to one purpose and is seeded by its name. Delays are drawn by the number of the frame,
losses as the gap to the next lost frame, so quiet stretches can be skipped without changing a draw.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from random import Random
from statistics import NormalDist

from vrrpsim.config.values import Distribution

_MASK = (1 << 64) - 1
_NORMAL = NormalDist()
QUANTILES = 4096


class Streams:
    """The random streams of one run."""

    __slots__ = ("seed",)

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, purpose: str) -> Random:
        """A generator for one purpose, e.g. `loss/lan/lb1:eth0->lb2:eth0`."""
        return Random(f"{self.seed}/{purpose}")

    def draw_ns(self, distribution: Distribution, purpose: str) -> int:
        """One draw of its own stream."""
        return distribution.sample_ns(self.stream(purpose))

    def numbered(self, purpose: str) -> Numbered:
        """Draws that depend on a number instead of on the draws before."""
        digest = hashlib.sha256(f"{self.seed}/{purpose}".encode()).digest()
        return Numbered(int.from_bytes(digest[:8], "big"))


class Numbered:
    """A counter-based generator (splitmix64 of key and number)."""

    __slots__ = ("_key",)

    def __init__(self, key: int) -> None:
        self._key = key

    def fraction(self, number: int) -> float:
        """A value in (0, 1) for the n-th occasion."""
        z = (self._key + (number + 1) * 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return (((z ^ (z >> 31)) >> 12) + 0.5) / 2.0**52  # 52 bits: with more, the sum may round up to 1

    def draw_ns(self, distribution: Distribution, number: int) -> int:
        """The n-th draw of a distribution, by its quantile function."""
        parameters = distribution.parameters
        if distribution.kind == "fixed":
            return parameters[0]
        u = self.fraction(number)
        match distribution.kind:
            case "uniform":
                return parameters[0] + int(u * (parameters[1] - parameters[0] + 1))
            case "normal" | "lognormal":
                return _quantiles(distribution)[int(u * QUANTILES)]
            case "exponential":
                return round(-math.log(1 - u) * parameters[0])
            case "choice":
                return parameters[int(u * len(parameters))]
            case _:
                return parameters[0]


def bounds_ns(distribution: Distribution) -> tuple[int, int]:
    """The least and the largest value that a numbered draw of the distribution can give."""
    match distribution.kind:
        case "normal" | "lognormal":
            quantiles = _quantiles(distribution)
            return quantiles[0], quantiles[-1]
        case "exponential":
            return 0, round(53 * math.log(2) * distribution.parameters[0])
        case _:
            return min(distribution.parameters), max(distribution.parameters)


@lru_cache(maxsize=256)
def _quantiles(distribution: Distribution) -> tuple[int, ...]:
    """The distribution's curve at the middles of `QUANTILES` equal steps: its logarithms are taken once."""
    first, second = distribution.parameters
    steps = [_NORMAL.inv_cdf((step + 0.5) / QUANTILES) for step in range(QUANTILES)]
    if distribution.kind == "normal":
        return tuple(max(0, round(first + second * z)) for z in steps)
    sigma = math.log(second / first) / _NORMAL.inv_cdf(0.99)
    return tuple(round(first * math.exp(sigma * z)) for z in steps)


class Gaps:
    """Losses of one path as gaps between them; with a mean burst length, as good and bad stretches.

    `loss` is the long-run fraction of frames lost; bursts are Gilbert's: geometric in both states. Between
    two bursts at least one frame gets through, so a high loss makes bursts longer than asked for.
    """

    __slots__ = ("_burst", "_loss", "_rng", "bad", "left")

    def __init__(self, loss: float, burst: float | None, rng: Random) -> None:
        self._loss = loss
        shortest = loss / (1 - loss) if loss < 1.0 else 1.0
        self._burst = max(burst, shortest) if burst and burst > 1 else None
        self._rng = rng
        self.bad = False
        self.left = self._next_good()

    def hit(self) -> bool:
        """Whether the next frame is lost."""
        if self._loss <= 0.0:
            return False
        if self._loss >= 1.0:
            return True
        while self.left == 0:
            self.bad = not self.bad
            self.left = self._next_bad() if self.bad else self._next_good()
        self.left -= 1
        return self.bad

    def _next_good(self) -> int:
        if not 0.0 < self._loss < 1.0:
            return 0
        if self._burst is None:  # independent: a gap may be empty, and the bad stretch is one frame
            return self._geometric(self._loss) - 1
        return self._geometric(min(self._loss / (1 - self._loss) / self._burst, 1.0))

    def _next_bad(self) -> int:
        return 1 if self._burst is None else self._geometric(1 / self._burst)

    def _geometric(self, p: float) -> int:
        """Number of trials up to the first success, at least 1."""
        return 1 + int(math.log(1.0 - self._rng.random()) / math.log1p(-p)) if p < 1.0 else 1
