"""A model written in Python by the user."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, final

from fitkit.models.base import Model
from fitkit.models.python_file import LoadedFunction, PythonExitError, beside, load_function
from fitkit.types import Inputs, Values


class NoPredictionsError(TypeError):
    """A function returned something else than an array of real numbers."""


@final
@dataclass(frozen=True, kw_only=True)
class PythonModel(Model):
    """A function of two dictionaries, `damped(parameters, inputs)`, in jax.numpy, that returns one prediction per row.

    The file stands beside the config and is run only when the command line says `--allow-python`.
    """

    kind: Literal["python"] = "python"
    function: str
    """File and function: `models.py:damped`."""
    inputs: tuple[str, ...] | str
    """The input columns; `"*"` for every column but the target, sigma, weights and group columns."""
    target: str
    """The column that is predicted."""
    loaded: LoadedFunction | None = field(default=None, init=False)
    predicts_rate: ClassVar[bool] = True

    @property
    def inputs_used(self) -> tuple[str, ...]:
        """The input columns."""
        return () if isinstance(self.inputs, str) else self.inputs

    @property
    def all_inputs(self) -> bool:
        """Whether the inputs are all columns without another part to play."""
        return isinstance(self.inputs, str)

    @property
    def target_used(self) -> str:
        """The target column."""
        return self.target

    @property
    def parameter_names(self) -> None:
        """None: `parameters` in the config names them."""
        return

    def predict(self, values: Values, inputs: Inputs) -> Any:
        """Return what the user's function returns; the problem checks its shape.

        Raises:
            NoPredictionsError: it is no array of real numbers.
            PythonExitError: the function tried to leave the process.
        """
        if self.loaded is None:
            raise AssertionError("a python model is loaded before it predicts")
        with beside(self.loaded.file, self.loaded.folder):
            try:
                found = self.loaded.call(dict(values), {name: inputs[name] for name in self.inputs_used})
            except SystemExit as error:  # it would end the run with an exit code of the function's
                raise PythonExitError().with_traceback(error.__traceback__) from None
        _refuse_other_kinds(found)
        return found

    def with_inputs(self, names: tuple[str, ...]) -> PythonModel:
        """Return the model of these inputs, where it asks for all."""
        if not isinstance(self.inputs, str):
            return self
        found = replace(self, inputs=names)
        object.__setattr__(found, "loaded", self.loaded)  # frozen for users; this is construction
        return found

    def learned(self) -> dict[str, Any]:
        """Return the inputs."""
        return {"inputs": list(self.inputs_used)}

    def recalled(self, learned: dict[str, Any]) -> PythonModel:
        """Return the model with the inputs that it was fitted with."""
        return self.with_inputs(tuple(learned.get("inputs", ())))

    def load(self, folder: Path) -> PythonModel:
        """Run the file and return the model with its function.

        Raises:
            ConfigError: the file lies outside `folder`, is missing, fails, or has no such function.
        """
        loaded = load_function(self.function, folder)
        model = replace(self)
        object.__setattr__(model, "loaded", loaded)  # frozen for users; this is construction
        return model


def _refuse_other_kinds(found: Any) -> None:
    """Refuse what JAX would take for an array, or for real numbers by dropping a part."""
    dtype = getattr(found, "dtype", None)
    kind = getattr(dtype, "kind", None)
    if kind is None and isinstance(found, int | float) and not isinstance(found, bool):
        return  # of the shape (), which the problem refuses
    if kind is None or not hasattr(found, "shape"):
        raise NoPredictionsError("None" if found is None else f"a {type(found).__name__}")
    words = {"c": "complex numbers", "b": "booleans", "O": "Python objects", "U": "texts", "S": "bytes"}
    if kind in words:
        raise NoPredictionsError(words[kind])
