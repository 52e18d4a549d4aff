"""The oracles that the command line asks for: whether they are there, and what they say of a config."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fitkit.errors import Diagnostic, EnvironmentFault

if TYPE_CHECKING:
    from fitkit.expressions.framework import Framework
    from fitkit.gradient_check.oracle import Compared
    from fitkit.run.assemble import Assembled

_WHERE: Final = {
    "torch": ("fitkit.expressions.lower_torch", "Torch"),
    "tensorflow": ("fitkit.expressions.lower_tensorflow", "TensorFlow"),
    "complex-step": ("fitkit.expressions.lower_complex", "ComplexStep"),
    "mpmath": ("fitkit.expressions.lower_mpmath", "Mpmath"),
}
"""The module and the class of each, imported only when it is asked for."""


def frameworks(names: Sequence[str]) -> tuple[Framework, ...]:
    """Return the frameworks of these names.

    Raises:
        EnvironmentFault: a package is not installed, or cannot be imported.
    """
    return tuple(_framework(name) for name in names)


def _framework(name: str) -> Framework:
    module, word = _WHERE[name]
    framework: Framework = getattr(importlib.import_module(module), word)()
    package = framework.package
    if package is None:
        return framework
    help_line = f'install it: pip install "fitkit[{package}]"'
    if importlib.util.find_spec(package) is None:
        raise EnvironmentFault(
            Diagnostic(
                code="E703", message=f"`--against {name}` needs {package}, which is not installed", help=help_line
            )
        )
    try:
        framework.array(1.0)  # type: ignore[arg-type]  # a number is an array too; the package is imported here
    except Exception as error:
        message = f"`--against {name}` needs {package}, which cannot be imported: {type(error).__name__}: {error}"
        raise EnvironmentFault(Diagnostic(code="E703", message=message, help=help_line)) from None
    return framework


def compared(asked: Sequence[Framework], assembled: Assembled, seed: int) -> Compared:
    """Return what the oracles say of a problem in float64."""
    from fitkit.gradient_check.oracle import compare_with

    return compare_with(asked, assembled.problem, assembled.start, seed)
