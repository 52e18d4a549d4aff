"""A traced JAX program, run in double-double on the host.

What a kernel computes in doubles is computed again, operation by operation, with twice the digits: the same model, the same
derivatives, no second formula to keep in step. Arithmetic and the elementary functions are known; a program with any other
operation is refused, and its caller does without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fitkit.double_double.movements import MOVEMENTS, UnknownOperation, Value, entered
from fitkit.double_double.operations import COMPUTATIONS

_OPERATIONS: Final = MOVEMENTS | COMPUTATIONS
_CALLS: Final = frozenset({"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat2"})


def evaluate(program: Any, arguments: Sequence[Value]) -> list[Value]:
    """Return the results of a closed jaxpr.

    Args:
        program: what `jax.jit(f).trace(...).jaxpr` gives.
        arguments: one for each of its inputs; doubles may stand for double-doubles.

    Raises:
        UnknownOperation: an operation is not known.
    """
    import numpy as np

    with np.errstate(all="ignore"):  # branches that are not taken overflow; what is taken shows in the result
        return _run(program.jaxpr, [entered(constant) for constant in program.consts], list(map(entered, arguments)))


def _run(jaxpr: Any, constants: Sequence[Value], arguments: Sequence[Value]) -> list[Value]:
    known: dict[Any, Value] = {}

    def read(atom: Any) -> Value:
        return entered(atom.val) if hasattr(atom, "val") else known[atom]

    known.update(zip(jaxpr.constvars, constants, strict=True))
    known.update(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        operands = [read(atom) for atom in equation.invars]
        name, parameters = equation.primitive.name, equation.params
        inner = parameters.get("jaxpr", parameters.get("call_jaxpr"))
        if inner is not None and name in _CALLS:
            closed = hasattr(inner, "consts")
            results = _run(inner.jaxpr if closed else inner, inner.consts if closed else (), operands)
        elif name in _OPERATIONS:
            results = [_OPERATIONS[name](operands, parameters)]
        else:
            raise UnknownOperation(name)
        known.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]
