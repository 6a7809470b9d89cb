"""The clock by which the speed of training is told, set by hand."""

import types

import pytest

from fdl.runs.training_clock import TrainingClock
from fdl.train import Hook


@pytest.mark.parametrize("synchronous, speed", [(True, 10 / 5), (False, 10 / 2)])
def test_steps_are_waited_for_before_a_hook_that_waits_itself_and_no_other(
    synchronous, speed
):
    """Ten steps: two seconds until they are dispatched, five until they are done."""
    now = [0.0]

    def pass_time(seconds):
        now[0] += seconds

    device = types.SimpleNamespace(block_until_ready=lambda: pass_time(3))
    clock = TrainingClock(lambda: now[0])
    hook = Hook(10, lambda *_: pass_time(100))
    clock.lap(0)
    pass_time(2)
    excluded = clock.excluding(hook, synchronous=synchronous)
    excluded.call(10, types.SimpleNamespace(step=device))
    clock.lap(10)
    assert clock.steps_per_second() == speed
