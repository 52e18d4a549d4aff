"""What a function's program looks like: its operations, where they were written, its widest one, its lowest precision."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from fitkit.backend import jax, jnp

_PLACE = re.compile(r"^(?P<file>.*?):(?P<line>\d+)(?::\d+)? \((?P<name>.*)\)$")
_DEFINED = re.compile(r"^(?P<name>.*?) at (?P<file>.*):(?P<line>\d+)$")


@final
@dataclass(frozen=True, order=True)
class Source:
    """A place in a program text."""

    file: str
    line: int
    name: str
    """The function."""

    @property
    def within_library(self) -> bool:
        """Whether the place is JAX's own."""
        return f"{Path(self.file).as_posix()}".startswith(_root("jax"))

    @property
    def within_fitkit(self) -> bool:
        """Whether the place is fitkit's own."""
        return Path(self.file).as_posix().startswith(_root("fitkit"))

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def _root(package: str) -> str:
    import importlib

    return Path(str(importlib.import_module(package).__file__)).parent.as_posix() + "/"


def trace(function: Callable[[Any], Any], theta: Any) -> Any:
    """Return the program of `function` as a closed jaxpr."""
    return jax.make_jaxpr(function)(jnp.asarray(theta))


def called(closed: Any) -> Callable[..., Any]:
    """Return a closed jaxpr of one output as a function, which costs less to trace again than what it was made of."""
    from jax.extend.core import jaxpr_as_fun

    program = jaxpr_as_fun(closed)
    return lambda *arguments: program(*arguments)[0]


def sub_programs(equation: Any) -> list[Any]:
    """Return the programs inside one operation (of a loop, a branch, a call), not closed."""
    from jax.extend.core import ClosedJaxpr, Jaxpr

    found: list[Any] = []
    for value in equation.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, ClosedJaxpr):
                found.append(item.jaxpr)
            elif isinstance(item, Jaxpr):
                found.append(item)
    return found


def operations(program: Any) -> Iterator[Any]:
    """Yield every operation of a jaxpr, those inside others included."""
    for equation in program.eqns:
        yield equation
        for inner in sub_programs(equation):
            yield from operations(inner)


def source(equation: Any) -> Source | None:
    """Return the innermost place outside JAX where `equation` was written; None where there is none."""
    from jax.extend import source_info_util

    lines = source_info_util.summarize(equation.source_info, num_frames=40).splitlines()
    for text in reversed(lines):
        match = _PLACE.match(text.strip())
        if match and not _found(match).within_library:
            return _found(match)
    return None


def defined(text: str | None) -> Source | None:
    """Return the place that JAX noted for a function, `name at file:line`."""
    match = _DEFINED.match(text or "")
    return _found(match) if match else None


def _found(match: re.Match[str]) -> Source:
    return Source(match["file"], int(match["line"]), match["name"])


@final
@dataclass(frozen=True, kw_only=True)
class Structure:
    """Numbers about a program."""

    width: int
    """The numbers that its widest operation makes."""
    heavy: int
    """The numbers that all its operations make, loops of known length counted."""
    epsilon: float
    """The unit of rounding of its lowest floating precision."""
    loops: bool
    """Whether it has a loop of unknown length."""


def structure(closed: Any) -> Structure:
    """Return the numbers about a closed jaxpr."""
    width, heavy = _sizes(closed.jaxpr)
    epsilon, loops = float(np.finfo(np.float64).eps), False
    for equation in operations(closed.jaxpr):
        loops |= equation.primitive.name == "while"
        for variable in equation.outvars:
            dtype = getattr(variable.aval, "dtype", None)
            if dtype is not None and jnp.issubdtype(dtype, jnp.floating):
                epsilon = max(epsilon, 2.0 ** -jnp.finfo(dtype).nmant)  # type: ignore[no-untyped-call]  # unannotated
    return Structure(width=width, heavy=heavy, epsilon=epsilon, loops=loops)


def _sizes(program: Any) -> tuple[int, int]:
    """Return the widest operation and the sum of all, in numbers made."""
    width = max((int(np.prod(v.aval.shape)) for v in program.invars if hasattr(v.aval, "shape")), default=1)
    heavy = 0
    for equation in program.eqns:
        made = sum(int(np.prod(v.aval.shape)) for v in equation.outvars if hasattr(v.aval, "shape"))
        inner = [_sizes(sub) for sub in sub_programs(equation)]
        times = int(equation.params.get("length", 1)) if equation.primitive.name == "scan" else 1
        width = max([width, made, *(w for w, _ in inner)])
        heavy += made + times * sum(h for _, h in inner)
    return width, max(heavy, 1)
