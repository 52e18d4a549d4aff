"""A trial of a python model before the fit, so that its mistakes are told as the user's and not as a crash of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.backend import jax
from fitkit.config import ConfigSource
from fitkit.errors import ConfigError
from fitkit.models import PythonModel
from fitkit.models.python import NoPredictionsError
from fitkit.models.python_file import describe, place_of
from fitkit.optimizers.lm import LevenbergMarquardt
from fitkit.problem import Problem, RowData, ShapeMismatchError
from fitkit.run.choose import choose

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

_ONE_EACH = "return one number per row, an array of the target's shape; nothing is broadcast over rows"


def try_python(source: ConfigSource, problem: Problem, start: Vector, *, derivatives: bool = True) -> None:
    """Trace a python model and, if asked, its first two derivatives; nothing is computed, and other models are passed over.

    Raises:
        ConfigError: it fails, cannot be differentiated, or returns something else than one real number per row.
    """
    if isinstance(problem.model, PythonModel) and problem.rows is not None:
        _try_values(source, problem, problem.rows, problem.model, start)
        if derivatives:
            _try_derivatives(source, problem, problem.rows, problem.model, start)


def _try_values(source: ConfigSource, problem: Problem, rows: RowData, model: PythonModel, start: Vector) -> None:
    try:
        jax.eval_shape(lambda theta: problem.fitted(theta, rows).prediction, start)
    except ShapeMismatchError as error:
        raise _refusal(source, "E161", str(error), _ONE_EACH) from None
    except NoPredictionsError as error:
        message = f"the model returns {error} where it should return real numbers"
        raise _refusal(source, "E161", message, _ONE_EACH) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        way_out = "it is called with two dictionaries by name, and must compute in jax.numpy"
        raise _refusal(
            source, "E162", f"`{model.function}` failed{_place(error, model)}: {describe(error)}", way_out
        ) from None


def _try_derivatives(source: ConfigSource, problem: Problem, rows: RowData, model: PythonModel, start: Vector) -> None:
    """Differentiate as the optimizer will: forwards for lm, which needs no more, and backwards too for all others."""
    optimizer, _ = choose(source.config.optimizer, problem)

    def along(theta: Vector) -> jax.Array:
        found: jax.Array = jax.jvp(lambda t: problem.fitted(t, rows).prediction, (theta,), (theta,))[1]
        return found

    try:
        jax.eval_shape(lambda theta: jax.jvp(along, (theta,), (theta,)), start)
        if not isinstance(optimizer, LevenbergMarquardt):
            jax.eval_shape(lambda theta: jax.jvp(jax.grad(problem.objective), (theta,), (theta,)), start)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        message = f"`{model.function}` cannot be differentiated{_place(error, model)}: {_reason(error)}"
        way_out = f"`{optimizer.kind}` needs derivatives: compute in jax.numpy, or give a rule by `jax.custom_jvp`"
        raise _refusal(source, "E162", message, way_out) from None


def _reason(error: BaseException) -> str:
    """Return what is wrong; of a custom_vjp in words, for JAX speaks of the operation that it has put in its place."""
    text = describe(error)
    if "custom_vjp" in text or "custom_lin" in text:
        return "a rule by `jax.custom_vjp` has no forward mode, which a fit takes its curvature from"
    return text


def _place(error: BaseException, model: PythonModel) -> str:
    return "" if model.loaded is None else place_of(error, model.loaded.file)


def _refusal(source: ConfigSource, code: str, message: str, way_out: str) -> ConfigError:
    return ConfigError(source.diagnostic(("model", "function"), code, message, way_out, value=True))
