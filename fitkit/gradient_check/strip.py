"""Rule-stripped programs: hand-written derivative rules inlined, stopped gradients let through.

What is left is the program that computes the value, differentiated by JAX's own rules alone; where its gradient differs
from the gradient under test, a hand-written rule is not the derivative of its function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from fitkit.backend import lax
from fitkit.gradient_check.structure import Source, defined, operations, source, sub_programs

CUSTOM = frozenset({"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"})
STOP = "stop_gradient"
_CALLS = frozenset({"pjit", "jit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "core_closed_call"})


@final
@dataclass(frozen=True, order=True)
class RuleKey:
    """One hand-written rule, or one place where a gradient is stopped."""

    name: str
    place: Source | None


def rules(closed: Any) -> tuple[RuleKey, ...]:
    """Return the hand-written rules of a program and its stopped gradients, without those of JAX's own functions."""
    found = (key(equation) for equation in operations(closed.jaxpr))
    return tuple(dict.fromkeys(rule for rule in found if rule is not None))


def key(equation: Any) -> RuleKey | None:
    """Return the rule that `equation` applies; None where it applies none, or JAX's own."""
    name = equation.primitive.name
    if name == STOP:
        return RuleKey(STOP, source(equation))
    if name not in CUSTOM:
        return None
    inner = _inner(equation)
    function = defined(getattr(inner.jaxpr.debug_info, "func_src_info", None))
    rule = [defined(getattr(getattr(part, "debug_info", None), "func_src_info", None)) for part in _parts(equation)]
    known = [place for place in (function, *rule) if place is not None]
    if known and all(place.within_library for place in known):
        return None
    mine = [place for place in known if not place.within_library]
    place = mine[0] if mine else source(equation)
    label = getattr(inner.jaxpr.debug_info, "func_name", None) or (place.name if place else name)
    return RuleKey(str(label), place)


def _parts(equation: Any) -> tuple[Any, ...]:
    names = ("jvp_jaxpr_fun", "jvp_jaxpr_thunk", "bwd", "fwd_jaxpr_thunk")
    return tuple(equation.params[name] for name in names if name in equation.params)


def _inner(equation: Any) -> Any:
    return equation.params.get("call_jaxpr", equation.params.get("fun_jaxpr"))


def stripped(closed: Any, chosen: frozenset[RuleKey]) -> Callable[[Any], Any]:
    """Return the function of a closed jaxpr of one input and one output with the `chosen` rules stripped."""

    def function(theta: Any) -> Any:
        return _evaluate(closed.jaxpr, closed.consts, [theta], chosen)[0]

    return function


def _evaluate(program: Any, constants: Any, arguments: Any, chosen: frozenset[RuleKey]) -> list[Any]:
    """Interpret a jaxpr operation by operation, as `jax.core.eval_jaxpr` does, but without the chosen rules."""
    from jax.extend.core import Literal

    values: dict[Any, Any] = dict(zip(program.constvars, constants, strict=True))
    values.update(zip(program.invars, arguments, strict=True))
    for equation in program.eqns:
        inputs = [item.val if isinstance(item, Literal) else values[item] for item in equation.invars]
        outputs = _apply(equation, inputs, chosen)
        values.update(zip(equation.outvars, outputs, strict=True))
    return [item.val if isinstance(item, Literal) else values[item] for item in program.outvars]


def _apply(equation: Any, inputs: list[Any], chosen: frozenset[RuleKey]) -> list[Any]:
    name = equation.primitive.name
    if (name == STOP or name in CUSTOM) and key(equation) in chosen:
        return inputs if name == STOP else _closed(_inner(equation), inputs, chosen)
    if name in _STRUCTURED and any(key(inner) in chosen for inner in _inside(equation)):
        return _STRUCTURED[name](equation.params, inputs, chosen)
    found = equation.primitive.bind(*inputs, **equation.primitive.get_bind_params(equation.params))
    return list(found) if equation.primitive.multiple_results else [found]


def _inside(equation: Any) -> list[Any]:

    return [inner for program in sub_programs(equation) for inner in operations(program)]


def _closed(program: Any, inputs: list[Any], chosen: frozenset[RuleKey]) -> list[Any]:
    """Interpret a program that may or may not carry its constants."""
    if hasattr(program, "consts"):
        return _evaluate(program.jaxpr, program.consts, inputs, chosen)
    return _evaluate(program, [], inputs, chosen)


def _call(params: dict[str, Any], inputs: list[Any], chosen: frozenset[RuleKey]) -> list[Any]:
    return _closed(params.get("jaxpr", params.get("call_jaxpr")), inputs, chosen)


def _scan(params: dict[str, Any], inputs: list[Any], chosen: frozenset[RuleKey]) -> list[Any]:
    fixed, carried = params["num_consts"], params["num_carry"]
    constants, carry, slices = inputs[:fixed], inputs[fixed : fixed + carried], inputs[fixed + carried :]

    def body(state: Any, row: Any) -> Any:
        found = _closed(params["jaxpr"], [*constants, *state, *row], chosen)
        return tuple(found[:carried]), tuple(found[carried:])

    last, rows = lax.scan(
        body, tuple(carry), tuple(slices), length=params["length"], reverse=params["reverse"], unroll=params["unroll"]
    )
    return [*last, *rows]


def _while(params: dict[str, Any], inputs: list[Any], chosen: frozenset[RuleKey]) -> list[Any]:
    first, second = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    asked, fixed, carry = inputs[:first], inputs[first:second], inputs[second:]
    return list(
        lax.while_loop(
            lambda state: _closed(params["cond_jaxpr"], [*asked, *state], chosen)[0],
            lambda state: tuple(_closed(params["body_jaxpr"], [*fixed, *state], chosen)),
            tuple(carry),
        )
    )


def _cond(params: dict[str, Any], inputs: list[Any], chosen: frozenset[RuleKey]) -> list[Any]:
    def branch(program: Any) -> Callable[..., Any]:
        return lambda *operands: tuple(_closed(program, list(operands), chosen))

    index, *operands = inputs
    return list(lax.switch(index, [branch(program) for program in params["branches"]], *operands))


_STRUCTURED: dict[str, Callable[[dict[str, Any], list[Any], frozenset[RuleKey]], list[Any]]] = {
    **dict.fromkeys(_CALLS, _call),
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}
