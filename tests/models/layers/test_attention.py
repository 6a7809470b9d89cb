import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.layers.attention import Attention
from fdl.models.layers.masks import padding_mask
from fdl.models.layers.position_encodings import rotary_embedding

PROGRAMS = 330

LENGTHS = np.array([7, 4])
MASK = np.arange(7) < LENGTHS[:, None]


@functools.cache
def jitted(module):
    return jax.jit(
        module.apply, static_argnames=("train", "causal", "decode", "mutable")
    )


def apply(module, *args, **options):
    return jax.tree.map(np.asarray, jitted(module)(*args, train=False, **options))


@pytest.fixture
def x(random_inputs):
    return random_inputs(2, 7, 24)


def definition(variables, x, memory, heads, kv_heads, allowed):
    """Attention in float64, one head and one query at a time."""

    def dense(name, x):
        layer = variables["params"][name]
        y = x @ np.float64(layer["kernel"])
        return y + np.float64(layer["bias"]) if "bias" in layer else y

    (batch, length, _), size = x.shape, variables["params"]["query"]["kernel"].shape[1]
    size //= heads
    query = dense("query", np.float64(x)).reshape(batch, length, heads, size)
    key = dense("key", np.float64(memory)).reshape(batch, -1, kv_heads, size)
    value = dense("value", np.float64(memory)).reshape(batch, -1, kv_heads, size)
    outputs = np.zeros(query.shape)
    weights = np.zeros((batch, heads, length, memory.shape[1]))
    for b, t, n in np.ndindex(batch, length, heads):
        group = n // (heads // kv_heads)
        keys = np.flatnonzero(allowed[b, t])
        if len(keys):
            scores = key[b, keys, group] @ query[b, t, n] / np.sqrt(size)
            exps = np.exp(scores - scores.max())
            weights[b, n, t, keys] = exps / exps.sum()
            outputs[b, t, n] = weights[b, n, t, keys] @ value[b, keys, group]
    return dense("out", outputs.reshape(batch, length, -1)), weights


CASES = {
    "plain": {},
    "causal": {"causal": True},
    "padded": {"mask": padding_mask(MASK)},
    "padded in front": {"mask": padding_mask(MASK[:, ::-1]), "causal": True},
    "nothing to attend to": {"mask": padding_mask(MASK & (LENGTHS == 7)[:, None])},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "fields", [{}, {"num_kv_heads": 2, "head_size": 5, "use_bias": False}], ids=str
)
def test_attention_and_its_weights_are_those_of_the_definition(
    x, random_variables, assert_close, fields, case
):
    module, options = Attention(4, **fields), CASES[case]
    variables = random_variables(module, x, train=False)
    allowed = np.ones((2, 7, 7), bool)
    if "mask" in options:
        allowed &= np.asarray(options["mask"])[:, 0]
    if "causal" in options:
        allowed &= np.tri(7, dtype=bool)
    heads = fields.get("num_kv_heads", 4)
    expected, weights = definition(variables, x, x, 4, heads, allowed)

    assert_close(apply(module, variables, x, **options), expected, 1e-5)
    asked = apply(module, variables, x, **options, mutable="intermediates")
    assert_close(asked[0], expected, 1e-5)
    assert_close(asked[1]["intermediates"]["weights"][0], weights, 1e-5)


def test_attention_to_a_memory_is_that_of_the_definition(
    x, random_inputs, random_variables, assert_close
):
    module, memory = Attention(3, rotary_base=10.0), random_inputs(2, 5, 9)
    variables = random_variables(module, x, train=False, memory=memory)
    allowed = np.broadcast_to((np.arange(5) < [[2], [5]])[:, None], (2, 7, 5))
    expected, _ = definition(variables, x, memory, 3, 3, allowed)
    mask = allowed[:, None, :1]
    actual = apply(module, variables, x, memory=memory, mask=mask)
    assert_close(actual, expected, 1e-5)
    # While decoding, the keys and values of the first call serve all others.
    state = {}
    for now in (memory, memory[:, :0]):
        again, state = apply(
            module,
            {**variables, **state},
            x,
            memory=now,
            mask=mask,
            decode=True,
            mutable="cache",
        )
        np.testing.assert_array_equal(again, actual)


def test_gradients_are_finite_where_there_is_nothing_to_attend_to(x, random_variables):
    module, mask = Attention(4), CASES["nothing to attend to"]["mask"]
    variables = random_variables(module, x, train=False)
    for mutable in ([], ["intermediates"]):

        def total(variables, x, mutable=mutable):
            outputs, _ = module.apply(variables, x, False, mask=mask, mutable=mutable)
            return jnp.sum(outputs**2)

        gradients = jax.jit(jax.grad(total, argnums=(0, 1)))(variables, x)
        chex.assert_tree_all_finite(gradients)
        assert [np.any(x) for x in gradients[1]] == [True, False]


def test_attention_without_positions_does_not_know_the_order(x, random_variables):
    module, order = Attention(4), np.random.RandomState(0).permutation(7)
    variables = random_variables(module, x, train=False)
    shuffled = apply(module, variables, x[:, order])
    straight = apply(module, variables, x)
    np.testing.assert_allclose(shuffled, straight[:, order], atol=1e-5)
    rotary = Attention(4, rotary_base=100.0)
    shuffled = apply(rotary, variables, x[:, order])
    straight = apply(rotary, variables, x)
    assert np.abs(shuffled - straight[:, order]).max() > 0.01


def test_grouped_queries_are_heads_that_share_keys_and_values(x, random_variables):
    grouped, full = Attention(4, num_kv_heads=2), Attention(4)
    variables = random_variables(grouped, x, train=False)

    def repeat(array):
        heads = array.reshape(*array.shape[:-1], 2, 6)
        return np.repeat(heads, 2, axis=-2).reshape(*array.shape[:-1], 24)

    params = dict(variables["params"])
    for name in ("key", "value"):
        params[name] = jax.tree.map(repeat, params[name])
    actual = apply(grouped, variables, x, causal=True)
    expected = apply(full, {"params": params}, x, causal=True)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_rotary_positions_may_be_shifted_but_not_stretched(x, random_variables):
    module = Attention(4, rotary_base=100.0)
    variables = random_variables(module, x, train=False)
    expected = apply(module, variables, x, causal=True)
    places = np.arange(7)[None]
    shifted = apply(module, variables, x, causal=True, positions=places + 13)
    np.testing.assert_allclose(shifted, expected, atol=1e-5)
    stretched = apply(module, variables, x, causal=True, positions=places * 3)
    assert np.abs(stretched - expected).max() > 0.01


@pytest.mark.parametrize("splits", [(7,), (4, 1, 1, 1), (1, 2, 4)], ids=str)
def test_decoding_with_a_cache_equals_all_at_once(x, random_variables, splits):
    module = Attention(4, num_kv_heads=2, rotary_base=100.0, max_length=9)
    variables = random_variables(module, x, train=False)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, part):
        return module.apply(
            {**variables, **state}, part, False, decode=True, mutable=["cache"]
        )

    whole = apply(module, variables, x, causal=True)
    state, begin = {}, 0
    for length in splits:
        end = begin + length
        outputs, state = step(state, x[:, begin:end])
        np.testing.assert_allclose(outputs, whole[:, begin:end], atol=1e-5)
        begin = end
    assert state["cache"]["cache_index"] == 7


def test_a_cache_that_init_makes_is_empty(x, random_variables):
    module = Attention(4, max_length=7)
    made = jax.jit(functools.partial(module.init, train=False, decode=True))(
        jax.random.key(0), x
    )
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(made["cache"]))
    outputs, state = apply(module, made, x, decode=True, mutable="cache")
    expected = apply(module, made, x, causal=True)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert all(leaf.any() for leaf in jax.tree.leaves(state))


def test_dropout_drops_weights_in_training_only(x, random_variables):
    module = Attention(4, dropout=0.5)
    variables = random_variables(module, x, train=False)
    plain = apply(Attention(4), variables, x)
    np.testing.assert_array_equal(apply(module, variables, x), plain)

    @jax.jit
    @jax.vmap
    def train(key):
        return module.apply(variables, x, True, rngs={"dropout": key})

    outputs = np.asarray(train(jax.random.split(jax.random.key(0), 4000)))
    assert outputs.std(axis=0).min() > 0.01
    np.testing.assert_allclose(outputs.mean(axis=0), plain, atol=0.05)


def test_bfloat16_is_near_float32(x, random_variables, assert_close):
    half = Attention(4, num_kv_heads=2, rotary_base=100.0, dtype="bfloat16")
    variables = random_variables(half, x, train=False)
    full = Attention(4, num_kv_heads=2, rotary_base=100.0)
    expected = apply(full, variables, x, causal=True)
    for mutable in ((), "intermediates"):
        outputs, _ = apply(half, variables, x, causal=True, mutable=mutable)
        assert outputs.dtype == jnp.bfloat16
        assert_close(np.float32(outputs), expected, 0.03)


@pytest.mark.parametrize(
    "fields, options, message",
    [
        ({"num_heads": 5}, {}, "num_heads=5: expected a divisor of the 24"),
        (
            {"num_heads": 4, "num_kv_heads": 3},
            {},
            "num_kv_heads=3: expected a divisor of num_heads=4",
        ),
        (
            {"num_heads": 4},
            {"decode": True},
            "max_length=None: expected at least the 7",
        ),
        (
            {"num_heads": 4, "max_length": 6},
            {"decode": True},
            "max_length=6: expected at least the 7",
        ),
    ],
)
def test_what_does_not_fit_is_said(x, fields, options, message):
    with pytest.raises(ValueError, match=message):
        module = Attention(**fields)
        jax.eval_shape(lambda: module.init(jax.random.key(0), x, False, **options))


@functools.partial(jax.jit, static_argnames=("dtype", "causal"))
def outputs_and_gradients(variables, x, dtype, **options):
    def loss(variables):
        module = Attention(num_heads=3, dtype=dtype)
        outputs = module.apply(variables, x, train=False, **options)
        return jnp.sum(outputs.astype("float32") ** 2), outputs

    gradients, outputs = jax.grad(loss, has_aux=True)(variables)
    return outputs, gradients


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "dtype", ["bfloat16", pytest.param("float16", marks=pytest.mark.slow)]
)
@pytest.mark.some(2)
def test_half_precision_is_near_single(x, case, dtype, random_variables):
    variables = random_variables(Attention(num_heads=3), x, train=False)
    exact, (outputs, gradients) = (
        outputs_and_gradients(variables, x, dtype, **CASES[case])
        for dtype in ("float32", dtype)
    )
    assert outputs.dtype == dtype
    rounding = float(jnp.finfo(dtype).eps)
    for near, right in zip(
        jax.tree.leaves((outputs, gradients)), jax.tree.leaves(exact), strict=True
    ):
        right = np.asarray(right)
        bound = 10 * rounding * max(np.abs(right).max(), 1)
        np.testing.assert_allclose(np.float32(near), right, atol=bound)


@pytest.mark.parametrize("case", CASES)
def test_double_precision_is_not_rounded_on_the_way(x, random_variables, case):
    """As `fdl check-gradients` needs it: the softmax of JAX's own is in float32."""
    variables = random_variables(Attention(4), x, train=False)
    allowed = np.ones((2, 7, 7), bool)
    if "mask" in CASES[case]:
        allowed &= np.asarray(CASES[case]["mask"])[:, 0]
    if "causal" in CASES[case]:
        allowed &= np.tri(7, dtype=bool)
    expected, _ = definition(variables, x, x, 4, 4, allowed)
    with jax.enable_x64(True):
        double = jax.tree.map(np.float64, variables)
        actual = apply(Attention(4), double, np.float64(x), **CASES[case])
    assert actual.dtype == "float64"
    np.testing.assert_allclose(actual, expected, atol=1e-13)


def test_rotations_are_as_precise_as_what_they_turn(random_inputs):
    x, positions = random_inputs(2, 5, 3, 8).astype(np.float64), np.arange(5)[None]
    with jax.enable_x64(True):
        turned = jax.jit(rotary_embedding)(x, positions)
    angles = positions[..., None] * 1e4 ** (-np.arange(0, 8, 2) / 8)
    pairs = x[..., :4] + 1j * x[..., 4:]
    expected = pairs * np.exp(1j * angles)[:, :, None]
    expected = np.concatenate([expected.real, expected.imag], axis=-1)
    np.testing.assert_allclose(turned, expected, atol=1e-14)
