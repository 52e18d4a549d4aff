"""Functions compiled by JAX at their first call, as quickly or for as much speed as their work deserves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, wraps
from typing import Any, Generic, ParamSpec, TypeVar, final

from fitkit.backend.lazy_jax import jax

P = ParamSpec("P")
R = TypeVar("R")

_MAKING = threading.RLock()
"""Held while a jitted function is made, of which a second would compile the same programs again, and while JAX is taught."""
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
