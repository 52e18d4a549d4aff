"""Which names of a config are columns and which are parameters, once the columns of the table are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import final

from fitkit.config.claim_names import claim_names
from fitkit.config.parameter_names import no_parameter
from fitkit.config.source import ConfigSource
from fitkit.config.tree import Path, find_word
from fitkit.errors import ConfigError, DataError, Diagnostic, did_you_mean, one_of
from fitkit.expressions import Equation, Expression
from fitkit.expressions.tree import Name
from fitkit.losses.formulas import ROLES
from fitkit.models import FormulaModel, LinearModel, Model
from fitkit.types import ColumnName

_GROUPS: Path = ("data", "group_by")


@final
@dataclass(frozen=True, kw_only=True)
class Roles:
    """What each name of a config is."""

    inputs: tuple[str, ...]
    """Columns that the model and the loss are evaluated with, in the table's order (as written where it is unknown)."""
    table_columns: tuple[str, ...]
    """All columns to read: the inputs, those of the target, of `sigma`, `weights` and `where`."""
    parameters: tuple[str, ...]
    """Parameters that the objective depends on, directly or through ties, in the order of every table."""
    unused: tuple[str, ...]
    """Free parameters that it does not depend on."""
    model_inputs: tuple[str, ...] = ()
    """Columns that the model is given where it asks for all, in the table's order; else empty."""
    claimed: tuple[str, ...] = ()
    """Columns that only claimed derivatives use; `train` does not read them."""


@final
@dataclass
class _Search:
    """The names found so far, and what is wrong with them."""

    source: ConfigSource
    columns: tuple[str, ...] | None
    known: frozenset[str]
    inputs: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    claimed: frozenset[str] = frozenset()
    mistakes: list[Diagnostic] = field(default_factory=list)
    absent: list[Diagnostic] = field(default_factory=list)


def start_columns(source: ConfigSource) -> tuple[tuple[str, str], ...]:
    """Return the parameters that start where a column says, each with the column."""
    parameters = source.config.parameters.items()
    return tuple((name, str(p.start)) for name, p in parameters if isinstance(p.start, ColumnName))


def check_names(source: ConfigSource, columns: tuple[str, ...] | None) -> Roles:
    """Tell columns from parameters in everything that names them.

    Args:
        source: the config.
        columns: the table's columns by their short names, None where they are not known; then a name that is not a
            parameter is taken for a column.

    Raises:
        ConfigError: a name in a formula is neither column nor parameter, or both, or stands where it cannot.
        DataError: a column that `data` or the model's `inputs` and `target` name is not in the table.
    """
    config = source.config
    own = (config.model.parameter_names if config.model is not None else None) or ()
    search = _Search(source, columns, frozenset((*own, *config.parameters)))
    if config.minimize is not None:
        _objective(search, config.minimize)
    elif config.model is not None:
        _model(search, config.model)
        _loss(search)
        _rows(search)
    _constraints(search)
    claimed, mistakes = claim_names(source, columns, search.known)
    search.mistakes += [*mistakes, *_expected(source, columns)]
    if search.mistakes:
        raise ConfigError(*search.mistakes)
    if search.absent:
        raise DataError(*search.absent)
    search.claimed = claimed - search.inputs - search.others
    return _roles(search, (*own, *(name for name in config.parameters if name not in own)))


def _expected(source: ConfigSource, columns: tuple[str, ...] | None) -> Iterator[Diagnostic]:
    """Refuse expectations of parameters that no column of a linear model can give, whatever it is coded to."""
    model, expect = source.config.model, source.config.expect
    if not isinstance(model, LinearModel) or expect is None:
        return
    inputs = columns if model.all_inputs else model.inputs_used
    if inputs is None:
        return
    known = ("intercept", *inputs) if model.intercept else inputs
    for name in expect.parameters:
        if not any(name == one or name.startswith((f"{one}=", f"{one}[")) for one in known):
            yield no_parameter(source.tree, name, ("expect", "parameters", name), known)


def _roles(search: _Search, names: tuple[str, ...]) -> Roles:
    """Follow the ties of used parameters, and put everything in order."""
    parameters = search.source.config.parameters
    used, waiting = set(search.used), list(search.used)
    while waiting:
        parameter = parameters.get(waiting.pop())
        if parameter is not None and parameter.equals is not None:
            new = (parameter.equals.names & set(names)) - used
            used |= new
            waiting += new
    model = search.source.config.model
    read = search.inputs | search.others
    order = search.columns if search.columns is not None else sorted(read)
    return Roles(
        inputs=tuple(name for name in order if name in search.inputs),
        table_columns=tuple(name for name in order if name in read),
        parameters=tuple(name for name in names if name in used),
        unused=tuple(name for name, p in parameters.items() if name not in used and not p.fixed and p.equals is None),
        model_inputs=_all_inputs(search, model) if model is not None and model.all_inputs else (),
        claimed=tuple(name for name in search.columns or sorted(search.claimed) if name in search.claimed),
    )


def _objective(search: _Search, objective: Expression) -> None:
    for name in sorted(objective.names - {"pi"} - search.known):
        way_out = did_you_mean(name, search.known) or f"add it: `parameters: {{{name}: 1}}`"
        _mistake(search, ("minimize",), name, "E120", f"`{name}` is not in `parameters`", way_out)
    for comparison in objective.text_comparisons:
        message = f"`{comparison.column}` is compared with a text, and `minimize` has no columns"
        _mistake(search, ("minimize",), comparison.column, "E122", message, None)
    search.used |= objective.names & search.known


def _constraints(search: _Search) -> None:
    """Take the parameters that constraints name; columns have no place in them."""
    for index, constraint in enumerate(search.source.config.constraints):
        path: Path = ("constraints", index)
        for comparison in (*constraint.left.text_comparisons, *constraint.right.text_comparisons):
            message = f"`{comparison.column}` is compared with a text, and parameters are numbers"
            _mistake(search, path, comparison.column, "E122", message, None)
        for name in sorted(constraint.names - {"pi"} - search.known):
            if search.columns is not None and name in search.columns:
                message = f"`{name}` is a column, and constraints are about parameters"
                _mistake(search, path, name, "E122", message, "a constraint holds for all rows: name parameters only")
                continue
            way_out = did_you_mean(name, search.known) or f"add it: `parameters: {{{name}: 1}}`"
            _mistake(search, path, name, "E120", f"`{name}` is not in `parameters`", way_out)
        search.used |= constraint.names & search.known


def _model(search: _Search, model: Model) -> None:
    if isinstance(model, FormulaModel):
        path = ("model", "formula")
        _target(search, model.formula.target, path)
        _own_input(search, model.formula, path)
        _formula(search, model.formula.prediction, path)
        return
    for name in _all_inputs(search, model) if model.all_inputs else ():
        search.inputs.add(name)
    for name, key in zip(model.inputs_used or (), model.input_keys, strict=True):
        _column(search, name, ("model", *key), ", which the model's inputs name", search.inputs)
    if model.target_used is not None:
        _column(search, model.target_used, ("model", "target"), ", which the model's `target` names", search.others)
    # Coded inputs have parameters that only the table tells; what is none of these is refused once it is read.
    search.used |= set(model.parameter_names or ()) | set(search.source.config.parameters)


def _all_inputs(search: _Search, model: Model) -> tuple[str, ...]:
    """Return every column but those that have another part to play."""
    data = search.source.config.data
    taken = (
        {model.target_used, *(name for name in (data.sigma, data.weights) if isinstance(name, str))} if data else set()
    )
    taken |= set() if data is None else {*data.group_columns, *(name for _, name in start_columns(search.source))}
    return tuple(name for name in search.columns or () if name not in taken)


def _loss(search: _Search) -> None:
    if search.source.config.loss.formula is None:
        return
    key, formula = search.source.config.loss.formula
    path: Path = ("loss", key)
    for name in sorted(formula.names & ROLES & search.known):
        message = f"`{name}` is a word of the loss and the name of a parameter"
        _mistake(search, path, name, "E121", message, "rename the parameter")
    if key == "expression" and "prediction" not in formula.names:
        message = "the expression of the loss has no `prediction` in it, so nothing is fitted"
        way_out = "write `log(cosh(prediction - target))`, for example"
        search.mistakes.append(search.source.tree.diagnostic(path, "E122", message, way_out, value=True))
    _formula(search, formula, path, ROLES)


def _rows(search: _Search) -> None:
    """Take the columns of `sigma`, `weights` and `where`, those of the groups and of starts."""
    data, condition = search.source.config.data, search.source.where
    for index, name in enumerate(() if data is None else data.group_columns):
        path: Path = ("data", "group_by", index) if search.source.tree.given("data", "group_by", index) else _GROUPS
        _column(search, name, path, ", which `group_by` names", search.others)
    for parameter, name in start_columns(search.source):
        _column(search, name, ("parameters", parameter, "start"), f", where `{parameter}` is to start", search.others)
    for key in ("sigma", "weights"):
        if isinstance(name := getattr(data, key), str):
            _column(search, name, ("data", key), f", which `{key}` names", search.others)
    if condition is not None:
        compared = {comparison.column for comparison in condition.text_comparisons}
        for name in sorted(condition.names | compared):
            if name == "pi" and search.columns is not None and name not in search.columns:
                continue
            _column(search, name, ("data", "where"), ", which `where` asks for", search.others)


def _target(search: _Search, target: Expression, path: Path) -> None:
    """Take the left side of a formula: columns only."""
    compared = {comparison.column for comparison in target.text_comparisons}
    number = {"pi"} if search.columns is not None and "pi" not in search.columns else set[str]()
    if not (target.names | compared) - number:
        message = f"`{target.source.strip()}` is the target, and there is no column in it"
        way_out = "the left side of `~` is a column, or made of columns"
        search.mistakes.append(search.source.tree.diagnostic(path, "E122", message, way_out, value=True))
    for name in sorted(target.names | compared):
        if search.columns is not None and name in search.columns:
            search.others.add(name)
        elif name in search.known:
            message = f"`{name}` is a parameter, and the left side of `~` is the target, made of columns only"
            _mistake(search, path, name, "E122", message, "move it to the right side")
        elif search.columns is None:
            search.others |= {name} - {"pi"}
        elif name != "pi":
            _mistake(search, path, name, "E120", f"`{name}` is the target, and no column", _columns_help(name, search))


def _own_input(search: _Search, formula: Equation, path: Path) -> None:
    """Refuse a target that is one column and stands on the right side too: it would predict itself."""
    target = formula.target.root
    known = search.known if search.columns is None else formula.prediction.names - set(search.columns)
    if isinstance(target, Name) and target.name in formula.prediction.names - known - search.known:
        message = f"`{target.name}` is the target, and stands on the right side too: it would predict itself"
        _mistake(search, path, target.name, "E122", message, "take it out of the right side")


def _formula(search: _Search, formula: Expression, path: Path, roles: frozenset[str] = frozenset()) -> None:
    """Take the names of a formula that is evaluated row by row."""
    for comparison in formula.text_comparisons:
        name = comparison.column
        if search.columns is not None and name not in search.columns:
            message = f"`{name}` is compared with a text, and no column"
            _mistake(search, path, name, "E120", message, _columns_help(name, search))
        search.inputs.add(name)
    for name in sorted(formula.names - roles):
        is_column = search.columns is not None and name in search.columns
        if is_column and name in search.known:
            message = f"`{name}` is both a column and a parameter"
            way_out = f"rename one: a parameter in the config, or a column by `data.columns: {{{name}_column: {name}}}`"
            _mistake(search, path, name, "E121", message, way_out)
        elif name in search.known:
            search.used.add(name)
        elif is_column or (search.columns is None and name != "pi"):
            search.inputs.add(name)
        elif name != "pi":
            guess = did_you_mean(name, (*(search.columns or ()), *search.known))
            guess = _columns_help(name, search) if "column_1" in (search.columns or ()) and guess is None else guess
            message = f"`{name}` is neither a column nor a parameter"
            _mistake(search, path, name, "E120", message, guess or f"add it: `parameters: {{{name}: 1}}`")


def _column(search: _Search, name: str, path: Path, why: str, into: set[str]) -> None:
    """Take a name that can only be a column."""
    into.add(name)
    if search.columns is None or name in search.columns:
        return
    tree = search.source.tree
    message, way_out = f"there is no column `{name}`{why}", _columns_help(name, search)
    place = find_word(tree.node(path), name)
    told = (
        place.diagnostic("E308", message, way_out)
        if place
        else tree.diagnostic(path, "E308", message, way_out, value=True)
    )
    search.absent.append(told)


def _columns_help(name: str, search: _Search) -> str | None:
    columns = search.columns or ()
    data = search.source.config.data
    if (
        data is not None
        and data.columns is None
        and (data.path or "").lower().endswith(".npy")
        and "column_1" in columns
    ):
        return "the columns of the array have no names: list them, `columns: [x, y]`"
    return did_you_mean(name, columns) or (
        one_of(columns[:20]).replace("one of", "the columns are") if columns else None
    )


def _mistake(search: _Search, path: Path, name: str, code: str, message: str, way_out: str | None) -> None:
    """Tell of a name at its place in the formula, or in the definition that brings it in."""
    search.mistakes.append(search.source.name_diagnostic(path, name, code, message, way_out))
