"""`fitkit predict`: from a saved run and a table to predictions, without the config or the data that it was fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, final

from fitkit.backend import select_device
from fitkit.config import Config, ConfigSource, load
from fitkit.errors import ConfigError, DataError, Diagnostic, SavedRunFault, did_you_mean
from fitkit.expressions import TextComparison
from fitkit.models import FormulaModel, Model, PythonModel
from fitkit.problem import Problem, register_pytrees
from fitkit.readers import Data, Table, read_table
from fitkit.run.assemble import Assembled, dtype_of, linked, loaded, problem_over, target_name
from fitkit.run.goodness import predictions_at
from fitkit.run.group_predictions import predictions_by_group
from fitkit.run.group_recall import groups_of_rows
from fitkit.run.prediction_table import column_of, prediction_table
from fitkit.run.rows import counted_rows, read_rows, weights_of
from fitkit.run.saved_model import SavedModel, read_saved, unusable
from fitkit.run.starts import inner_parts, with_defaults
from fitkit.run.targets import numbers_of_target
from fitkit.run.unseen import unseen_told
from fitkit.types import ColumnName
from fitkit.uncertainty.bands import Bands, bands

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Predicted:
    """The table of predictions, and what is to be said of it."""

    columns: dict[str, Any]
    notes: tuple[str, ...]


def predict(run: str, data: str, *, allow_python: bool) -> Predicted:
    """Return the predictions of a saved run for a table.

    Raises:
        SavedRunFault: the run cannot be used.
        ConfigError: it has a python model, and code may not run.
        DataError: the table cannot be read, or lacks what the model was fitted with.
    """
    folder = Path(run)
    saved = read_saved(folder)
    source = _source(folder, saved)
    select_device(source.config.device)
    model = _model(source, folder, saved, allow_python=allow_python)
    found = _read(source, model, saved, data)
    problem = _problem(found.config, model, saved, found)
    register_pytrees()
    size = int(saved.theta.shape[-1])
    if problem.layout.size != size:
        raise unusable(folder, f"its config has {problem.layout.size} free numbers, and {size} were saved")
    if saved.group_by:
        return _of_groups(folder, saved, problem, model, found)
    predictions = predictions_at(problem, saved.theta)
    if predictions is None:
        raise AssertionError("predictions need rows")
    assembled = Assembled(
        problem=problem,
        start=saved.theta,
        parameters={},
        unused=frozenset(),
        table=found.table,
        target=target_name(model),
        inputs=saved.inputs,
        counts=counted_rows(weights_of(found.config, found.table)),
    )
    ends = _bands(problem, saved, source.config, found.config)
    columns = prediction_table(assembled, predictions, ends, with_target=found.has_target)
    return Predicted(columns=columns, notes=(*found.notes, *unseen_told(model, problem.rows)))


def _of_groups(folder: Path, saved: SavedModel, problem: Problem, model: Model, found: _Found) -> Predicted:
    """Return the predictions of many fits, each row by the fit of its group."""
    import numpy as np

    rows, grouping = problem.rows, found.table.grouping
    if rows is None or grouping is None:
        raise AssertionError("predictions need rows of groups")
    counts = counted_rows(weights_of(found.config, found.table))
    own = groups_of_rows(folder, saved, grouping, len(found.table))
    names = {name: np.array(keys, dtype=object)[own.in_table][counts] for name, keys in grouping.keys.items()}
    group = own.in_run[counts]
    with np.errstate(all="ignore"):  # numbers of no group
        predictions = predictions_by_group(problem, saved.theta, saved.held, rows.take, np.maximum(group, 0))
    predictions = np.where(group >= 0, predictions, np.nan)
    target = np.asarray(rows.target, np.float64)
    columns: dict[str, Any] = names | {
        name: column_of(found.table, name)[counts] for name in saved.inputs if name not in names
    }
    if found.has_target:
        columns[(target_name(model) or "target").strip()] = target
    columns["prediction"] = predictions
    if found.has_target:
        columns["residual"] = target - predictions
    return Predicted(columns=columns, notes=(*found.notes, *own.notes))


def _source(folder: Path, saved: SavedModel) -> ConfigSource:
    try:
        source = load(str(folder / "config.yaml"))
    except ConfigError as error:
        raise unusable(folder, f"its config is not understood: {error.diagnostics[0].message}") from None
    if source.config.model is None or source.config.data is None:
        raise unusable(folder, "a pure objective predicts nothing")
    return source if saved.code_folder is None else replace(source, base=folder / saved.code_folder)


def _model(source: ConfigSource, folder: Path, saved: SavedModel, *, allow_python: bool) -> Model:
    """Return the model as it was when the run ended."""
    model = source.config.model
    if model is None:
        raise AssertionError("a run without a model was refused")
    if not isinstance(model, PythonModel):
        return model.recalled(saved.learned)
    try:
        model = loaded(source, model, allow_python=allow_python)
    except ConfigError as error:
        if error.diagnostics[0].code == "E163":
            raise
        raise unusable(folder, error.diagnostics[0].message, "put the file back where it stood") from None
    if isinstance(model, PythonModel) and (model.loaded is None or model.loaded.sha256 != saved.code):
        message = (
            f"`{model.function}` is not the code that the run was fitted with: its file, or one beside it, has changed"
        )
        raise SavedRunFault(Diagnostic(code="E902", message=message, help="put the old file back, or train again"))
    return model.recalled(saved.learned)


# -- the table --------------------------------------------------------------------------------------------------------------


@final
@dataclass(frozen=True, kw_only=True)
class _Found:
    """The table, and the config with what of its `data` holds for it."""

    table: Table
    config: Config
    has_target: bool
    notes: tuple[str, ...]


def _read(source: ConfigSource, model: Model, saved: SavedModel, path: str) -> _Found:
    """Read what is needed, and of what is not, target, sigma, weights and the condition, what there is."""
    data = source.config.data
    if data is None:
        raise AssertionError("a run without data was refused")
    there: list[str] = []
    optional = {name for name in (data.sigma, data.weights) if isinstance(name, str)} | _target_columns(model)
    where = source.where
    asked = set() if where is None else (where.names | {c.column for c in where.text_comparisons}) - {"pi"}

    def used(names: tuple[str, ...]) -> tuple[str, ...]:
        there.extend(names)
        absent = [_missing(name, names, path) for name in saved.inputs if name not in names]
        if absent:
            raise DataError(*absent)
        return tuple(name for name in names if name in {*saved.inputs, *optional})

    similar = PurePath(path).suffix == PurePath(data.path or "").suffix
    given = Data(
        path=path,
        columns=data.columns,
        delimiter=data.delimiter if similar else None,
        decimal=data.decimal,
        comment=data.comment,
        skip=data.skip if similar else 0,
        missing=data.missing,
        group_by=data.group_by,
    )
    names = _names(given)
    notes = []
    if asked - names:
        notes.append(f"`where` was left out: the table has no column `{min(asked - names)}`")
        where = None
    table = read_table(given, Path(), used, where)
    given = replace(
        given,
        sigma=data.sigma if not isinstance(data.sigma, str) or data.sigma in there else None,
        weights=data.weights if data.weights in there else None,
    )
    has_target = _target_columns(model) <= set(there)
    return _Found(table=table, config=replace(source.config, data=given), has_target=has_target, notes=tuple(notes))


def _names(data: Data) -> set[str]:
    """Return the names of all columns of a table."""
    from fitkit.readers import read_header

    found = read_header(data, Path())
    return set(found if found is not None else read_table(data, Path(), ()).names)


def _missing(name: str, names: tuple[str, ...], path: str) -> Diagnostic:
    message = f"there is no column `{name}`, which the model was fitted with"
    return Diagnostic(code="E308", message=message, file=path, help=did_you_mean(name, names))


def _target_columns(model: Model) -> set[str]:
    if not isinstance(model, FormulaModel):
        return set() if model.target_used is None else {model.target_used}
    target = model.formula.target
    comparisons: tuple[TextComparison, ...] = tuple(target.text_comparisons)
    return set(target.names - {"pi"}) | {comparison.column for comparison in comparisons}


# -- the problem ------------------------------------------------------------------------------------------------------------


def _problem(config: Config, model: Model, saved: SavedModel, found: _Found) -> Problem:
    """Return the objective over the rows of the table; targets that are not there are zero, and count for nothing."""
    import numpy as np

    dtype = dtype_of(config)
    loss = linked(config.loss, model)
    loss = loss.with_classes(saved.classes) if loss.classifies else loss
    target = np.zeros(len(found.table))
    if found.has_target:
        target = numbers_of_target(model, loss, found.table)
    # What a column told each group is saved with the run.
    begun = {
        name: replace(parameter, start=1.0) if isinstance(parameter.start, ColumnName) else parameter
        for name, parameter in with_defaults(config, model).items()
    }
    parts = inner_parts(model, begun, saved.unused, config.seed, dtype)
    rows, total = read_rows(config, found.table, model, loss, target, dtype)
    return problem_over(config, parts, model, loss, rows, total)


def _bands(problem: Problem, saved: SavedModel, trained: Config, given: Config) -> Bands | None:
    if saved.spread is None or saved.level is None or (problem.loss is not None and problem.loss.width):
        return None
    known = trained.data is not None and given.data is not None and trained.data.sigma == given.data.sigma
    variance = saved.residual_variance if known else None  # a new target's sigma is not known
    return bands(problem, saved.theta, saved.spread, level=saved.level, residual_variance=variance)
