"""JAX, imported when it is first used, with 64-bit floats, and what this process compiled."""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING, Any, final

__all__ = ["COMPILATIONS", "CompilationLog", "array", "jax", "jnp", "lax", "optax", "set_option"]


@final
class _LazyModule:
    """A module imported when its first attribute is read; attributes are then kept, so that later reads cost nothing."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        _configure()
        value = getattr(importlib.import_module(self.__dict__["_name"]), attribute)
        self.__dict__[attribute] = value
        return value


if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
    import optax  # type: ignore[import-untyped]  # it has no types of its own
    from jax import lax
else:
    optax = _LazyModule("optax")
    jax = _LazyModule("jax")
    jnp = _LazyModule("jax.numpy")
    lax = _LazyModule("jax.lax")


@final
class CompilationLog(threading.local):
    """How many programs this thread compiled, and the seconds spent tracing, lowering and compiling them.

    Fits in threads of their own know what each of them compiled. JAX tells the thread that compiles; another that waits for
    the same program is told nothing.
    """

    def __init__(self) -> None:
        self.programs = 0
        self.seconds = 0.0

    def listen(self, event: str, duration_secs: float, **_: str | int) -> None:
        """Receive one of JAX's monitoring events."""
        if event in {
            "/jax/core/compile/jaxpr_trace_duration",
            "/jax/core/compile/jaxpr_to_mlir_module_duration",
            "/jax/core/compile/backend_compile_duration",
        }:
            self.seconds += duration_secs
            self.programs += event.endswith("backend_compile_duration")


COMPILATIONS = CompilationLog()
_configured = False


def _configure() -> None:
    """Turn 64-bit floats on before the first array exists, and count compilations."""
    global _configured  # noqa: PLW0603 - JAX's configuration belongs to the process
    if _configured:
        return
    _configured = True
    from jax import monitoring

    set_option("jax_enable_x64", value=True)
    _keep_memory()
    monitoring.register_event_duration_secs_listener(COMPILATIONS.listen)


KEPT = 1 << 28
"""Bytes of an array up to which its memory stays with the process when it is freed, and of all that stays so."""


def _keep_memory() -> None:
    """Ask glibc to keep what XLA frees for the next call, up to `KEPT`, as it does by itself up to 32 MB.

    XLA takes the memory of all intermediate arrays of a program anew at each call. Above 32 MB each time comes fresh from
    the system, which hands it out page by page: that takes longer than the arithmetic (a Gaussian mixture's gradient on
    10,000 rows: 17 ms instead of 11). A libc without mallopt, which is not glibc, is left alone.
    """
    import ctypes
    import sys

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3  # malloc.h
        mallopt(trim_threshold, KEPT)
        mallopt(mmap_threshold, KEPT)


def array(values: Any, dtype: Any) -> jax.Array:
    """Return numbers of the host as an array of the device."""
    return jnp.asarray(values, dtype)


def set_option(option: str, *, value: object) -> None:
    """Set one of JAX's options."""
    import jax as real

    real.config.update(option, value)  # type: ignore[no-untyped-call]  # JAX leaves it unannotated
