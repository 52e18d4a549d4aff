"""`fitkit validate`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from fitkit.cli.options import all_settings, overrides
from fitkit.cli.terminal import say, tell
from fitkit.errors import FitkitError

if TYPE_CHECKING:
    from fitkit.config import ConfigSource


@click.command("validate", short_help="Check configs without fitting them.")
@click.argument("paths", nargs=-1, required=True, metavar="PATHS...", type=click.Path())
@overrides
@click.option("--data", "whole", is_flag=True, help="Read the tables whole, not only their headers.")
@click.option("--quiet", "-q", is_flag=True, help="Print only what is wrong.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    paths: tuple[str, ...],
    settings: tuple[str, ...],
    seed: int | None,
    device: str | None,
    whole: bool,  # noqa: FBT001 - click passes options by name
    quiet: bool,  # noqa: FBT001
) -> None:
    """Check configs (files, folders or globs; - for standard input) and that their columns and parameters fit together.

    Exit codes: 0 all are right, 2 a config is wrong, 3 its data are.
    """
    from fitkit.config import validate
    from fitkit.config.paths import config_paths
    from fitkit.readers import read_table

    codes = []
    for path in config_paths(paths):
        try:
            source, _ = validate(path, all_settings(settings, seed, device))
            if whole and source.config.data is not None:
                used = partial(_columns_in_use, source)
                read_table(source.config.data, source.base, used, source.where)
        except FitkitError as error:
            codes.append(int(error.exit_code))
            tell(error.render())
            if not quiet:
                say(f"{path}: wrong")
        else:
            if not quiet:
                say(f"{path}: ok")
    ctx.exit(min(codes, default=0))


def _columns_in_use(source: ConfigSource, names: tuple[str, ...]) -> tuple[str, ...]:
    from fitkit.config import check_names

    return check_names(source, names).table_columns
