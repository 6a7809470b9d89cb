import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.language.transformer import Transformer
from fdl.models.layers.layer_stack import stack_layers, unstack_layers
from fdl.models.pretrained.layer_rules import dense, layer_norm
from fdl.models.pretrained.rules import DENSE, Rule

PROGRAMS = 160

POST = Transformer(1, 4, 32, 48, num_decoder_layers=2, vocab_size=97, max_length=10)
MODELS = {"post_norm": POST, "pre_norm": dataclasses.replace(POST, pre_norm=True)}
SOURCE = np.random.RandomState(0).randint(97, size=(2, 9)).astype(np.int32)
TARGET = np.random.RandomState(1).randint(97, size=(2, 10)).astype(np.int32)
each = pytest.mark.parametrize("name", MODELS)
pre_norm_or_slow = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "pre_norm" else pytest.mark.slow)
        for name in MODELS
    ],
)


@functools.cache
def jitted(module):
    return jax.jit(module.apply, static_argnames=("method", "train"))


def apply(module, *args, **options):
    return jax.tree.map(np.asarray, jitted(module)(*args, **options))


@pytest.fixture(scope="module")
def variables_of(random_variables):
    return functools.cache(lambda name: random_variables(MODELS[name]))


@pytest.fixture(scope="module")
def logits_of(variables_of):
    """What a model says of `SOURCE` and `TARGET`."""
    return functools.cache(
        lambda name: apply(MODELS[name], variables_of(name), SOURCE, TARGET)
    )


def attention(theirs, ours):
    parts = [f"params/{ours}/{part}" for part in ("query", "key", "value")]
    kernels, biases = (tuple(f"{p}/{x}" for p in parts) for x in ("kernel", "bias"))
    return [
        Rule(f"{theirs}.in_proj_weight", kernels, DENSE),
        Rule(f"{theirs}.in_proj_bias", biases),
        *dense(f"{theirs}.out_proj", f"{ours}/out"),
    ]


def stack(side, norms, **attentions):
    theirs, ours = f"core.{side}.layers.{{i}}", f"{side}/layers_{{i}}"
    return [
        *[
            rule
            for name, other in attentions.items()
            for rule in attention(f"{theirs}.{other}", f"{ours}/{name}")
        ],
        *dense(f"{theirs}.linear1", f"{ours}/mlp/up"),
        *dense(f"{theirs}.linear2", f"{ours}/mlp/down"),
        *[
            rule
            for i, name in enumerate(norms, start=1)
            for rule in layer_norm(f"{theirs}.norm{i}", f"{ours}/{name}_norm")
        ],
        *layer_norm(f"core.{side}.norm", f"{side}_norm"),
    ]


TORCH = [
    Rule("embedding.weight", "params/embedding/embedding"),
    *stack("encoder", ["attention", "mlp"], attention="self_attn"),
    *stack(
        "decoder",
        ["attention", "cross_attention", "mlp"],
        attention="self_attn",
        cross_attention="multihead_attn",
    ),
]


@each
def test_transformers_are_those_of_torch(name, references, logits_of):
    references.agree(name, logits_of(name))


@pytest.mark.oracle
@each
def test_transformers_agree_with_torch(name, torch, references, agrees_with_torch):
    module = MODELS[name]

    class Reference(torch.nn.Module):
        """Torch has the blocks; embedding, positions and readout are added."""

        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(97, 32)
            self.core = torch.nn.Transformer(
                32, 4, 1, 2, 48, 0.0, batch_first=True, norm_first=module.pre_norm
            )
            if not module.pre_norm:  # Its final norms are not in the paper.
                self.core.encoder.norm = self.core.decoder.norm = None

        def embed(self, tokens):
            positions = torch.arange(tokens.shape[1])[:, None]
            angles = positions / 10_000 ** (torch.arange(0, 32, 2) / 32)
            waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
            return self.embedding(tokens) * 32**0.5 + waves

        def forward(self, source, target):
            mask = torch.nn.Transformer.generate_square_subsequent_mask(10)
            outputs = self.core(
                self.embed(source),
                self.embed(target),
                tgt_mask=mask,
                tgt_is_causal=True,
            )
            return outputs @ self.embedding.weight.T

    outputs = agrees_with_torch(
        module,
        Reference(),
        TORCH,
        SOURCE,
        TARGET,
    )
    references.check(name, outputs)


@each
def test_the_target_is_causal_and_the_source_is_not(name, variables_of, logits_of):
    module, variables, logits = MODELS[name], variables_of(name), logits_of(name)
    other = TARGET.copy()
    other[:, 6] += 1
    changed = apply(module, variables, SOURCE, other % 97)
    np.testing.assert_array_equal(changed[:, :6], logits[:, :6])
    assert (np.abs(changed[:, 6:] - logits[:, 6:]).max(axis=-1) > 1e-3).all()
    other = SOURCE.copy()
    other[:, 8] += 1
    changed = apply(module, variables, other % 97, TARGET)
    assert (np.abs(changed - logits).max(axis=-1) > 1e-3).all()


@each
@pytest.mark.parametrize("front", [False, True])
def test_padding_changes_nothing(name, front, variables_of):
    module, variables = MODELS[name], variables_of(name)
    order = slice(None, None, -1) if front else slice(None)
    source_mask, target_mask = np.arange(9) < 6, np.arange(10) < 7
    source_mask, target_mask = source_mask[None, order], target_mask[None, order]
    logits = apply(
        module,
        variables,
        SOURCE[:1],
        TARGET[:1],
        source_mask=source_mask,
        target_mask=target_mask,
    )
    source, target = SOURCE[:1][source_mask][None], TARGET[:1][target_mask][None]
    alone = apply(module, variables, source, target)
    np.testing.assert_allclose(logits[target_mask], alone[0], atol=1e-5)


@pre_norm_or_slow
def test_pairs_that_share_a_row_are_as_if_apart(name, variables_of):
    module, variables = MODELS[name], variables_of(name)
    logits = apply(
        module,
        variables,
        SOURCE[:1],
        TARGET[:1],
        source_segments=np.array([[1] * 4 + [2] * 4 + [0]]),
        target_segments=np.array([[1] * 5 + [2] * 5]),
    )
    source, target = SOURCE[0, :8].reshape(2, 4), TARGET[0].reshape(2, 5)
    apart = apply(module, variables, source, target)
    np.testing.assert_allclose(logits[0], apart.reshape(10, -1), atol=1e-5)


def test_one_text_cannot_be_packed_without_the_other():
    init = functools.partial(POST.init, target_segments=TARGET)
    with pytest.raises(ValueError, match="segments: expected both or neither"):
        jax.eval_shape(init, jax.random.key(0), SOURCE, TARGET)


@pytest.mark.slow  # Decoders of all models are held to this in generation.
@pytest.mark.parametrize("name, scan", [("pre_norm", True), ("post_norm", False)])
def test_decoding_with_a_cache_equals_all_at_once(name, scan, variables_of):
    module, variables = MODELS[name], variables_of(name)
    mask = np.arange(9) < [[5], [9]]
    expected = apply(module, variables, SOURCE, TARGET, source_mask=mask)
    if scan:
        module = dataclasses.replace(module, scan_layers=True)
        variables = stack_layers(variables)
    memory = apply(module, variables, SOURCE, mask=mask, method="encode")

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, target):
        options = {"decode": True, "method": "decode", "mutable": ["cache"]}
        state = {**variables, **state}
        return module.apply(state, target, memory, memory_mask=mask, **options)

    state, logits = {}, []
    for part in np.split(TARGET, [3, 4, 5, 6, 7, 8, 9], axis=1):
        part, state = step(state, part)
        logits.append(part)
    np.testing.assert_allclose(np.concatenate(logits, axis=1), expected, atol=1e-5)


@pytest.mark.slow
def test_scanned_layers_equal_unrolled_ones_also_in_gradients(variables_of):
    plain, variables = MODELS["pre_norm"], variables_of("pre_norm")
    module = dataclasses.replace(plain, scan_layers=True, remat=True)

    def total(variables, module):
        mask = np.arange(9) < [[5], [9]]
        logits = module.apply(variables, SOURCE, TARGET, source_mask=mask, train=True)
        return jnp.sum(jnp.sin(logits))

    gradients = jax.jit(jax.value_and_grad(total), static_argnums=1)
    loss, expected = gradients(variables, plain)
    actual = gradients(stack_layers(variables), module)
    actual = (actual[0], unstack_layers(actual[1]))
    chex.assert_tree_all_finite(expected)
    chex.assert_trees_all_close(actual, (loss, expected), rtol=1e-4, atol=1e-3)


@pre_norm_or_slow
def test_bfloat16_is_near_float32_and_parameters_stay(
    name, variables_of, logits_of, assert_close
):
    half = dataclasses.replace(MODELS[name], dtype="bfloat16")
    made = jax.eval_shape(half.init, jax.random.key(0), SOURCE, TARGET)
    assert {leaf.dtype for leaf in jax.tree.leaves(made)} == {jnp.dtype("float32")}
    logits = apply(half, variables_of(name), SOURCE, TARGET)
    assert logits.dtype == jnp.bfloat16
    assert_close(np.float32(logits), logits_of(name), 0.04)


def test_features_say_what_attends_to_what(see, variables_of):
    mask = np.arange(9) < [[5], [9]]
    variables = variables_of("post_norm")
    _, seen = see(POST, variables, SOURCE, TARGET, source_mask=mask)
    own = seen["decoder/layers_1/attention/weights"]
    across = seen["decoder/layers_1/cross_attention/weights"]
    source = seen["encoder/layers_0/attention/weights"]
    for weights in (own, across, source):
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    assert not own[..., ~np.tri(10, dtype=bool)].any()
    assert not across[0, ..., 5:].any() and (across[1] > 0).all()
    assert not source[0, ..., 5:].any() and (source[1] > 0).all()


@pytest.mark.parametrize("d, f, encoders, decoders", [(8, 12, 1, 2), (16, 8, 2, 1)])
def test_the_number_of_parameters_is_that_of_its_formula(d, f, encoders, decoders):
    options = {"num_decoder_layers": decoders, "vocab_size": 11}
    module = Transformer(encoders, 2, d, f, **options)
    made = jax.eval_shape(module.init, jax.random.key(0), SOURCE, TARGET)
    mlp = 2 * d * f + f + d
    expected = 11 * d + encoders * (4 * (d**2 + d) + mlp + 4 * d)
    expected += decoders * (8 * (d**2 + d) + mlp + 6 * d)
    assert sum(leaf.size for leaf in jax.tree.leaves(made)) == expected
