"""Tokenizers: text to token ids and back, with special tokens by their role."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.errors import UserError, near

ROLES = ("pad", "unk", "bos", "eos", "cls", "sep", "mask")


class Tokenizer(NamedTuple):
    """Tokenizer: text to token ids and back.

    Attributes:
      encode: ``encode(text) -> ids``, int32 [T], without special tokens: a text that
        spells one is text like any other. An unknown character or word becomes
        ``unk`` where that is declared, and is a `UserError` otherwise.
      decode: ``decode(ids) -> text`` of integers [T]. Special tokens are left out,
        except for ``unk``, which shows that something was lost.
      vocab_size: Number of token ids, with those of special tokens.
      special: Ids of the declared special tokens by role, of "pad", "unk", "bos",
        "eos", "cls", "sep" and "mask".
      spec: Plain values that JSON can hold, of which `fdl.data.text.tokenizers.make`
        makes the tokenizer again.
    """

    encode: Callable[[str], np.ndarray]
    decode: Callable[[Any], str]
    vocab_size: int
    special: Mapping[str, int]
    spec: Mapping[str, Any]


def check_roles(special: Iterable[str]) -> tuple[str, ...]:
    """Roles of special tokens; `UserError` if they are not valid, or not different."""
    if isinstance(special, str) or not isinstance(special, Iterable):
        raise UserError(f"special={special!r:.50}: expected roles, such as ('pad',)")
    roles = tuple(special)
    for role in roles:
        if role not in ROLES:
            hint = near(str(role), ROLES)
            raise UserError(f"special={role!r:.50}: expected a role. {hint}")
    if len({*roles}) < len(roles):
        raise UserError(f"special={roles}: expected each role once")
    return roles


def role_id(tokenizer: Tokenizer, role: str) -> int:
    """Id of the special token of a role; `UserError` if none is declared."""
    if role not in tokenizer.special:
        declared = ", ".join(tokenizer.special) or "none"
        raise UserError(
            f"{role!r:.50}: expected a role that the tokenizer declares, special=("
            f"{role!r:.50}, ...); it has {declared}"
        )
    return tokenizer.special[role]


def check_ids(ids: Any, known: Sequence[bool] | np.ndarray) -> np.ndarray:
    """Token ids as an array [T]; `UserError` if one of them is unknown.

    Args:
      ids: Token ids.
      known: Whether there is such a token, by id.
    """
    array = np.asarray(ids)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise UserError(
            f"ids: expected integers [T], got {array.dtype} {[*array.shape]}"
        )
    if not array.size:
        return array.astype(np.int64)
    valid = (array >= 0) & (array < len(known))
    valid &= np.asarray(known)[np.where(valid, array, 0)]
    if not valid.all():
        i = int(np.argmin(valid))
        raise UserError(
            f"ids: expected token ids from 0 to {len(known) - 1}, got {array[i]} at "
            f"position {i}"
        )
    return array


def check_text(text: Any) -> str:
    """The text; `UserError` if it is none, or has half of a surrogate pair."""
    if not isinstance(text, str):
        raise UserError(f"text of type {type(text).__name__}: expected a str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"text: expected Unicode, got half of a surrogate pair, "
            f"{text[error.start]!a}, at character {error.start}"
        ) from None
    return text
