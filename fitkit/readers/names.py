"""The short names of columns: as the file has them, renamed by a mapping, or listed for a file without any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from fitkit.errors import DataError, Diagnostic, did_you_mean
from fitkit.readers.data import Data


def short_names(in_file: Sequence[str], data: Data, file: str) -> tuple[str, ...]:
    """Return the short names, in file order, of a file whose columns are called `in_file`.

    Raises:
        DataError: `columns` names what is not there, or a name would stand for two columns.
    """
    if data.columns is None:
        return tuple(in_file)
    if isinstance(data.columns, list):
        refuse_doubled(data.columns, file)
        if len(data.columns) != len(in_file):
            message = f"`columns` lists {len(data.columns)} names, the file has {len(in_file)} columns"
            raise DataError(
                Diagnostic(
                    code="E307", message=message, file=file, help="list one name for each column, in their order"
                )
            )
        return tuple(data.columns)
    absent = [missing_column(name, in_file, file) for name in data.columns.values() if name not in in_file]
    if absent:
        raise DataError(*absent)
    short = {name: renamed for renamed, name in data.columns.items()}
    if len(short) < len(data.columns):
        twice = next(name for name, count in Counter(data.columns.values()).items() if count > 1)
        message = f"`columns` gives the column `{twice}` two names"
        raise DataError(Diagnostic(code="E307", message=message, file=file, help="give each column one short name"))
    names = tuple(short.get(name, name) for name in in_file)
    refuse_doubled(names, file, " (a short name must not be the name of another column)")
    return names


def refuse_doubled(names: Sequence[str], file: str, why: str = "") -> None:
    """Refuse a name that two columns would have.

    Raises:
        DataError: naming each such name.
    """
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        hint = "give every column a name of its own"
        told = (
            Diagnostic(code="E307", message=f"two columns are called `{name}`{why}", file=file, help=hint)
            for name in doubled
        )
        raise DataError(*told)


def missing_column(name: str, names: Collection[str], file: str, what: str = "") -> Diagnostic:
    """Return the diagnostic for a column that is asked for (by `what`) and is not there."""
    listed = ", ".join(f"`{known}`" for known in list(names)[:20]) + (", ..." if len(names) > 20 else "")
    return Diagnostic(
        code="E308",
        message=f"there is no column `{name}`{what}",
        file=file,
        help=did_you_mean(name, names) or f"the columns are {listed}",
    )
