"""Runs of blanks made single, so that a reader that knows delimiters of one character can read aligned columns."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from fitkit.readers.source import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def squeezed(source: Source, skip: int) -> bytes:
    """Return the text from byte `skip` on: runs of blanks and tabs are one blank, none stands beside a line end."""
    import numpy as np

    out = io.BytesIO()
    carried = b"\n"  # what the next chunk's beginning depends on; at first a line end that is not in the text
    made_up = 1
    for chunk in source.chunks():
        dropped = min(skip, len(chunk))
        skip -= dropped
        kept = _squeezed(np.frombuffer(carried + chunk[dropped:], dtype=np.uint8))
        if len(kept) > 1 or not made_up:
            out.write(kept[made_up:-1].tobytes())
            made_up = 0
        carried = kept[-1:].tobytes()
    out.write(carried[made_up:].rstrip(b" "))
    return out.getvalue()


def _squeezed(text: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the bytes with single blanks, none beside the end of a line; a blank at the very end stays."""
    import numpy as np

    text = np.where(text == ord("\t"), np.uint8(ord(" ")), text)
    blank = text == ord(" ")
    kept = np.ones(len(text), dtype=np.bool_)
    kept[1:] = ~(blank[1:] & blank[:-1])
    text = text[kept]
    blank, end = text == ord(" "), (text == ord("\n")) | (text == ord("\r"))
    kept = np.ones(len(text), dtype=np.bool_)
    kept[1:] &= ~(blank[1:] & end[:-1])
    kept[:-1] &= ~(blank[:-1] & end[1:])
    squeezed_text: NDArray[np.uint8] = text[kept]
    return squeezed_text
