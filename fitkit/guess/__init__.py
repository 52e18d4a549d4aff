"""`fitkit init`: a config from a table and a formula, with starts guessed from the data.

The names of the formula that are no columns are its parameters (`sketch`). Their scales follow from the units that the
formula implies (`units`), the ones that enter linearly are solved for (`projection`), and many random values of the others
(`candidates`) compete; the best few are polished, and the best of all is the guess (`guess`), written into a config
(`config_text`).
"""

from __future__ import annotations

from fitkit.guess.config_text import config_text
from fitkit.guess.guess import Guess, guess_starts
from fitkit.guess.sketch import Sketch, read_sketch

__all__ = ["Guess", "Sketch", "config_text", "guess_starts", "read_sketch"]
