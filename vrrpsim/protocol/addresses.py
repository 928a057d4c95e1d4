"""Addresses that know their hash and their text, which the standard library works out at each question.

A run asks its tables for an address some hundred times and says it in each conversation of frames; with plain
addresses that was a seventh of a trial. They equal plain ones and may stand wherever those do.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any


class _Cached:
    __slots__ = ()
    _hash: int
    _text: str

    def __init__(self, address: Any) -> None:
        super().__init__(address)  # type: ignore[call-arg]  # of the other base
        self._hash = super().__hash__()  # type: ignore[misc]  # a slot of both subclasses
        self._text = super().__str__()  # type: ignore[misc]

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return super().__repr__().removeprefix("Cached")


class CachedIPv4Address(_Cached, IPv4Address):
    """An `IPv4Address`."""

    __slots__ = ("_hash", "_text")


class CachedIPv6Address(_Cached, IPv6Address):
    """An `IPv6Address`."""

    __slots__ = ("_hash", "_text")


@lru_cache(maxsize=4096)
def cached(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the address that equals this one; for equal ones nearly always the same object."""
    return CachedIPv4Address(address) if isinstance(address, IPv4Address) else CachedIPv6Address(address)
