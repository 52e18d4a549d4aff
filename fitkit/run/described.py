"""What a result says of how it came to be: the optimizer as used, and the versions, device and data behind it."""

from __future__ import annotations

from typing import Any

from fitkit import __version__
from fitkit.backend import jax
from fitkit.config import ConfigSource, plain_values
from fitkit.models import PythonModel
from fitkit.optimizers import Optimizer
from fitkit.problem import Problem
from fitkit.readers import Table


def described(optimizer: Optimizer, why: str | None) -> dict[str, Any]:
    """Return an optimizer's YAML as used, and why it was chosen where fitkit chose it."""
    values = plain_values(optimizer)
    told = {"kind": values.pop("kind"), **values}
    return told if why is None else {**told, "why": why}


def provenance(source: ConfigSource, table: Table | None, problem: Problem, platform: str) -> dict[str, Any]:
    """Return versions, device, precision, seed and hashes."""
    model = problem.model
    return {
        "fitkit": __version__,
        "jax": jax.version.__version__,
        "device": platform,
        "precision": str(problem.lower.dtype),
        "seed": source.config.seed,
        "data_sha256": None if table is None else table.sha256,
        "code_sha256": model.loaded.sha256 if isinstance(model, PythonModel) and model.loaded is not None else None,
    }
