"""`fitkit list`."""

from __future__ import annotations

from typing import Any

import click

from fitkit.cli.terminal import say
from fitkit.component import Component, describe_fields, documentation

KINDS = ("models", "losses", "optimizers", "expect", "check_grad")

_PARTS = {
    "Expect": "expect",
    "ExpectedNumber": "an entry of expect",
    "ExpectedParameter": "an entry of parameters",
    "ExpectedMetrics": "metrics",
    "CheckGrad": "check_grad",
    "Claim": "an entry of claims",
    "Domain": "an entry of domain",
}
"""What components are called that have no kind."""


@click.command(
    "list", short_help="List the models, losses and optimizers there are, and the keys of expect and check_grad."
)
@click.argument("what", required=False, type=click.Choice(KINDS))
def command(what: str | None) -> None:
    """List what a config can name, with the keys of each, from the docstrings of the components."""
    from fitkit.expectations import Expect, ExpectedMetrics, ExpectedNumber, ExpectedParameter
    from fitkit.gradient_policy import CheckGrad, Claim, Domain
    from fitkit.losses import LOSSES
    from fitkit.models import MODELS
    from fitkit.optimizers import OPTIMIZERS

    components: dict[str, tuple[type[Component], ...]] = {
        "models": MODELS,
        "losses": LOSSES,
        "optimizers": OPTIMIZERS,
        "expect": (Expect, ExpectedNumber, ExpectedParameter, ExpectedMetrics),
        "check_grad": (CheckGrad, Claim, Domain),
    }
    for title in KINDS if what is None else (what,):
        said = [title, *(_described(cls) for cls in components[title])]
        say("\n\n".join(said) + ("\n" if title != KINDS[-1] and what is None else ""))


def _described(cls: type[Any]) -> str:
    named = getattr(cls, "kind", None) or _PARTS[cls.__name__]
    lines = [click.wrap_text(f"{named}: {documentation(cls)}", 78, "  ", "      ")]
    for key in describe_fields(cls):
        default = "required" if key.default == "required" else f"default {key.default}"
        lines.append(click.wrap_text(f"{key.name} ({default}): {key.documentation}", 78, "      ", "        "))
    return "\n".join(lines)
