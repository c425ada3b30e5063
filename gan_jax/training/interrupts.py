"""SIGTERM and SIGINT as a request to stop at the next dispatch, where a checkpoint can be saved."""

import os
import signal
import threading
from types import FrameType

import jax
import numpy as np
from jax.experimental import multihost_utils

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupts:
    """Take note of the first signal; at the second, raise KeyboardInterrupt at once.

    A context manager, to be asked after every dispatch:

        if interrupts.poll():
            checkpoints.save(step, state)
            raise SystemExit(interrupts.exit_status)

    Outside the main thread, where Python allows no handlers, signals keep their effect.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._arrived_here = False
        self._old = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._old = {signum: signal.signal(signum, self._note) for signum in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for signum, handler in self._old.items():
            signal.signal(signum, handler)

    @property
    def exit_status(self) -> int:
        """The shell's exit status of a process ended by the signal; 0 where there was none."""
        return 128 + self.signum if self.signum else 0

    def poll(self) -> int | None:
        """Return the number of a signal that arrived at any process, or None.

        Every process makes the call, at the same step, and all get the same answer.
        """
        if jax.process_count() == 1:
            return self.signum
        agreed = int(np.max(multihost_utils.process_allgather(np.int32(self.signum or 0))))
        if agreed:
            self.signum = agreed
        return agreed or None

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self._arrived_here:
            raise KeyboardInterrupt
        self._arrived_here = True
        self.signum = signum
        name = signal.Signals(signum).name
        # Not print: the handler may run in the midst of another print.
        os.write(2, f"\n{name}: stopping after this dispatch; once more, at once\n".encode())
