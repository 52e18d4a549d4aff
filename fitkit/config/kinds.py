"""Which components a `kind` can name, section by section, and which are still to come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, Final

from fitkit.component import Component
from fitkit.expectations import Expect
from fitkit.gradient_policy import CheckGrad
from fitkit.losses import LOSSES, Loss
from fitkit.models import MODELS, Model
from fitkit.multistart.settings import Multistart
from fitkit.optimizers import OPTIMIZERS, Automatic, Optimizer, Stopping
from fitkit.optimizers.schedules import SCHEDULES, Schedule
from fitkit.parameters import Parameter
from fitkit.readers.data import Data
from fitkit.regularization import Regularization
from fitkit.uncertainty import UNCERTAINTIES, Uncertainty

CHOICES: Final[Mapping[type[Component], tuple[type[Component], ...]]] = {
    Model: MODELS,
    Loss: LOSSES,
    Optimizer: OPTIMIZERS,
    Automatic: (Automatic,),
    Uncertainty: UNCERTAINTIES,
    Schedule: SCHEDULES,
}
"""The components that stand where a type is asked for."""

SECTIONS: Final[Mapping[str, tuple[type[Component], ...]]] = {
    "data": (Data,),
    "model": MODELS,
    "parameters": (Parameter,),
    "loss": LOSSES,
    "regularization": (Regularization,),
    "optimizer": (Automatic, *OPTIMIZERS),
    "stopping": (Stopping,),
    "multistart": (Multistart,),
    "uncertainty": UNCERTAINTIES,
    "expect": (Expect,),
    "check_grad": (CheckGrad,),
}
"""The components of each section; of `parameters`, of each entry."""

TOLD_APART: Final = frozenset({"model", "loss", "optimizer"})
"""Sections in which one kind's keys mean nothing to another."""


def given_fields(cls: Any) -> tuple[Field[Any], ...]:
    """Return the fields of a component that a config gives, `kind` included."""
    return tuple(f for f in fields(cls) if f.init)


def kind_name(cls: type[Component]) -> str:
    """Return the word that names a component in YAML."""
    named: dict[str, Any] = {f.name: f.default for f in given_fields(cls)}
    return str(named["kind"])


def keys(cls: type[Component]) -> tuple[str, ...]:
    """Return the keys that a config may give for a component, without `kind`."""
    return tuple(f.name for f in given_fields(cls) if f.name != "kind")
