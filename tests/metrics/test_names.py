"""One order of metrics for all tables, plots and logs."""

import itertools

import pytest

from fdl.metrics.names import in_order


@pytest.mark.parametrize(
    "expected",
    [
        ["loss", "accuracy", "f1", "grad_norm"],
        ["loss", "learning_rate", "update_ratio", "grad_norm"],
    ],
)
def test_the_loss_is_first_and_what_is_of_the_optimizer_last(expected):
    for names in itertools.permutations(expected):
        assert in_order(names) == expected


def test_others_and_learners_stay_as_they_were():
    assert in_order(["b", "a", "loss"]) == ["loss", "b", "a"]
    names = ["z/f1", "z/loss", "a/accuracy", "a/loss", "accuracy"]
    assert in_order(names) == ["accuracy", "z/loss", "z/f1", "a/loss", "a/accuracy"]
