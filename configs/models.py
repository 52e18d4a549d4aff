"""Models in Python for the configs beside this file."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def damped(parameters: dict[str, jax.Array], inputs: dict[str, jax.Array]) -> jax.Array:
    """Return the displacement of a damped oscillator, amplitude exp(-damping t) cos(frequency t + phase).

    Args:
        parameters: `amplitude` (mm), `damping` (1/s), `frequency` (rad/s) and `phase` (rad), each of shape ().
        inputs: `t` (s), shape (rows,).

    Returns:
        The displacement (mm), shape (rows,).
    """
    t = inputs["t"]
    envelope = parameters["amplitude"] * jnp.exp(-parameters["damping"] * t)
    return envelope * jnp.cos(parameters["frequency"] * t + parameters["phase"])
