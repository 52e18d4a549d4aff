"""Which fits of a batch are not what they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

from fitkit.comparison.record import Estimate, FitRecord
from fitkit.comparison.tolerance import LEAST_RTOL, Tolerance


@final
@dataclass(frozen=True, kw_only=True)
class Drift:
    """One thing that is not what it was."""

    what: str
    """`status`, `loss`, `parameters.rate`."""
    before: float | str | None
    """None: it was not there."""
    after: float | str | None
    """None: it is not there any more."""
    note: str
    """By how much it differs, and how much was allowed."""


@final
@dataclass(frozen=True, kw_only=True)
class BaselineComparison:
    """A batch beside its baseline."""

    tolerance: Tolerance
    drifted: Mapping[str, tuple[Drift, ...]]
    """By fit."""
    new: tuple[str, ...]
    """Fits that the baseline lacks."""
    gone: tuple[str, ...]
    """Fits of the baseline that were to be in this batch, and are not."""
    fits: int
    """How many are in both, and were compared."""
    numbers: int
    """How many numbers were compared."""
    shared: int
    """How many of them by standard errors on other data: these share the level."""
    unjudged: tuple[str, ...] = ()
    """Fits on other data of which there is only a loss or a count, about which standard errors state nothing."""

    @property
    def passed(self) -> bool:
        """Whether all is what it was; what is new is not held against it."""
        return not self.drifted and not self.gone


def compared(
    before: Mapping[str, FitRecord], after: Mapping[str, FitRecord], gone: tuple[str, ...], tolerance: Tolerance
) -> BaselineComparison:
    """Return how the fits `after` compare with those `before`, by name.

    Args:
        before: of the baseline.
        after: of the batch.
        gone: fits of the baseline that were to be in the batch, and are not.
        tolerance: how much they may differ.
    """
    pairs = {name: (before[name], record) for name, record in after.items() if name in before}
    shared = sum(
        not one.same_data(other) and _errors_on_other_data(one.parameters[key], other.parameters[key]) is not None
        for one, other in pairs.values()
        if tolerance.within is not None
        for key in one.parameters.keys() & other.parameters.keys()
    )
    drifted = {name: tuple(_drifts(one, other, tolerance, shared)) for name, (one, other) in pairs.items()}
    return BaselineComparison(
        tolerance=tolerance,
        drifted={name: drifts for name, drifts in drifted.items() if drifts},
        new=tuple(name for name in after if name not in before),
        gone=gone,
        fits=len(pairs),
        numbers=sum(len(one.parameters.keys() & other.parameters.keys()) for one, other in pairs.values()),
        shared=shared,
        unjudged=tuple(
            name
            for name, (one, other) in pairs.items()
            if tolerance.within is not None and not one.same_data(other) and not _told(one)
        ),
    )


def _errors_on_other_data(one: Estimate, other: Estimate) -> tuple[float, float] | None:
    """Return both standard errors; None where neither has one.

    An estimate that its bound holds has none. Its scatter is at most that of a free one, whose error stands for it.
    """
    known = [estimate.error for estimate in (one, other) if estimate.error]
    return (known[0], known[-1]) if known and one.value is not None and other.value is not None else None


def _drifts(before: FitRecord, after: FitRecord, tolerance: Tolerance, shared: int) -> Iterator[Drift]:
    if before.status != after.status:
        yield Drift(what="status", before=before.status, after=after.status, note="the fit ended otherwise")
    for name in dict.fromkeys((*before.parameters, *after.parameters)):
        one, other = before.parameters.get(name), after.parameters.get(name)
        what = f"parameters.{name}"
        if one is None or other is None:
            note = "the baseline has no such parameter" if one is None else "there is no such parameter any more"
            values = (None if estimate is None else estimate.value for estimate in (one, other))
            yield Drift(what=what, before=next(values), after=next(values), note=note)
        elif one.value is None or other.value is None:
            if one.value != other.value:
                yield Drift(what=what, before=one.value, after=other.value, note="it is an array in one of both")
        else:
            too_far = _too_far(one, other, before, after, tolerance, shared)
            if too_far is not None:
                yield Drift(what=what, before=one.value, after=other.value, note=too_far)
    yield from _of_the_whole(before, after, tolerance)


def _of_the_whole(before: FitRecord, after: FitRecord, tolerance: Tolerance) -> Iterator[Drift]:
    """Compare what stands for numbers that results do not have: the loss for arrays, counts for groups."""
    if tolerance.within is not None and not before.same_data(after):
        return
    if not _told(before) and before.loss != after.loss:
        allowed = tolerance.numerical(Estimate(value=before.loss))
        away = None if before.loss is None or after.loss is None else abs(after.loss - before.loss)
        if away is None or not away <= allowed:
            note = "there is none in one of both" if away is None else _numbers(away, allowed)
            yield Drift(what="loss", before=before.loss, after=after.loss, note=note)
    counts = before.groups or {}, after.groups or {}
    for key in dict.fromkeys((*counts[0], *counts[1])):
        if counts[0].get(key) != counts[1].get(key):
            yield Drift(what=f"groups.{key}", before=counts[0].get(key), after=counts[1].get(key), note="another count")


def _told(record: FitRecord) -> bool:
    """Return whether the parameters of a record are all that its fit found."""
    values = (estimate.value for estimate in record.parameters.values())
    return record.groups is None and bool(record.parameters) and all(value is not None for value in values)


def _too_far(
    one: Estimate, other: Estimate, before: FitRecord, after: FitRecord, tolerance: Tolerance, shared: int
) -> str | None:
    """Return by how much two estimates differ, where it is too much."""
    if one.value is None or other.value is None:
        raise AssertionError("arrays are compared by the loss")
    away = abs(other.value - one.value)
    if away <= LEAST_RTOL * abs(one.value):
        return None  # rounding, which the errors of a fit without residuals are too
    same = before.same_data(after)
    errors = (one.error, other.error) if same and one.error and other.error else None
    errors = errors if same else _errors_on_other_data(one, other)
    if tolerance.within is None or errors is None:
        allowed = tolerance.numerical(one)
        aside = "" if tolerance.within is None else "; without a standard error it is compared by rtol and atol"
        return None if away <= allowed else _numbers(away, allowed) + aside
    if same:
        allowed, unit = tolerance.on_the_same_data(*errors), min(errors)
        if away <= allowed:
            return None
        return f"by {away / unit:.3g} of the smaller standard error on the same data, {tolerance.within} allowed"
    most, unit = tolerance.on_other_data((errors[0], before.dof), (errors[1], after.dof), shared)
    if away <= most * unit:
        return None
    return f"by {away / unit:.3g} combined standard errors on other data, {most:.3g} allowed"


def _numbers(away: float, allowed: float) -> str:
    return f"by {away:.3g}, {allowed:.3g} allowed"
