"""Fine-tuning of a language model on prompts with answers, or on preferences."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import optax

from fdl import config as configs
from fdl import data, evaluation, models, objectives, optim
from fdl.data import preprocessing
from fdl.data.splits import Splits
from fdl.data.text import Answer, pack_answers, pad_preferences
from fdl.data.text.tokenizers import Tokenizer
from fdl.errors import UserError
from fdl.experiment.language import samples, text_metrics
from fdl.learners import adapter_learner, gradient_learner
from fdl.trees import side_by_side
from fdl.types import (
    Batches,
    Claim,
    Evaluate,
    Examples,
    Experiment,
    Learner,
    Model,
    Objective,
    Variables,
)

METHODS = ("lora", "all")


def fine_tuning(
    config: Any,
    model: Model,
    variables: Variables,
    tokenizer: Tokenizer,
    answers: Splits,
    *,
    claims: Sequence[Claim] = (),
) -> Experiment:
    """Experiment of a language model that is trained on, on answers to prompts.

    Of the config it reads ``seed``, ``method``, ``length`` and ``batch_size`` of the
    rows, ``optimizer``, and ``num_steps`` or ``num_epochs``; and if there are such:

    * ``lora``, the arguments of `models.lora`, for the method "lora": checkpoints hold
      the adapters alone, and the model of the run is the base with these merged. With
      the method "all", all weights learn.
    * ``beta``, see `objectives.preference`.
    * ``num_microbatches``, by which gradients are accumulated; of data of fewer rows
      than ``batch_size``, as many of them as divide these. ``chunk_size``, see
      `objectives.language_modelling`.
    * ``sample``, what to generate at each evaluation, as in `language_modelling`.

    Args:
      config: Config of the experiment.
      model: Language model, of token ids, int [B, T], to logits, float [B, T, V].
      variables: Its variables, from which it begins.
      tokenizer: Tokenizer of the answers.
      answers: Training and validation, and optionally a test: lists of `Answer`, of
        which several share a row, with the loss on answers only; or pairs of these,
        chosen and rejected ones, for `objectives.preference`, whose reference is the
        base: this needs the method "lora".
      claims: Claims to test after training.

    Raises:
      UserError: A part cannot be made, or a token has no output of the network.
    """
    if config.method not in METHODS:
        raise UserError(f"method={config.method!r:.50}: expected 'lora' or 'all'")
    lora = config.method == "lora"
    pairs = isinstance(answers.train[0][0], Answer)
    if pairs and not lora:
        raise UserError(
            f"method={config.method!r}: expected 'lora' for preferences, whose "
            "reference is the base without its adapters"
        )
    options = dict(config.get("lora", {}))
    if pairs and options.get("whole"):
        raise UserError(
            f"lora.whole={options['whole']!r}: expected none for preferences, as the "
            "reference is the base"
        )
    _check_model(config, model)
    _check_ids(answers, model, pairs)
    base = models.initialised(model, variables)
    trained = models.lora(base, **options) if lora else base
    batches = partial(_batches, config, pairs)
    training = batches(answers.train, shuffle=True)
    language = partial(
        objectives.language_modelling,
        metrics=text_metrics(tokenizer, getattr(model.module, "vocab_size", None)),
        chunk_size=config.get("chunk_size"),
    )
    if pairs:
        off = trained._replace(apply=partial(trained.apply, adapted=False))
        objective = objectives.preference(trained, off, beta=config.get("beta", 0.1))
        evaluate: Any = partial(_on_pairs, config, model, variables)
    else:
        objective = language(trained)
        evaluate = partial(evaluation.on_dataset, language(model))
    validation = batches(answers.validation)
    test = None if answers.test is None else batches(answers.test)
    sample = config.get("sample")
    text = preprocessing.text(tokenizer, config.length)
    return Experiment(
        _learner(config, trained, objective, training, base if lora else None),
        training,
        evaluate(validation),
        test=test and evaluate(test),
        model=model,
        abilities={"score": evaluation.language_model(model, text)},
        examples=None if pairs else Examples(test or validation, language(model)),
        claims=claims,
        samples=None if sample is None else samples(model, tokenizer, **sample),
    )


def _batches(
    config: Any, pairs: bool, answers: Sequence[Any], *, shuffle: bool = False
) -> Batches:
    """Batches of rows of a part of the data."""
    if pairs:
        longest = max(len(p) + len(a) for pair in answers for p, a in pair)
        rows = pad_preferences(answers, min(config.length, longest))
    else:
        rows = pack_answers(answers, config.length)
    size = min(config.batch_size, len(next(iter(rows.values()))))
    return data.batches(rows, size, config.seed if shuffle else 0, shuffle=shuffle)


def _learner(
    config: Any,
    model: Model,
    objective: Objective,
    batches: Batches,
    base: Model | None,
) -> Learner:
    """Learner of the adapters of a base, or of all weights."""
    optimizer = config.optimizer
    if not isinstance(optimizer, optax.GradientTransformation):
        num_steps = configs.num_steps(config, batches.steps_per_epoch)
        optimizer = optim.chain(**optimizer, num_steps=num_steps)
    learner = gradient_learner(
        model,
        objective,
        optimizer,
        num_microbatches=_num_microbatches(config, batches.per_step),
    )
    return learner if base is None else adapter_learner(learner, base)


def _num_microbatches(config: Any, batch_size: int) -> int:
    """Number of parts of a batch, which may have fewer rows than the config says."""
    count = config.get("num_microbatches", 1)
    return math.gcd(count, batch_size) if batch_size < config.batch_size else count


def _on_pairs(
    config: Any, model: Model, variables: Variables, batches: Batches
) -> Evaluate:
    """Evaluation of preferences, of merged weights beside those of the reference."""
    both = models.combine(policy=model, reference=model)

    def of(name: str) -> Model:
        def apply(variables: Variables, *inputs: Any, **options: Any):
            return both.apply(variables, name, *inputs, **options)

        return Model(both.init, apply)

    objective = objectives.preference(
        of("policy"), of("reference"), beta=config.get("beta", 0.1)
    )
    measure = evaluation.on_dataset(objective, batches)
    return lambda found: measure(
        side_by_side({"policy": found, "reference": variables})
    )


def _check_model(config: Any, model: Model) -> None:
    """Raises `UserError` unless a model continues rows of the length of the config."""
    module = model.module
    if isinstance(module, models.BERT | models.BERTPretraining | models.ViT):
        name = type(module).__name__
        raise UserError(
            f"{name} is no language model: expected a GPT or Llama that continues a "
            "text"
        )
    # Rotary positions have no end.
    if isinstance(module, models.GPT) and config.length > module.max_length:
        raise UserError(
            f"length={config.length}: expected at most {module.max_length}, as the "
            "model has so many positions"
        )


def _check_ids(answers: Splits, model: Model, pairs: bool) -> None:
    """Raises `UserError` for a token without an output, whose loss would be NaN."""
    vocab_size = getattr(model.module, "vocab_size", None)
    if vocab_size is None:
        return
    for name, part in answers._asdict().items():
        flat = [x for pair in part or () for x in pair] if pairs else part or ()
        largest = max(
            (int(ids.max()) for a in flat for ids in a if len(ids)), default=0
        )
        if largest >= vocab_size:
            raise UserError(
                f"{name}: token {largest}: expected 0 to {vocab_size - 1}, as the "
                f"model has vocab_size={vocab_size}"
            )
