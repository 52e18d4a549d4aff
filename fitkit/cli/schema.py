"""`fitkit schema`."""

from __future__ import annotations

import click

from fitkit.cli.terminal import say


@click.command("schema", short_help="Print the JSON Schema of a config, for editors.")
def command() -> None:
    """Print the JSON Schema of a config.

    Save it, and put `# yaml-language-server: $schema=fitkit.schema.json` on a config's first line: editors then complete
    keys and show what they mean.
    """
    import json

    from fitkit.config import json_schema

    say(json.dumps(json_schema(), indent=2))
