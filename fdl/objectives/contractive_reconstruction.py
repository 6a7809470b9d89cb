"""Contractive autoencoders."""

from fdl import losses, metrics
from fdl.errors import check_type
from fdl.objectives import supervised
from fdl.objectives.supervised import Loss
from fdl.types import Model, Objective


def contractive_reconstruction(
    model: Model,
    *,
    strength: float,
    inputs: str = "image",
    loss: Loss = losses.squared_error,
    method: str = "encode",
) -> Objective:
    """Contractive autoencoder: reconstruction error + λ ‖∂h / ∂x‖² in training.

    The penalty keeps the code from changing with the inputs, and the error keeps it
    from being constant: what remains are the directions in which the data vary.

    An encoder with small weights and a decoder with large ones would evade the penalty.
    Rifai et al. tie the weights of both; ``method="__call__"``, of the Jacobian of the
    reconstruction ∂r / ∂x, does not depend on the scale of the code at all.

    Args:
      model: Model of inputs [B, ...] to reconstructions of the same shape, without
        batch normalisation and dropout.
      strength: Coefficient λ of the squared Frobenius norm, as mean over examples.
      inputs: Name of the inputs in a batch, whose ``mask``, [B], keeps examples.
      loss: Function of outputs and inputs to one loss per element.
      method: Method of the model whose Jacobian is penalised: "encode", or "__call__".

    Returns:
      An objective with the metrics ``loss``, without the penalty, and ``jacobian``, the
      mean of ‖∂h / ∂x‖².

    References:
      Rifai et al., `Contractive Auto-Encoders: Explicit Invariance During Feature
      Extraction <https://icml.cc/2011/papers/455_icmlpaper.pdf>`_, 2011.

      Alain and Bengio, `What Regularized Auto-Encoders Learn from the Data-Generating
      Distribution <https://arxiv.org/abs/1211.4246>`_, 2014.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")

    def objective(variables, batch, key=None, *, train=False):
        originals, mask = supervised.take(batch, inputs), batch.get("mask")
        reconstructions, model_state = model.apply(
            variables, originals, key=key, train=train
        )

        def encode(x):
            return model.apply(variables, x, method=method)[0]

        mean = metrics.mean(loss(reconstructions, originals), mask)
        jacobian = metrics.mean(losses.contractive(encode, originals), mask)
        minimised = supervised.to_minimise(mean)
        if train:
            minimised += strength * supervised.to_minimise(jacobian)
        return minimised, (model_state, {"loss": mean, "jacobian": jacobian})

    return objective
