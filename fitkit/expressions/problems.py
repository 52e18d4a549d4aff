"""What is wrong with an expression, and where in its text."""

from __future__ import annotations

from typing import Final, final

CHARACTER: Final = "E201"
LITERAL: Final = "E202"
SYNTAX: Final = "E203"
FUNCTION: Final = "E204"
TEXT: Final = "E205"
SIZE: Final = "E206"
NOT_FINITE: Final = "E207"
EQUATION: Final = "E208"
NOT_CONSTANT: Final = "E209"
CONSTRAINT: Final = "E210"


@final
class ExpressionError(Exception):
    """An expression that cannot be understood.

    It is no `FitkitError`: the config layer knows the place of the text in the file and makes a diagnostic of it.

    Args:
        message: one sentence, without a full stop.
        text: the text that `offset` counts into.
        offset: where the mistake begins, from 0.
        length: how many characters it covers, at least 1.
        help: the way out, if there is an obvious one.
        code: one of the codes of this module.
    """

    def __init__(
        self,
        message: str,
        *,
        text: str,
        offset: int,
        length: int = 1,
        help: str | None = None,  # noqa: A002 - the name that the diagnostic gives it
        code: str = SYNTAX,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.text = text
        self.offset = max(0, min(offset, len(text) - 1))
        self.length = max(1, min(length, len(text) - self.offset))
        self.help = help
        self.code = code

    def within(self, text: str, shift: int) -> ExpressionError:
        """Return the same mistake as seen in `text`, of which the own text is the part that begins at `shift`."""
        return ExpressionError(
            self.message, text=text, offset=self.offset + shift, length=self.length, help=self.help, code=self.code
        )


def excerpt(text: str, limit: int = 40) -> str:
    """Return `text` on one line, cut to `limit` characters, for use in a message."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
