"""Twice the digits of a double: a number is the unevaluated sum of two, and compiled programs can be run on such numbers."""

from __future__ import annotations

from fitkit.double_double.arithmetic import DoubleDouble, two_product, two_sum
from fitkit.double_double.movements import UnknownOperation
from fitkit.double_double.program import evaluate

__all__ = ["DoubleDouble", "UnknownOperation", "evaluate", "two_product", "two_sum"]
