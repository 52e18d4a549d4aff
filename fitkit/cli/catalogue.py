"""`fitkit list`."""

from __future__ import annotations

import click

from fitkit.component import Component, describe_fields, documentation

KINDS = ("models", "losses", "optimizers")


@click.command("list", short_help="List the models, losses and optimizers there are.")
@click.argument("what", required=False, type=click.Choice(KINDS))
def command(what: str | None) -> None:
    """List what a config can name, with the keys of each, from the docstrings of the components."""
    from fitkit.losses import LOSSES
    from fitkit.models import MODELS
    from fitkit.optimizers import OPTIMIZERS

    components: dict[str, tuple[type[Component], ...]] = {"models": MODELS, "losses": LOSSES, "optimizers": OPTIMIZERS}
    for title in KINDS if what is None else (what,):
        click.echo(f"{title}\n")
        for cls in components[title]:
            click.echo(_described(cls))


def _described(cls: type[Component]) -> str:
    lines = [click.wrap_text(f"{cls.kind}: {documentation(cls)}", 78, "  ", "      ")]
    for key in describe_fields(cls):
        default = "required" if key.default == "required" else f"default {key.default}"
        lines.append(click.wrap_text(f"{key.name} ({default}): {key.documentation}", 78, "      ", "        "))
    return "\n".join(lines) + "\n"
