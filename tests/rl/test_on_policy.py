import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding

from fdl.data import no_data
from fdl.distributions import categorical
from fdl.envs import box, discrete
from fdl.errors import UserError
from fdl.learners import inject_hyperparameters, repeat, replicate, select
from fdl.objectives.ppo import ppo
from fdl.rl import (
    actor,
    count_bonus,
    episodic,
    gae,
    greedy,
    minibatch_steps,
    on_policy,
    play,
    shuffle,
)
from fdl.types import Env, Mean, Model, Timestep

PROGRAMS = 230

ACTIONS = categorical()
SIZES = {
    "num_envs": 4,
    "num_steps": 6,
    "num_epochs": 1,
    "num_minibatches": 1,
    "discount": 0.9,
    "lambda_": 0.8,
}


def corridor(length=3, limit=5):
    """Action 1 goes on, action 0 goes back; pays one at the end, nothing before."""

    def reset(key):
        del key  # Always at the other end.
        state = jnp.zeros(2, jnp.int32)
        return state, observe(state)

    def step(state, action, key):
        del key  # The dynamics are deterministic.
        place = jnp.maximum(state[0] + 2 * action - 1, 0)
        state = jnp.stack([place, state[1] + 1])
        terminated = place >= length
        truncated = (state[1] >= limit) & ~terminated
        reward = terminated.astype(jnp.float32)
        return state, Timestep(observe(state), reward, terminated, truncated)

    def observe(state):
        return jax.nn.one_hot(state[0], length + 1)

    return Env(reset, step, box((length + 1,), 0, 1), discrete(2))


def table():
    """Logits and a value for each place."""

    def init(key):
        logits_key, values_key = jax.random.split(key)
        return {
            "params": {
                "logits": 0.1 * jax.random.normal(logits_key, (4, 2)),
                "values": jax.random.normal(values_key, (4,)),
            }
        }

    def apply(variables, observation, key=None, train=False):
        params = variables["params"]
        return (observation @ params["logits"], observation @ params["values"]), {}

    return Model(init, apply)


def learner(distribution=ACTIONS, learning_rate=0.5, **sizes):
    model = table()
    objective = ppo(model, distribution)
    optimizer = optax.sgd(learning_rate)
    sizes = SIZES | sizes
    return on_policy(corridor(), model, distribution, objective, optimizer, **sizes)


def test_a_step_acts_judges_and_descends():
    # Acts by the mode, so that the reference needs no chance.
    decided = ACTIONS._replace(sample=lambda params, key: ACTIONS.mode(params))
    init, step, *_ = learner(decided)
    state = jax.jit(init)(jax.random.key(2))
    # Back from the beginning, where it is cut; on from elsewhere, where it terminates.
    logits = jnp.array([[0.3, 0.0], [0.0, 0.1], [0.0, 0.2], [0.0, 0.0]])
    values = jnp.array([0.5, -1.0, 2.0, 3.0])
    params = {"logits": logits, "values": values}
    state = state._replace(
        train=state.train._replace(params=params),
        env=state.env.at[:, 0].set(jnp.array([0, 1, 2, 1])),
        observation=jnp.eye(4)[jnp.array([0, 1, 2, 1])],
    )
    after, metrics = jax.jit(step)(state, None)

    seen = np.zeros((5, 4, 6))
    for n, at in enumerate([0, 1, 2, 1]):
        clock = 0
        for t in range(6):
            choice = int(logits[at].argmax())
            after_it, clock = max(at + 2 * choice - 1, 0), clock + 1
            over, late = after_it == 3, clock == 5 and after_it < 3
            seen[:, n, t] = at, choice, after_it, over, late
            at, clock = (0, 0) if over or late else (after_it, clock)
    place, action, to, end, cut = jnp.array(seen, int).swapaxes(1, 2)
    assert end.any() and cut.any()
    advantage = jax.jit(gae)(
        jnp.float32(end),
        values[place],
        values[to],
        end == 1,
        cut == 1,
        discount=0.9,
        lambda_=0.8,
    )
    batch = {
        "observation": jnp.eye(4)[place.ravel()],
        "action": action.ravel(),
        "log_prob": ACTIONS.log_prob(logits[place.ravel()], action.ravel()),
        "advantage": advantage.ravel(),
        "return": (advantage + values[place]).ravel(),
    }
    objective = ppo(table(), ACTIONS)
    loss = jax.jit(lambda p: objective({"params": p}, batch, train=True)[0])
    grads = jax.grad(loss)(params)
    expected = jax.tree.map(lambda p, g: p - 0.5 * g, params, grads)
    chex.assert_trees_all_close(after.train.params, expected, atol=1e-5)
    assert (after.step, after.train.step) == (1, 1)
    assert metrics["episode_return"].total == end.sum()
    assert metrics["episode_return"].weight == (end | cut).sum()
    assert metrics["loss"].weight == 24


def test_metrics_are_merged_over_all_minibatches():
    init, step, *_ = learner(num_epochs=3, num_minibatches=2)
    after, metrics = jax.jit(step)(jax.jit(init)(jax.random.key(0)), None)
    assert metrics["loss"].weight == 3 * 24
    assert metrics["grad_norm"].weight == 3 * 2
    assert (after.step, after.train.step) == (1, 6)


def test_each_epoch_learns_from_every_transition_once():
    rows = jax.jit(shuffle, static_argnums=(1, 2, 3))(jax.random.key(0), 24, 3, 4)
    assert rows.shape == (12, 6)
    epochs = rows.reshape(3, 24)
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(24), (3, 1)))
    assert not (epochs[0] == epochs[1]).all()


@pytest.mark.slow
def test_it_learns_to_walk_a_corridor():
    trained = learner(num_envs=16, num_steps=16, num_epochs=4, num_minibatches=4)
    init, step = jax.vmap(trained.init), jax.vmap(trained.step, (0, None))
    states = jax.jit(init)(jax.random.split(jax.random.key(0), 5))
    states, metrics = jax.jit(repeat(step))(states, None, 30)
    returns, lengths = jax.jit(
        jax.vmap(
            lambda variables: play(
                corridor(),
                greedy(actor(table()), ACTIONS),
                variables,
                jax.random.key(0),
                num_episodes=10,
                max_steps=100,
            )
        )
    )(states.train.variables)
    assert (returns == 1).all()
    assert (lengths <= 3).all()  # No step back.
    assert (metrics["episode_return"].compute() > 0.9).all()
    # A step from the end is worth 1, one before that 0.9, and so on.
    chex.assert_trees_all_close(
        states.train.params["values"][:, :3],
        jnp.tile(jnp.array([0.81, 0.9, 1.0]), (5, 1)),
        atol=0.1,
    )


@pytest.mark.slow
def test_a_step_keeps_types_and_fused_or_spread_gives_the_same():
    chex.clear_trace_counter()
    init, step, _, partition, *_ = learner(num_epochs=2, num_minibatches=2)
    state = jax.jit(init)(jax.random.key(0))
    once = jax.jit(chex.assert_max_traces(step, n=1))
    single, _ = once(state, None)
    single, _ = once(single, None)
    fused, _ = jax.jit(repeat(step))(state, None, 2)
    chex.assert_trees_all_equal(single, fused)

    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    shardings = jax.tree.map(lambda spec: NamedSharding(mesh, spec), partition)
    spread = jax.jit(init, out_shardings=shardings)(jax.random.key(0))
    spread_step = jax.jit(step, out_shardings=(shardings, None))
    for _ in range(2):
        spread, _ = spread_step(spread, None)
    assert not spread.observation.sharding.is_fully_replicated
    chex.assert_trees_all_close(
        spread.train.params, single.train.params, rtol=1e-4, atol=1e-6
    )


@pytest.mark.slow
def test_discounts_are_traced_with_the_numbers_of_each():
    arms = [{"discount": 1.0, "lambda_": 0.9}, {"discount": 0.5, "lambda_": 0.0}]
    traced = inject_hyperparameters(learner)
    replicas, _ = replicate([traced(**arm) for arm in arms], no_data())
    together = jax.jit(replicas.init)(jax.random.key(0))
    assert together.names == (("0", "1"),)
    together, _ = jax.jit(repeat(replicas.step))(together, None, 2)
    found = [select(together, i).inner.train.params for i in range(2)]
    for arm, params in zip(arms, found, strict=True):
        alone = learner(**arm)
        state = jax.jit(alone.init)(jax.random.key(0))
        state, _ = jax.jit(repeat(alone.step))(state, None, 2)
        chex.assert_trees_all_close(state.train.params, params, rtol=1e-5, atol=1e-6)
    assert not np.allclose(found[0]["values"], found[1]["values"])


@pytest.mark.parametrize(
    "sizes",
    [
        {"num_minibatches": 5},
        {"num_envs": 0},
        {"discount": 2.0},
        {"lambda_": -0.1},
        {"max_kl": -1.0},
        {"max_kl": float("nan")},
    ],
)
def test_sizes_that_do_not_fit_are_an_error(sizes):
    ((name, value),) = sizes.items()
    with pytest.raises(UserError, match=f"{name}={value}: expected"):
        learner(**sizes)


def test_a_divergence_of_nan_is_in_the_metrics():
    """It would otherwise stop all updates, and a run go on without learning."""

    def step(state, batch):
        mean = Mean(batch["kl"].sum(), jnp.float32(1))
        return state + 1, {"approx_kl": mean}

    data, rows = {"kl": jnp.array([0.1, jnp.nan, 0.1])}, jnp.arange(3)[:, None]
    state, metrics = jax.jit(lambda: minibatch_steps(step, 0, data, rows, max_kl=0.5))()
    assert state == 3 and np.isnan(metrics["approx_kl"].compute())


def test_a_divergence_above_its_bound_ends_the_updates_of_a_rollout():
    def step(state, batch):  # Moves by one, and diverges by what it is given.
        mean = Mean(batch["kl"].sum(), jnp.float32(1))
        return state + 1, {"approx_kl": mean, "loss": mean}

    data = {"kl": jnp.array([0.1, 0.2, 0.9, 0.1, 0.1])}
    rows = jnp.arange(5)[:, None]
    state, metrics = jax.jit(lambda: minibatch_steps(step, 0, data, rows, max_kl=0.5))()
    assert state == 2
    assert metrics["stopped"].compute() == np.float32(3 / 5)
    chex.assert_trees_all_close(metrics["loss"], Mean(jnp.float32(0.3), jnp.float32(2)))
    with pytest.raises(UserError, match="expected a metric 'approx_kl'"):
        minibatch_steps(lambda s, _: (s, {"kl": 0}), 0, data, rows, max_kl=0.5)


def test_episodes_are_played_from_their_beginning_to_their_end():
    """What comes after an end, in the same environment, has no weight."""
    seen = []

    def objective(variables, batch, key=None, *, train=False):
        jax.debug.callback(lambda x: seen.append(x), batch, ordered=True)
        return 0.0, ({}, {})

    decided = ACTIONS._replace(sample=lambda params, key: ACTIONS.mode(params))
    learner = episodic(
        corridor(),
        table(),
        decided,
        objective,
        optax.sgd(0.1),
        num_episodes=2,
        max_steps=4,
        discount=0.5,
    )
    state = jax.jit(learner.init)(jax.random.key(0))
    logits, values = jnp.array([[0.0, 1.0]] * 4), jnp.arange(4.0) + 10
    for forward in (True, False):
        params = {"logits": logits if forward else -logits, "values": values}
        state = state._replace(train=state.train._replace(params=params))
        _, metrics = jax.jit(learner.step)(state, None)
        jax.effects_barrier()
        batch = jax.tree.map(lambda x: x.reshape(4, 2, *x.shape[1:]), seen.pop())
        if forward:  # To the end in three steps; what follows is of another episode.
            returns = batch["return"][:3]
            assert batch["mask"].tolist() == [[True] * 2] * 3 + [[False] * 2]
            assert returns.tolist() == [[0.25] * 2, [0.5] * 2, [1.0] * 2]
            assert metrics["episode_return"].compute() == 1
            assert metrics["episode_length"].compute() == 3
        else:  # Cut after four steps: the value of the last observation is the rest.
            assert batch["mask"].all()
            expected = [10 * 0.5 ** (4 - t) for t in range(4)]
            assert batch["return"].tolist() == [[x] * 2 for x in expected]
            assert metrics["episode_return"].compute() == 0


def test_rewards_are_normalised_and_bonuses_added_but_returns_are_the_true_ones():
    seen = []

    def objective(variables, batch, key=None, *, train=False):
        jax.debug.callback(lambda x: seen.append(x), batch["return"], ordered=True)
        return 0.0, ({}, {})

    decided = ACTIONS._replace(sample=lambda params, key: ACTIONS.mode(params))
    learner = on_policy(
        corridor(),
        table(),
        decided,
        objective,
        optax.sgd(0.1),
        **{**SIZES, "lambda_": 0.0},
        normalize_rewards=True,
        bonus=count_bonus(lambda x: x.argmax(axis=-1), 4, scale=0.5),
    )
    state = jax.jit(learner.init)(jax.random.key(0))
    params = {"logits": jnp.array([[0.0, 1.0]] * 4), "values": jnp.zeros(4)}
    state = state._replace(train=state.train._replace(params=params))
    step = jax.jit(learner.step)
    # On and on, from the beginning to the end in three steps: two episodes a rollout.
    reward = np.array([0, 0, 1, 0, 0, 1])
    for visits in (8, 16):  # Of each place but the first, where nothing leads to.
        state, metrics = step(state, None)
        jax.effects_barrier()
        expected = reward / reward.std() + 0.5 / np.sqrt(visits)
        actual = np.sort(seen.pop())  # A minibatch is shuffled.
        np.testing.assert_allclose(actual, np.sort(expected.repeat(4)), rtol=1e-5)
        assert metrics["episode_return"].compute() == 1
        mean = metrics["bonus"].compute()
        np.testing.assert_allclose(mean, 0.5 / np.sqrt(visits), rtol=1e-6)
    assert state.bonus.tolist() == [0, 16, 16, 16]


@pytest.mark.parametrize("size", ["num_episodes", "max_steps"])
def test_sizes_of_episodic_learning_are_at_least_one(size):
    sizes = {"num_episodes": 1, "max_steps": 1, "discount": 1.0} | {size: 0}
    with pytest.raises(UserError, match=f"{size}=0: expected at least 1"):
        episodic(corridor(), table(), ACTIONS, lambda: 0, optax.sgd(0.1), **sizes)
