"""Rules of `group_by`: what can be asked of many fits at once, and what `shared` and starts from columns need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fitkit.config.sections import Sections
from fitkit.config.tree import Path
from fitkit.errors import Diagnostic
from fitkit.expectations import Expect
from fitkit.losses import Loss
from fitkit.losses.cross_entropy import CrossEntropy
from fitkit.models import FormulaModel, Model
from fitkit.optimizers.first_order import FirstOrder
from fitkit.parameters import Parameter
from fitkit.types import ColumnName
from fitkit.uncertainty import Bootstrap, Covariance, Profile

FIXED_COLUMNS: Final = ("status", "loss", "steps", "message", "reason", "rows", "flags")
"""Columns of the table of groups beside the keys, the parameters and their errors."""


def group_rules(sections: Sections) -> Iterator[Diagnostic]:
    """Yield what is wrong with `group_by`, and with what is asked beside it or needs it."""
    data = sections.get("data")
    if data is None or data.group_by is None:
        if "data" not in sections.failed:
            yield from _without_groups(sections)
        return
    yield from _columns(data.group_columns, sections)
    yield from _beside(sections)
    yield from _shared(sections)
    yield from _expected(sections)


def _without_groups(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse what means nothing for one fit of all rows."""
    tree = sections.tree
    for name, parameter in sections.parameters.items():
        if parameter.shared:
            message = "`shared` is about groups, and there is no `data.group_by`"
            yield tree.diagnostic(
                ("parameters", name, "shared"), "E111", message, "name the column: `group_by: subject`"
            )
        if isinstance(parameter.start, ColumnName):
            message = f"`{parameter.start}` is not a number, and only groups start where a column says"
            way_out = "write a number, or `group_by` in `data`"
            yield tree.diagnostic(("parameters", name, "start"), "E112", message, way_out, value=True)


def _columns(names: tuple[str, ...], sections: Sections) -> Iterator[Diagnostic]:
    """Refuse columns of groups that are none, doubled, the target, or called like another column of their table."""
    tree, model = sections.tree, sections.get("model")
    if not names:
        message = "`group_by` is empty"
        yield tree.diagnostic(("data", "group_by"), "E105", message, "name the column: `group_by: subject`", value=True)
    written = {*FIXED_COLUMNS, *_own(sections), *(f"{name}_error" for name in _own(sections))}
    for index, name in enumerate(names):
        single = isinstance(sections.get("data").group_by, str)
        path: Path = ("data", "group_by") if single else ("data", "group_by", index)
        if name in names[:index]:
            yield tree.diagnostic(path, "E106", f"`{name}` stands in `group_by` twice", "keep one of them", value=True)
        elif isinstance(model, Model) and name == model.target_used:
            message = f"`{name}` is the target, and cannot tell groups apart"
            yield tree.diagnostic(path, "E111", message, "name another column", value=True)
        elif name in written:
            message = f"`{name}` would stand twice in the table of groups: as their key, and beside it"
            way_out = f"give the column another name: `columns: {{group: {name}}}` in `data`"
            yield tree.diagnostic(path, "E113", message, way_out, value=True)
    yield from _twice(sections)


def _own(sections: Sections) -> tuple[str, ...]:
    model = sections.get("model")
    own = model.parameter_names if isinstance(model, Model) and not isinstance(model, FormulaModel) else None
    return (*(own or ()), *sections.parameters)


def _twice(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse parameters whose column in the table of groups another has."""
    names = set(sections.parameters)
    taken = {*FIXED_COLUMNS, *(f"{name}_error" for name in names)}
    for name in sections.parameters:
        if name in taken:
            message = f"a parameter of groups cannot be called `{name}`: their table has another column of that name"
            yield sections.tree.diagnostic(("parameters", name), "E113", message, "give it another name")


def _beside(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse what is not done group by group."""
    tree, optimizer, uncertainty = sections.tree, sections.get("optimizer"), sections.get("uncertainty")
    refused: list[tuple[Path, str, str]] = []
    if sections.get("data").validation is not None:
        refused.append((("data", "validation"), "`validation`", "remove it; `where` leaves rows out"))
    if sections.get("multistart") is not None:
        refused.append((("multistart",), "`multistart`", "remove it; a column can say where each group starts"))
    if isinstance(uncertainty, Bootstrap | Profile):
        refused.append((("uncertainty", "kind"), f"`{uncertainty.kind}`", "use `covariance`, or `none`"))
    if isinstance(optimizer, FirstOrder):
        refused.append((("optimizer", "kind"), f"`{optimizer.kind}`", "use `auto`, `lm`, `newton` or `lbfgs`"))
    model = sections.get("model")
    if isinstance(sections.get("loss"), CrossEntropy):
        refused.append((("loss", "kind"), "`cross_entropy`", "fit two classes, with `binary_cross_entropy`"))
    refused += [
        (("parameters", name, "shape"), "an array", "write a parameter for each number")
        for name, parameter in sections.parameters.items()
        if parameter.shape is not None
    ]
    if tree.given("model", "standardize") and getattr(model, "standardize", False):
        refused.append((("model", "standardize"), "`standardize`", "remove it; without penalties it changes nothing"))
    model = sections.get("model")
    if isinstance(model, Model) and model.trained:
        refused.append((("model", "kind"), f"`{model.kind}`", "fit each group by a run of its own, with `where`"))
    for path, what, way_out in refused:
        message = f"{what} and `group_by` exclude each other"
        yield tree.diagnostic(path, "E111", message, way_out, value=path[0] != "multistart")


def _shared(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse to share what is no unknown, and to share everything."""
    tree, parameters = sections.tree, sections.parameters
    for name, parameter in parameters.items():
        path: Path = ("parameters", name, "shared")
        if not parameter.shared:
            continue
        if parameter.equals is not None or parameter.fixed:
            how = "tied" if parameter.equals is not None else "fixed"
            message = f"`{name}` is {how}, and `shared` is about parameters that are fitted"
            yield tree.diagnostic(path, "E111", message, "remove `shared`")
        elif isinstance(parameter.start, ColumnName):
            message = f"`{name}` is one number for all groups, and cannot start where each group says"
            yield tree.diagnostic((*path[:-1], "start"), "E111", message, "write a number", value=True)
    for first in [name for name, parameter in parameters.items() if parameter.shared][:1]:
        for what in _not_eliminated(sections):
            message = f"`shared` and {what} exclude each other"
            way_out = "fit each group by itself: remove `shared`"
            yield tree.diagnostic(("parameters", first, "shared"), "E111", message, way_out)
    free = {name: parameter for name, parameter in parameters.items() if _is_free(parameter)}
    named = getattr(sections.get("model"), "parameter_names", None)
    if free and all(parameter.shared for parameter in free.values()) and set(named or ()) <= set(parameters):
        first = next(iter(free))
        message = "every parameter is `shared`: then all rows are one fit"
        yield tree.diagnostic(("parameters", first, "shared"), "E111", message, "remove `group_by` and `shared`")


def _not_eliminated(sections: Sections) -> Iterator[str]:
    """Yield what stands in the way of solving for each group's own parameters first."""
    loss, penalty = sections.get("loss"), sections.get("regularization")
    if isinstance(loss, Loss) and not loss.smooth:
        yield f"the loss `{loss.kind}`, which has kinks,"
    if penalty is not None and penalty.l1 > 0:
        yield "the penalty `l1`"
    if sections.get("constraints"):
        yield "`constraints`"
    if sections.get("precision") == "float32":
        yield "`precision: float32`"
    uncertainty = sections.get("uncertainty")
    if isinstance(uncertainty, Covariance) and uncertainty.hessian == "exact":
        yield "`hessian: exact`"
    if isinstance(uncertainty, Covariance) and uncertainty.sandwich == "always":
        yield "`sandwich: always`"


def _expected(sections: Sections) -> Iterator[Diagnostic]:
    """Refuse to expect one number of what each group has its own of."""
    expect, tree = sections.get("expect"), sections.tree
    if not isinstance(expect, Expect):
        return
    for key in ("r_squared", "metrics"):
        if tree.given("expect", key):
            message = f"`{key}` is about one fit, and there are many"
            yield tree.diagnostic(("expect", key), "E111", message, "expect `converged: 0.99`, or `loss`")
    for name in expect.parameters:
        if name in sections.parameters and not sections.parameters[name].shared:
            message = f"`{name}` has another value in every group, and only shared parameters can be expected"
            way_out = "remove it, or write `shared: true`"
            yield tree.diagnostic(("expect", "parameters", name), "E111", message, way_out)


def _is_free(parameter: Parameter) -> bool:
    return parameter.equals is None and not parameter.fixed
