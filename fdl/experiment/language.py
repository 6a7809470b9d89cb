"""Language models as experiments: trained on the tokens of a corpus."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from fdl import config as configs
from fdl import evaluation, generation, metrics, objectives, optim
from fdl.data import preprocessing
from fdl.data.splits import Splits
from fdl.data.text import streams, windows
from fdl.data.text.tokenizers import Tokenizer, token_sizes
from fdl.errors import UserError
from fdl.generation.prompts import padded
from fdl.generation.text import encode_prompts
from fdl.learners import gradient_learner
from fdl.models import functional
from fdl.models.stateful import stateful
from fdl.objectives.supervised import MetricFunction, MetricFunctions
from fdl.types import Batches, Claim, Examples, Experiment, Model, Variables

# Of a batch of the evaluation: 64 MiB of logits, and what the layers need.
MAX_LOGITS, MAX_TOKENS = 1 << 24, 1 << 15


def language_modelling(
    config: Any,
    tokens: Splits,
    tokenizer: Tokenizer,
    network: nn.Module,
    *,
    optimizer: Any = None,
    claims: Sequence[Claim] = (),
) -> Experiment:
    """Experiment of a language model that is trained on windows of a corpus.

    Of the config it reads ``seed``, ``length`` and ``batch_size`` of the windows,
    ``optimizer``, and ``num_steps`` or ``num_epochs``; and if there are such:

    * ``eval_length``, the length of the windows of evaluation; default: ``length``.
    * ``carry``, true for truncated backpropagation: batches follow each other, and a
      recurrent network goes on with the state in which it has left the one before.
    * ``chunk_size``, see `objectives.language_modelling`.
    * ``num_microbatches``, see `gradient_learner`.
    * ``sample``, what to generate at each evaluation: ``prompt``, ``max_tokens``,
      ``temperature`` and ``top_k``.

    Evaluation is of each token of the validation and of the test once: ``loss`` in
    nats, ``perplexity``, ``accuracy``, and the bits per character and per byte where
    the tokens of the tokenizer stand for some.

    Args:
      config: Config of the experiment.
      tokens: Token ids of training, validation and test, int [N] each; without a test
        (None) there is none.
      tokenizer: Tokenizer of these, with a special token ``pad``.
      network: Flax module of token ids, int [B, T], to logits, float [B, T, V].
      optimizer: As in `supervised`.
      claims: Claims to test after training.

    Raises:
      UserError: A part cannot be made, or a token has no output of the network.
    """
    _check_ids(tokens, network)
    length, batch_size = config.length, config.batch_size
    model = functional(network, jnp.zeros((1, length), jnp.int32))
    of = partial(
        objectives.language_modelling,
        metrics=text_metrics(tokenizer, getattr(network, "vocab_size", None)),
        chunk_size=config.get("chunk_size"),
    )
    trained, batches = model, windows(tokens.train, length, batch_size, config.seed)
    if config.get("carry", False):
        trained = stateful(model, batch_size)
        batches = streams(tokens.train, length, batch_size)
    optimizer = config.optimizer if optimizer is None else optimizer
    if not isinstance(optimizer, optax.GradientTransformation):
        num_steps = configs.num_steps(config, batches.steps_per_epoch)
        optimizer = optim.chain(**optimizer, num_steps=num_steps)

    objective = of(model)
    windows_of = partial(
        in_order,
        length=config.get("eval_length", length),
        vocab_size=tokenizer.vocab_size,
    )
    validation = windows_of(tokens.validation)
    test = None if tokens.test is None else windows_of(tokens.test)
    evaluate = partial(evaluation.on_dataset, objective)
    text = preprocessing.text(tokenizer, length + 1)
    sample = config.get("sample")
    return Experiment(
        gradient_learner(
            trained,
            of(trained),
            optimizer,
            num_microbatches=config.get("num_microbatches", 1),
        ),
        batches,
        evaluate(validation),
        test=test and evaluate(test),
        model=model,
        abilities={"score": evaluation.language_model(model, text)},
        examples=Examples(test or validation, objective),
        claims=claims,
        samples=None if sample is None else samples(model, tokenizer, **sample),
    )


def text_metrics(
    tokenizer: Tokenizer, vocab_size: int | None = None
) -> MetricFunctions:
    """Metrics of language modelling; bits where tokens stand for characters or bytes.

    Args:
      tokenizer: Tokenizer.
      vocab_size: Number of tokens of the model, if that is another than of the
        tokenizer: published models have room for more, or lack that of padding.

    Example:
      >>> from fdl.data.text.tokenizers import byte_tokenizer
      >>> list(text_metrics(byte_tokenizer()))
      ['perplexity', 'accuracy', 'bits_per_character', 'bits_per_byte']
    """
    found: dict[str, MetricFunction] = {
        "perplexity": metrics.perplexity,
        "accuracy": metrics.accuracy,
    }
    for unit in ("character", "byte"):
        # Words stand for no number of characters, as the spaces between them are lost.
        with contextlib.suppress(UserError):
            sizes = token_sizes(tokenizer, f"{unit}s")[:vocab_size]
            sizes = np.pad(sizes, (0, (vocab_size or len(sizes)) - len(sizes)))
            found[f"bits_per_{unit}"] = metrics.bits_per(jnp.asarray(sizes))
    return found


def in_order(tokens: Any, length: int, vocab_size: int) -> Batches:
    """All windows of tokens in order, in batches whose logits fit in memory."""
    length = max(1, min(length, len(tokens) - 1))
    num_tokens = min(MAX_LOGITS // vocab_size, MAX_TOKENS, len(tokens))
    return windows(tokens, length, max(1, num_tokens // length), shuffle=False)


def _check_ids(tokens: Splits, network: nn.Module) -> None:
    """Raises `UserError` for a token without an output, whose loss would be NaN."""
    vocab_size = getattr(network, "vocab_size", None)
    for name, part in tokens._asdict().items():
        if vocab_size is None or part is None or not len(part):
            continue
        largest = int(np.max(part))
        if largest >= vocab_size:
            raise UserError(
                f"{name}: token {largest}: expected 0 to {vocab_size - 1}, as the "
                f"network has vocab_size={vocab_size}"
            )


def samples(
    model: Model,
    tokenizer: Tokenizer,
    *,
    prompt: str = "\n",
    max_tokens: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
) -> Callable[[Variables], str]:
    """Function of the variables to a text that the model generates of a prompt.

    The key is the same each time, so that it is the model that makes the difference.

    Args:
      model: Language model.
      tokenizer: Tokenizer of it.
      prompt: Text to go on from, of one token at least.
      max_tokens: Number of tokens to generate.
      temperature: See `generation.temperature`.
      top_k: See `generation.top_k`. Default: all tokens.

    Raises:
      UserError: The prompt has no token or an unknown one, or is too long.
    """
    decoder = generation.decoder(model)
    # Now, and not at the first evaluation.
    padded(decoder, encode_prompts(tokenizer, [prompt]), min(1, max_tokens))
    filters = [generation.temperature(temperature)]
    filters += [] if top_k is None else [generation.top_k(top_k)]

    def generate(variables: Variables) -> str:
        pieces = generation.stream_text(
            decoder,
            variables,
            tokenizer,
            [prompt],
            jax.random.key(0),
            max_tokens=max_tokens,
            filters=filters,
            context=decoder.max_length and max(1, decoder.max_length // 2),
        )
        return prompt + generation.joined(pieces)[0][0]

    return generate
