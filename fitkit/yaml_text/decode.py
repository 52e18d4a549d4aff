"""From bytes to text: UTF-8, of bounded size, without control characters."""

from __future__ import annotations

import re
from typing import Final

from fitkit.errors import ConfigError, Diagnostic
from fitkit.yaml_text.nodes import Place, Text

MOST_BYTES: Final = 10_000_000
"""The largest config that is read."""
_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_WIDE: Final = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


def decode(data: bytes, shown: str) -> tuple[str, Text]:
    """Return a config's bytes as text, and as lines under the name that users know it by.

    Raises:
        ConfigError: more than 10 MB, not UTF-8, or a NUL byte or another control character in it.
    """
    if len(data) > MOST_BYTES:
        message = f"a config of more than {MOST_BYTES // 1_000_000} MB"
        raise ConfigError(
            Diagnostic(code="E101", message=message, file=shown, help="put the table into a file and name it in `data`")
        )
    for mark, name in _WIDE:
        if data.startswith(mark):
            raise ConfigError(
                Diagnostic(code="E101", message=f"the config is {name} text", file=shown, help="save it as UTF-8")
            )
    try:
        words = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ConfigError(_undecodable(data, error.start, shown)) from None
    text = Text(shown, tuple(_BREAK.split(words)))
    if found := _UNPRINTABLE.search(words):
        raise ConfigError(_unprintable(words, found.start(), text))
    return words, text


def _undecodable(data: bytes, offset: int, shown: str) -> Diagnostic:
    before = _BREAK.split(data[:offset].decode("utf-8").removeprefix("\ufeff"))
    end = re.compile(rb"[\r\n]").search(data, offset)
    after = data[offset : end.start() if end else None][:200].decode("latin-1")
    text = Text(shown, (*before[:-1], before[-1] + after))
    return Place(text, len(before), len(before[-1]) + 1).diagnostic(
        "E101",
        f"the byte 0x{data[offset]:02x} is not UTF-8",
        f"save the file as UTF-8; if it is Latin-1: `iconv -f latin1 -t utf-8 {shown} > new.yaml`",
    )


def _unprintable(words: str, offset: int, text: Text) -> Diagnostic:
    before = _BREAK.split(words[:offset])
    name = "a NUL byte" if words[offset] == "\0" else f"the control character U+{ord(words[offset]):04X}"
    place = Place(text, len(before), len(before[-1]) + 1)
    return place.diagnostic("E101", f"{name} in the config", "remove it; a config is text")
