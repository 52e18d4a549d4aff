"""Ctrl-C and SIGTERM: what they ask for, and what happens when nobody answers."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn, final

from fitkit.errors import ExitCode


@final
class Signals:
    """Hears Ctrl-C and SIGTERM: the first asks the work to stop, a second stops at once.

    Args:
        loss: what a second one says is lost.
    """

    def __init__(self, loss: str) -> None:
        self.number = 0
        """Of the signal that asked to stop, or 0."""
        self.farewells: list[Callable[[], object]] = []
        """What to tidy before the process stops at once."""
        self._loss = loss

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the block runs."""
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def overseen(self, patience: float, overdue: Callable[[int], NoReturn]) -> Iterator[None]:
        """Call `overdue` from a thread of its own if the block has not ended `patience` seconds after a signal.

        Python hears a signal only between two of its own instructions, so a program that compiles or runs for long would
        not stop in time; the system's handler itself writes to a pipe that the thread reads.
        """
        heard, tell = os.pipe()
        os.set_blocking(tell, False)
        ended = threading.Event()

        def watch() -> None:
            number = os.read(heard, 1)[0]
            if not ended.wait(patience) and number:
                overdue(number)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        before = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        try:
            yield
        finally:
            ended.set()
            signal.set_wakeup_fd(before)
            os.write(tell, b"\0")  # so that the thread ends too where nothing was heard
            thread.join()
            os.close(heard)
            os.close(tell)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.number:
            self._stop(number)
        self.number = number

    def _stop(self, number: int) -> NoReturn:
        """Leave from wherever the program is: an exception would be lost in a compiled module's import or a callback."""
        for farewell in self.farewells:
            with suppress(Exception):
                farewell()
        with suppress(OSError):  # not by print, which cannot be entered twice
            os.write(2, f"interrupted at once: {self._loss}\n".encode())
        os._exit(ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED)
