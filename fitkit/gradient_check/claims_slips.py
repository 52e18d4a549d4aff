"""The slips that wrong derivations are made of: a factor, a sign, a mean taken for a sum, two names exchanged."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from fitkit.expressions import Expression
from fitkit.gradient_check.claims_compare import Comparison, claimed_rows
from fitkit.gradient_check.claims_subject import ClaimSubject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

_SAME: Final = 1e-9
"""Relative differences that a recognised slip may leave."""
_SIMPLE: Final[Mapping[float, str]] = {
    -1.0: "the sign is wrong",
    2.0: "it is twice the derivative: a factor 2 too many",
    0.5: "it is half the derivative: a factor 2 is missing",
    -2.0: "it is -2 times the derivative: a wrong sign and a factor 2 too many",
    -0.5: "it is -1/2 times the derivative: a wrong sign, and a factor 2 is missing",
}


def slip(subject: ClaimSubject, name: str, claim: Expression, tried: Sequence[Comparison]) -> str | None:
    """Return which recognised mistake explains a claim that is wrong, at every point where it was tried; None if none does."""
    return _factor(subject, tried) or _other_derivative(subject, name, tried) or _exchanged(subject, claim, tried)


def _factor(subject: ClaimSubject, tried: Sequence[Comparison]) -> str | None:
    """Recognise a claim that is the derivative times a number, or times or over a parameter."""
    import numpy as np

    claimed, autodiff, points = _stacked(tried)
    if len(claimed) < 3 or np.any((autodiff == 0) & (claimed != 0)):
        return None
    told = autodiff != 0
    if told.sum() < 3:
        return None
    ratio = claimed[told] / autodiff[told]
    number = float(np.median(ratio))
    if _same(ratio, np.full_like(ratio, number)):
        return _named(number, subject.count)
    for index, other in enumerate(subject.names):
        if other in subject.mentioned and np.ptp(points[told][:, index]) > 0:
            values = points[told][:, index]
            if _same(ratio, values):
                return f"it is `{other}` times the derivative"
            if _same(ratio * values, np.ones_like(ratio)):
                return f"a factor `{other}` is missing"
    return None


def _named(number: float, rows: int) -> str | None:
    for factor, words in _SIMPLE.items():
        if abs(number - factor) < _SAME:
            return words
    if number == 0:
        return "it is zero, and the derivative is not"
    for count, inverse in ((number, False), (1 / number, True)):
        whole = round(count)
        if abs(whole) > 2 and abs(count - whole) < _SAME * abs(whole):
            mean = f", and there are {rows} rows" if rows == whole and rows > 1 else ""
            what = f"1/{whole} of" if inverse else f"{whole} times"
            slipped = "a mean where a sum is meant" if inverse else f"a sum where a mean is meant, 1/{whole} is missing"
            return f"it is {what} the derivative{mean}: {slipped}?"
    return f"it is {number:.9g} times the derivative everywhere"


def _other_derivative(subject: ClaimSubject, name: str, tried: Sequence[Comparison]) -> str | None:
    """Recognise the derivative by another parameter."""
    import numpy as np

    claimed = np.concatenate([one.claimed for one in tried])
    for other in subject.names:
        if other != name and other in subject.mentioned:
            slopes = np.concatenate([subject.slope(other)(one.point) for one in tried])
            if _same(claimed, slopes) and np.any(slopes):
                return f"it is the derivative by `{other}`: swapped?"
    return None


def _exchanged(subject: ClaimSubject, claim: Expression, tried: Sequence[Comparison]) -> str | None:
    """Recognise a claim that is right once two names are exchanged, or all entries of a matrix with their mirror images."""
    names = [name for name in subject.names if name in claim.names]
    mirrored = _mirrored(names, subject.names)
    pairs = [{a: b, b: a} for i, a in enumerate(names) for b in names[:i]]
    pairs += [{a: b, b: a} for a in names for b in subject.names if b in subject.mentioned and b not in names]
    for exchange in [mirrored, *pairs[:400]] if mirrored else pairs[:400]:
        if all(_right_once_exchanged(subject, claim, one, exchange) for one in tried):
            shown = " and ".join(f"`{a}`" for a in sorted(exchange))
            return f"it is right with {shown} exchanged: transposed?"
    return None


def _right_once_exchanged(
    subject: ClaimSubject, claim: Expression, one: Comparison, exchange: Mapping[str, str]
) -> bool:
    names = subject.environment(one.point)
    mixed = {**names, **{a: names[b] for a, b in exchange.items()}}
    value, _ = claimed_rows(claim, mixed, len(one.autodiff))
    return _same(value, one.autodiff)


def _mirrored(names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return the exchange of a12 with a21, of a_1_2 with a_2_1, and so on, for all names of that kind."""
    exchange: dict[str, str] = {}
    for name in names:
        found = re.fullmatch(r"(.*?)(\d)(_?)(\d)", name)
        if found and found[2] != found[4]:
            mirror = f"{found[1]}{found[4]}{found[3]}{found[2]}"
            if mirror in known:
                exchange |= {name: mirror, mirror: name}
    return exchange


def _stacked(tried: Sequence[Comparison]) -> tuple[Vector, Vector, NDArray[np.float64]]:
    """Return claims, derivatives and points, one for each point and row where both numbers are finite."""
    import numpy as np

    claimed = np.concatenate([one.claimed for one in tried])
    autodiff = np.concatenate([one.autodiff for one in tried])
    points = np.concatenate([np.repeat(one.point[None, :], len(one.claimed), axis=0) for one in tried])
    finite = np.isfinite(claimed) & np.isfinite(autodiff)
    return claimed[finite], autodiff[finite], points[finite]


def _same(left: Vector, right: Vector) -> bool:
    import numpy as np

    finite = np.isfinite(left) & np.isfinite(right)
    if not finite.any():
        return False
    scale = np.maximum(np.abs(left), np.abs(right))
    return bool(np.all(np.abs(left - right)[finite] <= _SAME * scale[finite]))
