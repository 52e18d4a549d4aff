"""The claimed derivatives of a config, put beside the model or the objective that they are derivatives of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fitkit.backend import jnp
from fitkit.config import ConfigSource
from fitkit.expressions import Expression, to_jax
from fitkit.gradient_check import ClaimStatus, ClaimVerdict
from fitkit.models import FormulaModel
from fitkit.run.assemble import Assembled
from fitkit.run.rows import text_columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fitkit.gradient_check.claims_subject import ClaimSubject

    Vector = NDArray[np.float64]

MOST_ROWS = 64
"""Rows of a table that claims are tried in, spread evenly over it."""


def checked_claims(source: ConfigSource, assembled: Assembled) -> tuple[ClaimVerdict, ...]:
    """Return what becomes of the claims of a config."""
    claims = source.config.check_grad.claims
    if not claims:
        return ()
    from fitkit.gradient_check.claims import check_claims

    if assembled.problem.reports_otherwise:
        return tuple(
            _not_decided(name, "the parameters of standardized inputs and of classes are computed") for name in claims
        )
    return check_claims(_subject(source, assembled), claims, source.config.seed)


def _not_decided(name: str, why: str) -> ClaimVerdict:
    return ClaimVerdict(name=name, verdict=ClaimStatus.UNDECIDED, expected=False, note=why)


def _subject(source: ConfigSource, assembled: Assembled) -> ClaimSubject:
    import numpy as np

    from fitkit.gradient_check.claims_subject import ClaimSubject

    section = source.config.check_grad
    given_all = assembled.parameters.items()
    names = tuple(name for name, p in given_all if p.equals is None and p.shape is None)
    given = [assembled.parameters[name] for name in names]
    lower = [-np.inf if parameter.min is None else parameter.min for parameter in given]
    upper = [np.inf if parameter.max is None else parameter.max for parameter in given]
    for index, name in enumerate(names):
        domain = section.domain.get(name)
        if domain is not None:
            lower[index] = max(lower[index], -np.inf if domain.min is None else domain.min)
            upper[index] = min(upper[index], np.inf if domain.max is None else domain.max)
    chosen = _rows(assembled)
    return ClaimSubject(
        function=_function(assembled, names, chosen),
        names=names,
        start=np.array([parameter.start for parameter in given], np.float64),
        constants=frozenset(name for name, parameter in zip(names, given, strict=True) if parameter.fixed),
        positive=frozenset(name for name, parameter in zip(names, given, strict=True) if parameter.scale == "log"),
        lower=np.array(lower, np.float64),
        upper=np.array(upper, np.float64),
        ties=assembled.problem.layout.tied,
        columns=_columns(source, assembled, chosen),
        where=None if chosen is None else _namer(source, assembled, chosen),
        mentioned=_mentioned(source, assembled, names),
        count=1 if assembled.problem.rows is None else len(assembled.problem.rows),
    )


def _rows(assembled: Assembled) -> NDArray[np.intp] | None:
    """Return the places of the rows that are looked at among those of the problem, None where there are none."""
    import numpy as np

    if assembled.problem.rows is None:
        return None
    count = len(assembled.problem.rows)
    return np.unique(np.linspace(0, count - 1, min(count, MOST_ROWS)).astype(np.intp))


def _function(assembled: Assembled, names: tuple[str, ...], chosen: NDArray[np.intp] | None) -> Callable[[Any], Any]:
    """Return the model in the rows that are looked at, or the objective as one row, as a function of all parameters.

    Parameters that are arrays stay at their starts.
    """
    problem = assembled.problem
    inputs: Any = {} if problem.rows is None or chosen is None else problem.rows.take(jnp.asarray(chosen)).inputs
    at_start = problem.values(jnp.asarray(assembled.start))
    tied = {name for name, _ in problem.layout.tied}
    arrays = {name: at_start[name] for name in problem.layout.names if name not in tied and name not in names}

    def function(point: Any) -> Any:
        values: dict[Any, Any] = {**arrays, **{name: point[index] for index, name in enumerate(names)}}
        for name, formula in problem.layout.tied:
            values[name] = to_jax(formula)(values)
        if problem.model is None or chosen is None:
            expression = problem.expression
            if expression is None:
                raise AssertionError("a problem has rows or an expression")
            return jnp.reshape(to_jax(expression)(values), (1,))
        ordered = {name: values[name] for name in problem.layout.names}
        return jnp.broadcast_to(problem.model.predict(ordered, inputs), (len(chosen),))

    return function


def _in_table(assembled: Assembled, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the places of the rows in the table, some rows of which may not be the problem's."""
    import numpy as np

    table = assembled.table
    if table is None:
        raise AssertionError("rows come from a table")
    every = np.arange(len(table))
    return every[slice(None) if assembled.counts is None else assembled.counts][chosen]


def _columns(source: ConfigSource, assembled: Assembled, chosen: NDArray[np.intp] | None) -> dict[Any, Vector]:
    """Return the columns and text comparisons that the claims use, in the rows that are looked at."""
    table = assembled.table
    if table is None or chosen is None:
        return {}
    formulas = [claim.formula for claim in source.config.check_grad.claims.values()]
    used = frozenset[str]().union(*(formula.names for formula in formulas))
    texts, chosen = text_columns(formulas, table), _in_table(assembled, chosen)
    found: dict[Any, Vector] = {name: table.numeric(name)[chosen] for name in table.names if name in used}
    return {**found, **{key: column[chosen] for key, column in texts.items()}}


def _namer(source: ConfigSource, assembled: Assembled, chosen: NDArray[np.intp]) -> Callable[[int], str]:
    import numpy as np

    columns = {key: column for key, column in _columns(source, assembled, chosen).items() if isinstance(key, str)}
    rows, places = assembled.problem.rows, _in_table(assembled, chosen)
    if rows is not None:
        own = {name: np.asarray(rows.inputs[name])[chosen] for name in rows.inputs if isinstance(name, str)}
        columns = own | columns

    def named(row: int) -> str:
        shown = ", ".join(f"{name} = {column[row]:.6g}" for name, column in list(columns.items())[:6])
        return f"in row {int(places[row]) + 1}" + (f" ({shown})" if shown else "")

    return named


def _mentioned(source: ConfigSource, assembled: Assembled, names: tuple[str, ...]) -> frozenset[str]:
    """Return the parameters that the function or a claim depends on; a python model may depend on all."""
    formulas: list[Expression] = [claim.formula for claim in source.config.check_grad.claims.values()]
    formulas += [formula for _, formula in assembled.problem.layout.tied]
    model = assembled.problem.model
    if isinstance(model, FormulaModel):
        formulas.append(model.formula.prediction)
    elif assembled.problem.expression is not None:
        formulas.append(assembled.problem.expression)
    else:
        return frozenset(names)
    return frozenset(names) & frozenset[str]().union(*(formula.names for formula in formulas))
