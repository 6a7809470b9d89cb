"""Experiments that are compared have the numbers of each alone."""

import chex
import jax
import numpy as np
import pytest

import fdl
from fdl import data, experiment
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
CONFIG = fdl.config.base()
CONFIG.update({"num_steps": 3, "batch_size": 4, "optimizer": {}})
INPUTS = data.preprocessing.arrays(image=jax.ShapeDtypeStruct((3,), "float32"))
TRAIN, VALIDATION, TEST = (
    {
        "image": RANDOM.normal(size=(size, 3)).astype(np.float32),
        "label": np.arange(size, dtype=np.int32) % 2,
    }
    for size in (8, 5, 6)
)


def arm(width=4, train=TRAIN, test=TEST, **options):
    network = fdl.models.MLP((width,), num_outputs=2)
    splits = data.Splits(train, VALIDATION, test)
    return fdl.supervised(CONFIG, splits, INPUTS, network, **options)


def trained(built):
    state = fdl.train.run(built.learner, built.batches, num_steps=3)
    return built.learner.variables(state)


@pytest.mark.slow
def test_each_arm_has_the_numbers_that_it_has_alone():
    arms = {"adam": arm(), "sgd": arm(optimizer={"name": "sgd"}), "wide": arm(5)}
    claim = fdl.Claim("wide is good", lambda m: m["wide/accuracy"], at_least=0)
    together = experiment.compare(arms, claims=[claim])
    variables = trained(together)
    expected = {name: trained(alone) for name, alone in arms.items()}
    for name in arms:
        found = fdl.learners.select_variables(variables, name)
        chex.assert_trees_all_close(found, expected[name], rtol=1e-5, atol=1e-7)
    for split in ("evaluate", "test"):
        found = getattr(together, split)(variables)
        for name, alone in arms.items():
            for metric, value in getattr(alone, split)(expected[name]).items():
                np.testing.assert_allclose(found[f"{name}/{metric}"], value, rtol=1e-5)
    assert len(found) == 2 * len(arms)
    assert together.claims == [claim]


def test_there_is_a_test_only_if_all_arms_have_one():
    assert experiment.compare({"a": arm(), "b": arm(test=None)}).test is None


OTHER = {**TRAIN, "image": TRAIN["image"] + 1}
FEWER = {name: array[:7] for name, array in TRAIN.items()}


@pytest.mark.parametrize(
    "arms, message",
    [
        ({}, "expected at least one"),
        ({"a/b": {}}, "learner 'a/b': expected a name without '/'"),
        ({"a": {}, "b": {"train": OTHER}}, r"arms\['b'\].batches.fingerprint="),
        ({"a": {"train": FEWER}, "b": {}}, r"arms\['b'\].batches.fingerprint="),
    ],
)
def test_what_cannot_be_compared_is_refused(arms, message):
    with pytest.raises(UserError, match=message):
        experiment.compare({name: arm(**options) for name, options in arms.items()})
