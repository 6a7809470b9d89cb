"""`fdl score`: likelihood of texts under a trained language model."""

import argparse
import math
import pathlib
from collections.abc import Sequence

import numpy as np

from fdl import evaluation
from fdl.cli.arguments import add_checkpoint, add_run, add_seed, existing_output_path
from fdl.cli.console import say, write
from fdl.cli.language_models import (
    LanguageModel,
    encode_whole,
    load_language_model,
)
from fdl.data.text.read_texts import read_texts
from fdl.errors import RunError, UserError
from fdl.files import read_text
from fdl.runs.directory import write_text
from fdl.runs.process import prepare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the trained model, the file and the output."""
    add_run(parser, "directory of a run, or an export")
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
    found = _score(language, texts, options)
    lines = {
        "log_likelihood": found[0],
        "tokens": found[1],
        # Of a text without a token that counts there is none.
        "perplexity": np.where(
            found[1] > 0, np.exp(-found[0] / np.maximum(found[1], 1)), np.nan
        ),
    }
    names = [str(i) for i in range(1, len(texts) + 1)]
    rows = evaluation.prediction_rows(lines, names)
    as_json = output is not None and output.suffix == ".jsonl"
    text = evaluation.as_json(rows) if as_json else evaluation.as_csv(rows)
    if output is None:
        write(text)
    else:
        write_text(output, text)
    if path.suffix.lower() not in (".csv", ".jsonl"):
        # A text in lines is one text as well: its lines say much of those after them.
        texts = [read_text(path)]
        found = _score(language, texts, options)
    say(_summary(path, texts, *found))
    return 0


def _score(
    language: LanguageModel, texts: Sequence[str], options: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood of each text, and the number of tokens that count."""
    totals, counts = evaluation.log_likelihoods(
        language.model,
        language.variables,
        [encode_whole(language, text, f"text {i}") for i, text in enumerate(texts, 1)],
        window=language.window if options.window is None else options.window,
        stride=options.stride,
    )
    if not np.isfinite(totals).all():
        raise RunError("the logits of the model are NaN or infinite")
    return totals, counts


def _summary(
    path: pathlib.Path, texts: Sequence[str], totals: np.ndarray, counts: np.ndarray
) -> str:
    """Line on all texts together: nats a token, perplexity, bits a byte."""
    total, count = totals.sum(), counts.sum()
    if not count:
        raise UserError(f"{path}: expected texts of more than one token")
    num_bytes = sum(len(text.encode()) for text in texts)
    return (
        f"{path}: log-likelihood {total:.2f} of {count:,} tokens: "
        f"loss {-total / count:.4f}, perplexity {math.exp(-total / count):.4g}, "
        f"{-total / math.log(2) / num_bytes:.4f} bits per byte"
    )
