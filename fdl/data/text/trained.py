"""Tokenizers trained on texts, by the library `tokenizers` of Hugging Face.

Of the same texts, in any order, each makes the same tokenizer every time. Special
tokens have the last ids, ``unk`` before the others: they are no part of what the models
find in a text.

References:
  Sennrich, Haddow and Birch, `Neural Machine Translation of Rare Words with Subword
  Units <https://arxiv.org/abs/1508.07909>`_, 2016: byte-pair encoding.
  Radford et al., `Language Models are Unsupervised Multitask Learners
  <https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf>`_,
  2019: of bytes.
  Wu et al., `Google's Neural Machine Translation System
  <https://arxiv.org/abs/1609.08144>`_, 2016: WordPiece.
  Kudo, `Subword Regularization <https://arxiv.org/abs/1804.10959>`_, 2018: Unigram.
"""

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fdl.data.text.huggingface import MAX_TOKENS, of_json
from fdl.data.text.tokenizer import Tokenizer, check_roles, check_text
from fdl.data.text.unigram import Scores, learn_pieces
from fdl.errors import UserError

UNLIKELY = -1e4  # Log-probability that no path with other pieces has.

Special = Sequence[str] | Mapping[str, str]


def words(
    texts: Iterable[str],
    special: Special = (),
    *,
    vocab_size: int | None = None,
    min_count: int = 1,
    lowercase: bool = False,
    punctuation: bool = True,
) -> Tokenizer:
    """Words as tokens, the most frequent ones first.

    Decoding joins the words by single spaces: other white space is lost, and where
    punctuation is split off, that it touched a word. Encoding what was decoded gives
    the same ids, where no word is unknown.

    Args:
      texts: Texts to take the words of.
      special: Roles of special tokens, which are written ``<pad>``; or their texts by
        role.
      vocab_size: Largest number of tokens, with special ones. Default: all.
      min_count: How often a word has to occur.
      lowercase: True to encode all in lower case.
      punctuation: True to split off punctuation, False to split at white space alone.

    Raises:
      UserError: There is no word, or an argument is not valid.

    Example:
      >>> tokenizer = words(["the cat, the dog"], ["unk"])
      >>> tokenizer.encode("the cow, the dog").tolist()
      [0, 4, 1, 0, 3]
      >>> tokenizer.decode([0, 4, 1, 0, 3])
      'the <unk> , the dog'
    """
    # Imported late: few need it.
    from tokenizers import Tokenizer as Model
    from tokenizers import models, normalizers, pre_tokenizers, trainers

    tokens = _tokens(special)
    split = pre_tokenizers.Whitespace if punctuation else pre_tokenizers.WhitespaceSplit
    hf = Model(models.WordLevel(unk_token=""))
    hf.pre_tokenizer = split()
    if lowercase:
        hf.normalizer = normalizers.Lowercase()
    trainer = trainers.WordLevelTrainer(
        vocab_size=_size(MAX_TOKENS if vocab_size is None else vocab_size, tokens),
        min_frequency=min_count,
        show_progress=False,
    )
    hf.train_from_iterator(_checked(texts), trainer)
    vocabulary = _with_unk(hf.get_vocab(), tokens)
    hf.model = models.WordLevel(vocabulary, unk_token=_unk(tokens))
    return _finished(hf, tokens, vocab_size)


def byte_pair(
    texts: Iterable[str], vocab_size: int, special: Special = ()
) -> Tokenizer:
    """Byte-pair encoding of bytes, as of GPT-2: frequent pairs become tokens.

    Nothing is unknown, and ``decode(encode(text))`` is the text. Bytes that are no
    UTF-8, as a model may write them, become the replacement character.

    Args:
      texts: Texts to learn from.
      vocab_size: Largest number of tokens, with the 256 bytes and the special ones;
        there are fewer where the texts have no more pairs.
      special: Roles of special tokens, which are written ``<pad>``; or their texts by
        role.

    Raises:
      UserError: There is no text, or an argument is not valid.

    Example:
      >>> tokenizer = byte_pair(["low lower lowest"] * 2, 260, ["eos"])
      >>> tokenizer.encode("low slow").shape, tokenizer.decode(tokenizer.encode("né"))
      ((4,), 'né')
    """
    # Imported late: few need it.
    from tokenizers import Tokenizer as Model
    from tokenizers import decoders, models, pre_tokenizers, trainers

    tokens = _tokens(special)
    hf = Model(models.BPE())
    hf.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    hf.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_size(vocab_size, tokens, least=256),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    hf.train_from_iterator(_checked(texts), trainer)
    return _finished(hf, tokens, vocab_size)


def wordpiece(
    texts: Iterable[str],
    vocab_size: int,
    special: Special = (),
    *,
    lowercase: bool = False,
) -> Tokenizer:
    """WordPiece, as of BERT: words in pieces, of which all but the first have ``##``.

    Decoding joins words and punctuation by single spaces: other white space is lost,
    and so are control characters. A word with a character that the texts lack, or of
    more than 100, is unknown.

    Args:
      texts: Texts to learn from; they are held in memory.
      vocab_size: Largest number of tokens, with special ones.
      special: Roles of special tokens, which are written ``<pad>``; or their texts by
        role, as BERT's: ``{"unk": "[UNK]"}``.
      lowercase: True to encode all in lower case, and without accents.

    Raises:
      UserError: There is no text, or an argument is not valid.
    """
    # Imported late: few need it.
    from tokenizers import Tokenizer as Model
    from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

    tokens = _tokens(special)
    hf = Model(models.WordPiece(unk_token=""))
    hf.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    hf.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    hf.decoder = decoders.WordPiece(cleanup=False)
    texts = [*_checked(texts)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=_size(vocab_size, tokens),
        # It numbers pieces of one character in an order that differs from process to
        # process, and breaks ties by these numbers; special tokens keep their order.
        special_tokens=sorted({f"##{c}" for text in texts for c in _inner(text, hf)}),
        show_progress=False,
    )
    hf.train_from_iterator(texts, trainer)
    vocabulary = hf.get_vocab()
    # Made anew, without these special tokens.
    fresh = Model(
        models.WordPiece(_with_unk(vocabulary, tokens), unk_token=_unk(tokens))
    )
    fresh.normalizer, fresh.pre_tokenizer = hf.normalizer, hf.pre_tokenizer
    fresh.decoder = hf.decoder
    return _finished(fresh, tokens, vocab_size)


def unigram(texts: Iterable[str], vocab_size: int, special: Special = ()) -> Tokenizer:
    """Unigram, as of SentencePiece: the most probable pieces of each word.

    A space is a part of the word after it, so ``decode(encode(text))`` is the text
    where no character is unknown; only the mark of a space, ``▁``, becomes one.

    Args:
      texts: Texts to learn from.
      vocab_size: Largest number of tokens, with all characters of the texts and the
        special tokens.
      special: Roles of special tokens, which are written ``<pad>``; or their texts by
        role.

    Raises:
      UserError: There is no text, or an argument is not valid.

    Example:
      >>> tokenizer = unigram(["low lower lowest"] * 2, 12, ["unk"])
      >>> tokenizer.decode(tokenizer.encode("lowest slower"))
      'lowest slower'
    """
    # Imported late: few need it.
    from tokenizers import Tokenizer as Model
    from tokenizers import decoders, models, pre_tokenizers

    tokens = _tokens(special)
    size = _size(vocab_size, tokens)
    split = pre_tokenizers.Metaspace(prepend_scheme="never")
    found = collections.Counter(
        word for text in _checked(texts) for word, _ in split.pre_tokenize_str(text)
    )

    def segment(scores: Scores, words: Sequence[str]) -> list[list[str]]:
        pieces = Model(models.Unigram([*scores.items()]))
        return [encoding.tokens for encoding in pieces.encode_batch(words)]

    scores = learn_pieces(found, size, segment)
    pieces = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    if "unk" in tokens:
        pieces.append((_unk(tokens), UNLIKELY))
    hf = Model(models.Unigram(pieces, len(pieces) - 1 if "unk" in tokens else None))
    hf.pre_tokenizer = split
    hf.decoder = decoders.Metaspace(prepend_scheme="never")
    return _finished(hf, tokens, vocab_size)


def _finished(hf: Any, tokens: Mapping[str, str], vocab_size: int | None) -> Tokenizer:
    """Tokenizer of a model of the library that was trained, with special tokens.

    Raises:
      UserError: It has no token of a text, or more tokens than it may have.
    """
    if hf.get_vocab_size() <= ("unk" in tokens):
        raise UserError("texts: expected some text, got none")
    for role, token in tokens.items():
        # With one id for both, a text could say the special token.
        if token != _unk(tokens) and hf.token_to_id(token) is not None:
            raise UserError(
                f"special[{role!r}]={token!r:.50}: expected another text, as it is a "
                "token of the texts"
            )
    hf.add_special_tokens(_unique(tokens))
    tokenizer = of_json(hf.to_str(), tokens)
    if vocab_size is not None and tokenizer.vocab_size > vocab_size:
        raise UserError(
            f"vocab_size={vocab_size}: expected at least {tokenizer.vocab_size}, for "
            "the characters of the texts and the special tokens"
        )
    return tokenizer


def _with_unk(vocabulary: dict[str, int], tokens: Mapping[str, str]) -> dict[str, int]:
    """Vocabulary with the token of what is unknown, if one is declared."""
    last = {_unk(tokens): len(vocabulary)} if "unk" in tokens else {}
    return {**last, **vocabulary}


def _unk(tokens: Mapping[str, str]) -> str:
    return tokens.get("unk", "")


def _checked(texts: Iterable[str]) -> Iterator[str]:
    """Texts, of which one alone counts as one."""
    return map(check_text, [texts] if isinstance(texts, str) else texts)


def _inner(text: str, hf: Any) -> Iterator[str]:
    """Characters of a text within words."""
    for word, _ in hf.pre_tokenizer.pre_tokenize_str(hf.normalizer.normalize_str(text)):
        yield from word[1:]


def _tokens(special: Special) -> dict[str, str]:
    """Texts of special tokens by role."""
    roles = check_roles(special)
    if isinstance(special, Mapping):
        return {role: special[role] for role in roles}
    return {role: f"<{role}>" for role in roles}


def _unique(tokens: Mapping[str, str]) -> list[str]:
    """Texts of special tokens, each once, in their order."""
    return [*dict.fromkeys(tokens.values())]


def _size(vocab_size: int, tokens: Mapping[str, str], least: int = 1) -> int:
    """Number of tokens that are left for texts; `UserError` if they are too few."""
    special = len(_unique(tokens))
    is_integer = isinstance(vocab_size, int) and not isinstance(vocab_size, bool)
    if not is_integer or not least + special <= vocab_size <= MAX_TOKENS:
        raise UserError(
            f"vocab_size={vocab_size!r:.50}: expected an integer from "
            f"{least + special} to {MAX_TOKENS}"
        )
    return vocab_size - special
