"""The SimPy world: segments, links, nodes, processes, clients and the faults that befall them."""

from .world import World, simulate

__all__ = ["World", "simulate"]
