"""What a run of many fits leaves behind: a table with a row for each group, as CSV and as Parquet, beside its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fitkit.config import ConfigSource, resolved
from fitkit.grouped import GroupedFit
from fitkit.reports.json_document import render
from fitkit.result import Result
from fitkit.run.folder import RESULT, RunFolder
from fitkit.run.group_predictions import write_predictions
from fitkit.run.group_recall import BINARY_TABLE, TABLE
from fitkit.run.group_summary import local_columns, reason_words
from fitkit.run.grouped_assembly import AssembledGroups
from fitkit.run.saved_model import NOTES, NUMBERS, SavedModel, code_of, notes_of, write_numbers
from fitkit.run.saving import text_of, write_arrays

if TYPE_CHECKING:
    import polars as pl


def save_groups(
    folder: RunFolder, source: ConfigSource, result: Result, assembled: AssembledGroups, fit: GroupedFit
) -> None:
    """Write every file of the run, and publish them together.

    Raises:
        FileSystemFault: the disk refuses.
    """
    table = group_table(assembled, fit)
    folder.write("config.yaml", text_of(resolved(source, folder.path)))
    folder.write(TABLE, table.write_csv)
    folder.write(BINARY_TABLE, lambda stream: _with_types(table, assembled).write_parquet(stream))
    folder.write("predictions.csv", lambda stream: write_predictions(stream, assembled, fit))
    saved = _for_predictions(assembled, fit, folder)
    folder.write(NOTES, text_of(notes_of(assembled.target, saved)))
    folder.write(NUMBERS, lambda stream: write_numbers(stream, saved))
    if fit.shared is not None:
        values = dict(zip(fit.shared.names, fit.shared.values.tolist(), strict=True))
        folder.write("parameters.npz", lambda stream: write_arrays(stream, values))
    folder.write(RESULT, text_of(render(result) + "\n"))
    folder.publish()


def _for_predictions(assembled: AssembledGroups, fit: GroupedFit, folder: RunFolder) -> SavedModel:
    """Return what predictions from the saved run will need."""
    import numpy as np

    model, loss = assembled.problem.model, assembled.problem.loss
    if model is None or loss is None:
        raise AssertionError("groups are of rows, and rows have a model")
    code, code_folder = code_of(model, folder.path)
    return SavedModel(
        theta=np.where(np.isfinite(fit.values).all(axis=1, keepdims=True), fit.theta, np.nan),
        spread=None,
        inputs=assembled.inputs,
        classes=loss.classes,
        unused=tuple(sorted(assembled.unused)),
        learned=model.learned(),
        level=None,
        residual_variance=None,
        code=code,
        code_folder=code_folder,
        group_by=tuple(assembled.grouping.keys),
        held=dict(assembled.groups.held),
    )


def group_table(assembled: AssembledGroups, fit: GroupedFit) -> pl.DataFrame:
    """Return a row for each group, in the order in which they stand in the table that was fitted.

    The columns that tell groups apart, status, the group's own parameters, their errors, loss, steps and message; then the
    reason in one word, rows, and flags.
    """
    import polars as pl

    own = local_columns(assembled, fit)
    statuses = {code: str(fit.status(group)) for group, code in _firsts(fit.reason.tolist()).items()}
    columns: dict[str, Any] = {
        name: pl.Series(entries, dtype=pl.String()) for name, entries in assembled.grouping.keys.items()
    }
    columns["status"] = [statuses[code] for code in fit.reason.tolist()]
    columns |= {name: _numbers(fit.values[:, place]) for name, place in own.items()}
    columns |= {f"{name}_error": _numbers(fit.errors[:, place]) for name, place in own.items()}
    columns["loss"] = _numbers(fit.loss)
    columns["steps"] = pl.Series(fit.steps)
    columns["message"] = [fit.message(group) for group in range(len(fit))]
    columns["reason"] = reason_words(assembled, fit)
    columns["rows"] = pl.Series(assembled.grouping.sizes)
    columns["flags"] = pl.Series(_flags(assembled, fit), dtype=pl.String())
    return pl.DataFrame(columns)


def _firsts(codes: list[int]) -> dict[int, int]:
    """Return the first place of each code, by place."""
    places: dict[int, int] = {}
    for place, code in enumerate(codes):
        places.setdefault(code, place)
    return {place: code for code, place in places.items()}


def _numbers(column: Any) -> pl.Series:
    """Return numbers, null where they do not exist."""
    import numpy as np
    import polars as pl

    found = np.asarray(column, np.float64)
    return pl.Series(np.where(np.isfinite(found), found, np.nan)).fill_nan(None)


def _flags(assembled: AssembledGroups, fit: GroupedFit) -> list[str]:
    """Return what is flagged of each group's parameters, `rate at_bound; tau not_identified`, mostly nothing."""
    import numpy as np

    found: list[list[str]] = [[] for _ in range(len(fit))]
    for name, place in assembled.problem.layout.places.items():
        if name not in assembled.groups.shared:
            for group in np.flatnonzero(fit.at_bound[:, place.start]).tolist():
                found[group].append(f"{name} at_bound")
    for index, name in enumerate(fit.names):
        for group in np.flatnonzero(fit.unidentified[:, index]).tolist():
            found[group].append(f"{name} not_identified")
    return ["; ".join(flags) for flags in found]


def _with_types(table: pl.DataFrame, assembled: AssembledGroups) -> pl.DataFrame:
    """Return the table with keys as whole numbers where each is written as one."""
    import polars as pl

    whole = {}
    for name in assembled.grouping.keys:
        numbers = table[name].cast(pl.Int64(), strict=False)
        if numbers.null_count() == 0 and (numbers.cast(pl.String()) == table[name]).all():
            whole[name] = numbers
    return table.with_columns(*(column.alias(name) for name, column in whole.items())) if whole else table
