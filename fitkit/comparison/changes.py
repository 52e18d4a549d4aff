"""What changed between two results, in numbers and in standard errors; nothing is judged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from fitkit.comparison.record import Estimate, FitRecord, record_of

_OF_THE_RUN: Final = ("fitkit", "jax", "device", "precision", "seed", "data_sha256", "code_sha256")


@final
@dataclass(frozen=True, kw_only=True)
class NumberChange:
    """One number, before and after."""

    before: Estimate | None
    """None: there was none."""
    after: Estimate | None
    same_data: bool

    @property
    def change(self) -> float | None:
        """After less before, where both are numbers."""
        if self.before is None or self.after is None or self.before.value is None or self.after.value is None:
            return None
        return self.after.value - self.before.value

    @property
    def relative(self) -> float | None:
        """The change by what was before."""
        if self.change is None or self.before is None or not self.before.value:
            return 0.0 if self.change == 0 else None
        return self.change / abs(self.before.value)

    @property
    def standard_errors(self) -> float | None:
        """The change in standard errors: the smaller one on the same data, the combined one on other data."""
        if self.change is None or self.before is None or self.after is None:
            return None
        if not self.before.error or not self.after.error:
            return None
        both = self.before.error, self.after.error
        return self.change / (min(both) if self.same_data else math.hypot(*both))


@final
@dataclass(frozen=True, kw_only=True)
class Replacement:
    """What is told by a word or a number, not by a difference."""

    key: str
    before: Any
    after: Any


@final
@dataclass(frozen=True, kw_only=True)
class FitChanges:
    """A fit, before and after."""

    name: str
    same_data: bool
    status: tuple[str, str]
    loss: NumberChange
    parameters: Mapping[str, NumberChange]
    groups: tuple[Mapping[str, int] | None, Mapping[str, int] | None]
    """How many groups there are and how many converged, where rows are grouped."""
    config: tuple[Replacement, ...]
    """The keys of the config, as understood, that are not the same."""
    provenance: tuple[Replacement, ...]
    """What else the numbers rest on: versions, device, seed, and the hashes of data and code."""

    @property
    def unchanged(self) -> bool:
        """Whether every number and the status are what they were, to the last bit."""
        numbers = (self.loss, *self.parameters.values())
        told = self.status[0] == self.status[1] and self.groups[0] == self.groups[1]
        return told and all(number.before == number.after for number in numbers)

    @property
    def largest(self) -> tuple[str, NumberChange] | None:
        """The parameter that changed most, in standard errors where there are some, else relative to itself."""
        if not self.parameters:
            return None
        return max(self.parameters.items(), key=lambda item: _size(item[1]))


def _size(number: NumberChange) -> tuple[bool, float, float]:
    """Return what orders changes: those that are no differences first."""
    return (
        number.change is None and number.before != number.after,
        abs(number.standard_errors or 0.0),
        abs(number.relative or 0.0),
    )


@final
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs, or two batches."""

    before: str
    after: str
    fits: tuple[FitChanges, ...]
    new: tuple[str, ...] = ()
    """Fits that only the second has."""
    gone: tuple[str, ...] = ()
    """Fits that only the first has."""


def compare(
    paths: tuple[str, str], before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> Comparison:
    """Return what changed; two single runs are compared whatever they are called.

    Args:
        paths: where the results come from.
        before: results by the names of their fits.
        after: the same.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: a document is no result.
    """
    single = len(before) == 1 and len(after) == 1
    pairs = [(name, name) for name in before if name in after]
    if single:
        pairs = [(next(iter(before)), next(iter(after)))]
    return Comparison(
        before=paths[0],
        after=paths[1],
        fits=tuple(_changes(one, other, before[one], after[other]) for one, other in pairs),
        new=() if single else tuple(name for name in after if name not in before),
        gone=() if single else tuple(name for name in before if name not in after),
    )


def _changes(one: str, other: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> FitChanges:
    records: tuple[FitRecord, FitRecord] = record_of(before), record_of(after)
    same = records[0].same_data(records[1])
    names = dict.fromkeys((*before["parameters"], *after["parameters"]))
    losses = (Estimate(value=record.loss) for record in records)
    return FitChanges(
        name=one if one == other else f"{one}, {other}",
        same_data=same,
        status=(records[0].status, records[1].status),
        loss=NumberChange(before=next(losses), after=next(losses), same_data=same),
        parameters={
            name: NumberChange(
                before=records[0].parameters.get(name), after=records[1].parameters.get(name), same_data=same
            )
            for name in names
        },
        groups=(records[0].groups, records[1].groups),
        config=tuple(_replacements(before["config"], after["config"])),
        provenance=tuple(
            _replacements(
                {key: before["provenance"].get(key) for key in _OF_THE_RUN},
                {key: after["provenance"].get(key) for key in _OF_THE_RUN},
            )
        ),
    )


def _replacements(before: Mapping[str, Any], after: Mapping[str, Any], above: str = "") -> Iterator[Replacement]:
    """Yield what is not the same, with keys from the root: `optimizer.learning_rate`; a map that is new or gone as one."""
    for key in dict.fromkeys((*before, *after)):
        one, other = before.get(key), after.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _replacements(one, other, f"{above}{key}.")
        elif one != other:
            yield Replacement(key=f"{above}{key}", before=one, after=other)
