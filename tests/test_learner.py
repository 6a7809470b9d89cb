import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl.types import Mean, Model

# The loss of w at x is (w − x)², its gradient 2(w − x): everything can be done by hand.
MODEL = Model(
    init=lambda key: {"params": jnp.float32(3.0)},
    apply=lambda variables, x, key=None, train=False: (variables["params"] - x, {}),
)


def objective(variables, batch, key=None, *, train=False):
    error, model_state = MODEL.apply(variables, batch)
    loss = jnp.square(error)
    return loss, (model_state, {"loss": Mean(loss, jnp.float32(1))})


LEARNER = fdl.gradient_learner(MODEL, objective, optax.sgd(0.25))


def test_a_gradient_step_goes_down_the_gradient():
    state = LEARNER.init(jax.random.key(0))
    state, metrics = jax.jit(LEARNER.step)(state, jnp.float32(1.0))
    assert state.params == 3.0 - 0.25 * 2 * (3.0 - 1.0)
    assert metrics["loss"].compute() == 4.0
    assert metrics["grad_norm"].compute() == 4.0
    assert state.step == 1


def test_each_step_sees_a_key_of_its_own_and_the_root_key_stays():
    seen = []

    def noting(variables, batch, key=None, *, train=False):
        seen.append(jax.random.key_data(key))
        return objective(variables, batch, key, train=train)

    learner = fdl.gradient_learner(MODEL, noting, optax.sgd(0.1))
    first = learner.init(jax.random.key(0))
    second, _ = learner.step(first, jnp.float32(1.0))
    third, _ = learner.step(second, jnp.float32(1.0))
    assert (seen[0] != seen[1]).any()
    assert third.key == first.key
    expected = jax.random.key_data(jax.random.fold_in(first.key, 1))
    np.testing.assert_array_equal(seen[1], expected)


@pytest.mark.parametrize("num_steps", [1, 3, 4])
def test_repeat_takes_as_many_steps_as_it_is_told(num_steps):
    batches = jnp.arange(4.0)
    repeated, metrics = jax.jit(fdl.repeat(LEARNER.step))(
        LEARNER.init(jax.random.key(0)), batches, num_steps
    )
    state, losses = LEARNER.init(jax.random.key(0)), []
    for batch in batches[:num_steps]:
        state, step_metrics = LEARNER.step(state, batch)
        losses.append(step_metrics["loss"].compute())
    assert repeated.params == state.params
    assert metrics["loss"].weight == num_steps
    chex.assert_trees_all_close(metrics["loss"].compute(), jnp.mean(jnp.stack(losses)))


def test_repeat_compiles_once_for_all_lengths():
    chex.clear_trace_counter()
    step = chex.assert_max_traces(LEARNER.step, n=1)
    steps = jax.jit(fdl.repeat(step))
    state = LEARNER.init(jax.random.key(0))
    for num_steps in (1, 2, 4):
        state, _ = steps(state, jnp.arange(4.0), num_steps)
    assert state.step == 7
