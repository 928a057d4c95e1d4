"""`vrrpsim schema`: the JSON Schema of scenario files."""

from __future__ import annotations

import click


@click.command(
    epilog="""\b
Example:
  vrrpsim schema > vrrpsim.schema.json
"""
)
def command() -> None:
    """Print the JSON Schema of scenarios, for editors.

    Name it in the first line of a scenario: # yaml-language-server: $schema=vrrpsim.schema.json
    """
    import json

    from vrrpsim.scenario.file.json_schema import scenario_schema

    click.echo(json.dumps(scenario_schema(), indent=2))
