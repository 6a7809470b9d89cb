import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.errors import UserError
from fdl.models import VQVAE, functional
from fdl.models.layers.vector_quantizer import VectorQuantizer, nearest_codes

RANDOM = np.random.default_rng(0)
SMALL = VQVAE((4, 6), num_codes=5, code_size=3, input_shape=(8, 12, 2))


def nearest(vectors, codebook):
    """The definition, in float64: all distances to all codes."""
    differences = vectors[..., None, :] - codebook
    return np.square(np.float64(differences)).sum(axis=-1).argmin(axis=-1)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_code_is_the_nearest_vector(scale):
    vectors = (scale * RANDOM.normal(size=(40, 5, 3))).astype(np.float32)
    codebook = (scale * RANDOM.normal(size=(7, 3))).astype(np.float32)
    found = jax.jit(nearest_codes)(vectors, codebook)
    np.testing.assert_array_equal(found, nearest(vectors, codebook))


@pytest.mark.parametrize("decay", [None, 0.9])
def test_gradients_pass_the_quantiser_as_they_are(decay):
    layer = VectorQuantizer(5, 3, decay=decay)
    inputs = RANDOM.normal(size=(4, 2, 3)).astype(np.float32)
    weights = RANDOM.normal(size=inputs.shape).astype(np.float32)
    variables = jax.jit(layer.init)(jax.random.key(0), inputs)

    def total(variables, inputs):
        found = layer.apply(variables, inputs)
        return (weights * found.outputs).sum(), found

    gradients = jax.jit(jax.grad(total, (0, 1), has_aux=True))
    (codebook, grads), found = gradients(variables, inputs)
    np.testing.assert_array_equal(grads, weights)
    assert not any(np.any(x) for x in jax.tree.leaves(codebook))
    vectors = codebook_of(variables)[found.codes]
    np.testing.assert_allclose(found.outputs, vectors, atol=1e-6)
    np.testing.assert_array_equal(found.codes, nearest(inputs, codebook_of(variables)))


def codebook_of(variables):
    """The codebook in float64, of moving averages or of a parameter."""
    if "codebook" not in variables:
        return np.float64(variables["params"]["codebook"])
    counts, sums = (np.float64(variables["codebook"][k]) for k in ("counts", "sums"))
    total = counts.sum()
    smooth = (counts + 1e-5) / (total + len(counts) * 1e-5) * total
    return sums / smooth[:, None]


def updated(variables, inputs, mask, decay):
    """Appendix A.1 of the paper, example by example."""
    counts, sums = (np.float64(variables["codebook"][k]) for k in ("counts", "sums"))
    new, moved = np.zeros_like(counts), np.zeros_like(sums)
    codes = nearest(inputs, codebook_of(variables))
    for example, row, weight in zip(inputs, codes, mask, strict=True):
        for vector, code in zip(np.float64(example), row, strict=True):
            new[code] += weight
            moved[code] += weight * vector
    return {
        "counts": decay * counts + (1 - decay) * new,
        "sums": decay * sums + (1 - decay) * moved,
    }


def test_moving_averages_are_those_of_a_loop():
    layer, decay = VectorQuantizer(5, 3, decay=0.7), 0.7
    variables = jax.jit(layer.init)(jax.random.key(0), np.zeros((1, 2, 3)))
    expected = jax.tree.map(np.float64, variables)
    step = jax.jit(functools.partial(layer.apply, train=True, mutable=["codebook"]))
    for _ in range(6):
        inputs = RANDOM.normal(size=(4, 2, 3)).astype(np.float32)
        mask = RANDOM.integers(2, size=4).astype(np.float32)
        mask[0] = 1
        expected = {"codebook": updated(expected, inputs, mask, decay)}
        _, variables = step(variables, inputs, mask=mask)
        for name in ("counts", "sums"):
            np.testing.assert_allclose(
                variables["codebook"][name], expected["codebook"][name], atol=1e-5
            )
    nothing = np.zeros(4, np.float32)
    _, after = step(variables, inputs, mask=nothing)
    jax.tree.map(np.testing.assert_array_equal, after, variables)


def test_dead_codes_begin_again_at_inputs_of_the_batch():
    layer = VectorQuantizer(6, 2, decay=0.5, min_count=0.2)
    # Of six codes, far apart, the batch has the first one and the padding the second.
    state = {
        "counts": np.full(6, 0.3, np.float32),
        "sums": np.repeat(np.float32([[0], [30], [60], [90], [120], [150]]), 2, axis=1),
    }
    inputs = RANDOM.normal(size=(5, 2)).astype(np.float32)
    inputs[3:] += 100
    mask = np.float32([1, 1, 1, 0, 0])
    update = functools.partial(layer.apply, train=True, mutable=["codebook"])
    rngs = {"dropout": jax.random.key(0)}
    _, after = jax.jit(update)({"codebook": state}, inputs, mask=mask, rngs=rngs)
    counts, sums = after["codebook"]["counts"], after["codebook"]["sums"]
    np.testing.assert_allclose(counts, [0.15 + 1.5, 1, 1, 1, 1, 1], rtol=1e-6)
    for vector in np.asarray(sums)[1:]:
        assert (vector == inputs[:3]).all(axis=1).any()


def test_training_alone_moves_the_codebook(random_inputs):
    model, images = functional(SMALL), random_inputs(3, 8, 12, 2)
    variables = jax.jit(model.init)(jax.random.key(0))
    apply = jax.jit(model.apply, static_argnames=("train", "method"))
    output, state = apply(variables, images)
    jax.tree.map(
        np.testing.assert_array_equal, state, {"codebook": variables["codebook"]}
    )
    trained, state = apply(variables, images, train=True)
    np.testing.assert_allclose(trained.reconstruction, output.reconstruction, atol=1e-6)
    sums = state["codebook"]["quantizer"]["sums"]
    assert np.any(sums != variables["codebook"]["quantizer"]["sums"])

    codes, _ = apply(variables, images, method="encode")
    np.testing.assert_array_equal(codes, output.codes)
    assert codes.shape == (3, 2, 3)
    decoded, _ = apply(variables, codes, method="decode")
    np.testing.assert_allclose(decoded, output.reconstruction, atol=1e-5)
    book = codebook_of({"codebook": variables["codebook"]["quantizer"]})
    np.testing.assert_array_equal(codes, nearest(np.asarray(output.encoding), book))


def test_bfloat16_has_a_codebook_in_float32(random_inputs):
    module, images = SMALL.clone(dtype="bfloat16"), random_inputs(3, 8, 12, 2)
    model = functional(module)
    variables = jax.jit(model.init)(jax.random.key(0))
    output, state = jax.jit(model.apply, static_argnames="train")(
        variables, images, train=True
    )
    assert output.reconstruction.dtype == jnp.bfloat16
    assert {x.dtype for x in jax.tree.leaves(state)} == {jnp.dtype("float32")}
    book = codebook_of({"codebook": variables["codebook"]["quantizer"]})
    np.testing.assert_array_equal(
        output.codes, nearest(np.float32(output.encoding), book)
    )


@pytest.mark.parametrize(
    "module, shape, expected",
    [
        (SMALL, (1, 8, 10, 2), r"inputs.shape=\[1, 8, 10, 2\]: expected height and"),
        (SMALL.clone(decay=1.0), (1, 8, 12, 2), "decay=1.0: expected from 0 to below"),
        (
            SMALL.clone(decay=None, min_count=0.1),
            (1, 8, 12, 2),
            "min_count=0.1: expected a decay",
        ),
        (VectorQuantizer(5, 3), (1, 4), "code_size=3: expected 4, the dimension"),
    ],
)
def test_odd_requests_are_told_in_one_line(module, shape, expected):
    with pytest.raises(UserError, match=expected) as caught:
        jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(shape))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("offset, spread", [(0.0, 1.0), (100.0, 1.0), (1000.0, 1.0)])
def test_the_nearest_code_is_found_far_from_the_origin(offset, spread):
    random = np.random.default_rng(0)
    codes = (offset + spread * random.normal(size=(64, 8))).astype(np.float32)
    vectors = (offset + spread * random.normal(size=(500, 8))).astype(np.float32)
    squared = np.square(np.float64(vectors)[:, None] - np.float64(codes)).sum(axis=-1)
    found = jax.jit(nearest_codes)(vectors, codes)
    assert (found == squared.argmin(axis=1)).mean() > 0.999
