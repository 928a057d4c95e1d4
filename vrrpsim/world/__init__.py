"""The SimPy world: segments, links, nodes, processes, clients and the faults that befall them."""

from . import lazy_simpy as lazy_simpy  # before anything that imports SimPy
from .forcing import Forcing
from .simulation import simulate
from .world import World

__all__ = ["Forcing", "World", "simulate"]
