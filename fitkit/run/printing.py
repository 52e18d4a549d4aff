"""What a python model prints goes to standard error: standard output belongs to the report."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from fitkit.backend import jax
from fitkit.config import ConfigSource
from fitkit.models import PythonModel


@contextmanager
def prints_aside(source: ConfigSource) -> Iterator[None]:
    """Send what a python model prints while the block runs, in callbacks too, to standard error."""
    if not isinstance(source.config.model, PythonModel):
        yield
        return
    # JAX would log every callback that fails, with its traceback; what is to be said of it is said once, by us.
    logger = logging.getLogger("jax._src.callback")
    silent, logger.disabled = logger.disabled, True
    with redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            logger.disabled = silent
            jax.effects_barrier()  # type: ignore[no-untyped-call]  # jax leaves it without types
