"""Recurrent carry from batch to batch, for truncated backpropagation through time."""

from typing import Any

import jax
import jax.numpy as jnp

from fdl.errors import UserError, check_type
from fdl.models.inputs import takes
from fdl.types import Array, Key, Model, PyTree, Variables

CARRY = "carry"  # Collection of the variables.


def stateful(model: Model, batch_size: int) -> Model:
    """Recurrent model that goes on, in training, where the batch before has ended.

    Its variables have a collection ``carry``: zeros at first, then the carry after the
    last token of each row, which is the initial carry of that row in the next batch.
    No gradient flows from one batch into another: this is truncated backpropagation
    through time, over batches such as those of `fdl.data.text.streams`. The carry is
    part of the train state, so that a stopped run goes on bit for bit.

    In evaluation, batches of any size start from a carry of zeros, and leave the
    collection as it is.

    Args:
      model: Model of a module whose call takes ``initial_carry`` and ``return_carry``,
        such as `RNNLanguageModel`.
      batch_size: Number of rows of a training batch.

    Returns:
      A model that takes one more option, ``reset``, bool [B]: true for the rows that
      start from zeros, as a new text begins there.

    Raises:
      UserError: The module has no carry, or runs in both directions; or, when the model
        is applied, a training batch has another number of rows.

    Example:
      >>> from fdl import models
      >>> module = models.RNNLanguageModel(8, vocab_size=50)
      >>> model = stateful(models.functional(module), batch_size=2)
      >>> variables = jax.jit(model.init)(jax.random.key(0))
      >>> apply = jax.jit(model.apply, static_argnames="train")
      >>> tokens = jnp.arange(12).reshape(2, 6)
      >>> _, state = apply(variables, tokens[:, :3], train=True)
      >>> logits, _ = apply({**variables, **state}, tokens[:, 3:], train=True)
      >>> whole, _ = apply(variables, tokens)
      >>> bool(jnp.allclose(logits, whole[:, 3:], atol=1e-6))
      True

    References:
      Williams and Peng, `An Efficient Gradient-Based Algorithm for On-Line Training of
      Recurrent Network Trajectories <https://doi.org/10.1162/neco.1990.2.4.490>`_,
      1990.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    module = model.module
    if type(batch_size) is not int or batch_size < 1:
        raise UserError(f"batch_size={batch_size!r}: expected an integer from 1 on")
    options = ("initial_carry", "return_carry")
    if not hasattr(module, "zero_carry") or not all(
        takes(module, "__call__", option) for option in options
    ):
        raise UserError(
            f"model of {type(module).__name__}: expected a recurrent network with "
            f"zero_carry, {options[0]} and {options[1]}, such as RNNLanguageModel"
        )
    if getattr(module, "bidirectional", False):
        raise UserError(
            "bidirectional=True: expected one direction, as the other begins at the "
            "end of a text"
        )

    leaves, structure = jax.tree.flatten(jax.eval_shape(lambda: module.zero_carry(1)))
    # A dict, as all collections are: files of variables hold nothing else.
    names = [str(i) for i in range(len(leaves))]

    def named(carry: PyTree) -> dict[str, Array]:
        return dict(zip(names, jax.tree.leaves(carry), strict=True))

    def init(key: Key) -> Variables:
        return {**model.init(key), CARRY: named(module.zero_carry(batch_size))}

    def apply(
        variables: Variables,
        *inputs: Array,
        train: bool = False,
        method: str | None = None,
        reset: Array | None = None,
        **others: Any,
    ) -> tuple[Any, PyTree]:
        if not train or method is not None:
            return model.apply(variables, *inputs, train=train, method=method, **others)
        if CARRY not in variables:
            raise UserError(f"variables: expected {CARRY!r}, as of init of this model")
        if len(inputs[0]) != batch_size:
            raise UserError(
                f"batch_size={batch_size}: expected {len(inputs[0])}, the number of "
                "rows of a training batch, or of one of its num_microbatches"
            )
        carry = variables[CARRY]
        begin = [_reset(carry[name], reset) for name in names]
        outputs, model_state = model.apply(
            {name: tree for name, tree in variables.items() if name != CARRY},
            *inputs,
            train=True,
            initial_carry=jax.tree.unflatten(structure, begin),
            return_carry=True,
            **others,
        )
        outputs, end = outputs
        # Their dtypes stay, as those of a train state have to.
        after = {
            name: jax.lax.stop_gradient(leaf).astype(carry[name].dtype)
            for name, leaf in named(end).items()
        }
        return outputs, {**model_state, CARRY: after}

    return Model(init, apply, module)


def _reset(carry: Array, reset: Array | None) -> Array:
    """Carry [B, ...] without gradient, with zeros in the rows that begin anew."""
    carry = jax.lax.stop_gradient(carry)
    if reset is None:
        return carry
    # Selected, since zero times a carry that is not finite is not zero.
    rows = reset.astype(bool).reshape(-1, *(1,) * (carry.ndim - 1))
    return jnp.where(rows, jnp.zeros((), carry.dtype), carry)
