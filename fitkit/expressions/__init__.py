"""The expression language: formulas are parsed through an allow-list into a tree, never evaluated as Python."""

from fitkit.expressions.equation import Equation as Equation
from fitkit.expressions.equation import constant as constant
from fitkit.expressions.equation import parse_equation as parse_equation
from fitkit.expressions.functions import FUNCTIONS as FUNCTIONS
from fitkit.expressions.functions import Function as Function
from fitkit.expressions.functions import check_name as check_name
from fitkit.expressions.lower_jax import to_jax as to_jax
from fitkit.expressions.lower_numpy import to_numpy as to_numpy
from fitkit.expressions.parsing import Expression as Expression
from fitkit.expressions.parsing import parse as parse
from fitkit.expressions.problems import ExpressionError as ExpressionError
from fitkit.expressions.tree import TextComparison as TextComparison
