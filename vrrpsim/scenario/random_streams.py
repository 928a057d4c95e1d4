"""Randomness that adding a client or skipping a packet does not reshuffle (DESIGN §4).

A stream belongs to one purpose and is seeded by its name. Delays are drawn by the number of the frame,
losses as the gap to the next lost frame, so quiet stretches can be skipped without changing a draw.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache
from itertools import count, islice
from statistics import NormalDist
from typing import Final

from .quantities import Distribution

_MASK: Final = (1 << 64) - 1
STEP: Final = 0x9E3779B97F4A7C15
_NORMAL = NormalDist()
QUANTILES: Final = 4096
CHUNK: Final = 1024  # losses drawn at a time
EVER = 1e18  # frames: nobody sends so many


class Streams:
    """The random streams of one run: one for each purpose, e.g. `loss/lan/lb1:eth0->lb2:eth0`."""

    __slots__ = ("seed",)

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def draw_ns(self, distribution: Distribution, purpose: str) -> int:
        """The only draw of a purpose."""
        return (
            distribution.parameters[0]
            if distribution.kind == "fixed"
            else self.draws(purpose).ns(distribution)
        )

    def draws(self, purpose: str) -> Draws:
        """Draws one after the other."""
        return Draws(self.numbered(purpose))

    def numbered(self, purpose: str) -> Numbered:
        """Draws that depend on a number instead of on the draws before."""
        return Numbered(f"{self.seed}/{purpose}")


class Numbered:
    """A counter-based generator: splitmix64 of a key, made from a name when it is needed first."""

    __slots__ = ("_key", "_name")

    def __init__(self, name: str, key: int | None = None) -> None:
        self._name = name
        self._key = key

    @property
    def key(self) -> int:
        """64 bits."""
        if self._key is None:
            digest = hashlib.blake2b(self._name.encode(), digest_size=8).digest()
            self._key = int.from_bytes(digest, "big")
        return self._key

    def fraction(self, number: int) -> float:
        """A value in (0, 1) for the n-th occasion."""
        return _mixed(self.key + (number + 1) * STEP)

    def fractions(self, first: int) -> Iterator[float]:
        """The values for this occasion and all that follow."""
        return map(_mixed, count(self.key + (first + 1) * STEP, STEP))

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
                return _quantile(distribution, int(u * QUANTILES))
            case "exponential":
                return round(-math.log(1 - u) * parameters[0])
            case "choice":
                return parameters[int(u * len(parameters))]
            case _:
                return parameters[0]


def _mixed(z: int) -> float:
    z &= _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (((z ^ (z >> 31)) >> 12) + 0.5) / 2.0**52  # 52 bits: with more, the sum may round up to 1


class Draws:
    """The draws of one purpose in the order in which they are asked for."""

    __slots__ = ("_count", "_numbered")

    def __init__(self, numbered: Numbered) -> None:
        self._numbered = numbered
        self._count = 0

    def fraction(self) -> float:
        """A value in (0, 1)."""
        self._count += 1
        return self._numbered.fraction(self._count)

    def ns(self, distribution: Distribution) -> int:
        """A draw of a distribution."""
        self._count += 1
        return self._numbered.draw_ns(distribution, self._count)


def bounds_ns(distribution: Distribution) -> tuple[int, int]:
    """The least and the largest value that a numbered draw of the distribution can give."""
    match distribution.kind:
        case "normal" | "lognormal":
            return _quantile(distribution, 0), _quantile(distribution, QUANTILES - 1)
        case "exponential":
            return 0, round(53 * math.log(2) * distribution.parameters[0])
        case _:
            return min(distribution.parameters), max(distribution.parameters)


@lru_cache(maxsize=256)
def _curve(distribution: Distribution) -> list[int]:
    """The distribution at `QUANTILES` equal steps, as far as it was asked for: -1 is not known yet."""
    return [-1] * QUANTILES


def _quantile(distribution: Distribution, step: int) -> int:
    """The distribution's curve at the middle of a step: its logarithms are taken once."""
    curve = _curve(distribution)
    if curve[step] >= 0:
        return curve[step]
    first, second = distribution.parameters
    z = _NORMAL.inv_cdf((step + 0.5) / QUANTILES)
    if distribution.kind == "normal":
        value = max(0, round(first + second * z))
    else:
        value = round(first * math.exp(math.log(second / first) / _NORMAL.inv_cdf(0.99) * z))
    curve[step] = value
    return value


def geometric(fraction: float, p: float) -> int:
    """Number of trials up to the first success, from 1 to about `EVER`, by its quantile function."""
    if p >= 1.0:
        return 1
    return 1 + int(min(math.log(fraction) / math.log1p(-p), EVER) if p else EVER)


class Gaps:
    """Losses of one path as gaps between them; with a mean burst length, as good and bad stretches.

    `loss` is the long-run fraction of frames lost; bursts are Gilbert's: geometric in both states. Between
    two bursts at least one frame gets through, so a high loss makes bursts longer than asked for. Which
    frames are lost depends on their number only, so any stretch can be asked about as a whole.
    """

    __slots__ = ("_burst", "_drawn", "_draws", "_known", "_loss", "_lost", "_next", "number")

    def __init__(self, loss: float, burst: float | None, draws: Numbered) -> None:
        self._loss = loss
        shortest = loss / (1 - loss) if loss < 1.0 else 1.0
        self._burst = max(burst, shortest) if burst and burst > 1 else None
        self._draws = draws
        self._drawn = 0  # draws so far
        self.number = 0  # of the next frame
        self._known = 0  # the fate of all frames before this one is drawn
        self._lost: list[int] = []  # numbers of lost frames, in order
        self._next = 0  # index of the first that is still to come

    def hit(self) -> bool:
        """Whether the next frame is lost."""
        number = self.number
        self.number = number + 1
        if not 0.0 < self._loss < 1.0:
            return self._loss >= 1.0
        if self._known <= number:
            self._draw(number + 1)
        position = self._next
        if position < len(self._lost) and self._lost[position] == number:
            self._next = position + 1
            if position >= CHUNK:
                self._forget()
            return True
        return False

    def first_run(self, first: int, other: int, limit: int) -> int:
        """How many frames come before the first run of losses that is too long, at most `limit`.

        A run that begins with the next frame may have `first` losses, any other may have `other`.
        """
        if not 0.0 < self._loss < 1.0:
            return 0 if self._loss >= 1.0 and limit > first else limit
        base = self.number
        end = base + limit
        lost = self._lost
        position, run, begin, expected = self._next, 0, base, -1
        while True:
            if position >= len(lost):
                if self._known >= end:
                    return limit
                self._draw(end)
                continue
            number = lost[position]
            if number >= end:
                return limit
            if number == expected:
                run += 1
            else:
                run, begin = 1, number
            if run > (first if begin == base else other):
                return begin - base
            expected = number + 1
            position += 1

    def pass_over(self, frames: int) -> tuple[int, int | None]:
        """Count so many frames off: how many were lost, and the last that was not (0: the next frame)."""
        base = self.number
        self.number = end = base + frames
        if not 0.0 < self._loss < 1.0:
            return (frames, None) if self._loss >= 1.0 else (0, frames - 1 if frames else None)
        while self._known < end:
            self._draw(end)
        lost = self._lost
        after = bisect_left(lost, end, self._next)
        heard, position = end - 1, after - 1
        while position >= self._next and lost[position] == heard:
            heard -= 1
            position -= 1
        count = after - self._next
        self._next = after
        self._forget()
        return count, heard - base if heard >= base else None

    def _forget(self) -> None:
        del self._lost[: self._next]
        self._next = 0

    def _draw(self, until: int) -> None:
        """Decide on frames up to `until` or until `CHUNK` losses are known."""
        lost, known = self._lost, self._known
        fractions = self._draws.fractions(self._drawn)
        if self._burst is None:
            scale = math.log1p(-self._loss)
            for fraction in islice(fractions, CHUNK):
                known += int(min(math.log(fraction) / scale, EVER)) + 1
                lost.append(known - 1)
                self._drawn += 1
                if known >= until:
                    break
        else:
            ends = min(self._loss / (1 - self._loss) / self._burst, 1.0)  # of a good stretch, per frame
            for fraction in islice(fractions, CHUNK):
                begin = known + geometric(fraction, ends)
                known = begin + geometric(next(fractions), 1 / self._burst)
                lost.extend(range(begin, known))
                self._drawn += 2
                if known >= until:
                    break
        self._known = known
