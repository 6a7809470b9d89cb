"""A worker of `rl.py`: trains when it is told to, and says how long it took."""

import json
import sys
import time


def config() -> tuple[str, dict]:
    """Name of the library to run, and the config of the case, from the arguments."""
    return sys.argv[1], json.loads(sys.argv[2])


def serve(train) -> None:
    """Trains from each seed that it reads, and prints a JSON line of what it took.

    Args:
      train: ``train(seed, timed)``, to the mean return of the final policy. It calls
        ``timed(function)`` with the training, and gets what that returns.
    """
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        taken = Taken()
        mean_return = train(int(line), taken)
        print(json.dumps({"return": mean_return, **taken.seconds}), flush=True)


class Taken:
    """Seconds of a training."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    def __call__(self, function):
        """Result of a function, whose time is kept."""
        began = now()
        result = function()
        self.keep(began)
        return result

    def keep(self, began: tuple[float, float], share: float = 1.0, prefix: str = ""):
        """Keeps the time since ``began``, in which a share of the work was done."""
        for name, since, at in zip(("wall", "processor"), began, now(), strict=True):
            self.seconds[prefix + name] = (at - since) / share


def now() -> tuple[float, float]:
    """Time of the clock, and processor time of the process and all its threads."""
    return time.perf_counter(), time.process_time()
