"""Scenario YAML to the model, with every error at its place; only front doors need it."""
