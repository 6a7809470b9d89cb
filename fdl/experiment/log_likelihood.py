"""Log-likelihood of latent variable models, beside the bound they are trained by."""

from typing import Any

from fdl.errors import UserError
from fdl.evaluation import active_units, importance_sampled, together
from fdl.types import Experiment


def with_log_likelihood(experiment: Experiment, **options: Any) -> Experiment:
    """Also tests the importance-sampled log-likelihood, and counts the active units.

    Args:
      experiment: Experiment of a variational autoencoder, with a test.
      **options: Arguments of `evaluation.importance_sampled`, such as ``num_samples``.

    Returns:
      The experiment, whose test has the metrics ``log_likelihood``,
      ``log_likelihood_error``, ``monte_carlo_error`` and ``active_units``, too.

    Raises:
      UserError: The experiment has no test, no examples or no model.

    Example:
      >>> import fdl
      >>> config = fdl.config.base()
      >>> config.update({"num_epochs": 1, "batch_size": 32, "optimizer": {}})
      >>> plain = fdl.supervised(
      ...     config,
      ...     fdl.data.binarized(fdl.data.load_splits("digits"), threshold=8),
      ...     fdl.data.preprocessing.images((8, 8, 1), white=1),
      ...     fdl.models.VAE((16,), latent_size=2, input_shape=(8, 8, 1)),
      ...     fdl.experiment.variational(),
      ... )
      >>> experiment = with_log_likelihood(plain, num_samples=100)
    """
    test, examples, model = experiment.test, experiment.examples, experiment.model
    if test is None or examples is None or model is None:
        raise UserError("experiment: expected one with a test, examples and a model")
    inputs = options.get("inputs", "image")
    source: dict[str, Any] = {"inputs": inputs, "preprocess": examples.preprocess}
    of_examples = importance_sampled(model, examples.batches, **{**source, **options})
    of_latents = active_units(model, examples.batches, **source)
    return experiment._replace(test=together(test, of_examples, of_latents))
