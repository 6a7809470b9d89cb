import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.language import rnn_lm
from fdl.models.language.rnn_lm import RNNLanguageModel
from fdl.models.pretrained.convert import flatten, to_ours, to_theirs
from fdl.models.pretrained.rules import DENSE, SAME, Rule

SMALL = {
    "untied": RNNLanguageModel(6, 2, vocab_size=11, embedding_size=4),
    "tied": RNNLanguageModel(6, 2, tie_embeddings=True, vocab_size=11),
}
every_readout = pytest.mark.parametrize("name", SMALL)
TOKENS = np.random.RandomState(0).randint(11, size=(3, 6))


@every_readout
def test_language_models_are_those_of_torch(apply, name, references, random_variables):
    variables = random_variables(SMALL[name])
    references.agree(name, apply(SMALL[name], variables, TOKENS))


GATES = "ifgo"
RULES = [
    Rule("embedding.weight", "params/embedding/embedding"),
    Rule("head.weight", "params/head/kernel", DENSE),
    Rule("head.bias", "params/head/bias"),
    *(
        Rule(f"lstm.{theirs}_l{{i}}", tuple(ours.format(g) for g in GATES), layout)
        for theirs, ours, layout in (
            ("weight_ih", "params/rnn/layer_{{i}}/i{}/kernel", DENSE),
            ("weight_hh", "params/rnn/layer_{{i}}/h{}/kernel", DENSE),
            ("bias_hh", "params/rnn/layer_{{i}}/h{}/bias", SAME),
        )
    ),
]


@pytest.mark.oracle
@every_readout
def test_language_models_agree_with_torch(
    apply, name, torch, references, assert_close, random_variables
):
    class Reference(torch.nn.Module):
        def __init__(self, embedding_size):
            super().__init__()
            self.embedding = torch.nn.Embedding(11, embedding_size)
            self.lstm = torch.nn.LSTM(embedding_size, 6, 2, batch_first=True)
            self.head = torch.nn.Linear(6, 11, bias=name == "untied")
            if name == "tied":
                self.head.weight = self.embedding.weight

        def forward(self, tokens):
            return self.head(self.lstm(self.embedding(tokens))[0])

    module = SMALL[name]
    variables, reference = (
        random_variables(module),
        Reference(module.embedding_size or 6),
    )
    arrays = to_theirs(variables, RULES)
    for name_of, parameter in reference.named_parameters():
        # Torch has a second bias where one of ours stands.
        array = arrays.get(name_of, np.zeros(parameter.shape, np.float32))
        parameter.data = torch.tensor(np.array(array))
    outputs = reference(torch.tensor(TOKENS))
    weights = np.cos(np.arange(outputs.numel(), dtype=np.float32)).reshape(3, 6, 11)
    (outputs * torch.tensor(weights)).sum().backward()
    expected = outputs.detach().numpy()
    references.check(name, expected)
    worst = assert_close(apply(module, variables, TOKENS), expected, 1e-5)

    grads = jax.jit(jax.grad(lambda v: jnp.vdot(module.apply(v, TOKENS), weights)))
    theirs = {k: p.grad.numpy() for k, p in reference.named_parameters()}
    theirs, report = to_ours(theirs, RULES, variables)
    ours = flatten(grads(variables))
    assert not report.missing
    far = max(assert_close(ours[path], theirs[path], 1e-4) for path in ours)
    print(name, f"outputs {worst:.1e}, gradients {far:.1e}")


@every_readout
def test_a_text_in_parts_is_the_whole(name, random_variables):
    module = SMALL[name]
    variables = random_variables(module)
    apply = jax.jit(module.apply, static_argnames="return_carry")
    whole, last = apply(variables, TOKENS, return_carry=True)
    carry, parts = module.zero_carry(3), []
    for i in range(6):
        part, carry = apply(
            variables, TOKENS[:, i : i + 1], initial_carry=carry, return_carry=True
        )
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), carry, last)


@every_readout
def test_later_tokens_change_no_earlier_logits(apply, name, random_variables):
    variables, changed = random_variables(SMALL[name]), TOKENS.copy()
    changed[:, 3] = (changed[:, 3] + 1) % 11
    apply = functools.partial(apply, SMALL[name])
    before, after = (apply(variables, tokens) for tokens in (TOKENS, changed))
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.all(np.any(before[:, 3:] != after[:, 3:], axis=-1))


def test_padding_changes_nothing(random_variables):
    module = SMALL["untied"]
    variables, mask = random_variables(module), np.arange(6)[None] < np.full((3, 1), 4)
    apply = jax.jit(module.apply, static_argnames="return_carry")
    logits, carry = apply(variables, TOKENS, mask=mask, return_carry=True)
    expected, last = apply(variables, TOKENS[:, :4], return_carry=True)
    np.testing.assert_allclose(logits[:, :4], expected, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), carry, last)


def test_gradients_through_time_are_truncated(random_variables):
    """No gradient of the second half reaches the embeddings of the first."""
    module = SMALL["untied"]
    variables = random_variables(module)
    tokens = np.arange(10).reshape(1, 10)  # No token comes twice.

    def loss(variables, stop):
        _, carry = module.apply(variables, tokens[:, :5], return_carry=True)
        carry = jax.lax.stop_gradient(carry) if stop else carry
        return jnp.sum(module.apply(variables, tokens[:, 5:], initial_carry=carry))

    grads = jax.jit(jax.grad(loss), static_argnums=1)
    of_first = [
        np.abs(grads(variables, stop)["params"]["embedding"]["embedding"][:5]).max()
        for stop in (True, False)
    ]
    assert of_first[0] == 0 < of_first[1]


def test_dropout_is_for_training_and_does_not_touch_what_is_carried(
    apply, random_variables
):
    module = SMALL["untied"].clone(dropout=1.0)
    variables = random_variables(module)
    rngs = {"dropout": jax.random.key(0)}
    run = jax.jit(module.apply, static_argnames=("train", "return_carry"))
    options = {"train": True, "rngs": rngs, "return_carry": True}
    logits, carry = run(variables, TOKENS, **options)
    bias = np.broadcast_to(variables["params"]["head"]["bias"], logits.shape)
    np.testing.assert_allclose(logits, bias, atol=1e-6)
    assert all(np.all(np.abs(x) > 0) for x in jax.tree.leaves(carry))
    _, other = run(variables, (TOKENS + 1) % 11, **options)
    jax.tree.map(np.testing.assert_array_equal, carry, other)  # It reads nothing.
    expected = apply(SMALL["untied"], variables, TOKENS)
    np.testing.assert_array_equal(run(variables, TOKENS), expected)


def test_tied_embeddings_need_one_size():
    module = RNNLanguageModel(6, tie_embeddings=True, embedding_size=4)
    with pytest.raises(ValueError, match="embedding_size=4: expected hidden_size"):
        jax.eval_shape(module.init, jax.random.key(0), TOKENS)


def test_published_sizes_begin_as_published():
    module = rnn_lm.zaremba_small(vocab_size=11)
    params = jax.jit(module.init)(jax.random.key(0), TOKENS)["params"]
    for path, leaf in flatten(params).items():
        if path.endswith("bias"):
            assert not np.any(leaf)
        else:
            assert 0.09 < np.max(leaf) <= 0.1 and -0.1 <= np.min(leaf) < -0.09


def test_states_are_seen(see, random_variables):
    _, seen = see(SMALL["tied"], random_variables(SMALL["tied"]), TOKENS)
    assert {k: v.shape for k, v in seen.items()} == {
        "rnn/layer_0/states": (3, 6, 6),
        "rnn/layer_1/states": (3, 6, 6),
    }
