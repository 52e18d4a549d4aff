"""What there is of a run that a mistake ended, or a bug."""

from __future__ import annotations

from fitkit.errors import ExitCode, FitkitError
from fitkit.result import Result, Status


def failed_result(path: str, error: BaseException, name: str | None = None) -> Result:
    """Return the result of a run that ended with `error`."""
    known = isinstance(error, FitkitError)
    first = (str(error).splitlines() or [""])[0]  # JAX's go on with a traceback
    diagnostics = error.diagnostics if isinstance(error, FitkitError) else ()
    return Result(
        name=name,
        path=path,
        status=Status.FAILED,
        exit_code=int(error.exit_code if isinstance(error, FitkitError) else ExitCode.INTERNAL),
        reason=error.reason if isinstance(error, FitkitError) else "internal",
        message=diagnostics[0].message if known else f"internal error: {type(error).__name__}: {first}",
        errors=diagnostics,
    )


def write_bug(error: BaseException) -> str:
    """Write the details of a bug to a file of its own, and return its path."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="fitkit-bug-", suffix=".txt", delete=False) as stream:
        traceback.print_exception(error, file=stream)
    return stream.name
