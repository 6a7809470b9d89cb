"""Ensembles: several models that decode as one."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.generation.decoder import Decoder
from fdl.types import Array, PyTree


def ensemble(decoders: Sequence[Decoder]) -> Decoder:
    """Ensemble: a decoder whose probabilities are the mean of those of several models.

    Its variables are a sequence of those of the models, and its logits the logarithm of
    the mean of their softmaxes, float32 [B, V]; fairseq does the same. The models have
    one vocabulary, and are given the same inputs.

    Args:
      decoders: Decoder of each model; the same one for models of one network.

    Raises:
      UserError: There are none, or their vocabularies differ in size.

    Example:
      >>> def constant(probabilities):
      ...     logits = jnp.log(jnp.array([probabilities]))
      ...     return Decoder(lambda *_: ((), logits), None, None)
      >>> both = ensemble([constant([0.1, 0.9]), constant([0.5, 0.5])])
      >>> jnp.exp(both.prefill([{}, {}])[1])
      Array([[0.3, 0.7]], dtype=float32)
    """
    members = tuple(decoders)
    if not members:
        raise UserError("decoders=[]: expected at least one")
    sizes = {x.vocab_size for x in members if x.vocab_size is not None}
    if len(sizes) > 1:
        raise UserError(
            f"decoders of {' and '.join(map(str, sorted(sizes)))} tokens: expected one "
            "vocabulary"
        )

    def prefill(variables: Any, *arguments: Any) -> tuple[PyTree, Array]:
        pairs = zip(members, variables, strict=True)
        return _combined([x.prefill(own, *arguments) for x, own in pairs])

    def step(variables: Any, caches: PyTree, token: Array) -> tuple[PyTree, Array]:
        triples = zip(members, variables, caches, strict=True)
        return _combined([x.step(own, cache, token) for x, own, cache in triples])

    def reorder(caches: PyTree, rows: Array) -> PyTree:
        pairs = zip(members, caches, strict=True)
        return tuple(x.reorder(cache, rows) for x, cache in pairs)

    lengths = [x.max_length for x in members if x.max_length is not None]
    return Decoder(
        prefill,
        step,
        reorder,
        min(lengths, default=None),
        min(sizes, default=None),
    )


def _combined(results: Sequence[tuple[PyTree, Array]]) -> tuple[PyTree, Array]:
    """Caches of all models, and the logarithm of their mean probabilities."""
    caches, logits = zip(*results, strict=True)
    log_probs = jax.nn.log_softmax(jnp.stack(logits).astype(jnp.float32))
    return caches, jax.nn.logsumexp(log_probs, axis=0) - jnp.log(len(logits))
