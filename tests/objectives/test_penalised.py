from functools import partial

import jax
import numpy as np
import optax
import pytest

import fdl
from fdl import data, losses, models, objectives
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
SOURCE = {
    "features": RANDOM.normal(size=(24, 4)).astype(np.float32),
    "label": RANDOM.integers(3, size=24).astype(np.int32),
}
MODEL = models.functional(models.MLP((6,), 3), SOURCE["features"][:1])
VARIABLES = MODEL.init(jax.random.key(0))
PLAIN = objectives.classification(MODEL, inputs="features")
L2 = partial(losses.l2_penalty, strength=0.05)
L1 = partial(losses.l1_penalty, strength=0.05)


def measured(objective, train):
    loss, (_, watched) = jax.jit(partial(objective, train=train))(VARIABLES, SOURCE)
    return loss, {name: metric.compute() for name, metric in watched.items()}


def test_training_minimises_the_sum_and_evaluation_sees_the_loss_alone():
    objective = objectives.penalised(PLAIN, L2)
    plain, watched = measured(PLAIN, train=False)
    assert measured(objective, train=False) == (plain, watched)
    loss, metrics = measured(objective, train=True)
    np.testing.assert_allclose(loss, plain + L2(VARIABLES["params"]), rtol=1e-6)
    np.testing.assert_allclose(metrics.pop("penalty"), L2(VARIABLES["params"]))
    np.testing.assert_allclose(metrics["loss"], plain, rtol=1e-6)
    assert set(metrics) == set(watched)


def test_two_penalties_have_two_names():
    """The elastic net: L1 and L2 together."""
    lasso = objectives.penalised(PLAIN, L1, name="l1")
    both = objectives.penalised(lasso, L2, name="l2")
    loss, metrics = measured(both, train=True)
    total = metrics["loss"] + metrics["l1"] + metrics["l2"]
    np.testing.assert_allclose(loss, total, rtol=1e-6)
    with pytest.raises(UserError, match="name='l1': expected a name"):
        measured(objectives.penalised(lasso, L2, name="l1"), train=True)


def trained(objective, optimizer):
    learner = fdl.gradient_learner(MODEL, objective, optimizer)
    batches = data.batches(SOURCE, 8)
    return fdl.train.run(learner, batches, num_steps=30).params


@pytest.mark.parametrize("optimizer", [optax.sgd(0.1), optax.adam(1e-2)])
def test_a_learner_with_the_penalty_is_one_with_decay_before_the_optimizer(optimizer):
    decay = optax.add_decayed_weights(0.05, mask=losses.kernels)
    expected = trained(PLAIN, optax.chain(decay, optimizer))
    actual = trained(objectives.penalised(PLAIN, L2), optimizer)
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6), actual, expected)
