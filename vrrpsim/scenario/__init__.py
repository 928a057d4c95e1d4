"""The model that worlds need: nodes, segments, events, quantities and random streams."""
