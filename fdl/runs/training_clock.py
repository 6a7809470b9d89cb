"""Training clock: stands still while a run compiles, evaluates or saves."""

import collections
import time
from collections.abc import Callable

from fdl.train.hooks import Hook
from fdl.train.loop_state import LoopState

WINDOW = 10  # Laps over which the speed is averaged.


class TrainingClock:
    """Clock of a session, with a lap at each log of the metrics of training.

    The device runs steps behind the host, which dispatches them. Both ends of a lap are
    read on the host, equally early, so that their difference is the time of the device.

    Args:
      clock: Seconds from any beginning; default: `time.perf_counter`.

    Attributes:
      reached: Seconds since the session began, all included, at the last lap.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self._clock = clock
        self._began = clock()
        self.reached = 0.0
        self._excluded = 0.0  # Seconds of all that was not training.
        self._stopped: float | None = None  # Reading at which it was stopped.
        self._laps: collections.deque[tuple[int, float]] = collections.deque(
            maxlen=WINDOW + 1
        )

    def lap(self, step: int) -> None:
        """Records that a step was reached."""
        now = self._clock() if self._stopped is None else self._stopped
        self.reached = now - self._began
        if not self._laps or step > self._laps[-1][0]:
            self._laps.append((step, now - self._excluded))

    def seconds(self) -> float:
        """Seconds since the session began, all included."""
        return self._clock() - self._began

    def steps_per_second(self) -> float | None:
        """Mean speed over the last laps; None before the end of the first one."""
        if len(self._laps) < 2:
            return None
        (first, began), (last, ended) = self._laps[0], self._laps[-1]
        return (last - first) / (ended - began) if ended > began else None

    def excluding(self, hook: Hook, *, synchronous: bool = True) -> Hook:
        """The same hook, whose calls count as no training.

        Args:
          hook: Hook.
          synchronous: True if it waits for the device, as an evaluation does; False if
            it does not, such as a save in the background, and must not be made to.
        """

        def call(step: int, loop_state: LoopState) -> LoopState | None:
            if synchronous:  # The steps that it would wait for belong to training.
                loop_state.step.block_until_ready()
            self._stopped = self._clock()
            try:
                return hook.call(step, loop_state)
            finally:
                self._excluded += self._clock() - self._stopped
                self._stopped = None

        return Hook(hook.every, call)
