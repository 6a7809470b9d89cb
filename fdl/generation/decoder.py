"""Decoders: sequence models that continue token sequences from a cache."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import UserError, check_type
from fdl.models import GPT, Llama, RNNLanguageModel, Seq2Seq, Transformer, functional
from fdl.models.layers.masks import last_token
from fdl.types import Array, Model, PyTree, Variables


class Decoder(NamedTuple):
    """Autoregressive decoder: a sequence model as three pure functions on a cache.

    A cache holds what the model needs of the tokens so far: keys and values, or the
    carry of a recurrent network. It is a pytree of arrays, for the rows of a batch.

    Attributes:
      prefill: ``prefill(variables, prompt, mask, max_length, *inputs) -> (cache,
        logits)``. The prompt is int32 [B, P], padded on the right, with its mask, bool
        [B, P]. Logits, float [B, V], are those after the last token of each row.
        ``max_length`` is the number of tokens that the cache can hold, prompt and
        padding included. Further inputs are those of the model: an encoder-decoder has
        a source, int32 [B, S], and optionally its mask, bool [B, S].
      step: ``step(variables, cache, token) -> (cache, logits)``, of one further token
        for each row, int32 [B].
      reorder: ``reorder(cache, rows) -> cache``, the cache of the given rows, int32
        [R], of which some may be left out and others repeated.
      max_length: Number of positions of the model; None if it has no limit.
      vocab_size: Number of tokens, V; None if unknown.
    """

    prefill: Callable[..., tuple[PyTree, Array]]
    step: Callable[[Variables, PyTree, Array], tuple[PyTree, Array]]
    reorder: Callable[[PyTree, Array], PyTree]
    max_length: int | None = None
    vocab_size: int | None = None


def decoder(model: Model) -> Decoder:
    """Decoder of a sequence model of the zoo.

    Its functions are compiled by whoever calls them, and compiled again for another
    decoder: make it once.

    Args:
      model: Model of a `GPT`, `Llama`, `Transformer`, `Seq2Seq` or `RNNLanguageModel`.

    Returns:
      A decoder, whose logits are those of the model without a cache.

    Raises:
      UserError: The model is none of these; or, in ``prefill``, ``max_length`` exceeds
        the positions of the model or is less than the prompt.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    module = model.module
    if isinstance(module, GPT | Llama):
        prefill, step = _causal(module)
    elif isinstance(module, Transformer):
        prefill, step = _encoder_decoder(module)
    elif isinstance(module, RNNLanguageModel):
        prefill, step = _recurrent(model)
    elif isinstance(module, Seq2Seq):
        prefill, step = _recurrent_encoder_decoder(model)
    else:
        raise UserError(
            f"model of {type(module).__name__}: expected a GPT, Llama, Transformer, "
            "Seq2Seq or RNNLanguageModel, or an fdl.generation.Decoder of your own"
        )
    # Only a learned table of positions ends; the others are computed.
    max_length = module.max_length if isinstance(module, GPT) else None
    vocab_size = getattr(module, "target_vocab_size", None) or module.vocab_size
    return Decoder(prefill, step, _reorder, max_length, vocab_size)


def _causal(module):
    apply = functional(module).apply
    options: Any = {"decode": True, "mutable": "cache"}

    def prefill(variables, prompt, mask, max_length):
        features, state = _with_cache(module, max_length)(
            variables, prompt, mask=mask, return_features=True, **options
        )
        return state["cache"], _last_logits(apply, variables, features, mask)

    def step(variables, cache, token):
        variables = {**variables, "cache": cache}
        logits, state = apply(variables, token[:, None], **options)
        return state["cache"], logits.squeeze(1)

    return prefill, step


def _encoder_decoder(module):
    model = functional(module)
    options: Any = {"method": "decode", "decode": True, "mutable": "cache"}

    def prefill(variables, prompt, mask, max_length, source, source_mask=None):
        source_mask = (
            jnp.ones_like(source, bool) if source_mask is None else source_mask
        )
        memory, _ = model.apply(variables, source, mask=source_mask, method="encode")
        features, state = _with_cache(module, max_length)(
            variables,
            prompt,
            memory,
            mask=mask,
            memory_mask=source_mask,
            return_features=True,
            **options,
        )
        # The layers have cached their keys and values of the memory: of the memory
        # itself no step reads a number, only that there is one.
        logits = _last_logits(model.apply, variables, features, mask)
        return (state["cache"], memory[:, :0], source_mask), logits

    def step(variables, cache, token):
        state, memory, source_mask = cache
        logits, state = model.apply(
            {**variables, "cache": state},
            token[:, None],
            memory,
            memory_mask=source_mask,
            **options,
        )
        return (state["cache"], memory, source_mask), logits.squeeze(1)

    return prefill, step


def _recurrent(model):
    apply = functools.partial(model.apply, return_carry=True)

    def prefill(variables, prompt, mask, max_length):
        del max_length  # The size of a carry does not depend on the number of tokens.
        (features, carry), _ = apply(variables, prompt, mask=mask, return_features=True)
        return carry, _last_logits(model.apply, variables, features, mask)

    def step(variables, carry, token):
        (logits, carry), _ = apply(variables, token[:, None], initial_carry=carry)
        return carry, logits.squeeze(1)

    return prefill, step


def _recurrent_encoder_decoder(model):
    decode = functools.partial(model.apply, method="decode")

    def prefill(variables, prompt, mask, max_length, source, source_mask=None):
        del max_length
        source_mask = (
            jnp.ones_like(source, bool) if source_mask is None else source_mask
        )
        memory, _ = model.apply(variables, source, mask=source_mask, method="encode")
        (features, carry), _ = decode(
            variables, prompt, memory, mask=mask, return_features=True
        )
        return (memory, carry), _last_logits(model.apply, variables, features, mask)

    def step(variables, cache, token):
        memory, carry = cache
        (logits, carry), _ = decode(variables, token[:, None], memory, carry)
        return (memory, carry), logits.squeeze(1)

    return prefill, step


def _last_logits(apply, variables, features, mask):
    """Logits after the last token of each row; those of others are not computed."""
    last = last_token(features, mask)
    logits, _ = apply(variables, last, method="logits")
    return logits.squeeze(1)


def _with_cache(module, max_length):
    """Function ``apply`` of a module whose new cache holds `max_length` tokens."""
    if isinstance(module, GPT) and max_length > module.max_length:
        raise UserError(
            f"max_length={max_length}: expected at most the {module.max_length} "
            "positions of the model"
        )
    return functional(module.clone(cache_length=max_length)).apply


def _reorder(cache, rows):
    def gather(path, x):
        # Scanned layers have their arrays stacked along a leading axis, and an index of
        # a cache is the same for all rows.
        axis = sum(getattr(key, "key", None) == "layers" for key in path)
        return jnp.take(x, rows, axis) if x.ndim > axis else x

    return jax.tree_util.tree_map_with_path(gather, cache)
