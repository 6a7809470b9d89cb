"""Vector-quantised autoencoding: VQ-VAE."""

from fdl import losses, metrics
from fdl.errors import UserError, check_type
from fdl.objectives import supervised
from fdl.types import Mean, Model, Objective


def vector_quantised(
    model: Model,
    *,
    inputs: str = "image",
    beta: float = 0.25,
    variance: float = 1.0,
) -> Objective:
    """Vector-quantised autoencoding, ‖x − x̂‖² / σ² + ‖sg[z] − e‖² + β ‖z − sg[e]‖².

    z are outputs of the encoder, and e their codes. The squared norms are means over
    their elements, as in the authors' code. The second term learns a codebook that is a
    parameter; it has no gradient where moving averages learn it. All are means over
    the images that the batch's ``mask`` keeps, float [B]; if there are none, the loss
    to minimise is zero.

    Args:
      model: Model of a `models.VQVAE`.
      inputs: Name of the images in a batch.
      beta: Weight β of the commitment loss.
      variance: Variance σ² of the images, which sets the weight of the reconstruction.

    Returns:
      An objective with the metrics ``loss``; ``mse``, the mean squared error of the
      pixels; ``commitment``, ‖z − e‖²; ``codes_used``, the number of codes in use; and
      their ``perplexity``.

    Raises:
      UserError: The model is none of a `models.VQVAE`, or a number is not positive.

    References:
      van den Oord, Vinyals and Kavukcuoglu, `Neural Discrete Representation Learning
      <https://arxiv.org/abs/1711.00937>`_, 2017.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    for name, value in {"beta": beta, "variance": variance}.items():
        if not value > 0:
            raise UserError(f"{name}={value}: expected a positive number")
    num_codes = getattr(model.module, "num_codes", None)
    if num_codes is None:
        kind = type(model.module).__name__
        raise UserError(f"model of {kind}: expected one of a VQVAE")

    def objective(variables, batch, key=None, *, train=False):
        images, mask = supervised.take(batch, inputs), batch.get("mask")
        output, model_state = model.apply(
            variables, images, mask=mask, key=key, train=train
        )
        errors = losses.squared_error(output.reconstruction, images)
        mse = metrics.mean(errors, mask)
        moved = output.encoding, output.nearest
        committed = metrics.mean(losses.commitment(*moved), mask)
        learnt = metrics.mean(losses.commitment(*reversed(moved)), mask)
        total = mse.total / variance + learnt.total + beta * committed.total
        loss = Mean(total, mse.weight)
        monitored = {
            "loss": loss,
            "mse": mse,
            "commitment": committed,
            "codes_used": metrics.codes_used(output.codes, num_codes, mask),
            "perplexity": metrics.code_perplexity(output.codes, num_codes, mask),
        }
        return supervised.to_minimise(loss), (model_state, monitored)

    return objective
