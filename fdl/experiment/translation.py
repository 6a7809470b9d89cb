"""Translation as an experiment: an encoder-decoder trained on pairs of texts."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax

from fdl import config as configs
from fdl import evaluation, generation, metrics, objectives, optim
from fdl.data import preprocessing
from fdl.data.splits import Splits
from fdl.data.text import pair_buckets
from fdl.data.text.tokenizers import Tokenizer, role_id
from fdl.errors import UserError, near
from fdl.generation import Decoder, Translation
from fdl.learners import gradient_learner
from fdl.metrics.translation import CorpusScore
from fdl.models import functional
from fdl.types import (
    Ability,
    Batches,
    Claim,
    Evaluate,
    Examples,
    Experiment,
    Model,
    Variables,
)

MAX_LOGITS = 1 << 24  # Of a batch of the evaluation: 64 MiB.
NUM_SAMPLES = 3

# Score of translations and their references: a number, or one with its signature.
Score = Callable[[Sequence[str], Sequence[str]], float | CorpusScore]
SCORES: Mapping[str, Score] = {"bleu": metrics.bleu, "chrf": metrics.chrf}


class Side(NamedTuple):
    """One side of the pairs.

    Attributes:
      name: Name of its texts in the data, such as a language.
      tokenizer: Tokenizer, with the special tokens ``bos`` and ``eos``; that of the
        source with ``pad`` as well.
    """

    name: str
    tokenizer: Tokenizer


def translation(
    config: Any,
    texts: Splits,
    source: Side,
    target: Side,
    network: nn.Module,
    *,
    scores: Mapping[str, Score] = SCORES,
    optimizer: Any = None,
    claims: Sequence[Claim] = (),
) -> Experiment:
    """Experiment of an encoder-decoder that learns to translate.

    Of the config it reads ``seed``, ``batch_tokens``, the number of tokens of each side
    of a batch (see `data.text.pair_buckets`), ``max_length``, the tokens that a side of
    a pair may have to be trained on, ``optimizer``, and ``num_steps`` or
    ``num_epochs``; and if there are such:

    * ``num_buckets``, the number of lengths of batches, 4 by default.
    * ``label_smoothing`` and ``chunk_size``, see `objectives.sequence_to_sequence`.
    * ``beam``: ``num_beams``, ``alpha`` and ``max_extra``, see `evaluation.translator`.
    * ``num_translated``, the number of validation texts that are translated at each
      evaluation, for the scores of these; 0 by default.

    Evaluation is of each token of the validation and of the test once, given those
    before it in the reference: ``loss`` in nats, ``perplexity`` and ``accuracy``. The
    texts of the test are also translated, and scored.

    Args:
      config: Config of the experiment.
      texts: Training, validation and test texts, str [N] by name; without a test (None)
        there is none.
      source: Side to translate from.
      target: Side to translate into; with the tokenizer of the other for a joint
        vocabulary.
      network: Flax module, such as a `Transformer` or a `Seq2Seq`.
      scores: Scores of translations by name.
      optimizer: As in `supervised`.
      claims: Claims to test after training.

    Raises:
      UserError: A part cannot be made, or a token has no output of the network.
    """
    sides = source, target
    _check_vocabularies(network, sides)
    # No token of either side.
    pad = max(side.tokenizer.vocab_size for side in sides)
    example = jnp.zeros((1, config.max_length), jnp.int32)
    model = functional(network, example, example)
    objective = objectives.sequence_to_sequence(
        model,
        pad_token=pad,
        label_smoothing=config.get("label_smoothing", 0.0),
        chunk_size=config.get("chunk_size"),
    )
    widths = config.get("num_buckets", 4)
    pairs = kept(encode_pairs(texts.train, sides), config.max_length)
    batches = pair_buckets(
        *pairs,
        config.batch_tokens,
        config.seed,
        widths=widths,
        pad_token=pad,
        group=config.steps_per_call,
    )
    optimizer = config.optimizer if optimizer is None else optimizer
    if not isinstance(optimizer, optax.GradientTransformation):
        num_steps = configs.num_steps(config, batches.steps_per_epoch)
        optimizer = optim.chain(**optimizer, num_steps=num_steps)

    beam = {**config.get("beam", {})}
    # Made once, as its programs are compiled once.
    translate = partial(_translate, generation.decoder(model), sides, beam)
    in_order = partial(_in_order, sides=sides, pad=pad, widths=widths)
    validation = in_order(texts.validation)
    of_dataset = partial(evaluation.on_dataset, objective)
    count = config.get("num_translated", 0)
    some = {name: column[:count] for name, column in texts.validation.items()}
    scored = partial(_scored, translate, sides, scores)
    test = None if texts.test is None else in_order(texts.test)
    references = [*texts.validation[target.name]][:NUM_SAMPLES]
    signatures = _signatures(scores, references)
    return Experiment(
        gradient_learner(model, objective, optimizer),
        batches,
        scored(of_dataset(validation), some) if count else of_dataset(validation),
        test=test and scored(of_dataset(test), texts.test),
        model=model,
        abilities={"translate": _ability(model, sides, config.max_length, beam)},
        examples=Examples(test or validation, objective),
        claims=claims,
        samples=_samples(translate, sides, signatures, texts.validation),
        signatures=signatures,
    )


def encode_pairs(
    texts: Mapping[str, Sequence[str]], sides: Sequence[Side]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Token ids of pairs: sources end with ``eos``, targets begin with ``bos`` as well.

    Args:
      texts: Texts, str [N] by name.
      sides: Source and target.

    Raises:
      UserError: There are no such texts, or a tokenizer cannot encode one or lacks a
        special token.
    """
    encoded = []
    for side, begins in zip(sides, (False, True), strict=True):
        if side.name not in texts:
            raise UserError(
                f"there are no texts {side.name!r}. {near(side.name, texts)}"
            )
        front = [role_id(side.tokenizer, "bos")] if begins else []
        back, rows = [role_id(side.tokenizer, "eos")], []
        for i, text in enumerate(texts[side.name], 1):
            try:
                ids = side.tokenizer.encode(text)
            except UserError as error:
                raise UserError(f"{side.name}, text {i}: {error}") from None
            rows.append(np.concatenate([front, ids, back]).astype(np.int32))
        encoded.append(rows)
    return encoded[0], encoded[1]


def kept(
    pairs: tuple[list[np.ndarray], list[np.ndarray]], max_length: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Pairs of which no side has more tokens for the model than `max_length`.

    Raises:
      UserError: There are none.
    """
    short = [
        (a, b)
        for a, b in zip(*pairs, strict=True)
        if len(a) <= max_length and len(b) - 1 <= max_length
    ]
    if not short:
        raise UserError(f"max_length={max_length}: expected some pair that is as short")
    sources, targets = zip(*short, strict=True)
    return [*sources], [*targets]


def _in_order(
    texts: Mapping[str, Sequence[str]], sides: Sequence[Side], pad: int, widths: int
) -> Batches:
    """Batches of all pairs, whose logits fit in memory."""
    pairs = encode_pairs(texts, sides)
    longest = max((len(ids) for side in pairs for ids in side), default=1)
    budget = max(longest, MAX_LOGITS // sides[1].tokenizer.vocab_size)
    return pair_buckets(*pairs, budget, widths=widths, pad_token=pad, shuffle=False)


def _ability(
    model: Model, sides: Sequence[Side], max_length: int, beam: Mapping[str, Any]
) -> Ability:
    """Ability ``translate``, of sources that are cut at `max_length`."""
    source, target = sides
    text = preprocessing.text(
        source.tokenizer, max_length, end="eos", column=source.name, name="source"
    )
    joint = source.tokenizer.spec == target.tokenizer.spec
    spec = None if joint else target.tokenizer.spec
    return evaluation.translator(model, text, target_tokenizer=spec, **beam)


def _translate(
    decoder: Decoder,
    sides: Sequence[Side],
    beam: Mapping[str, Any],
    variables: Variables,
    texts: Sequence[str],
) -> list[Translation]:
    """Best translation of each text."""
    source, target = sides
    alpha, options = beam.get("alpha", 0.6), {**beam}
    options.pop("alpha", None)
    found = generation.translate(
        decoder,
        variables,
        texts,
        source.tokenizer,
        target_tokenizer=target.tokenizer,
        length_penalty=generation.gnmt(alpha),
        **options,
    )
    return [best for best, *_ in found]


def _scored(
    translate: Callable[[Variables, Sequence[str]], list[Translation]],
    sides: Sequence[Side],
    scores: Mapping[str, Score],
    evaluate: Evaluate,
    texts: Mapping[str, Sequence[str]],
) -> Evaluate:
    """Evaluation with the scores of translations of some texts."""
    sources, references = ([*texts[side.name]] for side in sides)

    def evaluate_all(variables: Variables) -> Mapping[str, float]:
        found = [best.text for best in translate(variables, sources)]
        scored = {name: score(found, references) for name, score in scores.items()}
        return {
            **evaluate(variables),
            **{
                name: x.score if isinstance(x, CorpusScore) else float(x)
                for name, x in scored.items()
            },
        }

    return evaluate_all


def _samples(
    translate: Callable[[Variables, Sequence[str]], list[Translation]],
    sides: Sequence[Side],
    signatures: Mapping[str, str],
    texts: Mapping[str, Sequence[str]],
) -> Callable[[Variables], str]:
    """Function of the variables to translations of some texts, to be read."""
    sources = [*texts[sides[0].name]][:NUM_SAMPLES]
    head = [f"{name} is {signature}" for name, signature in signatures.items()]

    def write(variables: Variables) -> str:
        made = [best.text for best in translate(variables, sources)]
        lines = [f"{a} -> {b}" for a, b in zip(sources, made, strict=True)]
        return "\n".join([*head, *lines])

    return write


def _signatures(
    scores: Mapping[str, Score], references: Sequence[str]
) -> dict[str, str]:
    """Signatures of the scores that have one, which do not depend on the texts."""
    found = {name: score(references, references) for name, score in scores.items()}
    return {
        name: x.signature for name, x in found.items() if isinstance(x, CorpusScore)
    }


def _check_vocabularies(network: nn.Module, sides: Sequence[Side]) -> None:
    """Raises `UserError` for a token without an input or an output of the network."""
    source_size = getattr(network, "vocab_size", None)
    target_size = getattr(network, "target_vocab_size", None) or source_size
    for side, size in zip(sides, (source_size, target_size), strict=True):
        if size is not None and side.tokenizer.vocab_size > size:
            raise UserError(
                f"{side.name}: a tokenizer of {side.tokenizer.vocab_size} tokens: "
                f"expected at most {size}, as many as the network has"
            )
