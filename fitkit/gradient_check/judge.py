"""The verdict on one line: the derivative under test against what the values show, and what they cannot show."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from fitkit.gradient_check.kinks import best, jump, kink, open_side
from fitkit.gradient_check.ladder import Line
from fitkit.gradient_check.noise import EPSILON, Quantum, floor
from fitkit.gradient_check.plateaus import Plateau, central, claimable, one_sided, plateaus
from fitkit.gradient_check.result import NAN, Verdict

RESOLVED = 1e-2
"""A tolerance above this share of the slope lets too much through to be called a pass."""


@final
@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a line showed."""

    verdict: Verdict
    autodiff: float
    numerical: float = NAN
    error: float = NAN
    tolerance: float = NAN
    scale: float = NAN
    """The size of the slopes that the tolerance is compared with."""
    step: float = NAN
    noise: float = NAN
    order: float = NAN
    """The order at which the Taylor remainder shrinks."""
    left: float = NAN
    right: float = NAN
    note: str = ""
    still: bool = False
    """Whether the function did not move at all along the line."""

    @property
    def difference(self) -> float:
        """The derivative under test less the numerical one."""
        return self.autodiff - self.numerical

    @property
    def resolvable(self) -> float:
        """Decimal digits that the tolerance leaves."""
        return _digits(self.tolerance, self.scale)

    @property
    def digits(self) -> float:
        """Decimal digits to which both agree, at most `resolvable`."""
        return min(_digits(abs(self.difference), self.scale), self.resolvable)


def _digits(difference: float, scale: float) -> float:
    if math.isnan(difference) or math.isnan(scale):
        return NAN
    return max(0.0, -math.log10(max(difference / scale, 1e-17))) if scale > 0 else NAN


def judge(line: Line, quantised: Quantum) -> Judgement:
    """Return the verdict on `line`.

    The tolerance is 3 E + 3 c + 64 eps sum |g_i d_i|: E is the bar of the numerical derivative, c what rounding x does
    to the derivative under test, and the last term the rounding of an inner product. Nothing in it is chosen.
    """
    noise = floor(line, quantised)
    known = Judgement(verdict=Verdict.INCONCLUSIVE, autodiff=line.autodiff, noise=noise)
    if not _moves(line):
        return _still(line, known)
    jumped = jump(line, noise)
    if jumped:
        return replace(known, verdict=Verdict.DISCONTINUOUS, note=f"the value jumps by {jumped:.3g} at this point")
    side = open_side(line)
    if side is None:
        bent = kink(line, noise)
        if bent is not None:
            return _at_kink(line, known, bent.left, bent.right)
    quotients = central(line, noise) if side is None else one_sided(line, noise, ahead=side)
    found = plateaus(quotients, claimable(line, noise))
    judged = _on_plateaus(line, known, found)
    if side is not None and not judged.note:
        judged = replace(judged, note=f"one-sided: the function ends {'behind' if side else 'ahead of'} this point")
    if judged.verdict is Verdict.FAIL or judged.verdict is Verdict.ZERO_GRAD:
        judged = _unless_hidden(line, judged, noise)
    return _unless_stairs(judged, quantised)


def _moves(line: Line) -> bool:
    values = np.concatenate([line.forward, line.backward])
    return bool(np.any(values[np.isfinite(values)] != line.center))


def _still(line: Line, known: Judgement) -> Judgement:
    """A function that takes one value everywhere along the line."""
    bar = known.noise / float(line.steps[0])
    tolerance = 3 * bar + 3 * line.condition
    known = replace(known, numerical=0.0, error=bar, tolerance=tolerance, step=float(line.steps[0]), still=True)
    if not np.isfinite(line.forward).any() and not np.isfinite(line.backward).any():
        return replace(known, still=False, numerical=NAN, note="the function is not finite beside this point")
    if line.autodiff == 0:
        return replace(known, verdict=Verdict.PASS, scale=NAN, note="no effect on the value")
    if abs(line.autodiff) > tolerance:
        return replace(known, verdict=Verdict.FAIL, scale=abs(line.autodiff), note="the value does not move")
    return replace(known, note="an effect this small is lost in the rounding of the value")


def _at_kink(line: Line, known: Judgement, left: Plateau, right: Plateau) -> Judgement:
    error = max(left.error, right.error)
    tolerance = 3 * error + 64 * line.epsilon * line.magnitude
    low, high = sorted((left.value, right.value))
    inside = low - tolerance <= line.autodiff <= high + tolerance
    return replace(
        known,
        verdict=Verdict.KINK_OK if inside else Verdict.KINK_FAIL,
        numerical=min(max(line.autodiff, low), high),
        error=error,
        tolerance=tolerance,
        scale=max(abs(low), abs(high)),
        step=min(left.step, right.step),
        left=left.value,
        right=right.value,
        note=f"a kink: slope {left.value:.6g} on the left, {right.value:.6g} on the right",
    )


def _on_plateaus(line: Line, known: Judgement, found: tuple[Plateau, ...]) -> Judgement:
    chosen = best(found)
    if chosen is None:
        return replace(known, note="no step shows a derivative: noise, or structure finer than any step")
    judged = _against(line, known, chosen)
    others = [plateau for plateau in found if plateau.contradicts(chosen)]
    finer = [plateau for plateau in others if plateau.step < chosen.step and _agrees(line, plateau)]
    coarser = [plateau for plateau in others if plateau.step > chosen.step and _agrees(line, plateau)]
    if judged.verdict in {Verdict.PASS, Verdict.INCONCLUSIVE}:
        return judged
    if finer:
        closest = best(tuple(finer))
        note = "several scales: the slope differs for larger steps"
        return replace(_against(line, known, closest or chosen), note=note)
    if coarser:
        closest = best(tuple(coarser))
        note = f"right for steps near {(closest or chosen).step:.1g}, but smaller steps show {chosen.value:.6g}"
        return replace(_against(line, known, closest or chosen), verdict=Verdict.MULTISCALE, note=note)
    return judged


def tolerance_of(line: Line, plateau: Plateau) -> float:
    """Return the difference from `plateau` that the numbers cannot resolve."""
    return 3 * plateau.error + 3 * line.condition + 64 * max(line.epsilon, EPSILON) * line.magnitude


def _agrees(line: Line, plateau: Plateau) -> bool:
    tolerance = tolerance_of(line, plateau)
    sure = tolerance <= RESOLVED * max(plateau.size, abs(plateau.value))
    return sure and abs(line.autodiff - plateau.value) <= tolerance


def _against(line: Line, known: Judgement, plateau: Plateau) -> Judgement:
    tolerance = tolerance_of(line, plateau)
    scale = max(plateau.size, abs(plateau.value), abs(line.autodiff) if plateau.size == 0 else 0.0)
    judged = replace(
        known,
        numerical=plateau.value,
        error=plateau.error,
        tolerance=tolerance,
        scale=scale,
        step=plateau.step,
        order=remainder_order(line, known.noise),
    )
    if abs(line.autodiff - plateau.value) > tolerance:
        if tolerance > scale:
            # The gradient is steeper than anything seen, and rounding alone moves it by more than all that is seen: a wave
            # faster than any step looks like this, for it averages to nothing.
            return replace(judged, note="structure too fine to resolve: the values show less than rounding does")
        return replace(judged, verdict=Verdict.ZERO_GRAD if line.autodiff == 0 else Verdict.FAIL)
    if tolerance > RESOLVED * scale:
        return replace(judged, note="agrees, but the numbers resolve less than two digits")
    if line.autodiff == 0 == plateau.value:
        return replace(judged, verdict=Verdict.PASS, scale=NAN)  # two zeros agree, but not to any number of digits
    return replace(judged, verdict=Verdict.PASS)


def _unless_hidden(line: Line, judged: Judgement, noise: float) -> Judgement:
    """Withdraw a failure where the smallest steps contradict the plateau and agree with the derivative under test."""
    quotients = central(line, noise)
    below = line.steps < judged.step
    bars = 20 * quotients.floors / line.steps
    off = below & (np.abs(quotients.values - judged.numerical) > bars)
    agree = off & (np.abs(quotients.values - line.autodiff) <= bars)
    if np.any(off) and agree[np.flatnonzero(off)[-1]]:
        note = f"structure too fine to resolve: steps near {judged.step:.1g} show {judged.numerical:.6g}"
        return replace(judged, verdict=Verdict.INCONCLUSIVE, note=note)
    return judged


def _unless_stairs(judged: Judgement, quantised: Quantum) -> Judgement:
    """Call a function a staircase if it is one and its slope over many stairs does not bear the gradient out."""
    if quantised.size == 0 or judged.verdict is Verdict.PASS:
        return judged
    if quantised.by_rounding and judged.verdict is not Verdict.ZERO_GRAD:
        return judged
    if quantised.by_rounding:
        return judged
    note = f"the value stands still for steps up to {quantised.until:.2g}, then jumps by {quantised.size:.3g}"
    return replace(judged, verdict=Verdict.STAIRCASE, note=note)


def right_between_jumps(line: Line, judged: Judgement, jump_size: float, slope: float, bar: float) -> Judgement:
    """Return the verdict on a failed line whose values jump by `jump_size` at places beside the point.

    A loop that stops when it is near enough gives such values: between jumps their slope is the slope of a truncated
    iteration, over many jumps it is that of the limit. A gradient of the limit, right within the jumps, is no error; where
    the slope over the jumps, known to `bar`, resolves less than two digits of it, nothing is decided.
    """
    note = f"the values jump by {jump_size:.1g} beside this point: right over the jumps, {judged.numerical:.6g} between"
    chosen = best(plateaus(central(line, 3 * jump_size), 0.0))
    if chosen is not None and _agrees(line, chosen):
        return replace(_against(line, replace(judged, noise=jump_size), chosen), verdict=Verdict.MULTISCALE, note=note)
    tolerance, scale = 2 * bar + 3 * line.condition, abs(slope)
    if not abs(line.autodiff - slope) <= tolerance:
        return judged
    found = replace(judged, numerical=slope, error=bar, tolerance=tolerance, scale=scale, noise=jump_size, note=note)
    if tolerance <= RESOLVED * scale:
        return replace(found, verdict=Verdict.MULTISCALE)
    note = f"the values jump by {jump_size:.1g} beside this point, as of a loop that stops early: they resolve no more"
    return replace(found, verdict=Verdict.INCONCLUSIVE, note=note)


def remainder_order(line: Line, noise: float) -> float:
    """Return the order at which |phi(t) - phi(0) - t <g, d>| shrinks with t, by the median over rungs above noise.

    2 where the gradient is right, 1 where it is wrong by more than the curvature hides; NaN for a straight line.
    """
    with np.errstate(all="ignore"):
        remainder = np.abs(line.forward - line.center - line.steps * line.autodiff)
        clear = np.isfinite(remainder) & (remainder > 50 * noise) & (line.steps < 0.1)
        orders = np.diff(np.log(remainder)) / np.diff(np.log(line.steps))
    orders = orders[clear[1:] & clear[:-1]]
    return float(np.median(orders[-6:])) if len(orders) >= 3 else NAN
