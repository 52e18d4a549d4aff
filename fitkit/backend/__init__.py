"""The one module that hands out JAX: lazily, with 64-bit floats, on the device that was asked for.

`from fitkit.backend import jax, jnp, optax` costs nothing until an attribute is used, so components can be imported, validated
and listed without JAX. `Kernel` compiles a function at its first call, as quickly or for as much
speed as its work deserves.
"""

from fitkit.backend.devices import select_device
from fitkit.backend.kernels import LIGHT_WORK, BoundKernel, Kernel, kernel, once
from fitkit.backend.lazy_jax import COMPILATIONS, CompilationLog, array, jax, jnp, lax, optax

__all__ = [
    "COMPILATIONS",
    "LIGHT_WORK",
    "BoundKernel",
    "CompilationLog",
    "Kernel",
    "array",
    "jax",
    "jnp",
    "kernel",
    "lax",
    "once",
    "optax",
    "select_device",
]
