"""Wrong gradients caught and right ones refused, by fitkit and by the checkers people use, on the same cases.

    python benchmarks/gradient_checkers.py [CASE ...]

The cases are those of `tests/gradient_cases.py`. Each checker is the real one, with its defaults: torch's gradcheck (where
torch can be imported) sees each case as a `torch.autograd.Function` in float64, JAX's check_grads as a function with the
gradient under test for its reverse rule, scipy's check_grad as two functions, refused above 1e-5 as its users do. An
exception counts as a refusal. M48 and M49 have right gradients of wrong functions: fitkit's warning counts as caught.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fitkit.backend import jax, jnp
from fitkit.gradient_check import Severity, check_function
from fitkit.gradient_check.modes import differentiate
from fitkit.gradient_check.session import scalar

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from gradient_cases import Case, mutations, tricky

WARNED = {"M48", "M49"}
Gradient = Callable[[Any], Any]


def gradient_of(case: Case) -> Gradient:
    subject = case.subject()
    found = case.gradient or differentiate(scalar(case.function), subject.theta).function
    if found is None:
        raise TypeError("no gradient")
    return found


def fitkit_accepts(case: Case) -> bool:
    report = check_function(case.subject(), case.settings)
    if case.id in WARNED:
        return not any(finding.verdict.severity is Severity.WARN for finding in report.findings)
    return report.verdict != "fail"


def jax_accepts(case: Case) -> bool:
    from jax import test_util

    value, gradient = scalar(case.function), gradient_of(case)

    @jax.custom_vjp
    def function(x: Any) -> Any:
        return value(x)

    def backward(x: Any, cotangent: Any) -> Any:
        return (cotangent * gradient(x),)

    function.defvjp(lambda x: (value(x), x), backward)
    check_grads: Any = test_util.check_grads
    check_grads(function, (jnp.asarray(case.theta, float),), order=1, modes=["rev"])
    return True


def scipy_accepts(case: Case) -> bool:
    from scipy.optimize import check_grad

    value, gradient = scalar(case.function), gradient_of(case)

    def on_host(x: Any) -> float:
        return float(value(jnp.asarray(x)))

    def its_gradient(x: Any) -> Any:
        return np.asarray(gradient(jnp.asarray(x)), float)

    error = check_grad(on_host, its_gradient, np.asarray(case.theta, float))
    return bool(np.isfinite(error) and error <= 1e-5)


def torch_accepts(case: Case) -> bool:
    import torch

    value, gradient = jax.jit(scalar(case.function)), gradient_of(case)

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: Any) -> Any:
            context.save_for_backward(x)
            return torch.tensor(float(value(jnp.asarray(x.detach().numpy()))), dtype=torch.float64)

        @staticmethod
        def backward(context: Any, cotangent: Any) -> Any:
            (x,) = context.saved_tensors
            return cotangent * torch.tensor(np.asarray(gradient(jnp.asarray(x.detach().numpy())), float))

    x = torch.tensor(np.asarray(case.theta, float), requires_grad=True)
    return bool(torch.autograd.gradcheck(Function.apply, (x,), raise_exception=False))


def accepts(checker: Callable[[Case], bool], case: Case) -> bool:
    """Return whether a checker lets a case pass; what it raises refuses it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return checker(case)
    except Exception:  # the checkers raise whatever they like, AssertionError above all
        return False


def checkers() -> dict[str, Callable[[Case], bool]]:
    known: dict[str, Callable[[Case], bool]] = {"fitkit check-grad": fitkit_accepts}
    try:
        import torch
    except ImportError:
        print("torch is not installed: its gradcheck is left out")
    else:
        known[f"torch {torch.__version__} gradcheck"] = torch_accepts
    known[f"jax {version('jax')} check_grads"] = jax_accepts
    known["scipy check_grad"] = scipy_accepts
    return known


def main(chosen: list[str]) -> None:
    every = checkers()
    wrong = [case for case in mutations() if (case.id in chosen if chosen else case.id != "M15")]
    right = [case for case in tricky() if not chosen or case.id in chosen]
    print("M15, a million entries, takes a full Jacobian elsewhere: left out unless named\n")
    print(f"{'':28}{f'wrong caught /{len(wrong)}':>18}{f'false alarms /{len(right)}':>18}")
    for name, checker in every.items():
        missed = [case.id for case in wrong if accepts(checker, case)]
        alarms = [case.id for case in right if not accepts(checker, case)]
        print(f"{name:28}{len(wrong) - len(missed):>18}{len(alarms):>18}")
        print(f"    missed {' '.join(missed) or '-'}; refused {' '.join(alarms) or '-'}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
