"""The SimPy world: segments, links, nodes, processes, clients and the faults that befall them."""
