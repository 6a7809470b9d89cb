"""Tokenizers of the library `tokenizers` of Hugging Face, and its JSON files."""

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fdl.data.text.tokenizer import Tokenizer, check_ids, check_roles, check_text
from fdl.errors import UserError, near, reason
from fdl.files import expanded, parse_object, read_text

MAX_TOKENS = 1 << 24


def from_file(path: str | os.PathLike, special: Mapping[str, str]) -> Tokenizer:
    """Reads a published ``tokenizer.json``; nothing in it is run.

    What it would add, cut off or leave to chance is switched off: special tokens around
    a text, truncation, padding and the dropout of merges. Whether decoding is the
    inverse of encoding depends on the file: it is of byte-level BPE (GPT-2, Llama 3)
    without normalisation; lower case and spaces are lost where the file says so (BERT).

    Args:
      path: Path of the file, as ``save_pretrained`` of transformers writes it.
      special: Texts of the special tokens by role, such as ``{"pad": "[PAD]"}``. Two
        roles may share a token.

    Raises:
      UserError: The file cannot be read, or has no such token.
    """
    path = expanded(path)
    content = read_text(path)
    try:
        return of_json(content, special)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def of_json(text: str, special: Mapping[str, str]) -> Tokenizer:
    """Tokenizer of the content of a ``tokenizer.json``; see `from_file`."""
    if not isinstance(special, Mapping):
        raise UserError(
            f"special={special!r:.50}: expected the texts of special tokens by role, "
            "such as {'pad': '[PAD]'}"
        )
    check_roles(special)
    hf = parse(text)
    vocabulary = hf.get_vocab(with_added_tokens=True)
    size = max(vocabulary.values(), default=-1) + 1
    if not 0 < size <= MAX_TOKENS:
        raise UserError(f"expected ids from 0 to {MAX_TOKENS - 1}, got {size - 1}")
    known, hidden = np.zeros((2, size), bool)
    known[[*vocabulary.values()]] = True
    added = hf.get_added_tokens_decoder()
    hidden[[i for i, token in added.items() if token.special]] = True
    ids = {
        role: _id_of(role, token, vocabulary, [x.content for x in added.values()])
        for role, token in special.items()
    }
    hidden[[*ids.values()]] = True
    written = hf.to_str()
    unknown = _unknown_id(json.loads(written)["model"], vocabulary)
    hidden[[i for i in (unknown, ids.get("unk")) if i is not None]] = False

    def decode(tokens: Any) -> str:
        array = check_ids(tokens, known)
        kept = array[~hidden[array]].tolist()
        return hf.decode(kept, skip_special_tokens=False)

    spec = {"kind": "huggingface", "special": dict(special), "json": written}
    # An unknown token that nobody declared is an error.
    encode = _encoder(hf, unknown if "unk" not in ids else None)
    return Tokenizer(encode, decode, size, ids, spec)


def with_pad(tokenizer: Tokenizer) -> Tokenizer:
    """Tokenizer with a special token ``pad`` that is no other one.

    Published tokenizers of language models have none, or take that of ``eos``, which
    would then count for nothing. A new one has an id behind all others.

    Args:
      tokenizer: Tokenizer of the library `tokenizers`.
    """
    special = tokenizer.special
    if [*special.values()].count(special.get("pad", -1)) == 1:
        return tokenizer
    if tokenizer.spec["kind"] != "huggingface":
        kind = tokenizer.spec["kind"]
        raise UserError(f"tokenizer of {kind}: expected special=('pad', ...)")
    hf = parse(tokenizer.spec["json"])
    token = "<|pad|>"
    while hf.token_to_id(token) is not None:
        token = f"<{token}>"
    hf.add_special_tokens([token])
    return of_json(hf.to_str(), {**tokenizer.spec["special"], "pad": token})


def parse(text: str) -> Any:
    """Tokenizer of the library, of JSON, that adds, drops and draws nothing."""
    # Imported late: few need it.
    import tokenizers

    try:
        content = parse_object(text.encode())
        content |= {"truncation": None, "padding": None}
        if isinstance(content.get("model"), dict) and "dropout" in content["model"]:
            content["model"]["dropout"] = None
        hf = tokenizers.Tokenizer.from_str(json.dumps(content))
    # The library raises bare exceptions, and panics are none.
    except BaseException as error:
        if not isinstance(error, Exception) and "Panic" not in type(error).__name__:
            raise
        raise UserError(
            f"expected the content of a tokenizer.json: {reason(error)}"
        ) from None
    # A text that spells a special token is text like any other.
    hf.encode_special_tokens = True
    return hf


def special_encoder(tokenizer: Tokenizer) -> Callable[[str], np.ndarray]:
    """``encode(text) -> ids``, int32 [T], of texts in which special tokens are spelled.

    A special token in a text becomes that token, as in transformers, which everywhere
    else is text like any other: whoever writes the text can write any of them.

    Args:
      tokenizer: Tokenizer of the library `tokenizers`.

    Raises:
      UserError: It is of another kind.
    """
    if tokenizer.spec["kind"] != "huggingface":
        kind = tokenizer.spec["kind"]
        raise UserError(
            f"tokenizer of {kind}: expected one of a tokenizer.json, whose special "
            "tokens have a text"
        )
    hf = parse(tokenizer.spec["json"])
    hf.encode_special_tokens = False
    known = "unk" in tokenizer.special
    unknown = _unknown_id(json.loads(hf.to_str())["model"], hf.get_vocab())
    return _encoder(hf, None if known else unknown)


def special_texts(tokenizer: Tokenizer) -> list[str]:
    """Texts of the special tokens that `special_encoder` recognises."""
    added = parse(tokenizer.spec["json"]).get_added_tokens_decoder()
    return [token.content for token in added.values() if token.special]


def _encoder(hf: Any, forbidden: int | None) -> Callable[[str], np.ndarray]:
    """``encode(text)`` that raises `UserError` for what the vocabulary lacks."""

    def encoded(text: str) -> np.ndarray | None:
        try:
            # Faster than `encode`: it does not compute where each token comes from.
            (found,) = hf.encode_batch_fast([text], add_special_tokens=False)
        except Exception:  # A bare one: that the unknown token is missing.
            return None
        ids = np.array(found.ids, np.int32)
        return None if forbidden is not None and (ids == forbidden).any() else ids

    def encode(text: str) -> np.ndarray:
        ids = encoded(check_text(text))
        if ids is not None:
            return ids
        words = re.finditer(r"\S+", text)
        word = next((word for word in words if encoded(word[0]) is None), None)
        found, start = (word[0], word.start()) if word else (text, 0)
        raise UserError(
            f"text: {found!r:.50} at character {start} is not in the vocabulary: "
            "declare the special token 'unk' to encode it all the same"
        )

    return encode


def _id_of(
    role: str, token: str, vocabulary: Mapping[str, int], added: list[str]
) -> int:
    """Id of a special token; `UserError`, with the near ones, if there is none."""
    if not isinstance(token, str):
        kind = type(token).__name__
        raise UserError(f"special[{role!r}] of type {kind}: expected a token's text")
    if token not in vocabulary:
        hint = near(token, added or vocabulary)
        raise UserError(f"special[{role!r}]={token!r:.50}: expected a token. {hint}")
    return vocabulary[token]


def _unknown_id(model: Mapping[str, Any], vocabulary: Mapping[str, int]) -> int | None:
    """Id that a model gives to what it does not know, if it has one."""
    if isinstance(model.get("unk_id"), int):
        return model["unk_id"]
    return vocabulary.get(model.get("unk_token") or "")
