"""From a config to a problem: the table is read, names find their roles, and everything becomes arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO, final

from fitkit.config import Config, ConfigSource, Roles, check_names, table_of
from fitkit.errors import ConfigError, DataError, Diagnostic
from fitkit.losses import Loss, ResidualLoss
from fitkit.losses.poisson import Poisson
from fitkit.models import FormulaModel, Model, PythonModel
from fitkit.optimizers.curvature import DENSE_UP_TO
from fitkit.parameters import Parameter
from fitkit.problem import Problem, RowData, register_pytrees
from fitkit.readers import Table
from fitkit.run.first_group import of_one_group
from fitkit.run.numbers import counted
from fitkit.run.outlook import known_parameters, outlook_of
from fitkit.run.python_trial import try_python
from fitkit.run.rows import counted_rows, read_rows, weights_of
from fitkit.run.starts import Parts, inner_parts, parameter_parts, with_defaults
from fitkit.run.targets import read_target
from fitkit.run.validation import held_out, other_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Assembled:
    """A problem ready to be solved, and what a report needs beside it."""

    problem: Problem
    start: Vector
    """Theta at the start, shape (free,)."""
    parameters: dict[str, Parameter]
    """All parameters in the order of every table, with their starts filled in."""
    unused: frozenset[str]
    table: Table | None
    target: str | None
    """The left side, as written."""
    inputs: tuple[str, ...] = ()
    """Columns that predictions are made from."""
    counts: Any = None
    """Which rows of the table are those of the problem."""
    validation: RowData | None = None
    """The rows held out."""
    held_out: int = 0
    """How many rows of the table they are."""
    group: str | None = None
    """Where there are many groups, the one that this is the problem of."""


def dtype_of(config: Config) -> str:
    """Return the numbers that a config computes with."""
    if config.precision == "auto":
        return "float32" if config.model is not None and config.model.trained else "float64"
    return config.precision


def problem_over(config: Config, parts: Parts, model: Model, loss: Loss, rows: RowData, total: Any) -> Problem:
    """Return the objective of a model and a loss over rows, whose weights sum to `total`."""
    return Problem(
        **parts.fields,
        rows=rows,
        total_weight=total,
        model=model,
        loss=loss,
        regularization=config.regularization,
        constraints=config.constraints,
    )


def target_name(model: Model) -> str | None:
    """Return the left side, as written."""
    return model.formula.target.source.strip() if isinstance(model, FormulaModel) else model.target_used


def assemble(
    source: ConfigSource, *, allow_python: bool, stdin: BinaryIO | None = None, for_check: bool = False
) -> Assembled:
    """Return the problem that a config describes; of many groups that of the first which has enough rows.

    Args:
        source: the config.
        allow_python: whether a python model may run its code.
        stdin: where a table on standard input is read from.
        for_check: whether its gradient is to be checked: then the table has the columns of claimed derivatives too, and
            a python model need not be differentiable as its optimizer asks.

    Raises:
        ConfigError: a name has no role, or Python code is asked for without permission or fails.
        DataError: the table cannot be read or fitted.
    """
    config = source.config
    dtype = dtype_of(config)
    if config.data is None or config.model is None:
        roles = check_names(source, ())
        parameters = dict(config.parameters)
        parts = parameter_parts(parameters, roles.unused, config.seed, dtype)
        _few_enough(source, len(parts.start))
        problem = Problem(
            **parts.fields,
            expression=config.minimize,
            regularization=config.regularization,
            constraints=config.constraints,
        )
        return _registered(Assembled(
            problem=problem, start=parts.start, parameters=parameters, unused=frozenset(roles.unused), table=None, target=None
        ))  # fmt: skip
    model = loaded(source, config.model, allow_python=allow_python)
    table, roles = read_columns(source, stdin, claimed=for_check)
    group = None
    if table.grouping is not None:
        source, table, group = of_one_group(source, table, len(roles.parameters))
        config = source.config
    unread = linked(config.loss, model)
    target_numbers, loss = read_target(model, unread, table)
    weight, mask = weights_of(config, table), held_out(source, table)
    if mask is not None:  # what is held out must not be seen, not even by the means that a model standardizes by
        weight = weight * ~mask
    model = model.with_inputs(roles.model_inputs).prepared(table, outlook_of(config, weight, loss, target_numbers))
    known_parameters(source, model)
    parameters = with_defaults(config, model)
    parts = inner_parts(model, parameters, roles.unused, config.seed, dtype)
    check_constraints(source, model, len(parts.start))
    counts = counted_rows(weight)
    if mask is None:
        validation = other_table(source, roles, model, unread, loss, dtype)
    else:
        validation = read_rows(config, table, model, loss, target_numbers, dtype, mask)[0]
    rows, total = read_rows(config, table, model, loss, target_numbers, dtype, counts)
    _enough_rows(config, loss, rows, parts, table)
    problem = problem_over(config, parts, model, loss, rows, total)
    assembled = Assembled(
        problem=problem,
        start=parts.start,
        parameters=parameters,
        unused=frozenset({*roles.unused, *model.unused}),
        table=table,
        target=target_name(model),
        inputs=roles.inputs,
        counts=counts,
        validation=validation,
        held_out=0 if mask is None else int(mask.sum()),
        group=group,
    )
    register_pytrees()
    try_python(source, problem, parts.start, derivatives=not for_check)
    return assembled


def check_constraints(source: ConfigSource, model: Model, free: int) -> None:
    """Refuse constraints where there can be none on `free` parameters of a model.

    Raises:
        ConfigError: with their place.
    """
    _in_reported_units(source, model)
    _few_enough(source, free)


def _in_reported_units(source: ConfigSource, model: Model) -> None:
    """Refuse constraints where the search has other numbers than those reported: they are about the latter."""
    if source.config.constraints and model.reports_otherwise:
        message = f"`constraints` are not available yet for this `{model.kind}` model, which searches in other units"
        raise ConfigError(source.diagnostic(("constraints",), "E110", message, "write the model as a formula"))


def _few_enough(source: ConfigSource, free: int) -> None:
    """Refuse constraints on more parameters than exact Hessians are formed of."""
    if source.config.constraints and free > DENSE_UP_TO:
        message = f"`constraints` take up to {DENSE_UP_TO} free parameters, and this fit has {free}"
        raise ConfigError(source.diagnostic(("constraints",), "E111", message, "hold some, or tie them"))


def _registered(assembled: Assembled) -> Assembled:
    register_pytrees()
    return assembled


# -- the table --------------------------------------------------------------------------------------------------------------


def read_columns(source: ConfigSource, stdin: BinaryIO | None, *, claimed: bool) -> tuple[Table, Roles]:
    """Read the columns in use; which those are is known once the names of all columns are."""
    found: list[Roles] = []

    def used(names: tuple[str, ...]) -> tuple[str, ...]:
        found.append(check_names(source, names))
        return found[-1].table_columns + (found[-1].claimed if claimed else ())

    table = table_of(source, used, stdin)
    return table, found[-1]


def _enough_rows(config: Config, loss: Loss, rows: RowData, parts: Parts, table: Table) -> None:
    """Refuse fewer rows than free parameters where nothing else determines them."""
    import numpy as np

    priors, free = len(parts.fields["priors"]), len(parts.start)
    equalities = sum(constraint.relation == "==" for constraint in config.constraints)
    count = int(np.count_nonzero(np.asarray(rows.weight))) + priors + equalities
    if (
        isinstance(loss, ResidualLoss)
        and not (config.model and config.model.trained)
        and config.regularization.l2 == 0
        and count < free
    ):
        told = counted(count - priors - equalities, "row") + (f" and {counted(priors, 'prior')}" if priors else "")
        raise DataError(Diagnostic(
            code="E322",
            message=f"{told} cannot determine {counted(free, 'free parameter')}",
            file=table.file,
            help="give more rows, hold parameters with `fixed: true`, or add `regularization: {l2: ...}`",
        ))  # fmt: skip


# -- models and losses ------------------------------------------------------------------------------------------------------


def linked(loss: Loss, model: Model) -> Loss:
    """Return the loss with its link settled by what the model predicts."""
    if isinstance(loss, Poisson) and loss.link is None:
        return replace(loss, link="identity" if model.predicts_rate else "log")
    return loss


def loaded(source: ConfigSource, model: Model, *, allow_python: bool) -> Model:
    """Return the model with its code, if the command line allows code to run."""
    if not isinstance(model, PythonModel):
        return model
    if not allow_python:
        raise ConfigError(source.diagnostic(
            ("model", "function"),
            "E163",
            f"`{model.function}` is Python code, which runs only when the command line allows it",
            "read the file, and if you trust it add `--allow-python`",
            value=True,
        ))  # fmt: skip
    try:
        return model.load(source.base)
    except ConfigError as error:
        found = error.diagnostics[0]
        place = source.diagnostic(("model", "function"), found.code, found.message, found.help, value=True)
        raise ConfigError(place) from None
