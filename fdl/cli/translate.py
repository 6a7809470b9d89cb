"""`fdl translate`: translate texts with a trained encoder-decoder."""

import argparse
import json
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from fdl import generation
from fdl.cli.arguments import (
    add_average,
    add_checkpoint,
    add_run,
    existing_output_path,
)
from fdl.cli.console import say, warn, write
from fdl.cli.translation_models import TranslationModel, load_translation_model
from fdl.config import in_range
from fdl.data.text.read_texts import read_texts
from fdl.errors import UserError, shown
from fdl.files import not_utf8
from fdl.generation import Translation
from fdl.runs.directory import write_text
from fdl.runs.process import prepare

GROUP = 1024  # Texts of a file that are sorted by length, translated and printed.
MAX_BEAMS = 1 << 10
MAX_ALPHA = 10.0
MAX_TOKENS = 1024  # Of a text, if the model was not trained on longer ones.

Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the trained models, the texts, and the search."""
    add_run(parser, "directory of a run, or an export")
    add = parser.add_argument
    add(
        "file",
        nargs="?",
        metavar="FILE",
        help="texts, one each line: a .txt, .csv or .jsonl file "
        "(default: standard input, each line answered as it comes)",
    )
    add(
        "--with",
        dest="others",
        action="append",
        default=[],
        metavar="RUN",
        help="another run or export, for an ensemble; may be repeated",
    )
    add_checkpoint(parser)
    add_average(parser)
    add("--run-seed", type=int, help="seed of the run (default: its first)")
    add("--num-beams", type=int, help="hypotheses (default: those of the config)")
    add("--alpha", type=float, help="length penalty (default: that of the config)")
    add(
        "--num-best",
        type=int,
        metavar="N",
        help="N translations of each text, with its number and their scores",
    )
    add("--column", metavar="NAME", help="the column of a CSV, or the JSON key")
    add("--output", help="a .jsonl file (default: terminal)")


def main(options: argparse.Namespace) -> int:
    """Translates texts; prints the translations in their order, or writes a file."""
    output = existing_output_path(options.output, (".jsonl",))
    prepare()
    model = _with_search(load_translation_model(options), options)
    rows: list[Row] = []
    num_texts = 0
    for texts in _groups(model, options):
        found = _translate(model, texts, options.num_best or 1)
        for text, best in zip(texts, found, strict=True):
            num_texts += 1
            new = [_row(num_texts, text, translation) for translation in best]
            if output is None:
                scored = options.num_best is not None
                write("".join(_line(row, scored=scored) for row in new))
            else:
                rows += new
        sys.stdout.flush()
    if output is not None:
        write_text(output, "".join(json.dumps(row) + "\n" for row in rows))
        noun = "text" if num_texts == 1 else "texts"
        say(f"{num_texts} {noun}, {len(rows)} translations, in {output}")
    return 0


def _with_search(
    model: TranslationModel, options: argparse.Namespace
) -> TranslationModel:
    """Model with the search that the options ask for."""
    if options.num_beams is not None:
        num_beams = in_range("--num-beams", options.num_beams, 1, MAX_BEAMS)
        model = model._replace(num_beams=num_beams)
    if options.alpha is not None:
        if not abs(options.alpha) <= MAX_ALPHA:  # NaN fails the comparison.
            raise UserError(
                f"--alpha={options.alpha}: expected at most {MAX_ALPHA:g}, and at "
                f"least {-MAX_ALPHA:g}"
            )
        model = model._replace(alpha=options.alpha)
    if options.num_best is not None and not 1 <= options.num_best <= model.num_beams:
        raise UserError(
            f"--num-best={options.num_best}: expected 1 to {model.num_beams}, as many "
            "as --num-beams"
        )
    return model


def _groups(
    model: TranslationModel, options: argparse.Namespace
) -> Iterator[Sequence[str]]:
    """Texts that are translated together: those of a file, or the next line."""
    if options.file in (None, "-"):
        if options.column is not None:
            raise UserError(f"--column={options.column}: expected a FILE")
        for i, line in enumerate(_standard_input(), 1):
            _check(model, line, i)
            yield [line]
        return
    texts = read_texts(pathlib.Path(options.file), options.column or model.column)
    # All of them, before the first of them costs time.
    for i, text in enumerate(texts, 1):
        _check(model, text, i)
    for start in range(0, len(texts), GROUP):
        yield texts[start : start + GROUP]


def _standard_input() -> Iterator[str]:
    """Lines of the standard input, each as soon as it is there."""
    if sys.stdin is None:  # It was closed at the start.
        return
    if sys.stdin.isatty():
        say("a text each line; Ctrl-D ends", file=sys.stderr)
    for i, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode("utf-8-sig" if i == 1 else "utf-8")
        except UnicodeDecodeError as error:
            place = pathlib.Path(f"standard input, line {i}")
            raise not_utf8(place, error) from None
        yield text.removesuffix("\n").removesuffix("\r")


def _check(model: TranslationModel, text: str, number: int) -> None:
    """Raises `UserError` if the model cannot translate a text; warns if it is long."""
    try:
        # With the end token.
        length = len(model.tokenizer.encode(text)) + 1
    except UserError as error:
        raise UserError(f"text {number}: {error}") from None
    most = max(MAX_TOKENS, model.max_length)
    if length > most:
        raise UserError(
            f"text {number}: {shown(text)}: {length} tokens: expected at most {most}, "
            "such as a sentence has"
        )
    if length > model.max_length:
        warn(
            f"text {number} has {length} tokens, and the longest that the model was "
            f"trained on has {model.max_length}"
        )


def _translate(
    model: TranslationModel, texts: Sequence[str], num_best: int
) -> list[list[Translation | None]]:
    """Translations of each text, the best first; None of one without any words."""
    there = [text for text in texts if text.strip()]
    found = iter(
        generation.translate(
            model.decoder,
            model.variables,
            there,
            model.tokenizer,
            target_tokenizer=model.target_tokenizer,
            begin=model.begin,
            end=model.end,
            num_beams=model.num_beams,
            num_best=num_best,
            length_penalty=generation.gnmt(model.alpha),
            max_extra=model.max_extra,
        )
    )
    return [[*next(found)] if text.strip() else [None] for text in texts]


def _row(number: int, text: str, translation: Translation | None) -> Row:
    """Row of JSON lines; a text without any words has no score."""
    return {
        "line": number,
        "source": text,
        "translation": translation.text if translation else "",
        "score": round(translation.score, 6) if translation else None,
    }


def _line(row: Row, *, scored: bool) -> str:
    """Line of a translation, whatever it has in it; with its number and its score."""
    text = row["translation"].replace("\r", " ").replace("\n", " ")
    if not scored:
        return f"{text}\n"
    score = "" if row["score"] is None else f"{row['score']:.4f}"
    return f"{row['line']}\t{score}\t{text}\n"
