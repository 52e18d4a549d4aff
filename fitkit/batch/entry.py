"""One fit of a batch, before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

_ORDINARY: Final = r"(?a)(\w[\w+,-]*/)*\w([\w+,-]*\w)?(\[[\w.]+=([\w.=,+-]*\w)?\])?"
"""A name from which a folder's is made without loss: no part has a dot or an equals sign, and no key a hyphen."""
_LONGEST: Final = 100


@final
@dataclass(frozen=True, kw_only=True)
class BatchEntry:
    """Everything that another process needs to make the fit: a config by its path, and what is put on top of it."""

    name: str
    """Unlike that of every other fit of the batch: `decay[learning_rate=0.01,seed=1]`."""
    path: str
    label: str = ""
    """Which one of the config's matrix, in words, at the end of the name: `[learning_rate=0.01,seed=1]`."""
    combination: int = 0
    """Which one of the config's matrix, from 0."""
    overrides: tuple[str, ...] = ()
    """Values put on top, each as `key.path=value`."""
    runs_code: bool = False
    """Whether its model is the user's own code, which may do to the process what it likes."""

    @property
    def folder(self) -> str:
        """The name of the folder for its run, unlike that of any other fit and without characters that shells treat.

        `a/decay[rate=1]` has `a.decay-rate=1`. From such a name the fit's own can be told; any other has a hash at its end,
        lest `x y` and `x-y`, or `ä` and `ö`, replace each other's runs.
        """
        import re
        from hashlib import sha256

        readable = re.sub(r"[^A-Za-z0-9._=,+-]+", "-", self.name.replace("/", ".").replace("]", "")).strip("-.")
        if re.fullmatch(_ORDINARY, self.name) and len(readable) <= _LONGEST:
            return readable
        digest = sha256(self.name.encode(errors="backslashreplace")).hexdigest()[:12]
        return f"{readable[:_LONGEST] or 'fit'}-{digest}"
