import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.layers import masks
from fdl.models.layers.position_encodings import rotary_embedding, sinusoidal_embedding
from fdl.models.layers.token_positions import TokenPositions

PROGRAMS = 270

SEGMENTS = np.array([[1, 1, 2, 2, 2, 0], [3, 4, 4, 0, 0, 0], [0, 0, 1, 1, 1, 1]])


def test_the_causal_mask_lets_each_token_see_itself_and_those_before():
    expected = [[j <= i for j in range(4)] for i in range(4)]
    np.testing.assert_array_equal(masks.causal_mask(4)[0, 0], expected)


def test_the_padding_mask_hides_padding_from_every_query():
    mask = jnp.array([[True, True, False], [True, False, False]])
    seen = jnp.broadcast_to(masks.padding_mask(mask), (2, 1, 3, 3))[:, 0]
    np.testing.assert_array_equal(seen, np.stack([[row] * 3 for row in mask]))


@pytest.mark.parametrize("memory", [None, SEGMENTS[:, ::-1]])
def test_tokens_see_those_of_their_own_segment(memory):
    mask = masks.segment_mask(jnp.array(SEGMENTS), memory)
    others = SEGMENTS if memory is None else memory
    for b, t, s in np.ndindex(3, 6, 6):
        same = SEGMENTS[b, t] == others[b, s]
        assert mask[b, 0, t, s] == (same and SEGMENTS[b, t] != 0)


def test_positions_begin_anew_in_each_segment():
    expected = [[0, 1, 0, 1, 2, 0], [0, 0, 1, 0, 1, 2], [0, 1, 0, 1, 2, 3]]
    positions = masks.segment_positions(jnp.array(SEGMENTS))
    np.testing.assert_array_equal(positions, expected)


@pytest.mark.parametrize("splits", [(8,), (3, 5), (1,) * 8, (2, 1, 5)])
def test_places_are_the_same_in_parts_as_at_once(splits):
    mask = np.array([[0, 0, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 1, 1, 1]], bool)
    places, state, begin = TokenPositions(max_length=9), {}, 0
    apply = jax.jit(functools.partial(places.apply, decode=True, mutable=["cache"]))
    for length in splits:
        part = mask[:, begin : begin + length]
        (seen, positions), state = apply(state, part.astype(int), part)
        begin += length
        where = mask[:, begin - length : begin]
        counted = (mask.cumsum(axis=1) - 1)[:, begin - length : begin]
        np.testing.assert_array_equal(positions[where], counted[where])
        assert (seen[:, 0, 0, :begin] == mask[:, :begin]).all()
        assert not seen[:, 0, 0, begin:].any()


def test_places_say_what_does_not_go_together():
    tokens, places = jnp.zeros((1, 5), int), TokenPositions(max_length=4)
    with pytest.raises(ValueError, match="segments: expected"):
        places.apply({}, tokens, segments=tokens, decode=True, mutable=["cache"])
    with pytest.raises(ValueError, match="segments: expected"):
        jax.eval_shape(places.apply, {}, tokens, tokens == 0, tokens)
    with pytest.raises(ValueError, match="max_length=4: expected at least the 5"):
        places.apply({}, tokens, decode=True, mutable=["cache"])


def test_sinusoids_are_those_of_the_paper():
    positions = np.array([[0, 1, 5, 300]])
    actual = sinusoidal_embedding(jnp.array(positions), 6)
    for i in range(3):
        angles = positions / 10_000 ** (2 * i / 6)
        np.testing.assert_allclose(actual[..., 2 * i], np.sin(angles), atol=1e-5)
        np.testing.assert_allclose(actual[..., 2 * i + 1], np.cos(angles), atol=1e-5)


def test_rotations_are_products_of_complex_numbers(random_inputs):
    x, positions = random_inputs(2, 3, 4, 6), np.array([[0, 1, 7], [2, 30, 31]])
    frequencies = 100.0 ** (-np.arange(3) / 3)
    turns = np.exp(1j * positions[..., None, None] * frequencies)
    turned = (x[..., :3] + 1j * x[..., 3:]) * turns
    actual = jax.jit(rotary_embedding)(x, positions, 100.0)
    expected = np.concatenate([turned.real, turned.imag], axis=-1)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_rotations_tell_only_how_far_apart_tokens_are(random_inputs):
    query, key = random_inputs(1, 4, 2, 8), random_inputs(1, 4, 2, 8, seed=1)

    def scores(query_positions, key_positions):
        q, k = (
            rotary_embedding(query, query_positions),
            rotary_embedding(key, key_positions),
        )
        return jnp.einsum("btnh,bsnh->bnts", q, k)

    near = jnp.array([[0, 3, 4, 9]])
    at_start = scores(near, near)
    np.testing.assert_allclose(scores(near + 50, near + 50), at_start, atol=1e-4)
    assert np.abs(scores(near + 50, near) - at_start).max() > 0.1
