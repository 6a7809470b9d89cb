"""Tasks of unsupervised learning: autoencoders, VAEs, flows, pixels one by one."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fdl import evaluation, losses, objectives
from fdl.data.preprocessing import Preprocessing
from fdl.errors import UserError
from fdl.experiment.tasks import Task, check_labels
from fdl.types import Ability, Model, Objective


def variational(
    objective: Callable[..., Objective] = objectives.variational, **options: Any
) -> Task:
    """Variational autoencoder of pixels between 0 and 1, with a Bernoulli likelihood.

    Its abilities are ``sample``, ``embed`` (the posterior mean), ``decode`` and
    ``reconstruct``; pixels are probabilities.

    Args:
      objective: `objectives.variational` or `objectives.importance_weighted`.
      **options: Its arguments, such as ``beta`` or ``num_samples``.

    Example:
      >>> task = variational(objectives.importance_weighted, num_samples=16)
      >>> list(task.abilities)
      ['sample', 'embed', 'decode', 'reconstruct']
    """

    def of_latents(make: Callable[..., Ability]) -> Callable[..., Ability]:
        def ability(model: Model, preprocessing: Preprocessing) -> Ability:
            check_input_shape(model, preprocessing)
            return make(model, latent_size=model.module.latent_size, logits=True)

        return ability

    return Task(
        partial(objective, **options),
        {
            "sample": of_latents(evaluation.prior_sampler),
            "embed": evaluation.embedder,
            "decode": of_latents(evaluation.latent_decoder),
            "reconstruct": partial(evaluation.reconstructor, logits=True),
        },
        check_inputs=check_probabilities,
    )


def check_input_shape(model: Model, preprocessing: Preprocessing) -> None:
    """Checks that what a network decodes has the shape of its inputs.

    Args:
      model: Model of a module with ``input_shape``, the shape of its outputs; of
        another nothing is checked.
      preprocessing: Preprocessing of its inputs.

    Raises:
      UserError: The shapes differ.
    """
    expected = preprocessing.inputs[evaluation.only_input(preprocessing)].shape
    found = tuple(getattr(model.module, "input_shape", expected))
    if found != tuple(expected):
        raise UserError(
            f"input_shape={found}: expected {tuple(expected)}, the shape of an example"
        )


def check_probabilities(inputs: np.ndarray, name: str) -> None:
    """Checks that inputs are between 0 and 1, outside of compilation.

    In a program it can only be seen that the loss becomes NaN.

    Args:
      inputs: Preprocessed inputs, [N, ...].
      name: Name of the examples, for the message.

    Raises:
      UserError: One is not.

    Example:
      >>> check_probabilities(np.array([[0.0, 1.0], [0.5, 2.0]]), "train")
      Traceback (most recent call last):
      fdl.errors.UserError: train: pixel=2.0: expected 0 to 1, for a Bernoulli \
likelihood; the preprocessing scales them, as images(shape, white=255) does
    """
    wrong = inputs[~((inputs >= 0) & (inputs <= 1))]  # NaN fails both comparisons.
    if wrong.size:
        raise UserError(
            f"{name}: pixel={wrong[0]:.4}: expected 0 to 1, for a Bernoulli "
            "likelihood; the preprocessing scales them, as images(shape, white=255) "
            "does"
        )


def reconstruction(
    *,
    objective: Callable[..., Objective] = objectives.reconstruction,
    logits: bool = False,
    **options: Any,
) -> Task:
    """Reconstruction by a `models.Autoencoder`: embeds, decodes and reconstructs.

    Args:
      objective: Objective of reconstruction, such as
        `objectives.contractive_reconstruction`.
      logits: Whether outputs are logits of pixels in [0, 1]: then the loss is the
        binary cross-entropy, and reconstructions are probabilities.
      **options: Further arguments of the objective, such as ``strength``.

    Example:
      >>> list(reconstruction().abilities)
      ['embed', 'decode', 'reconstruct']
    """
    if logits:
        options = {"loss": losses.binary_cross_entropy, **options}

    def decode(model: Model, preprocessing: Preprocessing) -> Ability:
        check_input_shape(model, preprocessing)
        return evaluation.latent_decoder(
            model, latent_size=model.module.code_size, logits=logits
        )

    abilities: dict[str, Callable[[Model, Preprocessing], Ability]] = {
        "embed": evaluation.embedder,
        "decode": decode,
        "reconstruct": partial(evaluation.reconstructor, logits=logits),
    }
    return Task(partial(objective, **options), abilities)


def flow(latent_size: int, **options: Any) -> Task:
    """Density of a normalising flow: samples, embeds, decodes, gives log-densities.

    Args:
      latent_size: Number of dimensions, of data and of noise.
      **options: Arguments of `objectives.density`, such as ``levels``.

    Example:
      >>> list(flow(2).abilities)
      ['sample', 'embed', 'decode', 'log_density']
    """
    inverse: dict[str, Any] = {"latent_size": latent_size, "method": "inverse"}
    return Task(
        partial(objectives.density, **options),
        {
            "sample": partial(evaluation.prior_sampler, **inverse),
            "embed": partial(evaluation.embedder, method="forward"),
            "decode": partial(evaluation.latent_decoder, **inverse),
            "log_density": evaluation.log_density,
        },
    )


def pixels() -> Task:
    """Maximum likelihood of discrete images, which can be sampled.

    The data has the values 0 to V − 1 of each pixel, of which the preprocessing may
    make pixels from 0 to 1: `fdl.data.preprocessing.images` with ``white=V - 1``.

    Example:
      >>> task = pixels()
      >>> list(task.abilities)
      ['sample']
      >>> import numpy as np
      >>> task.check(2, {"image": np.array([[0, 1], [3, 0]])}, "train")
      Traceback (most recent call last):
      fdl.errors.UserError: train, row 2: image=3: expected 0 to 1, as the network has \
2 outputs
    """
    return Task(
        objectives.pixel_likelihood,
        {"sample": lambda model, _: evaluation.pixel_sampler(model)},
        partial(check_labels, labels="image"),
    )
