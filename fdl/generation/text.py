"""Sampling of texts: prompts and continuations as strings."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fdl.data.text.tokenizers import Tokenizer, role_id
from fdl.errors import UserError
from fdl.generation.decoder import Decoder
from fdl.generation.generate import stream
from fdl.generation.sampling import Filter, vocabulary
from fdl.types import Key, Variables

UNFINISHED = "\ufffd"  # What bytes are decoded as that are no character yet.


def encode_prompts(
    tokenizer: Tokenizer, prompts: Sequence[str], begin: str | None = None
) -> list[np.ndarray]:
    """Token ids of prompts.

    Args:
      tokenizer: Tokenizer of the model.
      prompts: Texts.
      begin: Role of the special token in front of each, such as "bos"; or none.

    Returns:
      int32 [P] for each prompt.

    Raises:
      UserError: A prompt has no token, or one that the tokenizer does not know.
    """
    front = [] if begin is None else [role_id(tokenizer, begin)]
    rows = []
    for i, prompt in enumerate(prompts, 1):
        try:
            ids = tokenizer.encode(prompt)
        except UserError as error:
            raise UserError(f"prompt {i}: {error}") from None
        if not len(ids) and begin is None:
            raise UserError(
                f"prompt {i} is empty: expected a text, as the model has no special "
                "token for the beginning of one"
            )
        rows.append(np.concatenate([np.array(front, np.int32), ids]))
    return rows


def stream_text(
    decoder: Decoder,
    variables: Variables,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    key: Key | None = None,
    *,
    begin: str | None = None,
    stop: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    num_samples: int = 1,
    **options: Any,
) -> Iterator[list[list[str]]]:
    """Samples continuations of texts, a few characters at a time.

    No character is cut in two, and nothing of a stop string is given out.

    Args:
      decoder: Decoder.
      variables: Variables of its model.
      tokenizer: Tokenizer of its model.
      prompts: Texts to continue.
      key: Key; None for greedy decoding.
      begin: Role of the special token in front of each prompt, or none.
      stop: Stop strings: a continuation ends in front of the first of them.
      filters: See `stream`.
      num_samples: Number of samples for each prompt, n.
      **options: Further options of `stream`, such as ``max_tokens``.

    Yields:
      Next characters of each sample, n for each prompt.

    Raises:
      UserError: As `encode_prompts` and `stream`.
    """
    ids = encode_prompts(tokenizer, prompts, begin)
    # Tokens without a text, but for those that end one, are not generated.
    special = {k: x for k, x in tokenizer.special.items() if k not in ("eos", "unk")}
    kept = {tokenizer.special.get("eos"), *options.get("stop_tokens", ())}
    exclude = tuple(sorted({*special.values()} - kept))
    filters = (vocabulary(tokenizer.vocab_size, exclude), *filters)
    chunks = stream(
        decoder,
        variables,
        ids,
        key,
        filters=filters,
        num_samples=num_samples,
        **options,
    )
    rows = [(i, n) for i in range(len(ids)) for n in range(num_samples)]
    made: dict[tuple[int, int], list[int]] = {row: [] for row in rows}
    shown, ended = dict.fromkeys(rows, ""), dict.fromkeys(rows, False)

    def news(row, is_last):
        if ended[row]:
            return ""
        whole = decode_continuation(tokenizer, ids[row[0]], made[row])
        text = without_stop(whole, stop)
        ended[row] = text != whole
        if not is_last and not ended[row]:
            text = _settled(text, stop)
        before, shown[row] = shown[row], max(shown[row], text, key=len)
        return text[len(before) :]

    def all_news(*, is_last):
        texts = iter([news(row, is_last) for row in rows])
        return [[next(texts) for _ in range(num_samples)] for _ in ids]

    for tokens, is_token in chunks:
        for i, n in rows:
            made[i, n] += tokens[i, n][is_token[i, n]].tolist()
        yield all_news(is_last=False)
        if all(ended.values()):
            return
    yield all_news(is_last=True)


def joined(parts: Iterator[list[list[str]]]) -> list[list[str]]:
    """Whole continuations, n for each prompt, of what `stream_text` yields."""
    return [
        ["".join(pieces) for pieces in zip(*of_prompt, strict=True)]
        for of_prompt in zip(*parts, strict=True)
    ]


def decode_continuation(
    tokenizer: Tokenizer,
    prompt: np.ndarray | Sequence[int],
    tokens: np.ndarray | Sequence[int],
) -> str:
    """Text of the tokens that follow a prompt; a space between them belongs to it."""
    lead = tokenizer.decode(np.asarray(prompt))
    text = tokenizer.decode(np.asarray([*prompt, *tokens], np.int64))
    if text.startswith(lead):
        return text[len(lead) :]
    return tokenizer.decode(np.asarray(tokens, np.int64))


def without_stop(text: str, stop: Sequence[str]) -> str:
    """The text in front of the first stop string; all of it where there is none.

    Raises:
      UserError: A stop string is empty.

    Example:
      >>> without_stop("one. two; three", [";", "."])
      'one'
    """
    if "" in stop:
        raise UserError("stop='': expected at least one character")
    places = [place for s in stop if (place := text.find(s)) >= 0]
    return text[: min(places, default=len(text))]


def _settled(text: str, stop: Sequence[str]) -> str:
    """The text without what may become a stop string, or is no character yet."""
    text = text.rstrip(UNFINISHED)
    begun = [n for s in stop for n in range(1, len(s)) if text.endswith(s[:n])]
    return text[: len(text) - max(begun, default=0)]
