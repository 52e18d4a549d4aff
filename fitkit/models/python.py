"""A model written in Python by the user."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, final

from fitkit.errors import ConfigError, Diagnostic, did_you_mean
from fitkit.models.base import Model
from fitkit.types import Inputs, Values


@final
@dataclass(frozen=True)
class LoadedFunction:
    """A function read from a file; equal to another of the same bytes, so that programs compiled for it are found again."""

    name: str
    sha256: str
    call: Callable[..., Any] = field(compare=False, repr=False)


@final
@dataclass(frozen=True, kw_only=True)
class PythonModel(Model):
    """A function of two dictionaries, `damped(parameters, inputs)`, in jax.numpy, that returns one prediction per row.

    The file stands beside the config and is run only when the command line says `--allow-python`.
    """

    kind: Literal["python"] = "python"
    function: str
    """File and function: `models.py:damped`."""
    inputs: tuple[str, ...]
    """The input columns."""
    target: str
    """The column that is predicted."""
    loaded: LoadedFunction | None = field(default=None, init=False)
    predicts_rate: ClassVar[bool] = True

    @property
    def inputs_used(self) -> tuple[str, ...]:
        """The input columns."""
        return self.inputs

    @property
    def target_used(self) -> str:
        """The target column."""
        return self.target

    @property
    def parameter_names(self) -> None:
        """None: `parameters` in the config names them."""
        return

    def predict(self, values: Values, inputs: Inputs) -> Any:
        """Return what the user's function returns; the problem checks its shape."""
        if self.loaded is None:
            raise AssertionError("a python model is loaded before it predicts")
        return self.loaded.call(dict(values), {name: inputs[name] for name in self.inputs})

    @property
    def file_name(self) -> str:
        """The file that the function is in."""
        return self.function.rpartition(":")[0]

    def load(self, folder: Path) -> PythonModel:
        """Run the file and return the model with its function.

        Raises:
            ConfigError: the file lies outside `folder`, is missing, fails, or has no such function.
        """
        loaded = _load(self.function, folder)
        model = replace(self)
        object.__setattr__(model, "loaded", loaded)  # frozen for users; this is construction
        return model


def _load(reference: str, folder: Path) -> LoadedFunction:
    file_name, separator, function_name = reference.rpartition(":")
    if not separator or not file_name.endswith(".py") or not function_name.isidentifier():
        raise _refusal(f"`{reference}` does not name a function", "write the file and the function: `models.py:damped`")
    file = (folder / file_name).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise _refusal(f"`{file_name}` lies outside the config's folder", "put the file beside the config")
    try:
        source = file.read_bytes()
    except OSError as error:
        raise _refusal(f"cannot read `{file_name}`: {error.strerror}", "the file stands beside the config") from None
    namespace: dict[str, Any] = {"__name__": file.stem, "__file__": str(file)}
    try:
        exec(compile(source, str(file), "exec"), namespace)  # noqa: S102 - asked for by --allow-python
    except Exception as error:
        raise _refusal(
            f"`{file_name}` failed while it was read: {describe(error)}", "run it with python to see where"
        ) from None
    call = namespace.get(function_name)
    if not inspect.isfunction(call) and not callable(call):
        functions = [name for name, value in namespace.items() if callable(value) and not name.startswith("_")]
        raise _refusal(f"`{file_name}` has no function `{function_name}`", did_you_mean(function_name, functions))
    return LoadedFunction(name=reference, sha256=hashlib.sha256(source).hexdigest(), call=call)


def describe(error: BaseException) -> str:
    """Return an exception as its type and the first line of its message."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _refusal(message: str, help_line: str | None) -> ConfigError:
    return ConfigError(Diagnostic(code="E160", message=message, help=help_line))
