import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from fdl import envs, rl
from fdl.distributions import categorical
from fdl.objectives.ppo import ppo
from fdl.types import Env, Model, Timestep

SPEC = envs.box((3,))
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
update = jax.jit(rl.update_observation_stats)


def identity():
    """A model that returns what it is given, and has another collection."""

    def apply(variables, *inputs, key=None, train=False):
        return inputs, {"batch_stats": variables["batch_stats"]}

    return Model(lambda key: {"params": {}, "batch_stats": {}}, apply)


NORMALIZED = rl.normalize_observations(identity(), SPEC)


def stats_of(*batches, mask=None):
    variables = NORMALIZED.init(KEY)
    for batch in batches:
        variables = update(variables, batch, mask)
    return variables["observation_stats"]


def of_all(*batches):
    x = np.concatenate([np.asarray(b, np.float64).reshape(-1, 3) for b in batches])
    return {"count": len(x), "mean": x.mean(axis=0), "var": x.var(axis=0)}


# Far from zero, the mean itself has few digits left for the differences.
@pytest.mark.parametrize("offset, rtol", [(0.0, 1e-5), (1e3, 3e-5), (-1e5, 1e-3)])
def test_they_are_those_of_all_observations_together(offset, rtol):
    sizes = [(7, 2), (1, 2), (50, 2), (3,)]  # Leading axes of any number.
    batches = [
        (offset + (i + 1) * RNG.normal(size=(*size, 3))).astype(np.float32)
        for i, size in enumerate(sizes)
    ]
    expected = of_all(*batches)
    actual = stats_of(*batches)
    assert {x.dtype for x in jax.tree.leaves(actual)} == {jnp.dtype("float32")}
    chex.assert_trees_all_close(actual, expected, rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "uint8", "bool", "int32"])
def test_observations_may_be_of_any_dtype(dtype):
    batch = jnp.asarray(RNG.integers(0, 2, size=(400, 3))).astype(dtype)
    chex.assert_trees_all_close(stats_of(batch), of_all(batch), rtol=1e-6)


def test_what_is_masked_does_not_count_even_if_it_is_nan():
    batch = RNG.normal(size=(5, 4, 3)).astype(np.float32)
    mask = RNG.integers(2, size=(5, 4)).astype(bool)
    broken = np.where(mask[..., None], batch, np.nan)
    expected = of_all(batch[mask])
    chex.assert_trees_all_close(stats_of(broken, mask=mask), expected, rtol=1e-5)


def test_a_mask_of_zero_changes_nothing():
    batch, nothing = np.ones((4, 3), np.float32), np.zeros(4, bool)
    start = NORMALIZED.init(KEY)
    chex.assert_trees_all_equal(start, update(start, batch, nothing))
    later = update(start, batch, ~nothing)
    chex.assert_trees_all_equal(later, update(later, np.nan * batch, nothing))


def test_without_the_collection_variables_stay_as_they_are():
    variables = {"params": {"w": jnp.ones(2)}}
    chex.assert_trees_all_equal(variables, update(variables, jnp.ones((4, 3))))


def test_observations_are_standardised_and_clipped_and_the_rest_passes():
    batch = RNG.normal(5.0, 2.0, size=(100, 3)).astype(np.float32)
    batch[:, 2] = 7.0  # It never varies.
    variables = update(NORMALIZED.init(KEY), batch)
    batch = np.where(np.arange(300).reshape(100, 3) == 0, np.float32(1e6), batch)
    action = jnp.ones(100)
    (actual, same), model_state = jax.jit(NORMALIZED.apply)(variables, batch, action)
    stats = jax.tree.map(np.asarray, variables["observation_stats"])
    expected = (batch - stats["mean"]) / np.sqrt(stats["var"] + 1e-8)
    chex.assert_trees_all_close(actual, np.clip(expected, -10, 10), rtol=1e-5)
    assert actual[0, 0] == 10 and not actual[:, 2].any()
    chex.assert_trees_all_equal(same, action)
    chex.assert_trees_all_equal({"params": {}, **model_state}, variables)


def test_before_the_first_update_observations_are_only_clipped():
    batch = np.array([[-1.0, 0.5, 20.0]], np.float32)
    (actual,), _ = NORMALIZED.apply(NORMALIZED.init(KEY), batch)
    np.testing.assert_allclose(actual, [[-1.0, 0.5, 10.0]])


def test_on_a_mesh_they_are_the_same():
    batch = RNG.normal(3.0, size=(6, 8, 3)).astype(np.float32)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    spread = jax.device_put(batch, NamedSharding(mesh, PartitionSpec(None, "data")))
    chex.assert_trees_all_close(stats_of(spread), stats_of(batch), rtol=1e-6)


def counter():
    """Counts steps by thousands; ends after 5."""

    def reset(key):
        start = jax.random.uniform(key)
        return jnp.int32(0), observe(jnp.int32(0)) + start

    def step(state, action, key):
        state = state + 1
        ended = state >= 5
        reward = action.astype(jnp.float32)
        return state, Timestep(observe(state), reward, ended, ended & False)

    def observe(state):
        return 1000.0 * state[None].astype(jnp.float32)

    return Env(reset, step, envs.box((1,)), envs.discrete(2))


def linear():
    """A policy that depends on its observation by a single number, and a value."""

    def apply(variables, x, key=None, train=False):
        w = variables["params"]
        return (jnp.concatenate([w * x, -w * x], axis=-1), w * x[:, 0]), {}

    return Model(lambda key: {"params": jnp.float32(0.1)}, apply)


@pytest.fixture(scope="module")
def trained():
    """Three seeds after two rollouts each, with what was observed in them."""
    env, actions = counter(), categorical()
    model = rl.normalize_observations(linear(), env.observation)
    learner = rl.on_policy(
        env,
        model,
        actions,
        ppo(model, actions),
        optax.sgd(0.1),
        num_envs=4,
        num_steps=6,
        num_epochs=1,
        num_minibatches=2,
        discount=0.9,
        lambda_=0.8,
    )
    step = jax.jit(jax.vmap(lambda state: learner.step(state, None)[0]))
    states = [jax.jit(jax.vmap(learner.init))(jax.random.split(KEY, 3))]
    for _ in range(2):
        states.append(step(states[-1]))
    return env, model, [learner.variables(state) for state in states], states


def test_the_learner_updates_them_from_each_rollout(trained):
    env, model, after, states = trained
    policy = rl.sampling(rl.actor(model), categorical())

    @jax.jit
    @jax.vmap
    def observed(state):
        key, _ = jax.random.split(jax.random.fold_in(state.key, state.step))
        act = functools.partial(policy, state.train.variables)
        return rl.unroll(env, act, state.env, state.observation, key, 6)[2].observation

    seen = np.stack([observed(state) for state in states[:2]], axis=1)
    for i, x in enumerate(seen.reshape(3, -1).astype(np.float64)):
        expected = {"count": 48.0, "mean": x.mean(keepdims=True), "var": [x.var()]}
        for name, leaf in after[2]["observation_stats"].items():
            np.testing.assert_allclose(leaf[i], expected[name], rtol=1e-5)


def test_evaluation_uses_those_of_the_variables(trained):
    env, model, after, _ = trained
    variables = jax.tree.map(lambda x: x[0], after[-1])
    policy = rl.greedy(rl.actor(model), categorical())
    evaluate = rl.on_episodes(env, policy, num_episodes=2)
    # Action 1 where the observation is below its mean, if the weight is positive.
    variables = {**variables, "params": jnp.float32(1.0)}
    for mean, expected in ((1500.0, 2.0), (3500.0, 4.0)):
        stats = variables["observation_stats"] | {"mean": jnp.full(1, mean)}
        found = evaluate({**variables, "observation_stats": stats})
        assert found["episode_return"] == expected
