"""Tokenizers: bytes, characters, words, pieces of words, and published ones.

Each maker returns a `Tokenizer`, whose ``spec`` are plain values: `make` makes it again
of these, and runs no code that they name.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from fdl.data.text.alphabets import byte_tokenizer, characters, of_alphabet
from fdl.data.text.huggingface import from_file, of_json, parse, with_pad
from fdl.data.text.tokenizer import Tokenizer, role_id
from fdl.data.text.trained import byte_pair, unigram, wordpiece, words
from fdl.errors import UserError, near

__all__ = [
    "Tokenizer",
    "byte_pair",
    "byte_tokenizer",
    "characters",
    "encode_texts",
    "from_file",
    "make",
    "token_sizes",
    "unigram",
    "with_pad",
    "wordpiece",
    "words",
]

# Maker of each kind, and the types of its arguments.
KINDS: dict[str, tuple[Callable[..., Tokenizer], dict[str, type]]] = {
    "bytes": (byte_tokenizer, {"special": list}),
    "characters": (of_alphabet, {"alphabet": str, "special": list}),
    "huggingface": (of_json, {"json": str, "special": dict}),
}
UNITS = ("bytes", "characters")


def make(spec: Mapping[str, Any]) -> Tokenizer:
    """Tokenizer of its ``spec``; no code that it names is run.

    Raises:
      UserError: It is not the ``spec`` of a tokenizer.

    Example:
      >>> make({"kind": "bytes", "special": ["pad"]}).special
      {'pad': 256}
    """
    kind = spec.get("kind") if isinstance(spec, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS:
        hint = near(str(kind)[:50], KINDS)
        raise UserError(f"tokenizer: there is no kind {kind!r:.50}. {hint}")
    maker, types = KINDS[kind]
    arguments = {name: value for name, value in spec.items() if name != "kind"}
    if {*arguments} != {*types}:
        raise UserError(f"tokenizer of {kind}: expected {', '.join(types)}")
    for name, value in arguments.items():
        if not isinstance(value, types[name]):
            expected = types[name].__name__
            raise UserError(f"tokenizer.{name}={value!r:.50}: expected a {expected}")
    try:
        return maker(*(arguments[name] for name in types))
    except UserError as error:
        raise UserError(f"tokenizer: {error}") from None


def token_sizes(tokenizer: Tokenizer, unit: str) -> np.ndarray:
    """Bytes or characters that each token stands for, int32 [V].

    Perplexities per token do not compare between tokenizers, bits per byte and per
    character do. The sizes of the tokens of a text add up to its length: a byte that
    continues a character counts as none. Special tokens count 0, and ``unk`` one, the
    least that it may stand for.

    Args:
      tokenizer: Tokenizer.
      unit: "bytes", of UTF-8, or "characters".

    Raises:
      UserError: There is no such unit; or what a token stands for depends on those
        around it, as in words and WordPiece, which do not say where spaces were.

    Example:
      >>> tokenizer = characters("né", ["pad"])
      >>> token_sizes(tokenizer, "bytes"), token_sizes(tokenizer, "characters")
      (array([1, 2, 0], dtype=int32), array([1, 1, 0], dtype=int32))
    """
    if unit not in UNITS:
        raise UserError(f"unit={unit!r}: expected 'bytes' or 'characters'")
    sizes = np.zeros(tokenizer.vocab_size, np.int32)
    for i, content in _contents(tokenizer):
        # Of the bytes of a character, all but the first are from 0x80 to 0xbf.
        starts = sum(byte >> 6 != 0b10 for byte in content)
        sizes[i] = len(content) if unit == "bytes" else starts
    sizes[[*tokenizer.special.values()]] = 0
    if "unk" in tokenizer.special:
        sizes[tokenizer.special["unk"]] = 1
    return sizes


def encode_texts(
    tokenizer: Tokenizer,
    texts: Iterable[str],
    max_length: int,
    begin: str | None = None,
    end: str | None = None,
    pad: str = "pad",
) -> np.ndarray:
    """Encodes texts as rows of one length, padded on the right.

    A text that is too long is cut at its end; the special token at the end stays.

    Args:
      tokenizer: Tokenizer.
      texts: Texts.
      max_length: Length T of a row, with the special tokens.
      begin: Role of the special token in front of each text, such as "cls"; or none.
      end: Role of the special token behind it, such as "sep"; or none.
      pad: Role of the special token that fills the row.

    Returns:
      Token ids, int32 [N, T].

    Raises:
      UserError: A role is not declared or shares its token with padding, there is no
        room for a token of the text, or the tokenizer cannot encode a text; the error
        names its number, from 1.

    Example:
      >>> tokenizer = characters("abc", ["pad", "eos"])
      >>> encode_texts(tokenizer, ["a", "", "abcabc"], 4, end="eos")
      array([[0, 4, 3, 3],
             [4, 3, 3, 3],
             [0, 1, 2, 4]], dtype=int32)
    """
    front = [] if begin is None else [role_id(tokenizer, begin)]
    back = [] if end is None else [role_id(tokenizer, end)]
    fill = role_id(tokenizer, pad)
    for option, role in {"begin": begin, "end": end}.items():
        if role is not None and tokenizer.special[role] == fill:
            raise UserError(
                f"{option}={role!r}: expected another token than that of padding, "
                "which counts for nothing"
            )
    room = max_length - len(front) - len(back)
    if room < 1:
        raise UserError(
            f"max_length={max_length}: expected at least {max_length - room + 1}"
        )
    texts = [*texts]
    rows = np.full((len(texts), max_length), fill, np.int32)
    for i, text in enumerate(texts):
        try:
            ids = tokenizer.encode(text)[:room]
        except UserError as error:
            raise UserError(f"text {i + 1}: {error}") from None
        row = np.concatenate([np.array(front, np.int32), ids, np.array(back, np.int32)])
        rows[i, : len(row)] = row
    return rows


def _contents(tokenizer: Tokenizer) -> list[tuple[int, bytes]]:
    """Bytes that each token stands for by its id, if they do not depend on others."""
    spec = tokenizer.spec
    if spec["kind"] == "bytes":
        return [(i, bytes([i])) for i in range(256)]
    if spec["kind"] == "characters":
        return [(i, letter.encode()) for i, letter in enumerate(spec["alphabet"])]
    decoder = json.loads(spec["json"])["decoder"] or {}
    vocabulary = parse(spec["json"]).get_vocab(with_added_tokens=True)
    if decoder.get("type") == "ByteLevel":
        byte_of = {letter: byte for byte, letter in enumerate(_byte_letters())}

        def content(token: str) -> bytes:
            # A token that was added as text may have letters that stand for no byte.
            known = all(letter in byte_of for letter in token)
            return bytes(byte_of[x] for x in token) if known else token.encode()

    elif decoder.get("type") == "Metaspace" and decoder["prepend_scheme"] == "never":

        def content(token: str) -> bytes:
            return token.replace(decoder["replacement"], " ").encode()

    else:
        raise UserError(
            "tokenizer: what a token of it stands for depends on those around it: "
            "expected bytes, characters, byte-level pairs, or Unigram"
        )
    return [(i, content(token)) for token, i in vocabulary.items()]


def _byte_letters() -> list[str]:
    """Printable letters that stand for the 256 bytes in byte-level pairs of GPT-2."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(i) if i in printable else chr(next(others)) for i in range(256)]
