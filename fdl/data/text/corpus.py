"""Corpora: texts that are tokenised once, by several threads."""

import collections
import concurrent.futures
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fdl.data.text.corpus_files import (
    FORMAT,
    META,
    OFFSETS,
    TOKENS,
    Corpus,
    read_corpus,
)
from fdl.data.text.text_files import (
    Paths,
    Piece,
    files_of,
    pieces_of_files,
    pieces_of_texts,
)
from fdl.data.text.tokenizer import Tokenizer, role_id
from fdl.errors import RunError, UserError, near
from fdl.files import expanded, fresh_name, opened, sync, write_bytes

BUNDLE = 1 << 16  # Characters that a thread tokenises at once, or one piece.


class Progress(NamedTuple):
    """Progress of tokenising.

    Attributes:
      share: Share of the texts that was read, from 0 to 1.
      num_tokens: Number of tokens so far.
      seconds: Time since the beginning.
    """

    share: float
    num_tokens: int
    seconds: float


def corpus(
    paths: Paths | np.ndarray,
    tokenizer: Tokenizer,
    *,
    folder: str | os.PathLike[str],
    column: str = "text",
    end: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Corpus:
    """Corpus of texts, tokenised once into memory-mapped files.

    The files lie in a folder that is named by a digest of the texts, the tokenizer and
    the options: a second call finds it. It is written whole or not at all. Texts are
    read piece by piece and tokenised by a thread for each core, in some megabytes of
    memory beside the longest document.

    A file is one document, unless its name ends in ``.jsonl``, ``.ndjson``, ``.csv``,
    ``.tsv`` or ``.parquet``: then each row is one. Of a folder, all files count but
    hidden ones, in the order of their names. Text files are tokenised in pieces of at
    most 128 Ki characters that end at the end of a line, if it is not far; a subword
    tokenizer may see a difference there.

    Args:
      paths: Files and folders, or one of them; or an array of texts, object or str [D],
        such as those of `fdl.data.load`.
      tokenizer: `Tokenizer`.
      folder: Folder in which folders of corpora lie.
      column: Column with the text, of files with rows.
      end: Role of the special token behind each document, such as "eos". Default: none.
      progress: ``progress(Progress)``, called about once for 64 Ki characters.

    Returns:
      The corpus.

    Raises:
      UserError: A document is empty, a file is not in UTF-8, has no such column or
        cannot be read, or the tokenizer has no such special token.
      RunError: The folder cannot be written.
    """
    if end is not None and end not in tokenizer.special:
        hint = near(end, tokenizer.special)
        raise UserError(f"end={end!r}: expected a special token. {hint}")
    options = {"column": column, "end": end}
    if isinstance(paths, np.ndarray):
        pieces, sizes = pieces_of_texts(paths), [sum(len(str(text)) for text in paths)]
        content = [["", _digest_of_texts(paths)]]
    else:
        files = files_of(paths)
        pieces = pieces_of_files(files, column)
        sizes = [path.stat().st_size for path in files]
        # The suffix says how a file is read.
        content = [[path.suffix.lower(), _digest_of_file(path)] for path in files]
    facts = [FORMAT, content, tokenizer.spec, tokenizer.vocab_size, options]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    place = expanded(folder) / digest[:32]
    if not place.exists():
        last = None if end is None else role_id(tokenizer, end)
        report = _reporter(progress, sizes)
        try:
            _prepare(place, digest, pieces, tokenizer, last, report)
        except OSError as error:
            raise RunError(f"cannot write {place}: {error.strerror}") from None
    return read_corpus(place)


def _prepare(
    place: Path,
    digest: str,
    pieces: Iterator[Piece],
    tokenizer: Tokenizer,
    end: int | None,
    report: Callable[[Piece, int, float], None],
) -> None:
    """Writes a corpus into a new folder, whole or not at all."""
    partial = fresh_name(place)
    partial.mkdir(parents=True)
    try:
        meta = _write(partial, pieces, tokenizer, end, report)
        text = json.dumps({"format": FORMAT, "digest": digest, **meta}, indent=1)
        write_bytes(partial / META, text.encode())
        for path in [*partial.iterdir(), partial]:
            sync(path)
        try:
            partial.rename(place)
        except OSError:
            # Another process may have been faster; its corpus is the same.
            if not place.exists():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(
    folder: Path,
    pieces: Iterator[Piece],
    tokenizer: Tokenizer,
    end: int | None,
    report: Callable[[Piece, int, float], None],
) -> Mapping[str, Any]:
    """Writes tokens and offsets; returns what is to be known of them."""
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 2**16 else "<u4")
    start = time.monotonic()
    num_tokens = num_documents = begin = 0
    with (folder / TOKENS).open("wb") as tokens, (folder / OFFSETS).open("wb") as ends:
        ends.write(bytes(8))
        for piece, ids in _encoded(pieces, tokenizer):
            num_tokens += len(ids)
            tokens.write(ids.astype(dtype).tobytes())
            if piece.is_last:
                if num_tokens == begin:
                    raise UserError(
                        f"{piece.place}: expected a text, got an empty document"
                    )
                if end is not None:
                    tokens.write(np.array([end], dtype).tobytes())
                    num_tokens += 1
                ends.write(num_tokens.to_bytes(8, "little"))
                num_documents, begin = num_documents + 1, num_tokens
            report(piece, num_tokens, time.monotonic() - start)
    if not num_documents:
        raise UserError("expected at least one document, got an empty corpus")
    return {
        "dtype": dtype.name,
        "num_tokens": num_tokens,
        "num_documents": num_documents,
        "vocab_size": tokenizer.vocab_size,
        "seconds": time.monotonic() - start,
    }


def _encoded(
    pieces: Iterator[Piece], tokenizer: Tokenizer
) -> Iterator[tuple[Piece, np.ndarray]]:
    """Pieces and their token ids, in order, tokenised by several threads."""

    def encode(bundle: Sequence[Piece]) -> list[tuple[Piece, np.ndarray]]:
        return [(piece, _ids(piece, tokenizer)) for piece in bundle]

    num_threads = os.cpu_count() or 1
    waiting: collections.deque[concurrent.futures.Future] = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(num_threads)
    try:
        for bundle in _bundles(pieces):
            waiting.append(pool.submit(encode, bundle))
            # One is ready when a thread has ended another.
            if len(waiting) > num_threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _ids(piece: Piece, tokenizer: Tokenizer) -> np.ndarray:
    """Token ids of a piece, integers [T]."""
    try:
        ids = tokenizer.encode(piece.text)
    except UserError as error:
        raise UserError(f"{piece.place}: {error}") from None
    if len(ids) and not 0 <= ids.min() <= ids.max() < tokenizer.vocab_size:
        raise UserError(
            f"{piece.place}: expected token ids below {tokenizer.vocab_size}, the "
            f"vocab_size of the tokenizer, got {ids.min()} to {ids.max()}"
        )
    return ids


def _bundles(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    """Consecutive pieces of some length together."""
    bundle: list[Piece] = []
    length = 0
    for piece in pieces:
        bundle.append(piece)
        length += len(piece.text)
        if length >= BUNDLE:
            yield bundle
            bundle, length = [], 0
    if bundle:
        yield bundle


def _reporter(
    progress: Callable[[Progress], None] | None, sizes: Sequence[int]
) -> Callable[[Piece, int, float], None]:
    """Function that calls ``progress`` about once for a bundle, and at the end."""
    total, unreported = max(sum(sizes), 1), 0

    def report(piece: Piece, num_tokens: int, seconds: float) -> None:
        nonlocal unreported
        unreported += len(piece.text)
        if progress is None or (unreported < BUNDLE and piece.position < total):
            return
        unreported = 0
        progress(Progress(min(piece.position / total, 1.0), num_tokens, seconds))

    return report


def _digest_of_file(path: Path) -> str:
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of_texts(texts: np.ndarray) -> str:
    """SHA-256 of texts and their lengths."""
    total = hashlib.sha256()
    for text in texts:
        content = str(text).encode("utf-8", "surrogatepass")
        total.update(f"{len(content)} ".encode())
        total.update(content)
    return total.hexdigest()
