"""Norm penalties on parameters, to be added to a loss."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.losses.half_precision import at_least_float32
from fdl.trees import path_name
from fdl.types import Array, Params, PyTree

Mask = PyTree | Callable[[Params], PyTree]


def kernels(params: Params) -> PyTree:
    """Mask of the weights of layers: true for parameters named ``kernel``.

    It is false for biases, scales of normalisation layers, and embeddings.

    Args:
      params: Parameters.

    Returns:
      A tree of bools of the same structure.

    Example:
      >>> kernels({"Dense_0": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}})
      {'Dense_0': {'bias': False, 'kernel': True}}
    """
    return jax.tree.map_with_path(
        lambda path, _: path_name(path).rpartition("/")[-1] == "kernel", params
    )


def l2_penalty(params: Params, *, strength: float, mask: Mask = kernels) -> Array:
    """L2 penalty, λ/2 Σ w², whose gradient is λ w.

    Nielsen's λ/2n Σ w², with n training examples, corresponds to a ``strength`` of
    λ / n. The ``weight_decay`` of PyTorch's SGD and Adam adds the same λ w to the
    gradient, and so does ``optax.add_decayed_weights(λ, mask)`` before an optimizer.
    The decoupled weight decay of AdamW is different: an adaptive optimizer scales λ w
    down along with large gradients.

    Args:
      params: Parameters.
      strength: Coefficient λ.
      mask: Parameters to be penalised, as in optax: a tree of bools, or a function from
        the parameters to one, such as those of `fdl.optim.masks`. Default: `kernels`.

    Returns:
      The penalty, float32 [].

    Raises:
      UserError: The mask selects no parameter.

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
    squares = [jnp.sum(jnp.square(w)) for w in _selected(params, mask)]
    return 0.5 * strength * jnp.stack(squares).sum()


def l1_penalty(params: Params, *, strength: float, mask: Mask = kernels) -> Array:
    """L1 penalty, λ Σ |w|, whose gradient is λ sign(w), zero at zero.

    It favours sparse weights.

    Args:
      params: Parameters.
      strength: Coefficient λ; Nielsen's λ/n Σ |w| has a ``strength`` of λ / n.
      mask: Parameters to be penalised; see `l2_penalty`.

    Returns:
      The penalty, float32 [].

    Raises:
      UserError: The mask selects no parameter.

    References:
      Goodfellow, Bengio and Courville, `Deep Learning, section 7.1.2
      <https://www.deeplearningbook.org/contents/regularization.html>`_, 2016.
    """
    # w · sign(w) and not |w|: the gradient of jnp.abs at zero is one, and would move
    # weights away from zero.
    sums = [jnp.sum(w * jnp.sign(w)) for w in _selected(params, mask)]
    return strength * jnp.stack(sums).sum()


def _selected(params, mask):
    """Parameters that a mask selects, at least float32, as a list."""
    tree = mask(params) if callable(mask) else mask
    # As in optax, the mask may be a prefix of the parameters: each of its leaves stands
    # for a subtree, all leaves of which are taken, or none.
    selected = jax.tree.map(
        lambda on, subtree: jax.tree.leaves(subtree) * bool(on), tree, params
    )
    weights = [at_least_float32(leaf) for leaf in jax.tree.leaves(selected)]
    if not weights:
        names = [_name(path) for path, _ in jax.tree.leaves_with_path(params)]
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise UserError(
            f"mask: expected at least one true value for {len(names)} parameters: "
            f"{shown}"
        )
    return weights


def _name(path):
    return jax.tree_util.keystr(path, simple=True, separator="/")
