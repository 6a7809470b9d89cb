"""Skip-gram is held to its formula in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from fdl import losses, objectives
from fdl.errors import UserError
from fdl.types import Model

RANDOM = np.random.default_rng(0)
COUNTS = np.array([16, 1, 0, 81, 2])
VECTORS, CONTEXTS = RANDOM.normal(size=(2, 5, 3)).astype(np.float32)
BATCH = {
    "center": RANDOM.integers(0, 5, 4000).astype(np.int32),
    "context": RANDOM.choice([0, 1, 3, 4], 4000).astype(np.int32),
}
KEY = jax.random.key(0)


def scores(variables, center, words, key=None, train=False):
    """The model state is what the model sees."""
    params = variables["params"]
    product = params["vectors"][center][:, None] * params["contexts"][words]
    return product.sum(axis=-1), words


MODEL = Model(
    lambda key: {"params": {"vectors": VECTORS, "contexts": CONTEXTS}}, scores
)
objective = objectives.skip_gram(MODEL, counts=COUNTS, num_negatives=3)


@jax.jit
def measured(batch, key=KEY):
    variables = jax.tree.map(jnp.asarray, MODEL.init(key))
    (loss, (seen, found)), grad = jax.value_and_grad(objective, has_aux=True)(
        variables, batch, key
    )
    return loss, grad["params"], seen, found["loss"].compute()


def test_it_is_the_formula_without_negatives_that_are_the_context():
    loss, grad, words, metric = measured(BATCH)
    assert words.dtype == np.int32 and (words[:, 0] == BATCH["context"]).all()
    v, u = np.float64(VECTORS)[BATCH["center"]], np.float64(CONTEXTS)
    true, negative = np.asarray(words[:, 0]), np.asarray(words[:, 1:])
    counts = negative != true[:, None]
    assert 0 < counts.mean() < 1

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    s, n = (v * u[true]).sum(-1), (v[:, None] * u[negative]).sum(-1)
    each = -np.log(sigmoid(s)) - (counts * np.log(sigmoid(-n))).sum(-1)
    np.testing.assert_allclose([loss, metric], each.mean(), rtol=1e-5)
    # Equation 4 of the paper, differentiated by hand.
    expected = np.zeros_like(u)
    np.add.at(expected, true, (sigmoid(s) - 1)[:, None] * v)
    np.add.at(expected, negative, (counts * sigmoid(n))[..., None] * v[:, None])
    np.testing.assert_allclose(grad["contexts"], expected / 4000, atol=5e-6)


def test_negatives_are_drawn_by_their_counts_to_the_power_of_three_quarters():
    words = measured(BATCH)[2][:, 1:]
    weights = COUNTS**0.75
    drawn = np.bincount(np.ravel(words), minlength=5)
    assert drawn[2] == 0
    expected = np.delete(weights / weights.sum() * words.size, 2)
    # One in ten thousand seeds fails.
    assert stats.chisquare(np.delete(drawn, 2), expected).pvalue > 1e-4
    other = measured(BATCH, jax.random.key(1))[2]
    assert (other[:, 1:] != words).any()


def test_masked_pairs_do_not_count():
    mask = np.float32(np.arange(4000) < 3000)
    spoiled = {**BATCH, "mask": mask, "center": np.where(mask, BATCH["center"], 0)}
    kept = {**BATCH, "mask": mask}
    np.testing.assert_allclose(measured(kept)[0], measured(spoiled)[0], rtol=1e-6)


def test_scores_far_apart_have_a_finite_loss():
    scores = jnp.array([-1e4, 1e4])
    found = losses.negative_sampling(scores, -scores[:, None], jnp.ones((2, 1)))
    np.testing.assert_allclose(found, [2e4, 0.0])


def test_what_cannot_be_drawn_is_an_error():
    with pytest.raises(UserError, match=r"expected counts .V., not all zero"):
        objectives.skip_gram(MODEL, counts=[0, 0])
    with pytest.raises(UserError, match="num_negatives=0: expected at least 1"):
        objectives.skip_gram(MODEL, counts=COUNTS, num_negatives=0)
    with pytest.raises(UserError, match="key=None: expected a key"):
        objective(MODEL.init(KEY), BATCH)
