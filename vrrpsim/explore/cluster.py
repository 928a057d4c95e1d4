"""Dask as an executor of `concurrent.futures` (extra `cluster`)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib import import_module

from .table import MissingExtra
from .workers import WorkersError

CONNECT_S = 10


@contextmanager
def dask_executor(address: str) -> Iterator[tuple[Executor, int]]:
    """Connect to a scheduler; give its executor and the number of threads of its workers."""
    try:
        distributed = import_module("distributed")
    except ModuleNotFoundError as error:
        raise MissingExtra("--scheduler", "distributed", "cluster") from error
    try:
        client = distributed.Client(address, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise WorkersError(f"{address}: no Dask scheduler answers ({error})") from error
    with client:
        workers = sum(client.nthreads().values())
        if not workers:
            raise WorkersError(f"{address}: the Dask scheduler has no workers")
        yield client.get_executor(), workers
