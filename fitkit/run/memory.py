"""What an error of the device is to the user."""

from __future__ import annotations

from fitkit.errors import Diagnostic, EnvironmentFault


def out_of_memory(error: Exception) -> Exception:
    """Return what to raise for an error of the device: its memory is the environment's, anything else is a bug."""
    if "RESOURCE_EXHAUSTED" not in str(error):
        return error
    return EnvironmentFault(Diagnostic(
        code="E702", message="the device ran out of memory", help="use fewer rows, `precision: float32`, or `device: cpu`"
    ))  # fmt: skip
