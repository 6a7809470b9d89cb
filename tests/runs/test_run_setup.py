"""Setup of a run of several seeds."""

import jax
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

import fdl
from fdl.config import complete
from fdl.errors import UserError
from fdl.runs import run_setup

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = np.arange(12) % 2
MODEL = fdl.models.functional(fdl.models.MLP((4,), 2), X[:1])
OBJECTIVE = fdl.objectives.classification(MODEL, inputs="features")


def build(seed, size=12, **options):
    arrays = {"features": X[:size], "label": Y[:size]}
    return fdl.Experiment(
        fdl.gradient_learner(MODEL, OBJECTIVE, optax.sgd(0.1)),
        fdl.data.batches(arrays, 4, seed, **options),
        fdl.on_dataset(OBJECTIVE, fdl.data.batches(arrays, 4, shuffle=False)),
    )


def test_seeds_are_evaluated_as_each_alone():
    config = complete(ConfigDict({"num_steps": 2, "seed": 3}))
    together, *alone = (
        run_setup.setup([build(seed) for seed in seeds], config)
        for seeds in ((3, 4), (3,), (4,))
    )
    assert together.test is None
    variables = together.learner.variables(together.program.init(together.keys).state)
    found = together.evaluate(variables)
    for i, setup in enumerate(alone):
        state = jax.jit(setup.learner.init)(jax.random.key(3 + i))
        expected = setup.evaluate(setup.learner.variables(state))
        for name, value in expected.items():
            np.testing.assert_allclose(found[name][i], value, rtol=1e-5)


def test_seeds_of_other_data_are_refused():
    config = complete(ConfigDict({"num_steps": 2}))
    shorter = build(0), build(1, size=11)
    with pytest.raises(UserError, match="fingerprint: expected the same for every"):
        run_setup.setup(shorter, config)
    dropped = build(0, size=11), build(1, size=11, drop_remainder=True)
    with pytest.raises(UserError, match="steps_per_epoch: expected the same for every"):
        run_setup.setup(dropped, config)
