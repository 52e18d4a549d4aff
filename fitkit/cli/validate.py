"""`fitkit validate`."""

from __future__ import annotations

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

    codes = []
    for path in config_paths(paths):
        try:
            source, _ = validate(path, all_settings(settings, seed, device))
            if whole:
                _check_rows(source)
        except FitkitError as error:
            codes.append(int(error.exit_code))
            tell(error.render())
            if not quiet:
                say(f"{path}: wrong")
        else:
            if not quiet:
                say(f"{path}: ok")
    ctx.exit(min(codes, default=0))


def _check_rows(source: ConfigSource) -> None:
    """Read the table of a config, and every entry that the fit computes with.

    Raises:
        DataError: an entry is not what the fit needs.
    """
    from fitkit.config import check_names, table_of
    from fitkit.readers import row_weights, standard_errors

    data, model = source.config.data, source.config.model
    if data is None or model is None:
        return
    table = table_of(source, lambda names: check_names(source, names).table_columns)
    computed = {*(model.inputs_used or ()), model.target_used}
    for part in (getattr(model, "formula", None), (source.config.loss.formula or (None, None))[1]):
        computed |= _names(part)
    for name in table.names:
        if name in computed:
            table.numeric(name)
    standard_errors(data, table)
    row_weights(data, table)


def _names(part: object) -> frozenset[str]:
    """Return the names that a formula computes with; columns that it compares with texts are not among them."""
    from fitkit.expressions import Equation, Expression

    if isinstance(part, Equation):
        return part.prediction.names | part.target.names
    return part.names if isinstance(part, Expression) else frozenset()
