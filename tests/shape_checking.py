"""What checks array shapes and argument types while the tests run."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as everywhere in Python
MODULES = (
    "fitkit.losses",
    "fitkit.models",
    "fitkit.problem",
    "fitkit.optimizers.adam",
    "fitkit.optimizers.first_order",
    "fitkit.optimizers.lbfgs",
    "fitkit.optimizers.line_search",
    "fitkit.optimizers.sgd",
)
"""The modules whose annotations mean something at run time; the others name numpy's types for the type checker alone."""
