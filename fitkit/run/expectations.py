"""From what a config expects and what a fit found to a verdict on each expectation."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import replace

from fitkit.config import ConfigSource, no_parameter
from fitkit.errors import ConfigError, Diagnostic, ExitCode
from fitkit.expectations import Expect, ExpectedNumber, ExpectedParameter, Tolerated, standard_errors
from fitkit.reports.expectations import found_text
from fitkit.result import Expectation, FittedParameter, Result, Status


def refuse_unknown(source: ConfigSource, names: Collection[str]) -> None:
    """Refuse expectations of parameters that are not among `names`, which a table may have told.

    Raises:
        ConfigError: there are some.
    """
    expected = () if source.config.expect is None else source.config.expect.parameters
    absent = [name for name in expected if name not in names]
    if absent:
        raise ConfigError(*(no_parameter(source.tree, name, ("expect", "parameters", name), names) for name in absent))


def judged(result: Result, source: ConfigSource) -> Result:
    """Return the result with a verdict on every expectation of its config.

    One that is not met is told in `errors`, with its place, and makes the exit code 6 where it would have been 0: all
    other ways to fail are graver.
    """
    expect = source.config.expect
    if expect is None:
        return result
    verdicts = tuple(_verdicts(expect, result))
    broken = [one for one in verdicts if not one.passed]
    return replace(
        result,
        expectations=verdicts,
        errors=(*result.errors, *(_told(one, source) for one in broken)),
        exit_code=result.exit_code or (int(ExitCode.CHECK_FAILED) if broken else 0),
    )


def _told(one: Expectation, source: ConfigSource) -> Diagnostic:
    """Return that an expectation is not met, at its place in the config."""
    path = ("expect", *one.what.split(".", 2 if one.what.startswith("metrics.") else 1))
    note = f" ({one.note})" if one.note else ""
    return source.diagnostic(path, "E601", f"`{one.what}`: expected {one.expected}, found {found_text(one)}{note}")


def _verdicts(expect: Expect, result: Result) -> Iterator[Expectation]:
    if expect.converged is not None:
        yield _converged(expect.converged, result)
    for name, parameter in expect.parameters.items():
        yield _parameter(f"parameters.{name}", parameter, result.parameters[name], result)
    loss, fit, seconds = result.loss, result.fit, result.seconds
    for what, expected, found in (
        ("loss", expect.loss, None if loss is None else loss.final),
        ("reduced_chi_square", expect.reduced_chi_square, None if fit is None else fit.reduced_chi_square),
        ("r_squared", expect.r_squared, None if fit is None else fit.r_squared),
        ("steps", expect.steps, result.steps),
        ("seconds", expect.seconds, None if seconds is None else seconds.total),
    ):
        if expected is not None:
            yield _number(what, expected, found)
    for part in ("train", "validation") if expect.metrics is not None else ():
        wanted: dict[str, ExpectedNumber] = dict(getattr(expect.metrics, part))
        for name, metric in wanted.items():
            yield _number(f"metrics.{part}.{name}", metric, result.metrics[part].get(name))


def _converged(expected: bool | float, result: Result) -> Expectation:  # noqa: FBT001 - as the config writes it
    """Return whether the fit converged, or enough of many; of one fit any share above 0 asks the same."""
    if result.groups is not None:
        share = result.groups.converged / result.groups.count
        wording = "all of the groups converged" if float(expected) == 1 else f"{expected:g} of the groups converged"
        return Expectation(what="converged", expected=wording, found=share, passed=share >= float(expected))
    wording = "converged" if expected is True else f"{expected:g} of the fits converged"
    passed = result.status is Status.CONVERGED
    return Expectation(what="converged", expected=wording, found=str(result.status), passed=passed)


def _number(what: str, expected: Tolerated, found: float | None) -> Expectation:
    if found is None or not math.isfinite(found):
        note = "the result has no such number"
        return Expectation(what=what, expected=expected.wording, found=None, passed=False, note=note)
    passed = expected.between(found) and expected.near(found, expected.tolerance)
    return Expectation(what=what, expected=expected.wording, found=found, passed=passed)


def _parameter(what: str, expected: ExpectedParameter, found: FittedParameter, result: Result) -> Expectation:
    if expected.within is None or expected.value is None or not math.isfinite(found.value):
        return _number(what, expected, found.value)
    if found.error is None:
        note = f"no standard error to be within: {_why_none(found, result)}"
        return Expectation(what=what, expected=expected.wording, found=found.value, passed=False, note=note)
    away = abs(found.value - expected.value) / found.error if found.error > 0 else math.inf
    passed = expected.near(found.value, standard_errors(expected.within) * found.error)
    missed_by = None if passed or not math.isfinite(away) else f"{away:.3g}sigma away"
    return Expectation(
        what=what,
        expected=expected.wording,
        found=found.value,
        passed=passed and expected.between(found.value),
        note=missed_by,
    )


def _why_none(found: FittedParameter, result: Result) -> str:
    """Return why a parameter has no standard error."""
    words = {
        "fixed": "it is fixed",
        "at_bound": "it is at its bound",
        "not_identified": "the data do not identify it",
        "unused": "nothing uses it",
    }
    if result.status is not Status.CONVERGED:
        return f"the fit is {str(result.status).replace('_', ' ')}"
    flag = next((flag for flag in found.flags if flag in words), None)
    if flag is not None:
        return words[flag]
    return (result.uncertainty.message if result.uncertainty is not None else None) or "the fit has none"
