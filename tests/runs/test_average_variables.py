"""Averages of checkpoints, held to NumPy."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from fdl.errors import UserError
from fdl.runs.average_variables import average_variables
from fdl.runs.open_run import find_steps

PROGRAMS = 5


def checkpoints(*steps, keep=3):
    return types.SimpleNamespace(keep=keep, steps=lambda: list(steps))


def test_parameters_are_the_mean_and_all_else_is_of_the_last():
    random = np.random.RandomState(0)
    weights = random.normal(size=(3, 4, 2)).astype(np.float32)
    saved = [
        {
            "params": {
                "kernel": weights[i],
                "half": weights[i].astype(jnp.bfloat16),
                "table": np.array([i, 7]),
            },
            "batch_stats": {"mean": weights[i, 0]},
        }
        for i in range(3)
    ]
    found = average_variables(iter(saved))
    params = found["params"]
    mean = weights.astype(np.float64).mean(axis=0)
    assert params["kernel"].dtype == np.float32
    np.testing.assert_array_equal(params["kernel"], mean.astype(np.float32))
    halves = np.stack([x["params"]["half"].astype(np.float64) for x in saved])
    assert params["half"].dtype == jnp.bfloat16
    expected = halves.mean(axis=0).astype(jnp.bfloat16)
    np.testing.assert_array_equal(params["half"], expected)
    np.testing.assert_array_equal(params["table"], [2, 7])
    np.testing.assert_array_equal(found["batch_stats"]["mean"], weights[2, 0])
    # The arguments are as they were.
    np.testing.assert_array_equal(saved[0]["params"]["kernel"], weights[0])


def test_a_mean_in_float32_would_lose_what_this_one_keeps():
    large = np.float32(1e8)
    parts = [{"params": {"x": np.float32([x])}} for x in (large, 8.0, -large)]
    assert average_variables(parts)["params"]["x"] == np.float32(8 / 3)


def test_the_last_checkpoints_are_those_in_a_row():
    # That of step 10 is there as the best: of those in between there is none.
    there = checkpoints(10, 70, 80, 90)
    assert find_steps(there, "run", "latest", 2) == [80, 90]
    assert find_steps(there, "run", "latest", 3) == [70, 80, 90]
    assert find_steps(there, "run", "10") == [10]


@pytest.mark.parametrize(
    "average, checkpoint, message",
    [
        (4, "latest", "^--average=4: expected at most 3, .* steps 70, 80, 90; "),
        (0, "latest", "^--average=0: expected an integer from 1"),
        (2, "best", "^--checkpoint=best: expected none with --average"),
    ],
)
def test_fewer_checkpoints_are_one_line(average, checkpoint, message):
    with pytest.raises(UserError, match=message):
        find_steps(checkpoints(10, 70, 80, 90), "run", checkpoint, average)
    with pytest.raises(UserError, match=r"^run has no checkpoint yet"):
        find_steps(checkpoints(), "run", "latest", 2)
