"""Prices of large weights, to be added to a loss."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.losses.half_precision import at_least_float32
from fdl.trees import named_leaves, path_name
from fdl.types import Array, Params, PyTree

Mask = PyTree | Callable[[Params], PyTree]


def kernels(params: Params) -> PyTree:
    """Which parameters are weights of layers: true of those named ``kernel``.

    Biases, the scales of norms, embeddings and positions are not.

    Example:
      >>> kernels({"Dense_0": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}})
      {'Dense_0': {'bias': False, 'kernel': True}}
    """
    return jax.tree.map_with_path(
        lambda path, _: path_name(path).rpartition("/")[-1] == "kernel", params
    )


def l2_penalty(params: Params, *, strength: float, mask: Mask = kernels) -> Array:
    """Goodfellow's weight decay, λ/2 Σ w², whose gradient is λ w.

    Nielsen's λ/2n Σ w², of n training examples, is the same with a ``strength`` of
    λ / n. PyTorch's optimizers add λ w to the gradient as well (``weight_decay``), and
    so does ``optax.add_decayed_weights(λ, mask)`` in front of any optimizer. But adamw
    decays weights apart from the gradient, and that is something else: an adaptive
    optimizer makes little of λ w where gradients are large.

    Args:
      params: What to penalise.
      strength: λ.
      mask: Which parameters to penalise, as optax takes it: a tree of bools, or a
        function that makes one of the parameters, such as those of `fdl.optim.masks`.
        Default: `kernels`.

    Returns:
      The penalty, float32 [].

    Raises:
      UserError: The mask chooses nothing.

    Example:
      >>> l2_penalty({"kernel": jnp.array([3.0]), "bias": jnp.ones(1)}, strength=0.1)
      Array(0.45, dtype=float32)

    References:
      Goodfellow, Bengio and Courville, `Deep Learning, section 7.1.1
      <https://www.deeplearningbook.org/contents/regularization.html>`_, 2016.

      Nielsen, `Neural Networks and Deep Learning, chapter 3
      <http://neuralnetworksanddeeplearning.com/chap3.html>`_, 2015.

      Loshchilov and Hutter, `Decoupled Weight Decay Regularization
      <https://arxiv.org/abs/1711.05101>`_, 2017.
    """
    squares = [jnp.sum(jnp.square(w)) for w in _chosen(params, mask)]
    return 0.5 * strength * jnp.stack(squares).sum()


def l1_penalty(params: Params, *, strength: float, mask: Mask = kernels) -> Array:
    """λ Σ |w|, whose gradient is λ sign(w), and zero at zero: many weights become tiny.

    Args:
      params: What to penalise.
      strength: λ; Nielsen's λ/n Σ |w| has a ``strength`` of λ / n.
      mask: Which parameters to penalise; see `l2_penalty`.

    Returns:
      The penalty, float32 [].

    Raises:
      UserError: The mask chooses nothing.

    References:
      Goodfellow, Bengio and Courville, `Deep Learning, section 7.1.2
      <https://www.deeplearningbook.org/contents/regularization.html>`_, 2016.
    """
    # The gradient of jnp.abs at zero is one, of this it is zero.
    sums = [jnp.sum(w * jnp.sign(w)) for w in _chosen(params, mask)]
    return strength * jnp.stack(sums).sum()


def _chosen(params, mask):
    tree = mask(params) if callable(mask) else mask
    kept = jax.tree.map(lambda on, part: jax.tree.leaves(part) * bool(on), tree, params)
    chosen = [at_least_float32(leaf) for leaf in jax.tree.leaves(kept)]
    if not chosen:
        names = [*named_leaves(params)]
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise UserError(f"The penalty's mask chooses none of {len(names)}: {shown}.")
    return chosen
