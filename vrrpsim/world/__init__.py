"""The SimPy world: segments, links, nodes, processes, clients and the faults that befall them."""

from .forcing import Forcing
from .simulation import simulate
from .world import World

__all__ = ["Forcing", "World", "simulate"]
