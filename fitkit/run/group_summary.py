"""What became of many fits, in few numbers: the verdict, why some did not converge, and how parameters are distributed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.grouped import GroupedFit, status_of
from fitkit.optimizers.stopping import Reason
from fitkit.result import Distribution, GroupsLeft, GroupsSummary, OneGroup, Status
from fitkit.run.grouped_assembly import AssembledGroups
from fitkit.run.numbers import number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

FAILED = "groups_failed"
PARTS = 24
"""Of a histogram."""
REACH = 4.0
"""Interquartile ranges beyond the quartiles that a histogram shows."""
FEW = 20
"""Groups up to which each of them is shown."""
NAMED = 5
"""Groups that are named of those with one reason."""


@final
@dataclass(frozen=True, kw_only=True)
class GroupsVerdict:
    """How many fits ended, in the words of the result."""

    status: Status
    reason: str
    message: str


def verdict_on_groups(fit: GroupedFit, share: float = 1.0) -> GroupsVerdict:
    """Return the verdict: converged if every group has, or the share of them that is expected to."""
    import numpy as np

    count, converged = len(fit), int(fit.converged.sum())
    if (fit.reason == Reason.INTERRUPTED).any():
        ended = int((fit.reason != Reason.INTERRUPTED).sum())
        message = f"Interrupted: {ended:,} of {count:,} groups ended, {converged:,} of them converged."
        return GroupsVerdict(status=Status.INTERRUPTED, reason="interrupted", message=message)
    if fit.shared is not None and not _is_claim(fit.shared.reason):
        status = status_of(fit.shared.reason)
        return GroupsVerdict(status=status, reason=fit.shared.reason.word, message=fit.shared.message)
    if converged / count < share:
        message = f"Not converged: {count - converged:,} of {count:,} groups failed, {converged:,} converged."
        return GroupsVerdict(status=Status.NOT_CONVERGED, reason=FAILED, message=message)
    if fit.shared is not None:
        return GroupsVerdict(status=Status.CONVERGED, reason=fit.shared.reason.word, message=fit.shared.message)
    which = "the one group" if count == 1 else f"all {count:,} groups"
    if converged < count:
        which = f"{converged:,} of {count:,} groups, where {share:g} of them are expected to"
    most = Reason(int(np.bincount(fit.reason[fit.converged]).argmax()))
    return GroupsVerdict(status=Status.CONVERGED, reason=most.word, message=f"Converged: {which}{_left_to_move(fit)}.")


def _left_to_move(fit: GroupedFit) -> str:
    """Return how far groups are from their minima, in half of them and in the worst, whose parameter may be near zero."""
    import numpy as np

    moves = fit.move[fit.converged]
    moves = moves[np.isfinite(moves)]
    if len(moves) == 0:
        return ""
    told = "; a further step would change no parameter by more than "
    if len(moves) == 1:
        return f"{told}{moves[0]:.1e} of itself"
    return f"{told}{np.median(moves):.1e} of itself in half of them, {moves.max():.1e} in the worst"


def _is_claim(reason: Reason) -> bool:
    return status_of(reason) is Status.CONVERGED


def reason_words(assembled: AssembledGroups, fit: GroupedFit) -> list[str]:
    """Return the reason of each group as one word, those of groups that are not fitted at all among them."""
    words = {int(reason): reason.word for reason in Reason}
    found = [words[code] for code in fit.reason.tolist()]
    for group, refusal in assembled.refused.items():
        found[group] = refusal.word
    return found


def groups_summary(assembled: AssembledGroups, fit: GroupedFit, file: str | None) -> GroupsSummary:
    """Return the summary; `file` is the table of the groups in the run's folder, None where nothing is saved."""
    converged, sizes = fit.converged, assembled.grouping.sizes
    return GroupsSummary(
        by=tuple(assembled.grouping.keys),
        count=len(fit),
        converged=int(converged.sum()),
        failed=int((~converged).sum()),
        file=file,
        left=_left(assembled, fit),
        distributions=distributions(assembled, fit),
        each=_each(assembled, fit) if len(fit) <= FEW else (),
        alone=fit.alone,
        sizes=(int(sizes.min()), int(sizes.max())),
    )


def _left(assembled: AssembledGroups, fit: GroupedFit) -> tuple[GroupsLeft, ...]:
    import numpy as np

    words = reason_words(assembled, fit)
    by_reason: dict[str, list[int]] = {}
    for group in np.flatnonzero(~fit.converged).tolist():
        by_reason.setdefault(words[group], []).append(group)
    return tuple(
        GroupsLeft(
            reason=word,
            status=fit.status(groups[0]),
            count=len(groups),
            first=tuple(assembled.grouping.name(group) for group in groups[:NAMED]),
            message=fit.message(groups[0]),
        )
        for word, groups in sorted(by_reason.items(), key=lambda pair: -len(pair[1]))
    )


def _each(assembled: AssembledGroups, fit: GroupedFit) -> tuple[OneGroup, ...]:
    own, words = local_columns(assembled, fit), reason_words(assembled, fit)
    return tuple(
        OneGroup(
            name=assembled.grouping.name(group),
            status=fit.status(group),
            reason=words[group],
            values={name: number(float(fit.values[group, place])) for name, place in own.items()},
            errors={name: number(float(fit.errors[group, place])) for name, place in own.items()},
        )
        for group in range(len(fit))
    )


def local_columns(assembled: AssembledGroups, fit: GroupedFit) -> dict[str, int]:
    """Return the reported parameters that are a group's own, each with its column: all but the shared ones."""
    return {name: place for place, name in enumerate(fit.names) if name not in assembled.groups.shared}


def distributions(assembled: AssembledGroups, fit: GroupedFit) -> dict[str, Distribution]:
    """Return how each parameter that differs between groups is distributed over those that converged."""
    import numpy as np

    layout, found = assembled.problem.layout, {}
    for name, place in local_columns(assembled, fit).items():
        values = fit.values[fit.converged, place]
        values = values[np.isfinite(values)]
        same = name in assembled.problem.held and name not in assembled.groups.held
        if len(values) and not same:
            at_bound = fit.at_bound[:, layout.places[name].start] if name in layout.places else np.zeros(len(fit), bool)
            errors = fit.errors[fit.converged, place]
            found[name] = _distribution(values, errors[np.isfinite(errors)], int(at_bound[fit.converged].sum()))
    return found


def _distribution(values: Vector, errors: Vector, at_bound: int) -> Distribution:
    import numpy as np

    least, low, middle, high, most = (float(q) for q in np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
    edges = max(least, low - REACH * (high - low)), min(most, high + REACH * (high - low))
    counts: list[int] = []
    if edges[0] < edges[1]:
        counts = np.histogram(np.clip(values, *edges), bins=PARTS, range=edges)[0].tolist()
    return Distribution(
        quantiles=(least, low, middle, high, most),
        edges=edges,
        histogram=tuple(counts),
        error=float(np.median(errors)) if len(errors) else None,
        at_bound=at_bound,
    )
