"""Parameters by name: what a config says of each, and how they are laid out for the optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal, final

from fitkit.backend import jnp
from fitkit.component import Component
from fitkit.expressions import Expression
from fitkit.types import Array, ColumnName, Positive, PositiveCount, Rows, Theta


@final
@dataclass(frozen=True, kw_only=True)
class Prior(Component):
    """What is known of a parameter beforehand: normal about `mean` with the standard deviation `sigma`.

    It counts as one more observation, and needs `data.sigma` or a likelihood loss, for without a scale of the residuals its
    weight would mean nothing.
    """

    mean: float
    """The value expected."""
    sigma: Positive
    """Its standard deviation."""


@final
@dataclass(frozen=True, kw_only=True)
class RandomStart(Component):
    """The start of an array, drawn entry by entry: from the normal or the uniform distribution, one of the two."""

    normal: Positive | None = None
    """The standard deviation about zero."""
    uniform: Positive | None = None
    """The largest absolute value: evenly between minus this and this."""


@final
@dataclass(frozen=True, kw_only=True)
class Parameter(Component):
    """One number of the model, or an array: where the search starts, where it may go, and what ties it to the others."""

    start: float | ColumnName | RandomStart | None = None
    """Where the search starts; a constant expression such as log(0.35) is allowed. With `group_by` also a column, whose
    entry in the first row of a group is the group's start. Of an array a number for all entries, or `{normal: 0.1}` or
    `{uniform: 0.1}`, drawn by the seed."""
    shape: tuple[PositiveCount, ...] | None = None
    """The shape of an array, `[100, 10]`, for python models."""
    min: float | None = None
    """The smallest value allowed."""
    max: float | None = None
    """The largest value allowed."""
    fixed: bool = False
    """Hold the parameter at its start."""
    equals: Expression | None = None
    """A formula of other parameters that gives the value; its standard error is propagated."""
    prior: Prior | None = None
    """What is known beforehand: `{mean: 0, sigma: 0.1}`."""
    scale: Literal["linear", "log"] = "linear"
    """`log` searches in the logarithm of a positive parameter, so that it spans orders of magnitude and never reaches zero."""
    shared: bool = False
    """With `group_by`: one value for all groups, found together with the others' values in each."""


Shape = tuple[int, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which parameters are free, in what order, and how the others follow from them: the static half of a problem.

    Every parameter is exactly one of free, held (numbers that the fit does not move) or tied. Theta is the free ones one
    after the other, arrays row by row.
    """

    names: tuple[str, ...]
    """All parameters, in the order of every table."""
    free: tuple[str, ...]
    """Those that the optimizer moves."""
    logarithmic: frozenset[str] = frozenset()
    """The free ones that are searched in their logarithm."""
    tied: tuple[tuple[str, Expression], ...] = ()
    """Those given by a formula, each after the ones it needs."""
    shapes: tuple[tuple[str, Shape], ...] = ()
    """The shapes of those that are arrays."""

    def __hash__(self) -> int:
        """Return the hash, worked out once: every call of a compiled program asks for it, and names may be thousands."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.names, self.free, self.logarithmic, self.tied, self.shapes))

    def shape(self, name: str) -> Shape:
        """Return the shape of a parameter, () for a number."""
        return self._shapes.get(name, ())

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        return dict(self.shapes)

    @cached_property
    def places(self) -> dict[str, slice]:
        """Where in theta each free parameter stands."""
        found, begin = {}, 0
        for name in self.free:
            found[name] = slice(begin, begin + prod(self.shape(name)))
            begin = found[name].stop
        return found

    @property
    def size(self) -> int:
        """How many free numbers there are."""
        return self.places[self.free[-1]].stop if self.free else 0

    @cached_property
    def coordinates(self) -> tuple[str, ...]:
        """The name of each number of theta: of an array's entries `w[3,0]`."""
        if not self.shapes:
            return self.free
        return tuple(entry for name in self.free for entry in entries_of(name, self.shape(name)))

    @cached_property
    def logarithms(self) -> tuple[bool, ...]:
        """Which numbers of theta are logarithms."""
        return tuple(name in self.logarithmic for name in self.free for _ in range(prod(self.shape(name))))


def entries_of(name: str, shape: Shape) -> Iterator[str]:
    """Yield the names of a parameter's entries, of a number its own."""
    from itertools import product

    if not shape:
        yield name
        return
    for index in product(*map(range, shape)):
        yield f"{name}[{','.join(map(str, index))}]"


@final
class NamedValues(Mapping[str, Array]):
    """The parameters by name, cut from theta where they are asked for: programs of thousands stay small.

    Args:
        layout: of the parameters.
        theta: shape (free,), or its numbers one by one where none is an array.
        held: those that do not move.
    """

    def __init__(self, layout: Layout, theta: Theta | tuple[Array, ...], held: Mapping[str, Array]) -> None:
        self._layout = layout
        self._theta: Any = theta
        self._others: dict[str, Array] = dict(held)

    def set(self, name: str, value: Array) -> None:
        """Add one that follows from others."""
        self._others[name] = value

    def __getitem__(self, name: str) -> Array:
        if name in self._others:
            return self._others[name]
        place, shape = self._layout.places[name], self._layout.shape(name)
        value = self._theta[place].reshape(shape) if shape else self._theta[place.start]
        return jnp.exp(value) if name in self._layout.logarithmic else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout.names)

    def __len__(self) -> int:
        return len(self._layout.names)

    def in_a_row(self, names: tuple[str, ...]) -> Rows:
        """Return parameters one after the other, arrays row by row, shape (numbers,)."""
        pieces: list[Any] = []
        begin = end = -1
        for name in names:
            place = None if name in self._others or name in self._layout.logarithmic else self._layout.places[name]
            if place is not None and place.start == end:
                end = place.stop
                continue
            pieces += [self._theta[begin:end]] if begin >= 0 else []
            begin, end = (-1, -1) if place is None else (place.start, place.stop)
            pieces += [jnp.ravel(self[name])] if place is None else []
        pieces += [self._theta[begin:end]] if begin >= 0 else []
        return pieces[0] if len(pieces) == 1 else jnp.concatenate([*pieces, self._theta[:0]])


def in_a_row(values: Mapping[str, Array], names: tuple[str, ...]) -> Rows:
    """Return parameters one after the other, arrays row by row, shape (numbers,)."""
    if isinstance(values, NamedValues):
        return values.in_a_row(names)
    return jnp.concatenate([jnp.ravel(jnp.asarray(values[name])) for name in names])


class CircularTies(ValueError):  # noqa: N818 - named for what is wrong
    """Parameters tied to each other in a circle, in the order of the circle."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(" -> ".join((*names, names[0])))
        self.names = names


def order_ties(ties: Mapping[str, Expression]) -> tuple[tuple[str, Expression], ...]:
    """Return the tied parameters in an order in which each can be computed.

    Raises:
        CircularTies: some depend on themselves.
    """
    from graphlib import CycleError, TopologicalSorter

    needs = {name: sorted(formula.names & ties.keys()) for name, formula in ties.items()}
    try:
        return tuple((name, ties[name]) for name in TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = tuple(reversed(error.args[1][1:]))  # graphlib tells it from the needed to the needing, closed
        raise CircularTies(circle) from None
