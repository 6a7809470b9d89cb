"""Tabular learners against definitions in NumPy and against exact values."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import data, distributions, envs, rl, train
from fdl.errors import UserError
from fdl.rl import tabular

MDPS = envs.mdps
WALK = envs.from_mdp(MDPS.random_walk())
EVEN = np.full((7, 2), 0.5, np.float32)


def trained(learner, num_steps, seed=0):
    state = jax.jit(learner.init)(jax.random.key(seed))

    @jax.jit
    def steps(state):
        return jax.lax.scan(learner.step, state, length=num_steps)

    return steps(state)


def random_transitions(length, num_states, seed):
    rng = np.random.default_rng(seed)
    observation, after = rng.integers(num_states, size=(2, length), dtype=np.int32)
    return rl.Transition(
        observation=observation,
        action=np.zeros(length, np.int32),
        next_observation=after,
        reward=rng.normal(size=length).astype(np.float32),
        terminated=rng.random(length) < 0.1,
        truncated=rng.random(length) < 0.1,
    )


@pytest.mark.parametrize("lambda_", [0.0, 0.7, 1.0])
def test_td_lambda_is_its_definition(lambda_):
    rows = random_transitions(60, 4, seed=1)
    values, trace = np.array([0.5, -1.0, 0.0, 2.0]), np.array([0.0, 0.3, 0.0, 0.0])
    found = td_lambda(
        values.astype(np.float32), trace.astype(np.float32), rows, lambda_
    )
    errors = []
    for t in range(60):
        s, after = rows.observation[t], rows.next_observation[t]
        later = 0 if rows.terminated[t] else values[after]
        error = rows.reward[t] + 0.9 * later - values[s]
        errors.append(error)
        trace = 0.9 * lambda_ * trace
        trace[s] += 1
        values = values + 0.1 * error * trace
        if rows.terminated[t] or rows.truncated[t]:
            trace = np.zeros(4)
    np.testing.assert_allclose(found[0], values, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], trace, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[2], errors, rtol=1e-4, atol=1e-5)


@jax.jit
def td_lambda(values, trace, rows, lambda_):
    return tabular.td_lambda(
        values, trace, rows, step_size=0.1, discount=0.9, lambda_=lambda_
    )


@pytest.mark.some(2)
@pytest.mark.parametrize("bootstrap", ["sarsa", "expected_sarsa", "q_learning"])
def test_control_is_its_definition(bootstrap):
    """Steps of one environment step each, replayed in NumPy from their states."""
    mdp = MDPS.grid_world("S..\nC.G")
    env = envs.time_limit(envs.from_mdp(mdp), 7)
    learner = tabular.td_control(
        env,
        getattr(tabular, bootstrap),
        step_size=lambda time: 1 / (1 + 0.01 * time),
        epsilon=0.4,
        discount=0.9,
        num_steps=1,
    )
    first = jax.jit(learner.init)(jax.random.key(0))
    states, reward, ended = history(learner, first, 200)
    q = np.zeros((6, 4))
    for t in range(200):
        s, a = states.observation[t], states.action[t]
        np.testing.assert_allclose(states.action_values[t], q, atol=1e-4)
        after = mdp.next_state[s, a, 0]
        row = q[after]
        best = row == row.max()
        policy = 0.6 * best / best.sum() + 0.1
        if mdp.terminal[after]:
            later = 0.0
        elif bootstrap == "expected_sarsa":
            later = policy @ row
        elif bootstrap == "q_learning":
            later = row.max()
        elif not ended[t]:
            later = row[states.action[t + 1]]
        else:  # Cut off: the action that was drawn is in no state.
            q[s, a] = states.action_values[t + 1][s, a]
            continue
        q[s, a] += 1 / (1 + 0.01 * t) * (reward[t] + 0.9 * later - q[s, a])
    assert ended.any() and states.episode.length.max() == 6


def history(learner, state, num_steps):
    """States before each step, the rewards, and where an episode ended."""

    def step(state, _):
        after, metrics = learner.step(state, None)
        ended = metrics["episode_return"].weight > 0
        total = jnp.where(
            ended, metrics["episode_return"].total, after.episode.total[0]
        )
        reward = total - state.episode.total[0]
        return after, (state, reward, ended)

    last, (states, reward, ended) = jax.jit(
        lambda state: jax.lax.scan(step, state, length=num_steps)
    )(state)
    states = jax.tree.map(
        lambda xs, x: np.append(xs, np.asarray(x)[None], axis=0),
        states._replace(key=None, env=None),
        last._replace(key=None, env=None),
    )
    return states, np.asarray(reward), np.asarray(ended)


@pytest.mark.slow
def test_q_learning_finds_the_optimal_values_of_the_grid():
    mdp = MDPS.two_corners()
    learner = tabular.td_control(
        envs.from_mdp(mdp),
        tabular.q_learning,
        step_size=0.5,
        epsilon=0.2,
        discount=1.0,
        num_steps=20_000,
    )
    state, _ = trained(learner, 1)
    solution = tabular.value_iteration(mdp, discount=1.0)
    exact = tabular.expected_updates(mdp, solution.values, discount=1.0)
    np.testing.assert_array_equal(state.action_values, exact)


@pytest.mark.some(1)
@pytest.mark.parametrize("first_visit", [True, False])
def test_monte_carlo_averages_the_returns_of_its_episodes(first_visit):
    learner = tabular.monte_carlo_prediction(
        WALK, EVEN, discount=0.9, max_steps=12, first_visit=first_visit
    )
    state, metrics = trained(learner, 3000)
    share = metrics["complete"].total.mean()
    assert 0.5 < share < 0.99  # Some are cut at the limit, and left out.
    assert state.step == 3000
    exact = exact_values_of_short_walks(first_visit)
    np.testing.assert_allclose(state.action_values[2:5], exact[2:5], atol=0.04)


@functools.cache
def walks():
    """All walks of at most 12 steps that end, with their probabilities."""
    found, front = [], [((3,), (), 1.0)]
    while front:
        places, actions, probability = front.pop()
        if places[-1] in (0, 6):
            found.append((places, actions, probability))
        elif len(actions) < 12:
            front += [
                ((*places, places[-1] + move), (*actions, a), probability / 2)
                for a, move in ((0, -1), (1, 1))
            ]
    return found


def exact_values_of_short_walks(first_visit):
    """Mean return of each pair over its visits, by all possible episodes."""
    total, weight = np.zeros((7, 2)), np.zeros((7, 2))
    for places, actions, probability in walks():
        seen = set()
        won = places[-1] == 6
        for t, pair in enumerate(zip(places, actions, strict=False)):
            if first_visit and pair in seen:
                continue
            seen.add(pair)
            total[pair] += probability * won * 0.9 ** (len(actions) - 1 - t)
            weight[pair] += probability
    return total / np.maximum(weight, 1e-9)


def test_td_prediction_approaches_the_values_of_the_walk():
    learner = tabular.td_prediction(
        WALK,
        EVEN,
        step_size=lambda step: 0.1 / (1 + step),
        discount=1.0,
        lambda_=0.5,
        num_steps=1000,
        initial=0.5,
    )
    state, metrics = trained(learner, 10)
    np.testing.assert_allclose(state.values[1:-1], np.arange(1, 6) / 6, atol=0.05)
    assert state.values[0] == state.values[-1] == 0.5  # Of ends nothing is learnt.
    assert (
        8
        < metrics["episode_length"].total.sum() / metrics["episode_length"].weight.sum()
        < 10
    )


def test_a_table_is_a_model_whose_greedy_policy_evaluates():
    env = envs.time_limit(WALK, 50)
    learner = tabular.monte_carlo_control(env, epsilon=0.3, discount=0.9, max_steps=50)
    state = train.run(learner, data.no_data(), num_steps=100, steps_per_call=50)
    policy = rl.greedy(tabular.table(env), distributions.categorical())
    evaluate = rl.on_episodes(env, policy, num_episodes=2, max_steps=60)
    found = evaluate(learner.variables(state))
    assert found["episode_return_min"] == 1 and found["episode_length"] == 3


CARTPOLE = envs.gymnax("CartPole-v1")
RATES = {"step_size": 0.1, "discount": 0.9}


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: tabular.table(CARTPOLE), "env.observation.num_values=None"),
        (
            lambda: tabular.td_control(
                WALK, tabular.sarsa, epsilon=0.1, num_steps=0, **RATES
            ),
            "num_steps=0",
        ),
        (
            lambda: tabular.td_prediction(
                WALK, EVEN.T, lambda_=0.0, num_steps=1, **RATES
            ),
            r"policy \[2, 7\]: expected \[7, 2\]",
        ),
        (
            lambda: tabular.monte_carlo_control(
                WALK, epsilon=0.1, discount=1.0, max_steps=0
            ),
            "max_steps=0",
        ),
    ],
)
def test_mistakes_are_one_line(call, message):
    with pytest.raises(UserError, match=message):
        call()
