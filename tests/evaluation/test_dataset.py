import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import data, models, objectives, optim, train
from fdl.errors import UserError
from fdl.learners.gradient import init_train_state

PROGRAMS = 130

RANDOM = np.random.default_rng(0)
SOURCE = {
    "features": RANDOM.normal(size=(23, 4)).astype(np.float32),
    "label": RANDOM.integers(3, size=23).astype(np.int32),
}
MODEL = models.functional(models.MLP((5,), 3, dropout=0.5), SOURCE["features"][:1])
OBJECTIVE = objectives.classification(MODEL, inputs="features")
STATE = init_train_state(MODEL, optax.sgd(0.1), jax.random.key(0))


@pytest.mark.parametrize("batch_size", [1, 5, 22, 23])
def test_each_example_counts_once_whatever_the_batches(batch_size):
    batches = data.batches(SOURCE, batch_size, shuffle=False)
    actual = fdl.on_dataset(OBJECTIVE, batches)(STATE)
    logits, _ = MODEL.apply(STATE.variables, SOURCE["features"])
    correct = np.mean(np.argmax(logits, axis=-1) == SOURCE["label"])
    np.testing.assert_allclose(actual["accuracy"], correct, rtol=1e-6)
    loss, _ = OBJECTIVE(STATE.variables, jax.tree.map(jnp.asarray, SOURCE))
    np.testing.assert_allclose(actual["loss"], loss, rtol=1e-5)


def test_evaluation_needs_an_end():
    with pytest.raises(UserError, match="epochs"):
        fdl.on_dataset(OBJECTIVE, data.no_data())


@pytest.mark.parametrize(
    "options", [{"ema": 0.5}, {"swa": 2}, {"name": "schedule_free_adamw"}], ids=str
)
def test_the_average_of_the_weights_is_measured_if_there_is_one(options):
    optimizer = optim.chain(**options, learning_rate=0.1, num_steps=4)
    learner = fdl.gradient_learner(MODEL, OBJECTIVE, optimizer)
    batches = data.batches(SOURCE, 23, shuffle=False)
    state = train.run(learner, batches, num_steps=4)
    actual = fdl.on_dataset(OBJECTIVE, batches)(state)
    average = optim.averaged(state)
    batch = jax.tree.map(jnp.asarray, SOURCE)
    loss, raw = (OBJECTIVE(s.variables, batch)[0] for s in (average, state))
    np.testing.assert_allclose(actual["loss"], loss, rtol=1e-5)
    assert abs(loss - raw) > 1e-3
