"""The names in claimed derivatives: columns and parameters, as in the model that they are derivatives of."""

from __future__ import annotations

from collections.abc import Collection

from fitkit.config.source import ConfigSource
from fitkit.errors import Diagnostic, did_you_mean
from fitkit.models import FormulaModel


def claim_names(
    source: ConfigSource, columns: tuple[str, ...] | None, known: Collection[str]
) -> tuple[frozenset[str], list[Diagnostic]]:
    """Return the columns that the claims use, and what is wrong with their names.

    Under a model whose parameters are called as its inputs are (`linear`) such a name is the column: the derivative of
    a weighted sum by a weight is its input.

    Args:
        source: the config.
        columns: the table's columns by their short names, None where they are not known; then a name that is not a
            parameter is taken for a column.
        known: the names of all parameters.
    """
    found: set[str] = set()
    mistakes: list[Diagnostic] = []
    config = source.config
    inputs = {*(config.model.inputs_used or ())} if config.model is not None else set[str]()
    no_columns = config.minimize is not None
    for key, claim in config.check_grad.claims.items():
        path = ("check_grad", "claims", key, "formula")
        compared = {comparison.column for comparison in claim.formula.text_comparisons}
        for name in sorted(claim.formula.names | compared):
            is_column = not no_columns and (name in inputs if columns is None else name in columns)
            text = name in compared and name not in claim.formula.names
            if is_column and name in known and isinstance(config.model, FormulaModel):
                message = f"`{name}` is both a column and a parameter"
                mistakes.append(source.name_diagnostic(path, name, "E121", message, "rename one of them"))
            elif is_column or (columns is None and not no_columns and name not in known and name != "pi"):
                found.add(name)
            elif text or (name not in known and name != "pi"):
                what = "no parameter" if no_columns else "no column" if text else "neither a column nor a parameter"
                guess = did_you_mean(name, (*known, *(columns or ())))
                way_out = guess or f"add it: `parameters: {{{name}: {{start: 1, fixed: true}}}}`"
                mistakes.append(source.name_diagnostic(path, name, "E120", f"`{name}` is {what}", way_out))
    return frozenset(found), mistakes
