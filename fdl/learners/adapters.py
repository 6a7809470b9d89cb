"""Learners of adapters: the base is no part of what they keep."""

from fdl.models.lora import BASE, merge_lora
from fdl.types import Key, Learner, TrainState, Variables


def adapter_learner(learner: Learner) -> Learner:
    """Learner of a model of `models.lora`: its adapters are kept, and given merged.

    Checkpoints hold the adapters, with the optimizer's state of them, and not the base:
    when a run is resumed, ``init`` makes it again, bit for bit. The variables of the
    learner are those of the base with the adapters merged: it is evaluated, predicted
    with and exported as any model of its kind, as fast, and in need of no other file.

    Args:
      learner: Gradient learner of a model of `models.lora`.

    Example:
      >>> import jax, optax
      >>> from fdl import learners, models, objectives
      >>> base = models.functional(models.GPT(1, 2, 8, vocab_size=16, max_length=8))
      >>> model = models.lora(base, rank=2)
      >>> objective = objectives.language_modelling(model)
      >>> plain = learners.gradient_learner(model, objective, optax.adam(1e-3))
      >>> learner = adapter_learner(plain)
      >>> state = jax.eval_shape(learner.init, jax.random.key(0))
      >>> [*jax.eval_shape(learner.variables, state)]
      ['params']
      >>> [*jax.eval_shape(learner.persist, state).model_state]
      ['lora']
    """

    def variables(state: TrainState) -> Variables:
        return merge_lora(learner.variables(state))

    def persist(state: TrainState) -> TrainState:
        kept = {k: v for k, v in state.model_state.items() if k != BASE}
        return state._replace(model_state=kept)

    def revive(part: TrainState, key: Key) -> TrainState:
        # Of a published base, the key changes nothing.
        base = learner.init(key).model_state[BASE]
        return part._replace(model_state={**part.model_state, BASE: base})

    return learner._replace(variables=variables, persist=persist, revive=revive)
