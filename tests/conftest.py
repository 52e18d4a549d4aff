"""Every test runs with shapes checked: fitkit's array types mean something once jaxtyping is there first."""

from __future__ import annotations

from jaxtyping import install_import_hook
from shape_checking import MODULES

install_import_hook(list(MODULES), "shape_checking.checked")
