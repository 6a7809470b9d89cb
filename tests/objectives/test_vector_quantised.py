from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import evaluation, losses, models, objectives
from fdl.errors import RunError, UserError

RANDOM = np.random.default_rng(0)
SIZES: Any = {"features": (4,), "num_codes": 6, "code_size": 3}
IMAGES = RANDOM.uniform(size=(5, 4, 4, 1)).astype(np.float32)
MASK = np.float32([1, 0, 1, 1, 0.5])


@pytest.mark.parametrize("decay", [None, 0.9])
def test_it_is_the_equation_of_the_paper_on_what_counts(decay):
    module = models.VQVAE(**SIZES, decay=decay, input_shape=(4, 4, 1))
    model = models.functional(module)
    variables = jax.jit(model.init)(jax.random.key(0))
    objective = objectives.vector_quantised(model, beta=0.5, variance=0.1)
    batch = {"image": IMAGES, "mask": MASK}
    (loss, (state, metrics)), grads = jax.jit(
        jax.value_and_grad(objective, has_aux=True)
    )(variables, batch)

    output = jax.tree.map(np.float64, jax.jit(model.apply)(variables, IMAGES)[0])
    differences = output.encoding - output.nearest
    errors = np.square(output.reconstruction - IMAGES).mean(axis=(1, 2, 3))
    moved = np.square(differences).mean(axis=(1, 2, 3))
    mse, moved = (np.average(x, weights=MASK) for x in (errors, moved))
    np.testing.assert_allclose(loss, mse / 0.1 + 1.5 * moved, rtol=1e-5)
    values = {name: float(metric.compute()) for name, metric in metrics.items()}
    uses = np.zeros(6)
    for codes, weight in zip(output.codes.astype(int), MASK, strict=True):
        uses += weight * np.bincount(codes.ravel(), minlength=6)
    shares = uses[uses > 0] / uses.sum()
    expected = {
        "loss": mse / 0.1 + 1.5 * moved,
        "mse": mse,
        "commitment": moved,
        "codes_used": len(shares),
        "perplexity": np.exp(-(shares * np.log(shares)).sum()),
    }
    assert values == pytest.approx(expected, rel=1e-5)

    if decay is None:  # The gradient of the codebook is that of its own term.
        expected_grads = np.zeros((6, 3))
        for i in np.ndindex(*output.codes.shape):
            code = int(output.codes[i])
            expected_grads[code] -= 2 * MASK[i[0]] * differences[i]
        expected_grads /= MASK.sum() * 4 * 3
        found = grads["params"]["quantizer"]["codebook"]
        np.testing.assert_allclose(found, expected_grads, atol=1e-6)
    else:
        assert set(state) == {"codebook"}


def test_where_nothing_counts_nothing_is_learnt():
    model = models.functional(models.VQVAE(**SIZES, input_shape=(4, 4, 1)))
    variables = jax.jit(model.init)(jax.random.key(0))
    objective = objectives.vector_quantised(model)
    batch = {"image": IMAGES, "mask": np.zeros(5, np.float32)}

    def trained(params):
        return objective({**variables, "params": params}, batch, train=True)

    (loss, (state, metrics)), grads = jax.jit(
        jax.value_and_grad(trained, has_aux=True)
    )(variables["params"])
    assert loss == 0 and not any(x.any() for x in jax.tree.leaves(grads))
    np.testing.assert_array_equal(
        state["codebook"]["quantizer"]["sums"],
        variables["codebook"]["quantizer"]["sums"],
    )
    assert metrics["codes_used"].compute() == 0
    assert np.isnan(metrics["perplexity"].compute())


def test_a_commitment_moves_its_first_argument_alone():
    vectors, targets = RANDOM.normal(size=(2, 4, 3)).astype(np.float32)
    total = lambda *x: losses.commitment(*x).sum()  # noqa: E731
    moved, kept = jax.jit(jax.grad(total, (0, 1)))(vectors, targets)
    np.testing.assert_allclose(moved, 2 * (vectors - targets) / 3, rtol=1e-5)
    assert not kept.any()
    half = losses.commitment(jnp.full(2, 300.0, "bfloat16"), jnp.zeros(2, "bfloat16"))
    assert half.dtype == jnp.float32 and half == 90_000


def test_odd_requests_are_told_in_one_line():
    model = models.functional(models.VQVAE(**SIZES))
    with pytest.raises(UserError, match=r"^beta=0: expected a positive number$"):
        objectives.vector_quantised(model, beta=0)
    other = models.functional(models.MLP((2,), 2), jnp.zeros((1, 2)))
    with pytest.raises(UserError, match="model of MLP: expected one of a VQVAE"):
        objectives.vector_quantised(other)


def test_a_codebook_that_died_ends_the_run():
    check = evaluation.check_codebook(lambda variables: variables, at_least=3)
    assert check({"codes_used": 3.0}) == {"codes_used": 3.0}
    with pytest.raises(RunError, match="codes_used=2: expected at least 3; the codeb"):
        check({"codes_used": 2.0})
