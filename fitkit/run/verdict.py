"""The verdict on a search: its status, reason and one sentence, from how it ended and what the derivatives say."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from fitkit.evidence import CLOSE, Evidence, confirms
from fitkit.evidence.endless import FAR, LOGARITHMS
from fitkit.evidence.least_squares import underflows
from fitkit.minimize import Search
from fitkit.optimizers.stopping import CLAIMS, Reason, Stopping, StopRule
from fitkit.parameters import Layout
from fitkit.result import Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@final
@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a search ended, in the words of the result."""

    status: Status
    reason: Reason
    message: str


def judge_search(
    search: Search,
    evidence: Evidence,
    rule: StopRule,
    stopping: Stopping,
    *,
    flat_names: tuple[tuple[str, ...], ...],
    ran_away: tuple[str, ...],
    first_order: bool,
    constraints: tuple[str, ...] = (),
    watched: str = "loss",
) -> Verdict:
    """Return the verdict; a claim of convergence is believed only if the derivatives at the end support it."""
    reason = search.reason
    start, end = search.history[0].loss, search.final.loss
    if reason is Reason.NOT_FINITE:
        return _not_finite(search, constrained=bool(constraints))
    if reason is Reason.RUNAWAY:
        message = (
            "Not converged: the loss falls without end within the constraints; there is no minimum at a finite value."
        )
        return Verdict(status=Status.NOT_CONVERGED, reason=reason, message=message)
    if first_order and end > start and reason is not Reason.INTERRUPTED:
        way_out = _smaller(search) or "try a smaller learning rate"
        message = f"Diverged: the loss rose from {start:.6g} to {end:.6g} in {_steps(search)}; {way_out}."
        return Verdict(status=Status.DIVERGED, reason=Reason.ROSE, message=message)
    if reason is Reason.INTERRUPTED:
        message = f"Interrupted after {_steps(search)}, at loss {end:.6g}."
        return Verdict(status=Status.INTERRUPTED, reason=reason, message=message)
    if ran_away and reason in {*CLAIMS, Reason.STALLED, Reason.MAX_STEPS}:
        message = (
            f"Not converged: {listed(ran_away)} ran away from the start by orders of magnitude and has no effect on the "
            "loss any more; there is no minimum at a finite value."
        )
        return Verdict(status=Status.NOT_CONVERGED, reason=Reason.RUNAWAY, message=message)
    hindered = _hindered(search, evidence, rule, constraints) if reason in {*CLAIMS, Reason.STALLED} else None
    if hindered is not None:
        return Verdict(status=Status.NOT_CONVERGED, reason=Reason.STALLED, message=f"Not converged{hindered}.")
    steep = evidence.newton_step > max(CLOSE, 100 * rule.gtol)
    level = evidence.minimum == "flat" and evidence.known and confirms(evidence, rule.gtol)
    if (evidence.at_rounding and reason in CLAIMS and steep) or (
        reason is Reason.STALLED and (evidence.at_rounding or level)
    ):
        search = replace(search, reason=Reason.STEP_SMALL)
    if search.reason in CLAIMS:
        return _claimed(search, evidence, rule, stopping, flat_names)
    slope, broken = _slope(evidence), _broken(evidence, constraints)
    if reason in {Reason.EPOCHS_DONE, Reason.PATIENCE}:
        made = _steps(search, "epoch")
        back = (
            f", back at the lowest {watched}, of epoch {search.final.step}" if search.final.step < search.steps else ""
        )
        how = f"Completed {made}" if reason is Reason.EPOCHS_DONE else f"Stopped without progress after {made}"
        return Verdict(status=Status.COMPLETED, reason=reason, message=f"{how}{back}; {slope}.")
    ways = {
        Reason.MAX_STEPS: f"after {_steps(search)}, the most allowed",
        Reason.TIME_LIMIT: f"within the time limit, after {_steps(search)}",
        Reason.STALLED: f"after {_steps(search)}: no step lowers the loss any more, and no minimum could be confirmed",
    }
    message = f"Not converged {ways[reason]}; {f'the worst violation is {broken}' if broken else slope}."
    return Verdict(status=Status.NOT_CONVERGED, reason=reason, message=message)


def out_of_time_after(verdict: Verdict) -> Verdict:
    """Return the verdict where the time ran out in the error bars, after the search: nothing is claimed that was to come."""
    if verdict.status not in {Status.CONVERGED, Status.COMPLETED}:
        return verdict
    message = f"Out of time in the error bars, after the search. {verdict.message}"
    return Verdict(status=Status.NOT_CONVERGED, reason=Reason.TIME_LIMIT, message=message)


def _broken(evidence: Evidence, constraints: tuple[str, ...]) -> str:
    """Return the worst violation in words, empty where all constraints hold."""
    import numpy as np

    if evidence.conditions is None or evidence.conditions.met:
        return ""
    worst = int(np.argmax(evidence.conditions.violations))
    return f"{evidence.conditions.violations[worst]:.4g}, of `{constraints[worst]}`"


def _hindered(search: Search, evidence: Evidence, rule: StopRule, constraints: tuple[str, ...]) -> str | None:
    """Return what keeps any point here from being a minimum, as the rest of a sentence, or None."""
    broken = _broken(evidence, constraints)
    if broken:
        return f": the constraints cannot be met together here; the least violation found is {broken}"
    end = search.final.loss
    if evidence.linearization is not None and underflows(end) and not confirms(evidence, rule.gtol):
        return f" after {_steps(search)}: the loss, {end:.1e}, is too small a number to compare; rescale the data"
    return None


def _claimed(
    search: Search,
    evidence: Evidence,
    rule: StopRule,
    stopping: Stopping,
    flat_names: tuple[tuple[str, ...], ...],
) -> Verdict:
    slope = _slope(evidence)
    if evidence.minimum == "saddle":
        message = "Not converged: the slope vanishes at a point that is no minimum; the loss is lower beside it."
        return Verdict(status=Status.NOT_CONVERGED, reason=Reason.SADDLE, message=message)
    if evidence.minimum == "kink":
        message = (
            "Not converged: the loss has a kink here, where derivatives do not exist and nothing can be confirmed."
        )
        return Verdict(status=Status.NOT_CONVERGED, reason=Reason.STALLED, message=message)
    if not evidence.finite:
        message = (
            f"Not converged after {_steps(search)}: the derivatives are not finite here, and nothing can be confirmed."
        )
        return Verdict(status=Status.NOT_CONVERGED, reason=Reason.STALLED, message=message)
    if not confirms(evidence, rule.gtol):
        message = (
            f"Not converged after {_steps(search)}: the search ended, but the exact derivatives refute it; {slope}."
        )
        return Verdict(status=Status.NOT_CONVERGED, reason=Reason.STALLED, message=message)
    ways = "; ".join(
        f"with {names[0]}" if len(names) == 1 else f"along a combination of {', '.join(names)}" for names in flat_names
    )
    if evidence.minimum == "degenerate":
        how = f"the minimum is degenerate, for the loss rises more slowly than any square {ways}"
        return Verdict(status=Status.CONVERGED, reason=search.reason, message=f"Converged in {_steps(search)}: {how}.")
    if evidence.minimum == "flat" and not stopping.allow_flat:
        message = f"Not identified: the loss does not change {ways}."
        return Verdict(status=Status.NOT_CONVERGED, reason=Reason.NOT_IDENTIFIED, message=message)
    how = {
        Reason.GRADIENT_SMALL: _closeness(evidence),
        Reason.STEP_SMALL: _smallness(evidence),
        Reason.LOSS_FLAT: f"the loss is flat; {slope}",
    }[search.reason]
    return Verdict(status=Status.CONVERGED, reason=search.reason, message=f"Converged in {_steps(search)}: {how}.")


def listed(names: tuple[str, ...]) -> str:
    """Return names as a person lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def run_away(
    layout: Layout, start: NDArray[np.float64], theta: NDArray[np.float64], evidence: Evidence
) -> tuple[str, ...]:
    """Return the parameters that went far from their start and lost their effect on the objective on the way."""
    if evidence.without_effect is None or evidence.minimum == "kink":
        return ()
    found = []
    for index, name in enumerate(layout.coordinates):
        begun, ended = float(start[index]), float(theta[index])
        far = abs(ended - begun) > LOGARITHMS if layout.logarithms[index] else abs(ended) > FAR * abs(begun) > 0
        if evidence.without_effect[index] and far:
            found.append(name)
    return tuple(found)


def _not_finite(search: Search, *, constrained: bool) -> Verdict:
    where = "at the start" if search.steps == 0 else f"in step {search.steps}"
    way_out = (
        "choose another start or bounds"
        if search.steps == 0
        else _smaller(search) or "try a smaller learning rate, or bounds"
    )
    what = "the loss, a constraint, or a slope of them" if constrained else "the loss or its slope"
    message = f"Diverged: {what} is not finite {where}; {way_out}."
    return Verdict(status=Status.DIVERGED, reason=Reason.NOT_FINITE, message=message)


def _smaller(search: Search) -> str | None:
    """Return the way out where a smaller learning rate was tried."""
    rate = search.smaller_rate
    return None if rate is None else f"with `learning_rate: {rate:g}` it falls"


def _steps(search: Search, word: str = "step") -> str:
    return f"{search.steps} {word}{'' if search.steps == 1 else 's'}"


def _slope(evidence: Evidence) -> str:
    """Return in words how far the derivatives say the point is from a minimum."""
    if not evidence.known:
        return _along_slope(evidence) or "how steep the loss still is was not measured"
    if evidence.newton_step <= CLOSE:
        return _closeness(evidence)
    return f"the slope, free of units, is {evidence.optimality:.1e} (zero at a minimum)"


def _along_slope(evidence: Evidence) -> str | None:
    """Return what is known of how far it is to a minimum where there is no Hessian."""
    gain = evidence.gain_along_slope
    if gain != gain:
        return None
    if math.isinf(gain):
        return "along its slope the loss curves down, far from a minimum"
    return f"the best step along the slope would lower the loss by {gain:.1e} of itself"


def _smallness(evidence: Evidence) -> str:
    """Return in words why no further step is made, where rounding is what ended the search."""
    if evidence.known and not evidence.at_rounding and evidence.newton_step > CLOSE:
        return f"no step lowers the loss by more than its rounding; {_closeness(evidence)}"
    return "what is left to move is below the rounding of the numbers"


def _closeness(evidence: Evidence) -> str:
    """Return in words what makes a claim of convergence believable."""
    if not evidence.known:
        return _along_slope(evidence) or "as the optimizer says; there are no exact derivatives to confirm it"
    step = f"a further step would change no parameter by more than {evidence.newton_step:.1e} of itself"
    # Where the residuals themselves are rounding, their cosines are noise, and the step alone is evidence.
    return f"slope {evidence.optimality:.1e}, and {step}" if evidence.optimality <= CLOSE else step
