"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, final

import click


@final
class FiniteRange(click.FloatRange):
    """A number in a range. Of click's own `nan` is in every range, and a check that is held to `nan` cannot fail."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or refuse it."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


def overrides(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--set` and what is short for it."""
    for option in (
        click.option("--device", type=click.Choice(["auto", "cpu", "gpu", "tpu"]), help="Short for --set device=..."),
        click.option("--seed", type=click.IntRange(min=0), help="Short for --set seed=..."),
        click.option(
            "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key: optimizer.learning_rate=0.1"
        ),
    ):
        command = option(command)
    return command


def all_settings(settings: tuple[str, ...], seed: int | None, device: str | None) -> tuple[str, ...]:
    """Return every override as `KEY=VALUE`."""
    more = [f"{key}={value}" for key, value in (("seed", seed), ("device", device)) if value is not None]
    return (*settings, *more)
