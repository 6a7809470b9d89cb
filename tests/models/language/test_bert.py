import functools
import types

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models import features, functional, stack_layers
from fdl.models.language.bert import BERT
from fdl.models.language.bert_pretraining import BERTPretraining
from fdl.models.pretrained import bert as formats
from fdl.models.pretrained.convert import to_ours, unflatten

PROGRAMS = 200

SMALL = {
    "num_layers": 2,
    "num_heads": 2,
    "hidden_size": 16,
    "vocab_size": 23,
    "max_length": 8,
}
MODULES = {  # Name in transformers: ours.
    "BertForSequenceClassification": BERT(**SMALL, num_classes=3),
    "BertForTokenClassification": BERT(**SMALL, num_classes=3, pool="none"),
    "BertForPreTraining": BERTPretraining(**SMALL),
    "BertForMaskedLM": BERTPretraining(**SMALL, num_classes=None, pool="none"),
}
MODULE = MODULES["BertForSequenceClassification"]
TOKENS = np.random.RandomState(0).randint(0, 23, (3, 8)).astype(np.int32)
TYPES = (np.arange(8)[None] >= np.array([[4], [2], [5]])).astype(np.int32)
MASK = np.arange(8)[None] < np.array([[8], [5], [7]])
OPTIONS = {"token_types": TYPES, "mask": MASK}
every_head = pytest.mark.parametrize("name", MODULES)


@pytest.fixture(scope="module")
def variables(random_variables):
    return random_variables(MODULE)


def as_positional(module):
    """The same, called as transformers' modules: tokens, mask, token types."""

    def apply(variables, tokens, mask, token_types, **options):
        return module.apply(
            variables, tokens, token_types=token_types, mask=mask, **options
        )

    return types.SimpleNamespace(
        init=lambda key, tokens, *rest: module.init(key, tokens), apply=apply
    )


def joined(outputs):
    """All numbers of a text in a row, where there are outputs of two kinds."""
    if not isinstance(outputs, tuple):
        return outputs
    logits, others = outputs
    if others.ndim == 3:
        return logits
    numpy = np if isinstance(logits, np.ndarray) else jnp
    return numpy.concatenate([logits.reshape(len(logits), -1), others], axis=1)


@every_head
def test_berts_are_those_of_transformers(name, apply, random_variables, references):
    outputs = apply(MODULES[name], random_variables(MODULES[name]), TOKENS, **OPTIONS)
    references.agree(name, joined(outputs))


def transformers_bert(name):
    import transformers

    config = transformers.BertConfig(
        vocab_size=23,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=8,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=3,
        pad_token_id=None,  # To which no gradient would flow.
    )
    return getattr(transformers, name)(config)


@pytest.mark.oracle
@every_head
def test_berts_agree_with_transformers(name, torch, agrees_with_torch, references):
    def outputs_of(outputs):
        if name == "BertForPreTraining":
            logits = outputs.prediction_logits.flatten(1)
            return torch.cat([logits, outputs.seq_relationship_logits], dim=1)
        return outputs.logits

    module = MODULES[name]
    outputs = agrees_with_torch(
        as_positional(module),
        transformers_bert(name),
        module.checkpoints()["transformers"],
        TOKENS,
        MASK,
        TYPES,
        outputs_of=outputs_of,
        to_theirs_outputs=joined,
    )
    references.check(name, outputs)


@pytest.mark.oracle
def test_features_agree_with_those_of_transformers(
    torch, random_variables, assert_close
):
    from fdl.models.pretrained.convert import to_theirs

    module = BERT(**SMALL)
    variables = random_variables(module)
    reference = transformers_bert("BertModel").eval()
    arrays = to_theirs(variables, formats.TRANSFORMERS)
    reference.load_state_dict(
        {k.removeprefix("bert."): torch.tensor(np.array(v)) for k, v in arrays.items()}
    )
    tokens, mask, token_types = map(torch.tensor, (TOKENS, MASK, TYPES))
    with torch.no_grad():
        outputs = reference(tokens, mask, token_types)
    options = {"mask": MASK, "token_types": TYPES}
    pooled, seen = features(module, variables, TOKENS, **options)
    assert_close(pooled, outputs.pooler_output.numpy(), 1e-5)
    last = seen["encoder/layers_1/outputs"]
    assert_close(last, outputs.last_hidden_state.numpy(), 1e-5)


@pytest.mark.oracle
@every_head
@pytest.mark.parametrize("norm", ["weight", "gamma"])
def test_files_of_transformers_are_read(name, norm, torch, tmp_path, assert_close):
    """The first ones were converted from TensorFlow, and have kept its names."""
    from safetensors.numpy import load_file

    reference, module = transformers_bert(name).eval(), MODULES[name]
    reference.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    form = "transformers"
    if norm == "gamma":
        form = "transformers_gamma"
        for old, new in [("weight", "gamma"), ("bias", "beta")]:
            old, new = f"LayerNorm.{old}", f"LayerNorm.{new}"
            tensors = {k.replace(old, new): v for k, v in tensors.items()}
    shapes = jax.eval_shape(functional(module).init, jax.random.key(0))
    arrays, report = to_ours(tensors, module.checkpoints()[form], shapes)
    assert not (report.missing or report.unexpected or report.mismatched), report
    ours = module.apply(unflatten(arrays), TOKENS)
    with torch.no_grad():
        theirs = reference(torch.tensor(TOKENS))[0]
    ours = ours[0] if isinstance(ours, tuple) else ours
    assert_close(ours, theirs.numpy(), 1e-5)


def test_padding_changes_nothing(apply, variables, assert_close):
    apply = functools.partial(apply, MODULE.clone(pool="none", num_classes=None))
    padded = np.where(MASK, TOKENS, 22 - TOKENS)
    expected = apply(variables, TOKENS[1:2, :5])
    for tokens in (TOKENS, padded):
        outputs = apply(variables, tokens, mask=MASK)
        assert_close(outputs[1:2, :5], expected, 1e-5)
    assert np.abs(apply(variables, padded)[1:2, :5] - expected).max() > 0.01


def test_the_mean_is_that_of_the_tokens_and_padding_may_be_a_token(apply, variables):
    tokens = np.where(MASK, TOKENS, 0)
    module = MODULE.clone(pool="none", num_classes=None, pad_token=0)
    each = apply(module, variables, tokens)
    masked = apply(module.clone(pad_token=None), variables, tokens, mask=tokens != 0)
    np.testing.assert_array_equal(each, masked)
    expected = [
        x[there].mean(axis=0) for x, there in zip(each, tokens != 0, strict=True)
    ]
    mean = apply(module.clone(pool="mean"), variables, tokens)
    np.testing.assert_allclose(mean, expected, atol=1e-6)


def test_gradients_are_finite_where_a_text_is_empty(variables):
    def loss(variables, mask):
        logits = MODULE.apply(variables, TOKENS[:2], mask=mask, train=True)
        return jnp.sum(logits[0])

    gradients = jax.jit(jax.grad(loss))
    alone = gradients(variables, MASK[:2])
    beside_nothing = gradients(variables, MASK[:2] & np.array([[True], [False]]))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(beside_nothing))
    chex.assert_trees_all_close(beside_nothing, alone, rtol=1e-4, atol=1e-6)


def test_tokens_without_positions_are_a_set(apply, variables, assert_close):
    params = dict(variables["params"])
    embedding = params["position_embedding"]["embedding"]
    params["position_embedding"] = {"embedding": np.zeros_like(embedding)}
    apply = functools.partial(apply, MODULE.clone(pool="none", num_classes=None))
    order = np.random.RandomState(0).permutation(8)
    outputs = apply({"params": params}, TOKENS)
    swapped = apply({"params": params}, TOKENS[:, order])
    assert_close(swapped, outputs[:, order], 1e-5)
    placed = apply(variables, TOKENS[:, order]) - apply(variables, TOKENS)[:, order]
    assert np.abs(placed).max() > 0.01


def test_tokens_are_all_of_the_first_part_unless_told(apply, variables):
    apply = functools.partial(apply, MODULE)
    expected = apply(variables, TOKENS, token_types=np.zeros_like(TYPES))
    np.testing.assert_array_equal(apply(variables, TOKENS), expected)
    told = apply(variables, TOKENS, token_types=TYPES)
    assert np.abs(told - expected).max() > 0.01


@pytest.mark.slow
def test_scanned_and_recomputed_layers_equal_unrolled_ones(variables):
    def gradients(module):
        def loss(variables):
            logits = module.apply(variables, TOKENS, mask=MASK, train=True)
            return jnp.sum(jnp.sin(logits))

        return jax.jit(jax.grad(loss))

    scanned = MODULE.clone(scan_layers=True, remat=True)
    expected = stack_layers(gradients(MODULE)(variables))
    actual = gradients(scanned)(stack_layers(variables))
    chex.assert_trees_all_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_attention_weights_are_seen_on_request(apply, see, variables):
    logits, seen = see(MODULE, variables, TOKENS, mask=MASK)
    for layer in range(2):
        weights = seen[f"encoder/layers_{layer}/attention/weights"]
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
        assert np.all((np.asarray(weights) > 0) == MASK[:, None, None])
    expected = apply(MODULE, variables, TOKENS, mask=MASK)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_what_is_pretrained_serves_a_classifier(apply, random_variables):
    module = MODULES["BertForPreTraining"]
    pretrained = random_variables(module)
    _, expected = apply(module, pretrained, TOKENS, **OPTIONS)
    classifier = MODULE.clone(num_classes=2)
    shapes = jax.eval_shape(functional(classifier).init, jax.random.key(0))["params"]
    params = {name: pretrained["params"][name] for name in shapes}
    chex.assert_trees_all_equal_shapes(params, shapes)
    actual = apply(classifier, {"params": params}, TOKENS, **OPTIONS)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    "option", ["dropout", pytest.param("attention_dropout", marks=pytest.mark.slow)]
)
def test_there_is_dropout_in_training_alone(option, apply, variables):
    module = MODULE.clone(**{option: 0.5})
    evaluated = apply(module, variables, TOKENS)
    expected = apply(MODULE, variables, TOKENS)
    np.testing.assert_array_equal(evaluated, expected)
    trained, other = (
        apply(module, variables, TOKENS, train=True, rngs={"dropout": key})
        for key in map(jax.random.key, range(2))
    )
    assert not np.allclose(trained, evaluated) and not np.allclose(trained, other)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[] if name == "BertForPreTraining" else pytest.mark.slow
        )
        for name in MODULES
    ],
)
def test_bfloat16_is_near_float32(name, apply, random_variables, assert_close):
    module = MODULES[name]
    variables, half = random_variables(module), module.clone(dtype="bfloat16")
    actual = joined(apply(half, variables, TOKENS, **OPTIONS))
    assert actual.dtype == jnp.bfloat16
    expected = joined(apply(module, variables, TOKENS, **OPTIONS))
    assert_close(np.float32(actual), expected, 0.05)


def test_texts_must_not_be_too_long(variables):
    with pytest.raises(ValueError, match=r"max_length=8: expected .* tokens, 9"):
        jax.eval_shape(MODULE.apply, variables, np.zeros((1, 9), int))
    with pytest.raises(ValueError, match="pool='max': expected 'token', 'mean' or"):
        jax.eval_shape(MODULE.clone(pool="max").apply, variables, TOKENS)
