"""Translation of texts by beam search."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data.text.tokenizers import Tokenizer, role_id
from fdl.errors import UserError
from fdl.generation.beam import GNMT, Beams, LengthPenalty, beam_search
from fdl.generation.decoder import Decoder
from fdl.types import Variables

LEAST_WIDTH = 8  # Shorter sources are padded to this length.
MAX_TOKENS = 1 << 13  # Of the sources of a batch, where that is more than one.


class Translation(NamedTuple):
    """Translation of a text.

    Attributes:
      text: Translation.
      score: Log-likelihood of its tokens, divided by the length penalty.
      tokens: Token ids, int32 [T], without the end token.
    """

    text: str
    score: float
    tokens: np.ndarray


def translate(
    decoder: Decoder,
    variables: Variables,
    texts: Sequence[str],
    tokenizer: Tokenizer,
    *,
    target_tokenizer: Tokenizer | None = None,
    begin: str = "bos",
    end: str = "eos",
    num_beams: int = 4,
    num_best: int = 1,
    length_penalty: LengthPenalty = GNMT,
    max_extra: int = 50,
    batch_size: int = 64,
) -> list[list[Translation]]:
    """Translates texts by beam search, in batches of similar length.

    A translation does not depend on the other texts, but for rounding.

    Args:
      decoder: Decoder of an encoder-decoder.
      variables: Variables of its model.
      texts: Texts to translate; an empty one is translated as well.
      tokenizer: Tokenizer of the texts.
      target_tokenizer: Tokenizer of the translations. Default: the same.
      begin: Role of the special token that a translation begins with.
      end: Role of the special token behind each source and each translation.
      num_beams: Number of hypotheses; see `beam_search`.
      num_best: Number of translations of each text, at most as many.
      length_penalty: See `beam_search`.
      max_extra: Number of tokens that a translation may be longer than its source,
        padded to the width of its batch.
      batch_size: Number of texts that are translated at once; of long ones, fewer.

    Returns:
      Translations of each text, the best first.

    Raises:
      UserError: A tokenizer lacks a special token or cannot encode a text, or an
        argument is not as above.
      RunError: The logits of the model are NaN.

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_,
      2017, section 6.1: four beams, α = 0.6, 50 tokens more.
    """
    target_tokenizer = target_tokenizer or tokenizer
    if isinstance(texts, str):
        raise UserError("texts: expected a sequence of texts, got a single one")
    if not 1 <= num_best <= num_beams:
        raise UserError(
            f"num_best={num_best}: expected 1 to {num_beams}, as num_beams={num_beams}"
        )
    if batch_size < 1 or max_extra < 0:
        raise UserError(
            f"batch_size={batch_size}, max_extra={max_extra}: expected at least 1 text "
            "and 0 tokens"
        )
    prompt = [role_id(target_tokenizer, begin)]
    stop = role_id(target_tokenizer, end)
    sources = _sources(texts, tokenizer, role_id(tokenizer, end))
    widths = np.array([_power_of_two(max(LEAST_WIDTH, len(x))) for x in sources], int)
    found: list[list[Translation]] = [[] for _ in sources]
    for width in sorted({*widths.tolist()}):
        chosen = np.flatnonzero(widths == width)
        most = min(batch_size, max(1, MAX_TOKENS // width))
        size = min(most, _power_of_two(len(chosen)))
        for start in range(0, len(chosen), size):
            rows = chosen[start : start + size]
            source, mask = _padded([sources[i] for i in rows], size, width)
            beams = beam_search(
                decoder,
                variables,
                [prompt] * size,
                num_beams=num_beams,
                max_tokens=width + max_extra,
                stop_tokens=[stop],
                length_penalty=length_penalty,
                vocab_size=target_tokenizer.vocab_size,
                inputs=(jnp.asarray(source), jnp.asarray(mask)),
            )
            for i, best in zip(rows, _best(beams, num_best, stop), strict=False):
                found[i] = [
                    Translation(target_tokenizer.decode(tokens), score, tokens)
                    for tokens, score in best
                ]
    return found


def _sources(texts: Sequence[str], tokenizer: Tokenizer, end: int) -> list[np.ndarray]:
    """Token ids of each text, with the end token."""
    rows = []
    for i, text in enumerate(texts, 1):
        try:
            ids = tokenizer.encode(text)
        except UserError as error:
            raise UserError(f"text {i}: {error}") from None
        rows.append(np.append(ids, np.int32(end)))
    return rows


def _padded(
    rows: Sequence[np.ndarray], size: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows padded to a width, and by the first of them to a number; and their mask."""
    tokens, mask = np.zeros((size, width), np.int32), np.zeros((size, width), bool)
    for i in range(size):
        ids = rows[i if i < len(rows) else 0]
        tokens[i, : len(ids)], mask[i, : len(ids)] = ids, True
    return tokens, mask


def _best(beams: Beams, num_best: int, stop: int) -> list[list]:
    """Tokens and scores of the best hypotheses of each row, without the end token."""
    tokens, lengths, scores = jax.device_get(beams)
    rows = []
    for row in range(len(tokens)):
        best = []
        for k in range(num_best):
            if np.isneginf(scores[row, k]):  # There are fewer hypotheses.
                continue
            ids = tokens[row, k, : lengths[row, k]]
            ids = ids[:-1] if len(ids) and ids[-1] == stop else ids
            best.append((ids, float(scores[row, k])))
        rows.append(best)
    return rows


def _power_of_two(number: int) -> int:
    """Least power of two that is not below a number."""
    return 1 << max(0, number - 1).bit_length()
