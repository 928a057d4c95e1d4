"""The SimPy world: segments, links, nodes, processes, clients and the faults that befall them."""

from .forcing import Forcing
from .world import World, simulate

__all__ = ["Forcing", "World", "simulate"]
