"""Abilities of generative models: embeddings, reconstructions and samples."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from fdl.data.preprocessing import Preprocessing, arrays, preprocessor
from fdl.errors import UserError
from fdl.evaluation.predictors import only_input
from fdl.types import Ability, Array, Key, Model, PyTree, Variables

_NUMBER = jax.ShapeDtypeStruct((), jnp.float32)


def embedder(
    model: Model,
    preprocessing: Preprocessing,
    *,
    inputs: str | None = None,
    method: str = "encode",
) -> Ability:
    """Embedding of each example: ``embedding``, float32 [B, D].

    Args:
      model: Model with a method of inputs to embeddings, or to several outputs of which
        they are the first, such as the mean and the log-variance of a `models.VAE`.
      preprocessing: Preprocessing of the inputs.
      inputs: Name of the inputs of the model. Default: the only ones.
      method: Name of the method: "encode" of autoencoders, "forward" of flows.
    """
    name, preprocess = only_input(preprocessing, inputs), preprocessor(preprocessing)

    def embed(variables: Variables, batch: Mapping[str, Array], key: Key):
        outputs, _ = model.apply(
            variables, preprocess(batch)[name], key=key, method=method
        )
        values = _first(outputs)
        return {"embedding": values.reshape(len(values), -1)}

    spec = {"name": "embedder", "inputs": inputs, "method": method}
    return Ability(embed, preprocessing, {"embedding": ()}, spec)


def reconstructor(
    model: Model,
    preprocessing: Preprocessing,
    *,
    inputs: str | None = None,
    logits: bool = False,
) -> Ability:
    """Reconstruction of each example: ``reconstruction``, float32 [B, ...].

    It is in the units of the preprocessed inputs.

    Args:
      model: Model of inputs to reconstructions, or to several outputs of which they are
        the first.
      preprocessing: Preprocessing of the inputs.
      inputs: Name of the inputs of the model. Default: the only ones.
      logits: Whether the outputs are logits of probabilities.
    """
    name, preprocess = only_input(preprocessing, inputs), preprocessor(preprocessing)

    def reconstruct(variables: Variables, batch: Mapping[str, Array], key: Key):
        outputs, _ = model.apply(variables, preprocess(batch)[name], key=key)
        return {"reconstruction": _probabilities(_first(outputs), logits)}

    spec = {"name": "reconstructor", "inputs": inputs, "logits": logits}
    return Ability(reconstruct, preprocessing, {"reconstruction": ()}, spec)


def latent_decoder(
    model: Model,
    preprocessing: Preprocessing | None = None,
    *,
    latent_size: int,
    method: str = "decode",
    logits: bool = False,
) -> Ability:
    """Example of each ``embedding``, float [B, D]: ``sample``, float32 [B, ...].

    Args:
      model: Model with a method of embeddings to examples, or to several outputs of
        which they are the first.
      preprocessing: Not used, as its inputs are embeddings.
      latent_size: Dimension D of an embedding.
      method: Name of the method: "decode" of autoencoders, "inverse" of flows.
      logits: Whether the outputs are logits of probabilities.
    """
    del preprocessing

    def decode(variables: Variables, batch: Mapping[str, Array], key: Key):
        outputs, _ = model.apply(variables, batch["embedding"], key=key, method=method)
        return {"sample": _probabilities(_first(outputs), logits)}

    spec = {
        "name": "latent_decoder",
        "latent_size": latent_size,
        "method": method,
        "logits": logits,
    }
    latents = jax.ShapeDtypeStruct((latent_size,), jnp.float32)
    return Ability(decode, arrays(embedding=latents), {"sample": ()}, spec)


def prior_sampler(
    model: Model,
    preprocessing: Preprocessing | None = None,
    *,
    latent_size: int,
    method: str = "decode",
    logits: bool = False,
) -> Ability:
    """Samples of a model with the prior N(0, I): ``sample``, float32 [B, ...].

    Its inputs are the ``temperature`` of each sample, float [B]: the standard deviation
    of its latents.

    Args:
      model: Model with a method of latents to examples; see `latent_decoder`.
      preprocessing: Not used, as its inputs are temperatures.
      latent_size: Dimension of the latents.
      method: Name of the method: "decode" of autoencoders, "inverse" of flows.
      logits: Whether the outputs are logits of probabilities, which are the sample.
    """
    del preprocessing
    decode = latent_decoder(
        model, latent_size=latent_size, method=method, logits=logits
    )

    def draw(variables: Variables, temperature: Array, key: Key):
        latents = jax.random.normal(key, (len(temperature), latent_size))
        latents *= temperature[:, None]
        return decode.function(variables, {"embedding": latents}, key)["sample"]

    spec = {**(decode.spec or {}), "name": "prior_sampler"}
    return sampler(draw)._replace(spec=spec)


def sampler(draw: Callable[[Variables, Array, Key], Array]) -> Ability:
    """Samples of any generative model: ``sample``, float32 [B, ...].

    Its inputs are the ``temperature`` of each sample, float [B].

    Args:
      draw: ``draw(variables, temperature, key)``, samples [B, ...] of the
        temperatures [B].

    Example:
      >>> import numpy as np
      >>> from fdl import evaluation
      >>> noise = sampler(lambda variables, t, key: t * jax.random.normal(key, t.shape))
      >>> temperature = np.zeros(3, np.float32)
      >>> evaluation.predict(noise, {}, {"temperature": temperature})["sample"].tolist()
      [0.0, 0.0, 0.0]
    """

    def sample(variables: Variables, batch: Mapping[str, Array], key: Key):
        values = draw(variables, batch["temperature"], key)
        if len(values) != len(batch["temperature"]):
            raise UserError(
                f"draw: expected {len(batch['temperature'])} samples, got {len(values)}"
            )
        return {"sample": values.astype(jnp.float32)}

    return Ability(sample, arrays(temperature=_NUMBER), {"sample": ()})


def _first(outputs: PyTree) -> Array:
    """First of several outputs, in float32."""
    return jax.tree.leaves(outputs)[0].astype(jnp.float32)


def _probabilities(outputs: Array, logits: bool) -> Array:
    return jax.nn.sigmoid(outputs) if logits else outputs
