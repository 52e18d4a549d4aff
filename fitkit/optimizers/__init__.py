"""The optimizers: one file each, and this tuple is the list that YAML, `fitkit list`, the schema and the tests read."""

from __future__ import annotations

from fitkit.optimizers.adagrad import Adagrad
from fitkit.optimizers.adam import Adam
from fitkit.optimizers.adamw import AdamW
from fitkit.optimizers.auto import Automatic
from fitkit.optimizers.base import Optimizer
from fitkit.optimizers.lbfgs import LimitedMemoryBFGS
from fitkit.optimizers.lion import Lion
from fitkit.optimizers.lm import LevenbergMarquardt
from fitkit.optimizers.newton import Newton
from fitkit.optimizers.rmsprop import RMSprop
from fitkit.optimizers.sgd import StochasticGradientDescent
from fitkit.optimizers.stopping import Stopping

OPTIMIZERS: tuple[type[Optimizer], ...] = (
    LevenbergMarquardt,
    Newton,
    LimitedMemoryBFGS,
    StochasticGradientDescent,
    Adam,
    AdamW,
    RMSprop,
    Adagrad,
    Lion,
)

__all__ = ["OPTIMIZERS", "Automatic", "Optimizer", "Stopping"]
