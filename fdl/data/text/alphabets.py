"""Tokens of one byte, or of one character: in NumPy, exact inverses."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fdl.data.text.tokenizer import Tokenizer, check_ids, check_roles, check_text
from fdl.errors import UserError

# What decoding shows for an unknown character, as of bytes that are no UTF-8.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def byte_tokenizer(special: Sequence[str] = ()) -> Tokenizer:
    r"""Bytes of UTF-8 as tokens, 0 to 255; special tokens come after them.

    ``decode(encode(text))`` is the text. Bytes that are no UTF-8, as a model may write
    them, become the replacement character.

    Args:
      special: Roles of special tokens, in the order of their ids from 256 on.

    Raises:
      UserError: A role is unknown, or given twice.

    Example:
      >>> tokenizer = byte_tokenizer(["pad"])
      >>> tokenizer.encode("né")
      array([110, 195, 169], dtype=int32)
      >>> tokenizer.decode([110, 195, 169, 256])
      'né'
    """
    roles = check_roles(special)
    size = 256 + len(roles)
    known = np.ones(size, bool)

    def encode(text: str) -> np.ndarray:
        content = check_text(text).encode()
        return np.frombuffer(content, np.uint8).astype(np.int32)

    def decode(ids: Any) -> str:
        array = check_ids(ids, known)
        content = array[array < 256].astype(np.uint8).tobytes()
        return content.decode(errors="replace")

    return Tokenizer(
        encode,
        decode,
        size,
        {role: 256 + i for i, role in enumerate(roles)},
        {"kind": "bytes", "special": [*roles]},
    )


def characters(text: str | Iterable[str], special: Sequence[str] = ()) -> Tokenizer:
    """Characters of a text as tokens, sorted; special tokens come after them.

    Characters are code points of Unicode: an accent that is written as one of its own
    is a token of its own. ``decode(encode(text))`` is the text where no character is
    unknown. For one text these are the ids of nanoGPT.

    Args:
      text: Text, or several, whose characters are the alphabet.
      special: Roles of special tokens, in the order of their ids.

    Raises:
      UserError: The text is empty, or a role is unknown.

    Example:
      >>> tokenizer = characters("hello", ["unk"])
      >>> tokenizer.encode("hole!").tolist(), tokenizer.vocab_size
      ([1, 3, 2, 0, 4], 5)
      >>> tokenizer.decode([1, 3, 2, 0])
      'hole'
    """
    texts = [text] if isinstance(text, str) else text
    found = {character for part in texts for character in check_text(part)}
    return of_alphabet("".join(sorted(found)), special)


def of_alphabet(alphabet: str, special: Sequence[str] = ()) -> Tokenizer:
    """Characters of an alphabet as tokens, in its order; see `characters`."""
    roles = check_roles(special)
    letters = _code_points(alphabet)
    if not len(letters) or len({*alphabet}) < len(letters):
        raise UserError("alphabet: expected one or more characters, each once")
    size = len(letters) + len(roles)
    ids_of_roles = {role: len(letters) + i for i, role in enumerate(roles)}
    unknown = ids_of_roles.get("unk", -1)
    # The last element is for all code points beyond the alphabet's.
    table = np.full(int(letters.max()) + 2, unknown, np.int32)
    table[letters] = np.arange(len(letters))
    shown = np.append(letters, np.full(len(roles), ord(REPLACEMENT), np.uint32))
    known = np.ones(size, bool)

    def encode(text: str) -> np.ndarray:
        codes = _code_points(text)
        ids = table[np.minimum(codes, len(table) - 1)]
        if unknown < 0 and (ids < 0).any():
            i = int(np.argmin(ids))
            raise UserError(
                f"text: {text[i]!r} at character {i} is not in the alphabet: declare "
                "the special token 'unk' to encode it all the same"
            )
        return ids

    def decode(ids: Any) -> str:
        array = check_ids(ids, known)
        kept = array[(array < len(letters)) | (array == unknown)]
        return shown[kept].astype("<u4").tobytes().decode("utf-32-le")

    spec = {"kind": "characters", "alphabet": alphabet, "special": [*roles]}
    return Tokenizer(encode, decode, size, ids_of_roles, spec)


def _code_points(text: str) -> np.ndarray:
    """Code points of a text, uint32 [T]."""
    return np.frombuffer(check_text(text).encode("utf-32-le"), "<u4")
