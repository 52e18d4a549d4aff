"""The vocabulary of types: numbers with a range for the config, arrays with a shape for the mathematics.

At run time the array types mean nothing unless jaxtyping was imported first, as the tests do to have every shape
checked: jaxtyping imports numpy, and `fitkit validate` has no time for either.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, final

from annotated_types import Ge, Gt, Le, Lt

if TYPE_CHECKING:
    from jax import Array as Array  # noqa: PLC0414 - handed on
    from jaxtyping import Bool, Float, Int
elif "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Int

    Array = Any
else:

    class Float:
        """Stands for any array while shapes are not checked."""

        def __class_getitem__(cls, _: object) -> object:
            """Return a type that everything has."""
            return Any

    Bool = Int = Float
    Array = Any


@dataclass(frozen=True)
class Pattern:
    """A regular expression that a text must match."""

    regex: str


@final
class ColumnName(str):
    """The name of a column, where a number could stand too."""

    __slots__ = ()


Positive: TypeAlias = Annotated[float, Gt(0)]
"""A number above zero."""
NonNegative: TypeAlias = Annotated[float, Ge(0)]
"""A number, zero or above."""
Fraction: TypeAlias = Annotated[float, Ge(0), Lt(1)]
"""A number from zero to below one."""
Level: TypeAlias = Annotated[float, Gt(0), Lt(1)]
"""A probability strictly between zero and one."""
Share: TypeAlias = Annotated[float, Gt(0), Le(1)]
"""A number above zero, up to one."""
SIGMAS: Final = r"^([0-9]+\.?[0-9]*|\.[0-9]+)sigma$"
Sigmas: TypeAlias = Annotated[str, Pattern(SIGMAS)]
"""So many standard errors: `2sigma`."""
Count: TypeAlias = Annotated[int, Ge(0)]
"""A whole number, zero or above."""
PositiveCount: TypeAlias = Annotated[int, Ge(1)]
"""A whole number, one or above."""
Degree: TypeAlias = Annotated[int, Ge(0), Le(60)]
"""The degree of a polynomial."""
StartCount: TypeAlias = Annotated[int, Ge(1), Le(100_000)]
"""How many starts a search has."""
Resamples: TypeAlias = Annotated[int, Ge(20), Le(1_000_000)]
"""How many data sets a bootstrap draws."""
Spread: TypeAlias = Annotated[float, Gt(1)]
"""A factor above one."""

Scalar: TypeAlias = Float[Array, ""]
WholeScalar: TypeAlias = Int[Array, ""]
Truth: TypeAlias = Bool[Array, ""]
Rows: TypeAlias = Float[Array, " rows *lanes"]
"""A number for each row; where many problems stand side by side, for each row and lane."""
RowsByColumns: TypeAlias = Float[Array, "rows columns"]
Theta: TypeAlias = Float[Array, " free *lanes"]
"""The free numbers of a problem, in the optimizer's coordinates."""
ConstraintValues: TypeAlias = Float[Array, " constraints"]
"""A number for each constraint."""
FreeMask: TypeAlias = Bool[Array, " free"]
"""Which of the free numbers."""
Outputs: TypeAlias = Float[Array, "rows ..."]
"""What a model predicts: a number for each row, or, under a loss of several classes, one for each row and class."""
Values: TypeAlias = Mapping[str, Array]
"""The parameters by name: numbers, or arrays."""
Inputs: TypeAlias = Mapping[Any, Any]
"""The inputs by name (or by comparison of a text column with a text), a number or a vector for each row."""
