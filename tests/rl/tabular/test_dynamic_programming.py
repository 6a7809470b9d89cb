"""Values against a linear solve in float64, and against Sutton and Barto's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import envs
from fdl.rl import tabular

RANDOM = np.random.default_rng(0)


def random_mdp(num_states=6, num_actions=3, num_outcomes=4):
    shape = num_states, num_actions, num_outcomes
    probability = RANDOM.dirichlet(np.ones(num_outcomes), shape[:2])
    return envs.MDP(
        probability.astype(np.float32),
        RANDOM.integers(num_states, size=shape).astype(np.int32),
        RANDOM.normal(size=shape).astype(np.float32),
        np.arange(num_states) == num_states - 1,
        np.eye(num_states, dtype=np.float32)[0],
    )


def matrices(mdp):
    """Transition probabilities, [S, A, S], and expected rewards, in float64."""
    size, num_actions, _ = mdp.probability.shape
    moves = np.zeros((size, num_actions, size))
    for (s, a, k), probability in np.ndenumerate(mdp.probability.astype(float)):
        moves[s, a, mdp.next_state[s, a, k]] += probability
    rewards = (mdp.probability.astype(float) * mdp.reward).sum(-1)
    moves[mdp.terminal], rewards[mdp.terminal] = 0, 0
    return moves, rewards


def solved(mdp, policy, discount):
    """Values of a policy [S, A], and action values, of a system of equations."""
    moves, rewards = matrices(mdp)
    chain = np.einsum("sa,sat->st", policy, moves)
    gains = (policy * rewards).sum(1)
    values = np.linalg.solve(np.eye(len(chain)) - discount * chain, gains)
    return values, rewards + discount * moves @ values


MDP = random_mdp()
UNIFORM = np.full((6, 3), 1 / 3)


@functools.cache
def solver(function, mdp=None, discount=0.9, **options):
    mdp = MDP if mdp is None else getattr(envs.mdps, mdp)()
    return jax.jit(functools.partial(function, mdp, discount=discount, **options))


def test_values_of_a_policy_solve_its_equations():
    deterministic = RANDOM.integers(3, size=6)
    for policy in (UNIFORM, RANDOM.dirichlet(np.ones(3), 6), np.eye(3)[deterministic]):
        values = solver(tabular.policy_evaluation)(policy)
        np.testing.assert_allclose(values, solved(MDP, policy, 0.9)[0], atol=1e-4)
    by_action = tabular.policy_evaluation(MDP, jnp.asarray(deterministic), discount=0.9)
    np.testing.assert_allclose(by_action, values, atol=1e-6)


def test_action_values_are_those_of_the_equations():
    values, action_values = solved(MDP, UNIFORM, 0.9)
    found = solver(tabular.expected_updates)(np.float32(values))
    np.testing.assert_allclose(found, action_values, atol=1e-5)


@pytest.mark.parametrize("solve", [tabular.value_iteration, tabular.policy_iteration])
def test_no_policy_is_better_than_the_optimal_one(solve):
    solution = solver(solve)()
    values, action_values = solved(MDP, np.eye(3)[solution.policy], 0.9)
    np.testing.assert_allclose(solution.values, values, atol=2e-4)
    # Its own action is the best one in every state: that is optimality.
    np.testing.assert_allclose(action_values.max(1), values, atol=1e-6)
    assert solution.residual <= 1e-4
    assert 1 <= solution.num_sweeps <= 200


def test_the_grid_of_the_book_has_its_values():
    evaluate = solver(tabular.policy_evaluation, "two_corners", discount=1.0)
    values = evaluate(np.full((16, 4), 0.25))
    expected = [
        [0, -14, -20, -22],
        [-14, -18, -20, -20],
        [-20, -20, -18, -14],
        [-22, -20, -14, 0],
    ]
    np.testing.assert_allclose(values.reshape(4, 4), expected, atol=0.005)
    # To the nearer of the corners.
    far = np.add.outer(np.arange(4), np.arange(4))
    for solve in (tabular.value_iteration, tabular.policy_iteration):
        solution = solver(solve, "two_corners", discount=1.0)()
        found = solution.values.reshape(4, 4)
        np.testing.assert_array_equal(found, -np.minimum(far, 6 - far))


def test_a_random_walk_has_values_on_a_line():
    policy = np.full((21, 2), 0.5)
    mdp = envs.mdps.random_walk(19, left=-1.0)
    values = tabular.policy_evaluation(mdp, policy, discount=1.0, tolerance=1e-7)
    np.testing.assert_allclose(values[1:-1], np.arange(-9, 10) / 10, atol=1e-4)


def test_values_without_bound_are_told_by_their_residual():
    mdp = envs.mdps.grid_world(".#G")  # Nobody gets past the wall.
    solution = tabular.value_iteration(mdp, discount=1.0, max_sweeps=20)
    np.testing.assert_array_equal(solution.values[:2], [-20, 0])
    assert (solution.residual, solution.num_sweeps) == (1, 20)


def test_the_lake_is_crossed_as_often_as_is_known():
    mdp = envs.mdps.frozen_lake()
    solve = solver(tabular.value_iteration, "frozen_lake", 1.0, tolerance=1e-7)
    solution = solve()
    values, _ = solved(mdp, np.eye(4)[solution.policy], 0.9999999)
    assert solution.values[0] == pytest.approx(values[0], abs=1e-3)
    assert solution.values[0] == pytest.approx(14 / 17, abs=1e-3)
