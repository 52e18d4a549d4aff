"""Rules of the section `expect`: intervals that hold something, of numbers that the result will have."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from fitkit.config.parameter_names import no_parameter, parameter_names
from fitkit.config.sections import Sections
from fitkit.config.tree import Path
from fitkit.errors import Diagnostic, did_you_mean, one_of
from fitkit.expectations import Expect, ExpectedNumber, ExpectedParameter, Tolerated, standard_errors
from fitkit.models import Model
from fitkit.uncertainty.settings import NoUncertainty

METRICS: Final = ("accuracy", "log_loss", "roc_auc", "rmse", "mae", "r_squared")
"""The metrics that are numbers."""
_OF_ROWS: Final = ("reduced_chi_square", "r_squared", "metrics")


def expect_rules(sections: Sections) -> Iterator[Diagnostic]:
    """Yield what is wrong with what a config expects."""
    section, tree = sections.get("expect"), sections.tree
    if not isinstance(section, Expect):
        return
    if section.converged is False:
        message = "`converged: false` can never be met with exit code 0: a fit that did not converge has exit code 4"
        yield tree.diagnostic(("expect", "converged"), "E112", message, "write `true`, or leave it out", value=True)
    for key in ("loss", "reduced_chi_square", "r_squared", "steps", "seconds"):
        expected = getattr(section, key)
        if isinstance(expected, ExpectedNumber):
            yield from _interval(sections, ("expect", key), expected)
    for name, parameter in section.parameters.items():
        yield from _interval(sections, ("expect", "parameters", name), parameter)
        yield from _parameter(sections, name, parameter)
    yield from _metrics(sections, section)
    if tree.given("minimize"):
        for key in _OF_ROWS:
            if tree.given("expect", key):
                message = f"`{key}` is about rows, and `minimize` has none"
                yield tree.diagnostic(("expect", key), "E111", message, f"remove `{key}`")
    data = sections.get("data")
    if section.reduced_chi_square is not None and data is not None and data.sigma is None and "data" in sections.values:
        message = "`reduced_chi_square` needs `data.sigma`: without standard errors of the target there is none"
        yield tree.diagnostic(("expect", "reduced_chi_square"), "E111", message, "give `data.sigma`, or expect `loss`")


def _interval(sections: Sections, path: Path, expected: Tolerated) -> Iterator[Diagnostic]:
    """Refuse an interval that says nothing, or that nothing lies in."""
    tree = sections.tree
    within = expected.within if isinstance(expected, ExpectedParameter) else None
    widths = [key for key in ("atol", "rtol", "within") if getattr(expected, key, None) is not None]
    ways = "`atol`, `rtol` or `within`" if isinstance(expected, ExpectedParameter) else "`atol` or `rtol`"
    if expected.value is None and widths:
        message = f"`{widths[0]}` says how far from `value`, and there is no `value`"
        yield tree.diagnostic((*path, widths[0]), "E105", message, "add `value`")
    elif expected.value is not None and not widths:
        message = f"`value` needs {ways}: no two computations agree in every digit"
        yield tree.diagnostic((*path, "value"), "E105", message, f"`{{value: {expected.value:g}, rtol: 1e-6}}`")
    elif expected.value is None and expected.min is None and expected.max is None:
        yield tree.diagnostic(path, "E105", f"`{path[-1]}` expects nothing", "give `min`, `max` or `value`")
    elif within is not None and len(widths) > 1:
        message = f"`within` and `{widths[0]}` exclude each other: both say how far from `value`"
        yield tree.diagnostic((*path, "within"), "E111", message, "keep one of them")
    elif within is not None and standard_errors(within) == 0:
        yield tree.diagnostic((*path, "within"), "E109", "`within` must be above 0 standard errors", value=True)
    else:
        yield from _empty(sections, path, expected, wide=within is not None)


def _empty(sections: Sections, path: Path, expected: Tolerated, *, wide: bool) -> Iterator[Diagnostic]:
    low = -math.inf if expected.min is None else expected.min
    high = math.inf if expected.max is None else expected.max
    if low > high:
        message = f"`{path[-1]}` has `min` {low:g} and `max` {high:g}: nothing lies between them"
        yield sections.tree.diagnostic((*path, "min"), "E112", message)
    elif expected.value is not None and not wide:
        half = expected.tolerance
        if expected.value + half < low or expected.value - half > high:
            end = "min" if expected.value < low else "max"
            message = f"nothing within {half:g} of {expected.value:g} is {'>=' if end == 'min' else '<='} `{end}`"
            yield sections.tree.diagnostic((*path, end), "E112", message, value=True)


def _parameter(sections: Sections, name: str, expected: ExpectedParameter) -> Iterator[Diagnostic]:
    tree, path = sections.tree, ("expect", "parameters", name)
    known = parameter_names(sections)
    if known is not None and name not in known:
        yield no_parameter(tree, name, path, known)
        return
    parameter, model = sections.parameters.get(name), sections.get("model")
    array = parameter is not None and parameter.shape is not None
    if array or (isinstance(model, Model) and model.trained):
        message = f"`{name}` is an array, and an expectation is about one number"
        yield tree.diagnostic(path, "E122", message, "expect the `loss` or a metric")
    if expected.within is None:
        return
    if parameter is not None and parameter.fixed:
        message = f"`{name}` is fixed, and has no standard error to be within"
        yield tree.diagnostic((*path, "within"), "E111", message, "use `atol`")
    elif isinstance(sections.get("uncertainty"), NoUncertainty):
        message = "`within` counts standard errors, and `uncertainty: none` gives none"
        yield tree.diagnostic((*path, "within"), "E111", message, "use `atol`, or ask for errors")


def _metrics(sections: Sections, section: Expect) -> Iterator[Diagnostic]:
    if section.metrics is None:
        return
    data = sections.get("data")
    for part in ("train", "validation"):
        path: Path = ("expect", "metrics", part)
        expected = getattr(section.metrics, part)
        if expected and part == "validation" and data is not None and data.validation is None:
            message = "no rows are held out, so there are no metrics of `validation`"
            yield sections.tree.diagnostic(path, "E111", message, "give `data.validation`, or use `train`")
        for name, number in expected.items():
            yield from _interval(sections, (*path, name), number)
            if name not in METRICS:
                what = "`confusion` is a table" if name == "confusion" else f"unknown metric `{name}`"
                way_out = did_you_mean(name, METRICS) or one_of(METRICS)
                yield sections.tree.diagnostic((*path, name), "E120", what, way_out)
