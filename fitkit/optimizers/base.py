"""What an optimizer is: it maps one point to a better one, and says nothing of stopping, counting or printing."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from fitkit.component import Component
from fitkit.optimizers.stopping import Measures, StopRule
from fitkit.problem import Problem
from fitkit.types import Theta, WholeScalar

if TYPE_CHECKING:
    from fitkit.optimizers.compiled_search import CompiledSearch


class State(Protocol):
    """A point of the search and what the optimizer remembers there; a value, never changed in place."""

    @property
    def theta(self) -> Theta:
        """The point, shape (free,)."""
        ...

    @property
    def measures(self) -> Measures:
        """What the optimizer says of the point."""
        ...

    @property
    def evaluations(self) -> Any:
        """How many times the objective was evaluated so far."""
        ...


class Optimizer(Component):
    """Abstract: what a config can name as `optimizer`."""

    default_max_steps: ClassVar[int] = 2000
    default_gtol: ClassVar[float] = 1e-10
    default_ftol: ClassVar[float] = -1.0
    default_xtol: ClassVar[float] = 1e-14


class Solver(Optimizer):
    """Abstract: `init` makes a state at a point and `step` a better one, from all rows."""

    on_host: ClassVar[bool] = False
    """Whether `step` runs in numpy over small compiled kernels; otherwise it is traced, and runs in compiled blocks."""

    @abstractmethod
    def init(self, problem: Problem, theta: Theta, seed: int | WholeScalar) -> Any:
        """Return the state at theta, shape (free,); `seed` is for what is random on the way."""

    @abstractmethod
    def step(self, problem: Problem, state: Any) -> Any:
        """Return the state after one step; it is not worse, or says that it is stalled or not finite."""

    def compiled(self, problem: Problem, rule: StopRule) -> CompiledSearch | None:
        """Return a program that makes many steps at once, where there is one that is worth its compilation."""
        del problem, rule
        return None

    def finish(self, problem: Problem, state: Any) -> Any:
        """Return the state with the last digits that are cheap to have, at a point that passed the stop rule, or itself."""
        del problem
        return state
