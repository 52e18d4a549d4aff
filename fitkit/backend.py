"""The one module that hands out JAX: lazily, with 64-bit floats, on the device that was asked for.

`from fitkit.backend import jax, jnp, optax` costs nothing until an attribute is used, so components can be imported, validated
and listed without JAX. `Kernel` compiles a function at its first call, in JAX's light or default pipeline.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, wraps
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, final

from fitkit.errors import Diagnostic, EnvironmentFault

__all__ = [
    "COMPILATIONS",
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

P = ParamSpec("P")
R = TypeVar("R")


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
_MAKING = threading.RLock()
"""Held while a jitted function is made, of which a second would compile the same programs again, and while JAX is taught."""
_configured = False


def _configure() -> None:
    """Turn 64-bit floats on before the first array exists, and count compilations."""
    global _configured  # noqa: PLW0603 - JAX's configuration belongs to the process
    if _configured:
        return
    _configured = True
    from jax import monitoring

    _set("jax_enable_x64", value=True)
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


# Optimising what runs for a millisecond costs more than it saves: these compile four to ten times faster, to the same digits.
_LIGHT: dict[str, bool | int | str | float] = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
# The newer code generator and parts compiled beside each other take twice as long, for programs a sixth faster.
_MEDIUM: dict[str, bool | int | str | float] = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
# XLA holds back from the widest registers for the sake of programs that use them now and then.
_WIDE: dict[str, bool | int | str | float] = {"xla_cpu_prefer_vector_width": 512}
MOST_STRUCTURES = 256
"""Structures of arguments whose bound programs are kept."""
LIGHT_WORK = 200_000
"""Rows times parameters up to which the light pipeline is the faster choice over a whole fit."""
MEDIUM_WORK = 1_000_000_000
"""Rows times parameters up to which the medium one is."""
CALLS_OF_A_FIT = 200
"""How many calls of a program those bounds are for, about."""


@final
@dataclass(frozen=True)
class Kernel(Generic[P, R]):
    """A function compiled by JAX at its first call for each structure of its arguments.

    Args:
        function: pure, in jax.numpy, of pytrees.
        static: names of keyword-only arguments that are part of the structure; hashable.
        donated: names of arguments whose memory the results may take: they are gone after the call.
    """

    function: Callable[P, R]
    static: tuple[str, ...] = field(default=())
    donated: tuple[str, ...] = field(default=())

    @property
    def light(self) -> Callable[P, R]:
        """The function, compiled quickly. On devices other than the CPU, as by `full`."""
        return self._jitted("_light", _LIGHT)

    @property
    def medium(self) -> Callable[P, R]:
        """The function, compiled in half the time of `full`, to run at five sixths of its speed. Off the CPU, as by `full`."""
        return self._jitted("_medium", _MEDIUM)

    @property
    def full(self) -> Callable[P, R]:
        """The function, compiled to run fast."""
        return self._jitted("_full", None)

    @property
    def wide(self) -> Callable[P, R]:
        """The function, compiled to run fast where it is all arithmetic on long vectors; off the CPU, as by `full`."""
        return self._jitted("_wide", _WIDE)

    def _jitted(self, kept: str, options: dict[str, bool | int | str | float] | None) -> Callable[P, R]:
        """Return the function, jitted once; `options` are XLA's on the CPU."""
        found: Callable[P, R] | None = self.__dict__.get(kept)
        if found is None:
            with _MAKING:
                found = self.__dict__.get(kept)
                if found is None:
                    options = options if jax.default_backend() == "cpu" else None
                    found = self.__dict__[kept] = jax.jit(
                        self.function,
                        static_argnames=self.static,
                        donate_argnames=self.donated,
                        compiler_options=options,
                    )
        return found

    def for_work(self, work: int) -> Callable[P, R]:
        """Return the compiled function that suits `work`, in rows times parameters per call, of the calls of a whole fit."""
        if work <= LIGHT_WORK:
            return self.light
        return self.medium if work <= MEDIUM_WORK else self.full

    def for_one_call(self, work: int) -> Callable[P, R]:
        """Return the compiled function that suits `work`, in rows times parameters, where a fit calls it once or twice."""
        return self.for_work(work // CALLS_OF_A_FIT)

    def bound(self, work: int, *fixed: Any) -> BoundKernel:
        """Return the compiled function with its first and its last argument given, for many calls with what is between.

        The pytrees are taken apart once, not at each call, which costs more than a small program itself.
        """
        leaves, structure = jax.tree.flatten(fixed)
        # Put, not `asarray`, for which JAX compiles a program for each leaf; a number of Python keeps its weak type.
        ready = [leaf if isinstance(leaf, float | int) else jax.device_put(leaf) for leaf in leaves]
        with _MAKING:
            flat = self._flat(structure, work <= LIGHT_WORK)
        return BoundKernel(flat, ready)

    @cached_property
    def _flat(self) -> Callable[..., Callable[..., Any]]:
        """Return the maker of functions of leaves, by the structure that they make; the last ones are kept."""

        def build(structure: Any, light: bool) -> Callable[..., Any]:  # noqa: FBT001 - a key of the cache
            def flat(leaves: Sequence[Any], *moving: Any) -> Any:
                first, last = jax.tree.unflatten(structure, leaves)
                return self.function(first, *moving, last)  # type: ignore[call-arg]  # whose first and last they are

            options = _LIGHT if light and jax.default_backend() == "cpu" else None
            return jax.jit(flat, compiler_options=options)

        return lru_cache(maxsize=MOST_STRUCTURES)(build)


def once(teach: Callable[[], None]) -> Callable[[], None]:
    """Decorate a function that teaches JAX something: it is called the first time only, and other threads wait for that."""
    taught: list[bool] = []

    @wraps(teach)
    def at_first() -> None:
        if not taught:
            with _MAKING:
                if not taught:
                    teach()
                    taught.append(True)

    return at_first


@final
@dataclass(frozen=True)
class BoundKernel:
    """A compiled function of what moves; numpy arrays are its arguments at the least cost."""

    _function: Callable[..., Any]
    leaves: Sequence[Any]
    """Of the arguments that are given."""

    def __call__(self, *moving: Any) -> Any:
        """Return the results as arrays of the device, which may still be under way."""
        return self._function(self.leaves, *moving)

    @property
    def structure(self) -> int:
        """A number that kernels of one structure of the given arguments share."""
        return id(self._function)

    def program(self, *moving: Any) -> Any:
        """Return the traced program, a closed jaxpr of the leaves and what moves; after a call at no cost."""
        return self._function.trace(self.leaves, *moving).jaxpr  # type: ignore[attr-defined]  # of what jax.jit returns


def kernel(*static: str, donated: tuple[str, ...] = ()) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """Decorate a function to become a `Kernel`: its keyword arguments named in `static` are part of its structure.

    The memory of arguments named in `donated` may be taken by the results.
    """

    def decorate(function: Callable[P, R]) -> Kernel[P, R]:
        return Kernel(function, static, donated)

    return decorate


def select_device(name: str) -> str:
    """Make `name` (auto, cpu, gpu or tpu) the device of this process and return the platform that is used.

    Raises:
        EnvironmentFault: the device is absent. Only `auto` may choose another.
    """
    if name != "auto":
        import os

        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # the failed probe of an absent device is told by us, once
    if name == "cpu":
        _set("jax_platforms", value="cpu")  # a GPU that is not wanted must not have its memory claimed
    try:
        device = jax.devices(None if name == "auto" else name)[0]
    except RuntimeError:  # in words about plugins, which the user cannot mend
        raise EnvironmentFault(_absent_device(name)) from None
    if name != "auto":
        _set("jax_default_device", value=device)
    return str(device.platform)


def array(values: Any, dtype: Any) -> jax.Array:
    """Return numbers of the host as an array of the device."""
    return jnp.asarray(values, dtype)


def _set(option: str, *, value: object) -> None:
    import jax as real

    real.config.update(option, value)  # type: ignore[no-untyped-call]  # JAX leaves it unannotated


def _absent_device(name: str) -> Diagnostic:
    install = {
        "gpu": 'install the CUDA build of JAX: pip install "fitkit[cuda]"',
        "tpu": 'pip install "fitkit[tpu]" on a TPU VM',
    }
    there = ", ".join(sorted({device.platform for device in jax.devices()}))
    return Diagnostic(
        code="E701",
        message=f"there is no device `{name}` on this machine for the installed JAX, which has: {there}",
        help=install.get(name, "`fitkit doctor` lists the devices there are") + "; or use `device: auto`",
    )
