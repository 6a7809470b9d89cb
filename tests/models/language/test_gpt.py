"""GPT and Llama are held to the same laws: both decode one token after another."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import objectives
from fdl.models.functional import functional
from fdl.models.language.gpt import GPT
from fdl.models.language.llama import Llama
from fdl.models.layers.layer_stack import stack_layers, unstack_layers
from fdl.models.pretrained import gpt2, llama
from fdl.models.pretrained.convert import flatten, to_ours, to_theirs

PROGRAMS = 190

MODELS = {
    "gpt2": GPT(2, 4, 32, vocab_size=97, max_length=12),
    "llama": Llama(2, 4, 32, 48, 2, vocab_size=97, max_length=12),
    "llama_tied": Llama(
        2, 4, 32, 48, head_size=6, vocab_size=97, max_length=12, tie_embeddings=True
    ),
}
TOKENS = np.random.RandomState(0).randint(97, size=(2, 12)).astype(np.int32)
each = pytest.mark.parametrize("name", MODELS)
both = pytest.mark.parametrize("name", ["gpt2", "llama"])
gpt2_or_slow = pytest.mark.parametrize(
    "name", ["gpt2", pytest.param("llama", marks=pytest.mark.slow)]
)


@functools.cache
def jitted(module):
    return jax.jit(module.apply)


def apply(module, *args, **options):
    return jax.tree.map(np.asarray, jitted(module)(*args, **options))


@pytest.fixture(scope="module")
def variables_of(random_variables):
    return functools.cache(lambda name: random_variables(MODELS[name]))


@pytest.fixture(scope="module")
def logits_of(variables_of):
    """What a model says of `TOKENS`."""
    return functools.cache(lambda name: apply(MODELS[name], variables_of(name), TOKENS))


@each
def test_decoders_are_those_of_transformers(name, references, logits_of):
    references.agree(name, logits_of(name))


@pytest.mark.oracle
def test_gpt_agrees_with_transformers(references, agrees_with_torch):
    import transformers

    config = transformers.GPT2Config(
        n_layer=2,
        n_embd=32,
        n_head=4,
        vocab_size=97,
        n_positions=12,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        attn_implementation="eager",
    )
    reference, module = transformers.GPT2LMHeadModel(config), MODELS["gpt2"]
    rules = module.checkpoints()["transformers"]
    outputs = agrees_with_torch(
        module, reference, rules, TOKENS, outputs_of=lambda o: o.logits
    )
    references.check("gpt2", outputs)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["llama", "llama_tied"])
def test_llama_agrees_with_transformers(name, references, agrees_with_torch):
    import transformers

    module = MODELS[name]
    config = transformers.LlamaConfig(
        num_hidden_layers=module.num_layers,
        hidden_size=32,
        intermediate_size=48,
        num_attention_heads=4,
        num_key_value_heads=module.num_kv_heads,
        head_dim=module.head_size,
        vocab_size=97,
        rms_norm_eps=1e-5,
        tie_word_embeddings=module.tie_embeddings,
        attn_implementation="eager",
    )
    outputs = agrees_with_torch(
        module,
        transformers.LlamaForCausalLM(config),
        module.checkpoints()["transformers"],
        TOKENS,
        outputs_of=lambda o: o.logits,
    )
    references.check(name, outputs)


@both
def test_a_later_token_changes_nothing_before(name, variables_of, logits_of):
    logits = logits_of(name)
    other = TOKENS.copy()
    other[:, 7] += 1
    changed = apply(MODELS[name], variables_of(name), other % 97)
    np.testing.assert_array_equal(changed[:, :7], logits[:, :7])
    assert (np.abs(changed[:, 7:] - logits[:, 7:]).max(axis=-1) > 1e-3).all()


@both
@pytest.mark.parametrize("front", [True, False])
def test_padding_at_either_end_changes_nothing(name, front, variables_of, logits_of):
    length, module = np.array([[8], [12]]), MODELS[name]
    mask = np.arange(12) < length
    mask = mask[:, ::-1] if front else mask
    padded = np.full_like(TOKENS, 5)
    padded[mask] = np.concatenate([TOKENS[0, :8], TOKENS[1]])
    logits = apply(module, variables_of(name), padded, mask=mask)
    alone = apply(module, variables_of(name), TOKENS[:1, :8])
    np.testing.assert_allclose(logits[0][mask[0]], alone[0], atol=1e-5)
    np.testing.assert_allclose(logits[1], logits_of(name)[1], atol=1e-5)


@gpt2_or_slow
def test_texts_that_share_a_row_are_as_if_apart(name, variables_of):
    segments = np.array([[1] * 4 + [2] * 4 + [0] * 4])
    logits = apply(MODELS[name], variables_of(name), TOKENS[:1], segments=segments)
    apart = TOKENS[0, :8].reshape(2, 4)
    expected = apply(MODELS[name], variables_of(name), apart)
    np.testing.assert_allclose(logits[0, :8], expected.reshape(8, -1), atol=1e-5)


@functools.cache
def step_of(module):
    """Program that continues tokens, of which the cache is donated."""

    @functools.partial(jax.jit, donate_argnums=1)
    @chex.assert_max_traces(n=2)
    def step(variables, state, tokens, mask=None):
        options = {"mask": mask, "decode": True, "mutable": ["cache"]}
        return module.apply({**variables, **state}, tokens, **options)

    return step


def decoded(module, variables, tokens, splits, **masks):
    """Logits of parts of the tokens, one call after another with a donated cache."""
    chex.clear_trace_counter()
    step = functools.partial(step_of(module), variables)
    state, begin, logits = {}, 0, []
    for length in splits:
        part = slice(begin, begin + length)
        some = {name: mask[:, part] for name, mask in masks.items()}
        part, state = step(state, tokens[:, part], **some)
        begin += length
        logits.append(part)
    return np.concatenate(logits, axis=1)


@pytest.mark.parametrize(
    "name, scan",
    [
        ("llama", True),
        *(
            pytest.param(name, False, marks=pytest.mark.slow)
            for name in ("gpt2", "llama")
        ),
    ],
)
def test_decoding_with_a_cache_equals_all_at_once(name, scan, variables_of, logits_of):
    module, variables = MODELS[name], variables_of(name)
    if scan:
        module = dataclasses.replace(module, scan_layers=True)
        variables = stack_layers(variables)
    logits = decoded(module, variables, TOKENS, (7, 1, 1, 1, 1, 1))
    np.testing.assert_allclose(logits, logits_of(name), atol=1e-5)


@gpt2_or_slow
def test_prompts_of_different_lengths_go_on_together(name, variables_of):
    module, variables = MODELS[name], variables_of(name)
    mask = np.arange(12) != [[3], [4]]
    mask[0, 4:6] = False  # Three are missing in the first prompt, one in the second.
    logits = decoded(module, variables, TOKENS, (6, 6), mask=mask)
    expected = apply(module, variables, TOKENS, mask=mask)
    np.testing.assert_allclose(logits[mask], expected[mask], atol=1e-5)


def test_a_window_counts_tokens_not_padding_also_in_a_cache(random_variables):
    module = Llama(1, 4, 32, 48, 2, vocab_size=97, max_length=12, window=3)
    variables = random_variables(module)
    lengths = 7, 1, 1, 1, 1, 1
    mask = np.ones((2, 12), bool)
    logits = apply(module, variables, TOKENS, mask=mask)
    other = np.where(np.arange(12) == 4, (TOKENS + 1) % 97, TOKENS)
    changed = apply(module, variables, other, mask=mask) - logits
    changed = np.abs(changed).max(axis=(0, 2)) > 1e-5
    assert np.flatnonzero(changed).tolist() == [4, 5, 6]
    cached = decoded(module, variables, TOKENS, lengths, mask=mask)
    np.testing.assert_allclose(cached, logits, atol=1e-5)

    mask = np.arange(12) != [[3], [4]]
    mask[0, 4:6] = False
    padded = apply(module, variables, TOKENS, mask=mask)
    cached = decoded(module, variables, TOKENS, lengths, mask=mask)
    np.testing.assert_allclose(cached[mask], padded[mask], atol=1e-5)
    segments = np.where(np.arange(9) < 2, 1, 2)[None]
    alone = apply(module, variables, TOKENS[:1, mask[0]], segments=segments * 0 + 1)
    np.testing.assert_allclose(padded[0, mask[0]], alone[0], atol=1e-5)
    packed = apply(module, variables, TOKENS[:1, mask[0]], segments=segments)
    np.testing.assert_allclose(packed[0, 4:], alone[0, 4:], atol=1e-5)
    assert np.abs(packed[0, 2:4] - alone[0, 2:4]).max() > 1e-3


@pytest.mark.parametrize(
    "name, scan, remat",
    [("gpt2", True, True), pytest.param("llama", False, True, marks=pytest.mark.slow)],
)
def test_scanned_and_recomputed_layers_equal_unrolled_ones(
    name, scan, remat, variables_of
):
    plain, variables = MODELS[name], variables_of(name)
    module = dataclasses.replace(plain, scan_layers=scan, remat=remat)

    def total(variables, module):
        mask = np.arange(12) < [[9], [12]]
        logits = module.apply(variables, TOKENS, mask=mask, train=True)
        return jnp.sum(jnp.sin(logits))

    gradients = jax.jit(jax.value_and_grad(total), static_argnums=1)
    loss, expected = gradients(variables, plain)
    actual = gradients(stack_layers(variables) if scan else variables, module)
    actual = (actual[0], unstack_layers(actual[1]) if scan else actual[1])
    chex.assert_tree_all_finite(expected)
    chex.assert_trees_all_close(actual, (loss, expected), rtol=1e-4, atol=1e-4)


@both
def test_scanned_layers_have_the_variables_of_unrolled_ones_stacked(name, variables_of):
    module = dataclasses.replace(MODELS[name], scan_layers=True)
    made = jax.eval_shape(module.init, jax.random.key(0), TOKENS)
    chex.assert_trees_all_equal_shapes(made, stack_layers(variables_of(name)))


@pytest.mark.parametrize(
    "name, scan",
    [("gpt2", True), pytest.param("llama", False, marks=pytest.mark.slow)],
)
def test_dropout_is_off_in_evaluation_and_on_in_training(
    name, scan, variables_of, logits_of
):
    module = dataclasses.replace(MODELS[name], scan_layers=scan, dropout=0.2)
    variables = variables_of(name)
    variables = stack_layers(variables) if scan else variables
    logits = apply(module, variables, TOKENS)
    np.testing.assert_allclose(logits, logits_of(name), atol=1e-5)

    @jax.jit
    def train(key):
        return module.apply(variables, TOKENS, train=True, rngs={"dropout": key})

    keys = [jax.random.key(seed) for seed in (0, 0, 1)]
    one, again, other = (np.asarray(train(key)) for key in keys)
    np.testing.assert_array_equal(one, again)
    assert (one != other).any() and np.abs(one - logits).max() > 0.01


@gpt2_or_slow
def test_bfloat16_is_near_float32_and_parameters_stay(
    name, variables_of, logits_of, assert_close
):
    half = dataclasses.replace(MODELS[name], dtype="bfloat16")
    made = jax.eval_shape(half.init, jax.random.key(0), TOKENS)
    assert {leaf.dtype for leaf in jax.tree.leaves(made)} == {jnp.dtype("float32")}
    logits = apply(half, variables_of(name), TOKENS)
    assert logits.dtype == jnp.bfloat16
    assert_close(np.float32(logits), logits_of(name), 0.03)
    whole = dataclasses.replace(half, param_dtype="bfloat16")
    made = jax.eval_shape(whole.init, jax.random.key(0), TOKENS)
    assert {leaf.dtype for leaf in jax.tree.leaves(made)} == {jnp.dtype("bfloat16")}


@both
def test_features_hold_weights_that_sum_to_one_and_outputs(name, see, variables_of):
    module, variables = MODELS[name], variables_of(name)
    mask = np.arange(12) < [[9], [12]]
    logits, seen = see(module, variables, TOKENS, mask=mask)
    expected = apply(module, variables, TOKENS, mask=mask)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    for i in range(2):
        weights = seen[f"decoder/layers_{i}/attention/weights"]
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
        allowed = np.tri(12, dtype=bool) & mask[:, None, None]
        assert not weights[~np.broadcast_to(allowed, weights.shape)].any()
        assert seen[f"decoder/layers_{i}/outputs"].shape == (2, 12, 32)
    assert seen["features"].shape == (2, 12, 32)


def test_initial_weights_are_those_of_the_paper():
    module = GPT(1, 4, 64, vocab_size=97, max_length=12)
    params = jax.jit(module.init)(jax.random.key(0), TOKENS)["params"]
    block = params["decoder"]["layers_0"]
    for array, deviation in [
        (params["token_embedding"]["embedding"], 0.02),
        (block["attention"]["query"]["kernel"], 0.02),
        (block["mlp"]["up"]["kernel"], 0.02),
        (block["attention"]["out"]["kernel"], 0.02 / 2**0.5),
        (block["mlp"]["down"]["kernel"], 0.02 / 2**0.5),
    ]:
        np.testing.assert_allclose(np.std(np.asarray(array)), deviation, rtol=0.06)


@pytest.mark.parametrize("num_layers, size, vocab_size", [(2, 8, 11), (3, 16, 5)])
def test_gpt_has_as_many_parameters_as_its_formula_says(num_layers, size, vocab_size):
    module = GPT(num_layers, 2, size, vocab_size=vocab_size, max_length=12)
    made = jax.eval_shape(module.init, jax.random.key(0), TOKENS)
    expected = (vocab_size + 12) * size
    expected += num_layers * (12 * size**2 + 13 * size) + 2 * size
    assert sum(leaf.size for leaf in jax.tree.leaves(made)) == expected


def test_a_checkpoint_may_hold_what_is_not_learned(variables_of):
    variables = variables_of("gpt2")
    theirs = to_theirs(variables, gpt2.TRANSFORMERS)
    assert theirs["transformer.h.0.attn.c_attn.weight"].shape == (32, 96)
    buffers = {f"h.0.attn.{name}": np.zeros(1) for name in ("bias", "masked_bias")}
    bare = {name.removeprefix("transformer."): x for name, x in theirs.items()}
    everything = {**bare, **buffers, "lm_head.weight": bare["wte.weight"]}
    arrays, report = to_ours(everything, gpt2.TRANSFORMERS, variables)
    assert not (report.missing or report.unexpected or report.mismatched)
    chex.assert_trees_all_equal(arrays, flatten(variables))

    variables = variables_of("llama_tied")
    theirs = to_theirs(variables, llama.rules(tie_embeddings=True))
    theirs["lm_head.weight"] = theirs["model.embed_tokens.weight"]
    theirs["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.zeros(3)
    arrays, report = to_ours(theirs, llama.rules(tie_embeddings=True), variables)
    assert not (report.missing or report.unexpected or report.mismatched)
    chex.assert_trees_all_equal(arrays, flatten(variables))


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [None, 3])
def test_the_loss_equals_that_of_transformers(chunk_size, random_variables):
    """GPT2LMHeadModel in float64, with labels of -100 at padding."""
    tokens = np.random.RandomState(0).randint(2, 23, (3, 8)).astype(np.int32)
    tokens[1, 5:] = 0
    module = GPT(2, 2, 16, vocab_size=23, max_length=8)
    objective = objectives.language_modelling(
        functional(module), pad_token=0, chunk_size=chunk_size
    )
    variables = random_variables(module, tokens)
    loss, _ = jax.jit(objective)(variables, {"tokens": tokens})
    np.testing.assert_allclose(loss, 3.579976797103882, rtol=1e-6)


def test_a_text_that_is_too_long_is_said():
    with pytest.raises(ValueError, match=r"max_length=4: expected .* tokens, 12"):
        jax.eval_shape(GPT(1, 2, 8, max_length=4).init, jax.random.key(0), TOKENS)
