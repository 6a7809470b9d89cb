import chex
import jax
import jax.numpy as jnp
import numpy as np

from fdl.rl import EpisodeStats, init_episode_stats, update_episode_stats

update = jax.jit(update_episode_stats)


def test_episodes_are_counted_across_rollouts():
    rng = np.random.default_rng(0)
    reward = rng.normal(size=(20, 3)).astype(np.float32)
    ended = rng.integers(5, size=(20, 3)) < 2
    returns, lengths = [], []
    for n in range(3):
        start = 0
        for t in np.flatnonzero(ended[:, n]) + 1:
            returns.append(reward[start:t, n].sum(dtype=np.float64))
            lengths.append(t - start)
            start = t

    stats, early = update(init_episode_stats(3), reward[:7], ended[:7])
    _, late = update(stats, reward[7:], ended[7:])
    both = jax.tree.map(jnp.add, early, late)
    assert both["episode_return"].weight == len(returns) > 0
    means = both["episode_return"].compute(), both["episode_length"].compute()
    expected = np.mean(returns), np.mean(lengths)
    chex.assert_trees_all_close(means, expected, rtol=1e-5)


def test_without_an_end_nothing_is_counted_and_all_goes_on():
    start = EpisodeStats(jnp.ones(3), jnp.ones(3, jnp.int32))
    stats, metrics = update(start, jnp.ones((2, 3)), jnp.zeros((2, 3), bool))
    assert jax.tree.leaves(metrics) == [0, 0, 0, 0]
    chex.assert_trees_all_close(stats, EpisodeStats(3 * jnp.ones(3), jnp.full(3, 3)))
