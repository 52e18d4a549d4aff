"""The losses: one file each, and this tuple is the list that YAML, `fitkit list`, the schema and the law tests read."""

from __future__ import annotations

from fitkit.losses.base import DistanceLoss, Fitted, KinkedLoss, Loss, ResidualLoss, TargetRule
from fitkit.losses.binary_cross_entropy import BinaryCrossEntropy
from fitkit.losses.cauchy import Cauchy
from fitkit.losses.cross_entropy import CrossEntropy
from fitkit.losses.expression import FormulaCost
from fitkit.losses.gaussian_nll import GaussianLikelihood
from fitkit.losses.huber import Huber
from fitkit.losses.mae import MeanAbsoluteError
from fitkit.losses.mse import MeanSquaredError
from fitkit.losses.poisson import Poisson
from fitkit.losses.quantile import Quantile
from fitkit.losses.residual import FormulaResidual
from fitkit.losses.soft_l1 import SoftL1

LOSSES: tuple[type[Loss], ...] = (
    MeanSquaredError,
    MeanAbsoluteError,
    Quantile,
    Huber,
    SoftL1,
    Cauchy,
    Poisson,
    BinaryCrossEntropy,
    CrossEntropy,
    GaussianLikelihood,
    FormulaResidual,
    FormulaCost,
)

__all__ = ["LOSSES", "DistanceLoss", "Fitted", "KinkedLoss", "Loss", "ResidualLoss", "TargetRule"]
