"""Ctrl-C during a fit: the first one asks it to stop, a second one interrupts at once."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

_NOTE = b"\nfastgmm: stopping after this iteration; Ctrl-C again stops at once, without a model\n"
_STDERR = 2


class Interruption:
    """A context in which Ctrl-C is a request.

    Outside the main thread, and where the process ignores Ctrl-C or has a handler of its own, all
    stays as it is.

    Parameters
    ----------
    is_worthwhile : callable
        Whether there is something to keep. Where there is not, Ctrl-C interrupts at once.

    Attributes
    ----------
    requested : bool
        Whether the work is to stop.
    """

    def __init__(self, is_worthwhile: Callable[[], bool]) -> None:
        self.requested = False
        self._is_worthwhile = is_worthwhile
        in_main_thread = threading.current_thread() is threading.main_thread()
        current = signal.getsignal(signal.SIGINT)
        self._is_active = in_main_thread and current is signal.default_int_handler

    def __enter__(self) -> "Interruption":
        if self._is_active:
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_active:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested or not self._is_worthwhile():
            raise KeyboardInterrupt
        self.requested = True
        os.write(_STDERR, _NOTE)  # print could find its buffer in use
