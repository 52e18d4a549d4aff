"""Derivations by hand, confirmed or refuted: a claim beside autodiff and beside differences.

The start alone proves nothing, and neither do the config's own constants: a wrong formula may be right for one matrix.
So a claim is tried at the start, at random points, and at random points with the structural constants, the parameters
that are fixed, drawn as well. It is refuted where both autodiff and differences, which agree with each other, contradict
it; confirmed where it agrees with autodiff wherever it was tried; and undecided else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fitkit.gradient_check.claims_compare import Comparison, compare
from fitkit.gradient_check.claims_example import counterexample
from fitkit.gradient_check.claims_points import DRAWN, draw_points
from fitkit.gradient_check.claims_slips import slip
from fitkit.gradient_check.claims_subject import ClaimSubject
from fitkit.gradient_check.result import ClaimStatus, ClaimVerdict
from fitkit.gradient_policy import Claim

if TYPE_CHECKING:
    from fitkit.gradient_check.claims_points import Point


def check_claims(subject: ClaimSubject, claims: Mapping[str, Claim], seed: int) -> tuple[ClaimVerdict, ...]:
    """Return what becomes of each claim, by the parameter that it is a derivative by."""
    return tuple(_verdict(subject, name, claim, seed) for name, claim in claims.items())


def _verdict(subject: ClaimSubject, name: str, claim: Claim, seed: int) -> ClaimVerdict:
    points = draw_points(subject, name, seed)
    tried = [compare(subject, name, claim.formula, point.at) for point in points]
    status, note = _decide(subject, name, claim, points, tried)
    wanted = ClaimStatus(claim.expect)
    return ClaimVerdict(name=name, verdict=status, expected=status is wanted, note=note)


def _decide(
    subject: ClaimSubject, name: str, claim: Claim, points: Sequence[Point], tried: Sequence[Comparison]
) -> tuple[ClaimStatus, str]:
    if any(one.refuted.any() for one in tried):
        wrong = [one for one in tried if one.refuted.any()]
        parts = [counterexample(subject, name, claim.formula, wrong)]
        parts += [words for words in (slip(subject, name, claim.formula, tried), _special(points, tried)) if words]
        return ClaimStatus.REFUTED, "; ".join(parts)
    if any(one.doubted.any() for one in tried):
        at = next(point.kind for point, one in zip(points, tried, strict=True) if one.doubted.any())
        where = "the start" if at == "start" else "a random point"
        why = "it differs from autodiff by more than rounding explains, and differences cannot tell"
        return ClaimStatus.UNDECIDED, f"at {where} {why}"
    drawn = sum(point.kind == "drawn" and bool(one.agree.any()) for point, one in zip(points, tried, strict=True))
    if drawn < DRAWN:
        why = f"the function is finite at only {drawn} of {DRAWN} random points"
        return ClaimStatus.UNDECIDED, f"{why}; `check_grad.domain` says where to draw them"
    constants = " and constants" if subject.constants & subject.mentioned else ""
    return ClaimStatus.CONFIRMED, f"at the start and {len(tried) - 1} random points{constants}"


def _special(points: Sequence[Point], tried: Sequence[Comparison]) -> str | None:
    """Return that a refuted claim holds with the constants of the config, or at the start, where it does."""
    kept = [one for point, one in zip(points, tried, strict=True) if point.kind == "constants"]
    if kept and not any(one.refuted.any() or one.doubted.any() for one in kept):
        return "it holds with the constants of the config, and not in general"
    at_start = [one for point, one in zip(points, tried, strict=True) if point.kind == "start"]
    if at_start and not any(one.refuted.any() or one.doubted.any() for one in at_start):
        return "at the start it happens to be right"
    return None
