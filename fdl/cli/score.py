"""`fdl score`: likelihood of texts under a trained language model."""

import argparse
import math
import pathlib
from collections.abc import Sequence

import numpy as np

from fdl import evaluation
from fdl.cli.arguments import (
    MODEL,
    add_checkpoint,
    add_run,
    add_seed,
    existing_output_path,
)
from fdl.cli.console import say, write
from fdl.cli.language_models import (
    LanguageModel,
    encode_whole,
    load_language_model,
)
from fdl.data.text.read_texts import read_texts
from fdl.data.text.tokenizers import Tokenizer, token_sizes
from fdl.errors import RunError, UserError
from fdl.files import read_text
from fdl.runs.directory import write_text
from fdl.runs.process import prepare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the trained model, the file and the output."""
    add_run(parser, MODEL)
    parser.add_argument(
        "file", metavar="FILE", help="texts: a .txt, .csv or .jsonl file, one each line"
    )
    add_checkpoint(parser)
    add_seed(parser)
    parser.add_argument(
        "--window", type=int, help="tokens that the model is given at once"
    )
    parser.add_argument(
        "--stride", type=int, help="by how many it moves on (default: half of them)"
    )
    parser.add_argument(
        "--column", metavar="NAME", help="the column of a CSV, or the JSON key"
    )
    parser.add_argument("--output", help="a .csv or .jsonl file (default: terminal)")


def main(options: argparse.Namespace) -> int:
    """Writes a row for each text, and prints the likelihood of all of them."""
    output = existing_output_path(options.output, (".csv", ".jsonl"))
    prepare()
    language = load_language_model(options, options.seed)
    path = pathlib.Path(options.file)
    column = options.column or language.column
    texts = read_texts(path, column)
    found = whole = _score(language, texts, options)
    if path.suffix.lower() not in (".csv", ".jsonl"):
        # A text in lines is one text as well: its lines say much of those after them.
        whole = _score(language, [read_text(path).removeprefix("\ufeff")], options)
    lines = {
        "log_likelihood": found[0],
        "tokens": found[1],
        # Of a text without a token that counts there is none.
        "perplexity": np.where(
            found[1] > 0, np.exp(-found[0] / np.maximum(found[1], 1)), np.nan
        ),
    }
    names = [str(i) for i in range(len(texts))]  # As of `fdl predict`.
    rows = evaluation.prediction_rows(lines, names)
    as_json = output is not None and output.suffix == ".jsonl"
    text = evaluation.as_json(rows) if as_json else evaluation.as_csv(rows)
    if output is None:
        write(text)
    else:
        write_text(output, text)
    say(_summary(path, *whole))
    return 0


def _score(
    language: LanguageModel, texts: Sequence[str], options: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray, int]:
    """Log-likelihood of each text, the tokens that count, and the bytes of them all."""
    ids = [encode_whole(language, text, f"text {i}") for i, text in enumerate(texts, 1)]
    totals, counts = evaluation.log_likelihoods(
        language.model,
        language.variables,
        ids,
        window=language.window if options.window is None else options.window,
        stride=options.stride,
    )
    if not np.isfinite(totals).all():
        raise RunError("the logits of the model are NaN or infinite")
    num_bytes = sum(len(text.encode()) for text in texts)
    if language.begin is None:
        # The first token of each has no likelihood.
        num_bytes -= _num_bytes(language.tokenizer, [row[0] for row in ids if len(row)])
    return totals, counts, num_bytes


def _num_bytes(tokenizer: Tokenizer, tokens: Sequence[int]) -> int:
    """Number of bytes that tokens stand for."""
    try:
        return int(token_sizes(tokenizer, "bytes")[[*tokens]].sum())
    except UserError:  # Words, and the like.
        return sum(len(tokenizer.decode([token]).encode()) for token in tokens)


def _summary(
    path: pathlib.Path, totals: np.ndarray, counts: np.ndarray, num_bytes: int
) -> str:
    """Line on all texts together: nats a token, perplexity, bits a byte."""
    total, count = totals.sum(), counts.sum()
    if not count:
        raise UserError(f"{path}: expected texts of more than one token")
    text = (
        f"{path}: log-likelihood {total:.2f} of {count:,} tokens: "
        f"loss {-total / count:.4f}, perplexity {math.exp(-total / count):.4g}"
    )
    bits = -total / math.log(2)
    return f"{text}, {bits / num_bytes:.4f} bits per byte" if num_bytes else text
