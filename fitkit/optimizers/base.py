"""What an optimizer is: it maps one point to a better one, and says nothing of stopping, counting or printing."""

from __future__ import annotations

from typing import ClassVar

from fitkit.component import Component


class Optimizer(Component):
    """Abstract: `init` makes a state at a point and `step` a better one."""

    minimizes: ClassVar[str] = "any smooth objective"
    """What it can minimise, in words."""
