"""Every test runs with shapes checked: fitkit's array types mean something once jaxtyping is there first."""

from __future__ import annotations

from hypothesis import settings
from jaxtyping import install_import_hook
from shape_checking import MODULES

install_import_hook(list(MODULES), "shape_checking.checked")

# The same examples in every run, so that a red run is always about the change at hand; new ones are looked for with
# `--hypothesis-profile=explore`, whose finds become explicit examples.
settings.register_profile("fixed", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile("fixed")
