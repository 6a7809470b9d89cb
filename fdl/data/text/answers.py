"""Prompts with answers, and with a better and a worse one, for fine-tuning."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.data.text.packing import pack
from fdl.data.text.tokenizer import Tokenizer, role_id
from fdl.errors import DataWarning, UserError, near
from fdl.files import expanded, opened, parse_object

PAIR, TEXT = ("prompt", "answer"), ("text",)
PREFERENCE = ("prompt", "chosen", "rejected")


class Answer(NamedTuple):
    """Token ids of a prompt and of the answer to it.

    Attributes:
      prompt: Token ids of the prompt, int32 [P]; of a plain text there may be none.
      answer: Token ids of the answer, int32 [A], at least one.
    """

    prompt: np.ndarray
    answer: np.ndarray


def read_answers(
    path: str | os.PathLike[str],
    tokenizer: Tokenizer,
    begin: str | None = None,
    end: str | None = None,
) -> list[Answer]:
    """Prompts and answers of JSON lines, ``{"prompt": ..., "answer": ...}``.

    Lines may be plain texts as well, ``{"text": ...}``, which have no prompt. Prompts
    and answers are encoded apart, as a prompt is when the model is asked: a space
    between the two belongs to one of them. Empty lines are passed over.

    Args:
      path: Path of the file.
      tokenizer: Tokenizer.
      begin: Role of the special token in front of each prompt, such as "bos"; or none.
      end: Role of the special token behind each answer, such as "eos", which the model
        so learns to end with; or none.

    Raises:
      UserError: The tokenizer has no such role, the file cannot be read or has no rows,
        or a row has other keys, no text or an unknown character: the error names its
        line.
    """
    encode = _encoder(tokenizer, begin, end)

    def make(row: dict[str, str]) -> Answer:
        return encode(row.get("prompt", ""), row[TEXT[0] if "text" in row else PAIR[1]])

    return [*_rows(path, (PAIR, TEXT), make)]


def read_preferences(
    path: str | os.PathLike[str],
    tokenizer: Tokenizer,
    begin: str | None = None,
    end: str | None = None,
) -> list[tuple[Answer, Answer]]:
    """Chosen and rejected answers of JSON lines.

    A line is ``{"prompt": ..., "chosen": ..., "rejected": ...}``; see `read_answers`.

    Raises:
      UserError: As of `read_answers`; or both answers are the same.
    """
    encode = _encoder(tokenizer, begin, end)

    def make(row: dict[str, str]) -> tuple[Answer, Answer]:
        if row["chosen"] == row["rejected"]:
            raise UserError("expected two different answers, chosen and rejected")
        return (
            encode(row["prompt"], row["chosen"]),
            encode(row["prompt"], row["rejected"]),
        )

    return [*_rows(path, (PREFERENCE,), make)]


def pack_answers(answers: Sequence[Answer], length: int) -> dict[str, np.ndarray]:
    """Packing of prompts and answers into rows, with the loss on answers only.

    Several share a row, apart in attention and positions as by `pack`. What is too long
    for a row is cut at its end, so that the beginning of an answer is learnt; a prompt
    that leaves no room for an answer is cut at its beginning, to the last tokens.

    Args:
      answers: Prompts and answers.
      length: Number of tokens of a row, T + 1, at least 2.

    Returns:
      ``tokens`` and ``segments``, int32 [N, length], and ``answer``, float32 [N,
      length], one for tokens of answers: as `objectives.language_modelling` takes them.

    Raises:
      UserError: There are none.

    Example:
      >>> rows = pack_answers([Answer(np.array([5, 6]), np.array([7, 8]))], 5)
      >>> rows["tokens"]
      array([[5, 6, 7, 8, 0]], dtype=int32)
      >>> rows["answer"]
      array([[0., 0., 1., 1., 0.]], dtype=float32)
    """
    if not len(answers):
        raise UserError("answers: expected at least one, got none")
    kept = [_cut(answer, length)[0] for answer in answers]
    ids = np.concatenate([x for answer in kept for x in answer])
    counts = np.concatenate([np.repeat([0, 1], [len(p), len(a)]) for p, a in kept])
    ends = np.cumsum([len(p) + len(a) for p, a in kept])
    # The places of tokens are packed, and tell what lies there.
    packed = pack(np.split(np.arange(len(ids)), ends[:-1]), length)
    filled = packed["segments"] > 0
    return {
        "tokens": np.where(filled, ids[packed["tokens"]], 0).astype(np.int32),
        "segments": packed["segments"],
        "answer": np.where(filled, counts[packed["tokens"]], 0).astype(np.float32),
    }


def pad_preferences(
    pairs: Sequence[tuple[Answer, Answer]], length: int
) -> dict[str, np.ndarray]:
    """Rows of chosen and rejected answers, padded on the right.

    Args:
      pairs: Chosen and rejected answers to the same prompts.
      length: Number of tokens of a row, T + 1; what is longer is cut, as by
        `pack_answers`, but the prompt of a pair by the longer answer. Pairs of which
        the same is left are left out, with a `DataWarning`.

    Returns:
      ``chosen`` and ``rejected``, int32 [N, length], and ``chosen_mask`` and
      ``rejected_mask``, float32 [N, length]: as `objectives.preference` takes them.

    Raises:
      UserError: There is no pair, or none is left.
    """
    kept = [_cut_pair(pair, length) for pair in pairs]
    kept = [pair for pair in kept if not np.array_equal(pair[0][1], pair[1][1])]
    if len(kept) < len(pairs):
        warnings.warn(
            f"{len(pairs) - len(kept)} of {len(pairs)} pairs are left out: their "
            f"answers differ only behind {length} tokens",
            DataWarning,
            stacklevel=2,
        )
    if not kept:
        raise UserError(f"length={length}: expected pairs that differ within it")
    rows: dict[str, np.ndarray] = {}
    for i, name in enumerate(("chosen", "rejected")):
        tokens = np.zeros((len(kept), length), np.int32)
        counts = np.zeros((len(kept), length), np.float32)
        for row, pair in enumerate(kept):
            prompt, answer = pair[i]
            begin, end = len(prompt), len(prompt) + len(answer)
            tokens[row, :end] = np.concatenate([prompt, answer])
            counts[row, begin:end] = 1
        rows |= {name: tokens, f"{name}_mask": counts}
    return rows


def num_cut(answers: Sequence[Answer], length: int) -> int:
    """Number of prompts and answers that are too long for rows of a length."""
    return sum(_cut(answer, length)[1] for answer in answers)


def _cut(answer: Answer, length: int) -> tuple[Answer, bool]:
    """Prompt and answer cut to the length of a row, and whether anything was cut."""
    prompt, ids = answer
    if len(prompt) + len(ids) <= length:
        return answer, False
    prompt = _cut_prompt(prompt, len(ids), length)
    return Answer(prompt, ids[: length - len(prompt)]), True


def _cut_pair(pair: tuple[Answer, Answer], length: int) -> tuple[Answer, Answer]:
    """Two answers to one prompt, cut to the length of a row behind the same prompt."""
    longest = max(len(ids) for _, ids in pair)
    prompt = _cut_prompt(pair[0].prompt, longest, length)
    one, other = (Answer(prompt, ids[: length - len(prompt)]) for _, ids in pair)
    return one, other


def _cut_prompt(prompt: np.ndarray, num_tokens: int, length: int) -> np.ndarray:
    """End of a prompt, in front of an answer of a number of tokens."""
    # At least a half of the row is for the answer, as far as there is one.
    room = max(length - num_tokens, length // 2)
    return prompt[max(0, len(prompt) - room) :]


def _encoder(
    tokenizer: Tokenizer, begin: str | None, end: str | None
) -> Callable[[str, str], Answer]:
    """Function of a prompt and an answer to their token ids."""
    front, back = (
        [] if role is None else [role_id(tokenizer, role)] for role in (begin, end)
    )

    def encode(prompt: str, answer: str) -> Answer:
        before = np.array([*front, *tokenizer.encode(prompt)], np.int32)
        after = np.array([*tokenizer.encode(answer), *back], np.int32)
        empty = not (prompt or answer) or not len(after)
        if empty or len(before) + len(after) < 2:
            raise UserError("expected a text of at least two tokens, got an empty one")
        return Answer(before, after)

    return encode


def _rows(
    path: str | os.PathLike[str],
    kinds: Sequence[Sequence[str]],
    make: Callable[[dict[str, str]], Any],
) -> Iterator[Any]:
    """Rows of a file of JSON lines, made into something; errors name the line."""
    path = expanded(path)
    count = 0
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            count += 1
            try:
                yield make(
                    _texts(parse_object(line.removeprefix(b"\xef\xbb\xbf")), kinds)
                )
            except UnicodeDecodeError as error:
                found = error.object[error.start]
                raise UserError(
                    f"{path}:{number}: expected text in UTF-8, got {found:#04x}"
                ) from None
            except ValueError as error:  # A UserError is one.
                raise UserError(f"{path}:{number}: {error}") from None
    if not count:
        raise UserError(f"{path}: expected rows of JSON, got none")


def _texts(row: dict[str, Any], kinds: Sequence[Sequence[str]]) -> dict[str, str]:
    """Texts of a row by key; `UserError` unless it is of one of some kinds."""
    expected = " or ".join("{" + ", ".join(keys) + "}" for keys in kinds)
    for keys in kinds:
        if not {*keys} <= {*row}:
            continue
        for key in keys:
            if not isinstance(row[key], str):
                kind = type(row[key]).__name__
                raise UserError(f"{key!r} of type {kind}: expected a text")
        return {key: row[key] for key in keys}
    missing = next(key for key in kinds[0] if key not in row)
    hint = near(missing, row) if row else "There is nothing."
    raise UserError(f"expected {expected}; there is no {missing!r}. {hint}")
