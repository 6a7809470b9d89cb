import jax
import numpy as np
from gymnasium.wrappers.utils import RunningMeanStd

from fdl.rl import init_reward_stats, normalize_rewards


def test_rewards_are_divided_as_by_numpy_and_gymnasium():
    """Over rollouts, with ends anywhere; gymnasium's variance goes step by step."""
    rng = np.random.default_rng(0)
    reward = rng.normal(5.0, 2.0, size=(30, 4)) * [[0.1, 1.0, 1.0, 3.0]]
    ended = rng.random((30, 4)) < 0.2
    normalize = jax.jit(lambda *rest: normalize_rewards(*rest, discount=0.9))
    stats, total, reference = init_reward_stats(4), np.zeros(4), RunningMeanStd(0.0)
    for start in range(0, 30, 10):
        rows = slice(start, start + 10)
        for t in range(start, start + 10):
            total = 0.9 * total + reward[t]
            reference.update(total)
            total = np.where(ended[t], 0, total)
        stats, actual = normalize(stats, np.float32(reward[rows]), ended[rows])
        expected = reward[rows] / np.sqrt(reference.var + 1e-8)
        np.testing.assert_allclose(actual, expected, rtol=2e-5)
        np.testing.assert_allclose(stats.total, total, rtol=1e-5)


def test_where_returns_do_not_vary_rewards_stay_as_they_are():
    reward, ended = np.full((5, 2), 3.0, np.float32), np.ones((5, 2), bool)
    normalize = jax.jit(lambda *rest: normalize_rewards(*rest, discount=0.9))
    _, actual = normalize(init_reward_stats(2), reward, ended)
    np.testing.assert_array_equal(actual, reward)
