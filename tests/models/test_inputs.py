"""Inputs that do not fit a network are told in one line: what, and what to do."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.errors import UserError
from fdl.models.catalog import ZOO

KEY = jax.random.key(0)
IMAGES, TOKENS = jnp.zeros((2, 8, 8, 3)), jnp.zeros((2, 4), int)
VIT = models.ViT(4, 1, 2, 8, num_classes=3, image_size=8, dropout=0.5)
GPT = models.GPT(1, 1, 8, vocab_size=16, max_length=4)


def initialised(module, *inputs):
    model = models.functional(module, *inputs)
    shapes = jax.eval_shape(model.init, KEY)
    return model, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


def told(module, *inputs, variables=None, **options):
    """The error of a call, traced and vmapped as well as not."""
    model, own = initialised(module)
    texts = []
    for call in (model.apply, jax.jit(model.apply, static_argnames=[*options])):
        with pytest.raises(UserError) as caught:
            call(variables or own, *inputs, **options)
        texts.append(str(caught.value))
    assert texts[0] == texts[1] and "\n" not in texts[0]
    return texts[0]


FAULTS = {
    "larger images": (
        (VIT, jnp.zeros((2, 16, 16, 3))),
        "images float32 [2, 16, 16, 3]: expected [B, 8, 8, 3], for which ViT is "
        "initialised: initialise the network with such inputs, or change them",
    ),
    "channels in front": (
        (VIT, jnp.zeros((2, 3, 8, 8))),
        "expected [B, 8, 8, 3], for which ViT is initialised: channels come last, "
        "jnp.moveaxis(images, 1, -1)",
    ),
    "one image": ((VIT, IMAGES[0]), "images float32 [8, 8, 3]: expected [B, H, W, C]"),
    "one text": ((GPT, TOKENS[0]), "tokens int32 [4]: expected [B, T]"),
    "a long text": (
        (GPT, jnp.zeros((2, 5), int)),
        "max_length=4: expected at least the number of tokens, 5",
    ),
    "tokens as floats": (
        (GPT, TOKENS * 1.0),
        "tokens float32 [2, 4]: expected integers",
    ),
    "more features": (
        (models.MLP((4,), 2, input_shape=(3,)), jnp.zeros((2, 5))),
        "inputs float32 [2, 5]: expected [B, 3], for which MLP is",
    ),
    "a sequence without a batch": (
        (models.RNN(4, input_shape=(3, 2)), jnp.zeros((3, 2))),
        "inputs [3, 2]: expected [B, T, D]",
    ),
    "an observation without a batch": (
        (models.minatar_encoder(), jnp.zeros((10, 10, 4))),
        "observation [10, 10, 4]: expected [B, H, W, C]",
    ),
    "an image of a pixel": (
        (models.minatar_encoder(), jnp.zeros((2, 1, 1, 4))),
        "images too small for this network: 1×1 pixels remain of them at a convolution "
        "with a kernel of 3×3",
    ),
    "no inputs": (
        (VIT,),
        "ViT: missing a required argument: 'images': expected (images, kept, train)",
    ),
}


@pytest.mark.parametrize("call, expected", FAULTS.values(), ids=FAULTS)
def test_inputs_that_do_not_fit_are_one_line(call, expected):
    assert expected in told(*call)


def test_a_missing_key_is_told():
    assert told(VIT, IMAGES, train=True) == (
        "key=None: expected a key, as ViT draws random numbers, such as those of "
        "dropout"
    )


def test_an_option_that_does_not_exist_has_a_near_name():
    assert told(GPT, TOKENS, deocde=True) == (
        "GPT takes no 'deocde'. Did you mean 'decode'?"
    )


def test_variables_of_another_network_are_not_blamed_on_the_inputs():
    _, others = initialised(VIT.clone(hidden_size=4))
    text = told(VIT, IMAGES, variables=others)
    assert text.startswith("ViT and its variables do not fit the inputs float32 [2, 8")
    assert '"kernel" in "/embedding"' in text


@pytest.mark.parametrize(
    "module, inputs, expected",
    [
        (GPT, [TOKENS + 16], "tokens 16 to 16: expected 0 to 15, as GPT.vocab_size=16"),
        (GPT, [TOKENS - 1], "tokens -1 to -1: expected 0 to 15"),
        (
            models.Transformer(1, 1, 8, 8, vocab_size=16, max_length=4),
            [TOKENS, np.full((2, 4), 99)],
            "target 99 to 99: expected 0 to 15, as Transformer.vocab_size=16",
        ),
    ],
)
def test_tokens_that_the_vocabulary_lacks_are_told_where_they_are_known(
    module, inputs, expected
):
    model, variables = initialised(module)
    with pytest.raises(UserError, match=f"^{re.escape(expected)}"):
        model.apply(variables, *inputs)
    # Constants of a trace are known as well; traced, tokens cannot be.
    with pytest.raises(UserError, match=f"^{re.escape(expected)}"):
        jax.eval_shape(lambda: model.apply(variables, *inputs))
    assert jax.eval_shape(model.apply, variables, *inputs)


def test_a_vmapped_model_is_checked_by_what_each_call_sees():
    model, variables = initialised(VIT)
    stacked = jax.tree.map(lambda x: jnp.stack([x, x]), variables)
    outputs, _ = jax.eval_shape(
        jax.vmap(model.apply), stacked, jnp.stack([IMAGES, IMAGES])
    )
    assert outputs.shape == (2, 2, 3)
    with pytest.raises(UserError, match=r"images float32 \[8, 8, 3\]: expected \[B"):
        jax.vmap(model.apply, (0, 0))(stacked, IMAGES)


def test_examples_that_do_not_fit_are_told_too():
    with pytest.raises(UserError, match=r"^patch_size=4: .* 3×8"):
        models.functional(VIT, jnp.zeros((1, 3, 8, 8))).init(KEY)
    with pytest.raises(UserError, match=r"^images float32 \[8, 8, 3\]: expected \[B, "):
        models.functional(VIT, IMAGES[0]).init(KEY)


class Mine(nn.Module):
    """Module of someone else, whose mistakes keep their tracebacks."""

    @nn.compact
    def __call__(self, images, *, train=False):
        x = nn.Dropout(0.5, deterministic=not train)(nn.Dense(2)(images))
        return x if x.shape[0] else x[99]["no such thing"]


def test_errors_of_modules_of_others_are_theirs_but_those_of_flax():
    model, variables = initialised(Mine(), jnp.zeros((1, 3)))
    with pytest.raises(UserError, match="key=None: expected a key, as Mine draws"):
        model.apply(variables, jnp.zeros((1, 3)), train=True)
    with pytest.raises(
        UserError, match=r"images float32 \[1, 4\]: expected \[B, 3\], for which Mine"
    ):
        model.apply(variables, jnp.zeros((1, 4)))
    with pytest.raises(IndexError):
        model.apply(variables, jnp.zeros((0, 3)))


@pytest.mark.parametrize(
    "name",
    [
        *("lenet5", "bert_tiny", "stories15m", "minatar_dqn"),
        pytest.param("alexnet", marks=pytest.mark.slow),
        pytest.param("vit_ti16", marks=pytest.mark.slow),
    ],
)
def test_a_batch_of_nothing_gives_nothing(name):
    module = ZOO[name].constructor()
    model, (example, *_) = models.functional(module), module.example()
    empty = jax.ShapeDtypeStruct((0, *example.shape[1:]), example.dtype)
    variables = jax.eval_shape(model.init, KEY)
    outputs, _ = jax.eval_shape(model.apply, variables, empty)
    assert {x.shape[0] for x in jax.tree.leaves(outputs)} == {0}
