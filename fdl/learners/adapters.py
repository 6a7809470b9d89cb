"""Learners of adapters: what they give is merged, and what they keep has no base."""

from fdl.models.lora import BASE, merge_lora, with_adapters
from fdl.trees import named_leaves
from fdl.types import Key, Learner, Model, TrainState, Variables


def adapter_learner(learner: Learner, base: Model | None = None) -> Learner:
    """Learner of a model of `models.lora` that gives its adapters merged.

    Its variables are those of the base with the adapters merged: it is evaluated,
    predicted with and exported as any model of its kind, as fast, and in need of no
    other file. Checkpoints hold the adapters and the optimizer's state of them; the
    base, if it is given, is taken from there when a run is resumed.

    Args:
      learner: Gradient learner of a model of `models.lora`.
      base: Base that was adapted, of `models.initialised`. Default: one that was drawn
        by its initialisers, which checkpoints then hold.

    Example:
      >>> import jax, optax
      >>> from fdl import learners, models, objectives
      >>> base = models.functional(models.GPT(1, 2, 8, vocab_size=16, max_length=8))
      >>> given = models.initialised(base, jax.jit(base.init)(jax.random.key(0)))
      >>> model = models.lora(given, rank=2)
      >>> objective = objectives.language_modelling(model)
      >>> plain = learners.gradient_learner(model, objective, optax.adam(1e-3))
      >>> learner = adapter_learner(plain, given)
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
        assert base is not None
        learnt = named_leaves(part.params)
        frozen = with_adapters(base.init(key), learnt, 1.0)[BASE]
        return part._replace(model_state={**part.model_state, BASE: frozen})

    if base is None:
        # Another program may round the draws of initialisers in another way.
        return learner._replace(variables=variables)
    return learner._replace(variables=variables, persist=persist, revive=revive)
