"""A table from a Parquet file, by polars."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from fitkit.errors import DataError, Diagnostic
from fitkit.readers.columns import Column, NumberColumn, SeriesColumn
from fitkit.readers.contents import Contents
from fitkit.readers.data import Data
from fitkit.readers.names import short_names
from fitkit.readers.source import Source

if TYPE_CHECKING:
    import polars as pl


def read_parquet(source: Source, data: Data, needed: Callable[[tuple[str, ...]], Collection[str]]) -> Contents:
    """Read the columns that `needed` picks from the names.

    Raises:
        DataError: the file is not Parquet, or a column holds what is neither a number nor text.
    """
    import polars as pl
    from polars.exceptions import PanicException, PolarsError

    with source.open() as stream:
        try:
            in_file = tuple(pl.read_parquet_schema(stream))
            names = short_names(in_file, data, source.shown)
            asked = set(needed(names))
            wanted = [(name, own) for name, own in zip(names, in_file, strict=True) if name in asked]
            stream.seek(0)
            frame = pl.read_parquet(stream, columns=[own for _, own in wanted])
            stream.seek(0)
            length = len(frame) if wanted else int(pl.scan_parquet(stream).select(pl.len()).collect().item())
        except (PolarsError, PanicException, OSError) as error:
            reason = str(error).splitlines()[0] if str(error) else "it cannot be read"
            message = f"this is not a sound Parquet file: {reason}"
            raise DataError(
                Diagnostic(code="E317", message=message, file=source.shown, help="write the file again")
            ) from None
    labels = data.group_columns
    columns = {name: _column(_label(frame[own], name in labels), name, source.shown) for name, own in wanted}
    return Contents(file=source.shown, names=names, columns=columns, length=length, sha256=source.sha256())


def _label(series: pl.Series, asked: bool) -> pl.Series:  # noqa: FBT001 - which of the two is the whole question
    """Return what tells groups apart as text: whole numbers have more digits than doubles, and dates are no numbers."""
    import polars as pl

    as_text = series.dtype.is_integer() or series.dtype.is_temporal() or series.dtype == pl.Boolean()
    return series.cast(pl.String()) if asked and as_text else series


def _column(series: pl.Series, name: str, file: str) -> Column:
    """Return numbers and booleans as numbers, and text as text."""
    import numpy as np
    import polars as pl

    if series.dtype in {pl.String, pl.Categorical, pl.Enum}:
        return SeriesColumn(series.cast(pl.String()))
    if series.dtype.is_numeric() or series.dtype in {pl.Boolean, pl.Null}:
        numbers = series.cast(pl.Float64()).fill_null(float("nan")).to_numpy()
        written = series.cast(pl.String()).fill_null("").to_list if series.dtype.is_integer() else None
        return NumberColumn(np.ascontiguousarray(numbers, dtype=np.float64), written)
    message = f"column `{name}` holds values of the type `{series.dtype}`, which are neither numbers nor text"
    raise DataError(
        Diagnostic(code="E317", message=message, file=file, help="store them as numbers, such as seconds for times")
    )
