"""The functions of the language: their names, their arguments and what they compute."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, final

WORDS: Final = frozenset({"and", "or", "not", "if", "else"})
"""The words of the language, which name nothing."""
MANY: Final = 100
"""The most arguments that a function of any number takes."""


@final
@dataclass(frozen=True, kw_only=True)
class Function:
    """One function of the language.

    Args:
        name: as written in an expression.
        arguments: the names of its arguments, for the documentation; arguments are given by position.
        summary: what it computes, in one line.
        alias_of: the function that this is another name of.
        variadic: whether more arguments than the named ones may follow.
    """

    name: str
    arguments: tuple[str, ...]
    summary: str
    alias_of: str | None = None
    variadic: bool = False

    @property
    def arity(self) -> tuple[int, int]:
        """The least and the greatest number of arguments."""
        return len(self.arguments), MANY if self.variadic else len(self.arguments)

    @property
    def canonical(self) -> str:
        """The name without aliases."""
        return self.alias_of or self.name

    @property
    def signature(self) -> str:
        """The function with its arguments, as in `clip(x, low, high)`."""
        return f"{self.name}({', '.join(self.arguments)}{', ...' if self.variadic else ''})"


_TABLE: Final = """
exp(x): e to the power x
expm1(x): exp(x) - 1, accurate near 0
log(x): natural logarithm
log1p(x): log(1 + x), accurate near 0
log2(x): logarithm to base 2
log10(x): logarithm to base 10
sqrt(x): square root; its slope at 0 is taken as 0
cbrt(x): cube root, of negative numbers too; its slope at 0 is taken as 0
abs(x): absolute value; its slope at 0 is taken as 0
sign(x): -1, 0 or 1
floor(x): the greatest whole number that is not above x
ceil(x): the least whole number that is not below x
sin(x): sine of x in radians
cos(x): cosine of x in radians
tan(x): tangent of x in radians
asin(x): inverse sine, in radians
acos(x): inverse cosine, in radians
atan(x): inverse tangent, in radians
atan2(y, x): the angle of the point (x, y), in radians from -pi to pi
sinh(x): hyperbolic sine
cosh(x): hyperbolic cosine
tanh(x): hyperbolic tangent
asinh(x): inverse hyperbolic sine
acosh(x): inverse hyperbolic cosine
atanh(x): inverse hyperbolic tangent
hypot(x, y): sqrt(x**2 + y**2) without overflow; its slope at (0, 0) is taken as 0
erf(x): error function
erfc(x): 1 - erf(x), accurate for large x
lgamma(x): logarithm of the absolute value of the gamma function
digamma(x): derivative of lgamma
sigmoid(x): 1 / (1 + exp(-x))
softplus(x): log(1 + exp(x)) without overflow
relu(x): x where it is positive, else 0; its slope at 0 is 0
minimum(a, b, ...): the smallest; where two are equal they share the slope
maximum(a, b, ...): the greatest; where two are equal they share the slope
clip(x, low, high): minimum(maximum(x, low), high)
where(condition, a, b): a where the condition holds, else b; the other branch never spoils a gradient
gaussian(x, center, sigma): exp(-(x - center)**2 / (2 * sigma**2)): height 1, standard deviation sigma
lorentzian(x, center, gamma): 1 / (1 + ((x - center) / gamma)**2): height 1, half width at half maximum gamma
voigt(x, center, sigma, gamma): the gaussian convolved with the lorentzian, scaled to height 1
pseudo_voigt(x, center, width, fraction): fraction * lorentzian + (1 - fraction) * gaussian, both of height 1 and \
full width at half maximum `width`
"""

_ALIASES: Final = {
    "ln": "log",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "min": "minimum",
    "max": "maximum",
}


def _read_table() -> dict[str, Function]:
    functions = {}
    for line in _TABLE.strip().splitlines():
        name, arguments, summary = re.fullmatch(r"(\w+)\(([^)]*)\): (.*)", line).groups()  # type: ignore[union-attr] # every line of the table matches
        names = tuple(a for a in arguments.split(", ") if a != "...")
        functions[name] = Function(
            name=name, arguments=names, summary=summary.strip(), variadic=arguments.endswith("...")
        )
    for name, original in _ALIASES.items():
        f = functions[original]
        functions[name] = Function(
            name=name,
            arguments=f.arguments,
            summary=f"another name of {original}",
            alias_of=original,
            variadic=f.variadic,
        )
    return functions


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(_read_table())
"""Every function by name, aliases included."""

STEPS: Final = frozenset({"sign", "floor", "ceil"})
"""Functions that are constant between their jumps: no gradient flows through them."""
SELECTIONS: Final = frozenset({"minimum", "maximum", "relu"})
"""Functions that pick one of their arguments, as a branch does."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_name(name: str) -> str | None:
    """Return why a column, parameter or definition may not be called `name`, or None if it may.

    `pi` may be: a column or parameter of that name wins over the constant.
    """
    if not _IDENTIFIER.fullmatch(name):
        return "a name is ASCII letters, digits and `_`, and does not begin with a digit"
    if name in WORDS:
        return f"`{name}` is a word of the expression language"
    if name in FUNCTIONS:
        return f"`{name}` is a function of the expression language"
    return None
