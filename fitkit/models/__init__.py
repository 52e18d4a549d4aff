"""The models: one file each, and this tuple is the list that YAML, `fitkit list`, the schema and the law tests read."""

from __future__ import annotations

from fitkit.models.base import Model
from fitkit.models.formula import FormulaModel
from fitkit.models.linear import LinearModel
from fitkit.models.matrix_factorization import MatrixFactorization
from fitkit.models.mlp import MultilayerPerceptron
from fitkit.models.polynomial import PolynomialModel
from fitkit.models.python import PythonModel

MODELS: tuple[type[Model], ...] = (
    FormulaModel,
    LinearModel,
    PolynomialModel,
    MultilayerPerceptron,
    MatrixFactorization,
    PythonModel,
)

__all__ = [
    "MODELS",
    "FormulaModel",
    "LinearModel",
    "MatrixFactorization",
    "Model",
    "MultilayerPerceptron",
    "PolynomialModel",
    "PythonModel",
]
