import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fdl import rl
from fdl.distributions import categorical
from fdl.envs import box, discrete
from fdl.errors import UserError
from fdl.objectives import ppo
from fdl.types import Env, Model, Timestep

ACTIONS = categorical()
SIZES = {
    "num_envs": 4,
    "num_steps": 7,
    "num_epochs": 1,
    "num_minibatches": 1,
    "discount": 0.9,
    "lambda_": 0.8,
}


def recall(limit=3):
    """The first observation says which action pays at the end; the others nothing."""

    def reset(key):
        bit = jax.random.bernoulli(key).astype(jnp.int32)
        state = jnp.stack([bit, jnp.int32(0)])
        return state, jax.nn.one_hot(bit, 3)

    def step(state, action, key):
        state = state.at[1].add(1)
        late = state[1] == limit
        right = late & (action == state[0])
        # A right answer ends the episode, and a wrong one is cut off.
        last = jnp.array([0.0, 0.0, 1.0])
        reward = right.astype(jnp.float32)
        return state, Timestep(last, reward, right, late & ~right)

    return Env(reset, step, box((3,), 0, 1), discrete(2))


def leaky():
    """A linear actor-critic of a leaky sum of the observations of the episode."""

    def apply(variables, x, carry, resets, key=None, train=False):
        def step(carry, inputs):
            x, reset = inputs
            carry = jnp.where(reset[:, None], 0, 0.7 * carry) + x
            return carry, carry

        along_time = jnp.swapaxes(x, 0, 1), resets.T
        carry, sums = jax.lax.scan(step, carry, along_time)
        outputs = jnp.swapaxes(sums, 0, 1) @ variables["params"]["weights"]
        return ((outputs[..., :2], outputs[..., 2]), carry), {}

    weights = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    return Model(lambda key: {"params": {"weights": jnp.asarray(weights)}}, apply)


def learner(**sizes):
    return rl.recurrent_on_policy(
        recall(),
        leaky(),
        ACTIONS,
        ppo(rl.sequences(leaky()), ACTIONS),
        optax.sgd(0.5),
        zero_carry=lambda n: jnp.zeros((n, 3)),
        **(SIZES | sizes),
    )


def test_the_policy_that_learns_remembers_what_the_one_that_acted_did():
    """Carry and resets are the same: before the first update, all ratios are one."""
    init, step, *_ = learner()
    state = jax.jit(init)(jax.random.key(0))
    step = jax.jit(step)
    for _ in range(2):  # Episodes of three steps begin in the middle of rollouts.
        state, metrics = step(state, None)
        np.testing.assert_allclose(metrics["approx_kl"].compute(), 0, atol=1e-6)
        assert metrics["grad_norm"].compute() > 0
    assert state.carry[~state.resets].any()


def test_without_memory_it_takes_the_steps_of_the_learner_without():
    weights = np.random.default_rng(0).normal(size=(2, 3, 2)).astype(np.float32)

    def init(key):
        return {
            "params": {"policy": jnp.asarray(weights[0]), "value": weights[1, :, 0]}
        }

    def apply(variables, x, key=None, train=False):
        params = variables["params"]
        return (x @ params["policy"], x @ params["value"]), {}

    def apply_along_time(variables, x, carry, resets, **options):
        outputs, model_state = apply(variables, x, **options)
        return (outputs, carry + 1), model_state

    plain, recurrent = Model(init, apply), Model(init, apply_along_time)
    optimizer = optax.sgd(0.1)
    expected = rl.on_policy(
        recall(), plain, ACTIONS, ppo(plain, ACTIONS), optimizer, **SIZES
    )
    found = rl.recurrent_on_policy(
        recall(),
        recurrent,
        ACTIONS,
        ppo(rl.sequences(recurrent), ACTIONS),
        optimizer,
        zero_carry=jnp.zeros,
        **SIZES,
    )
    after = []
    for one in (expected, found):
        state = jax.jit(one.init)(jax.random.key(1))
        step = jax.jit(one.step)
        for _ in range(2):
            state, metrics = step(state, None)
        values = {name: metric.compute() for name, metric in metrics.items()}
        after.append((state.train.params, state.observation, state.episode, values))
    chex.assert_trees_all_close(*after, rtol=1e-4, atol=1e-5)


def test_a_greedy_policy_carries_its_memory_through_an_episode():
    def apply(variables, x, carry, resets):
        carry = jnp.where(x[:, 0, :2].any(1)[:, None], x[:, 0, :2], carry)
        return ((carry[:, None], carry[:, None, 0]), carry), {}

    model = Model(lambda key: {"params": {}}, apply)
    policy = rl.recurrent_greedy(model, ACTIONS, lambda n: jnp.zeros((n, 2)))
    returns, _ = jax.jit(
        lambda: rl.play(
            recall(), policy, {}, jax.random.key(0), num_episodes=8, max_steps=9
        )
    )()
    assert returns.tolist() == [1.0] * 8


@pytest.mark.parametrize("sizes", [{"num_minibatches": 3}, {"num_steps": 0}])
def test_sizes_that_do_not_fit_are_an_error(sizes):
    with pytest.raises(UserError, match=next(iter(sizes))):
        learner(**sizes)
