"""`fitkit predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fitkit.cli.terminal import say, tell
from fitkit.errors import Diagnostic, FileSystemFault


@click.command("predict", short_help="Predict a table from a saved run.")
@click.argument("run", metavar="RUN", type=click.Path())
@click.option(
    "--data", required=True, metavar="FILE", type=click.Path(), help="The table, in any format that train reads."
)
@click.option(
    "--out", metavar="FILE", type=click.Path(), help="Write here, .csv or .parquet; else CSV to standard output."
)
@click.option("--overwrite", is_flag=True, help="Replace the file that --out names.")
@click.option("--allow-python", is_flag=True, help="Let a python model run its code.")
def command(*, run: str, data: str, out: str | None, overwrite: bool, allow_python: bool) -> None:
    """Predict the rows of a table from RUN, the folder of a run that `fitkit train` saved.

    The table has the columns that the model was fitted with; where it has the target too, so have the predictions, with
    what is left of it. Of more than 100 inputs the number of each row in the file, from 1, stands in their place. Of a run
    with `group_by` each row is predicted by the fit of its group. Classes come with the probability of each, numbers with
    the bands of the run's uncertainty.

    Exit codes: 0 written; 2 usage, or a python model without --allow-python; 3 data; 7 device or memory missing; 8 the file
    exists or cannot be written; 9 the run cannot be used, or its python file has changed.
    """
    path = None if out is None else Path(out)
    if path is not None:
        if path.suffix not in {".csv", ".parquet"}:
            raise click.BadParameter(f"`{path.suffix or out}` is none of .csv and .parquet", param_hint="--out")
        if path.exists() and not overwrite:
            raise _fault(path, "exists", "add `--overwrite` to replace it, or choose another `--out`")
    from fitkit.run.predict import predict
    from fitkit.run.prediction_table import as_csv

    found = predict(run, data, allow_python=allow_python)
    for note in found.notes:
        tell(f"note: {note}")
    if path is None:
        say(as_csv(found.columns).removesuffix("\n"))
        return
    content = as_csv(found.columns).encode() if path.suffix == ".csv" else _parquet(found.columns)
    _write(path, content)
    tell(f"wrote {path}")


def _parquet(columns: dict[str, Any]) -> bytes:
    import io

    import polars as pl

    buffer = io.BytesIO()
    pl.DataFrame({name: column.tolist() for name, column in columns.items()}).write_parquet(buffer)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Write under a temporary name, which is then given its own: no half of a file is ever seen."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise _fault(path, f"cannot be written: {error.strerror or error}", "choose another `--out`") from None


def _fault(path: Path, reason: str, way_out: str) -> FileSystemFault:
    return FileSystemFault(Diagnostic(code="E801", message=f"`{path}` {reason}", file=str(path), help=way_out))
