"""`fdl generate`: continue texts with a trained language model."""

import argparse
import itertools
import json
import pathlib
import sys
from collections.abc import Iterable, Iterator, Sequence

import jax
import numpy as np

from fdl import generation
from fdl.cli.arguments import add_checkpoint, add_run, existing_output_path
from fdl.cli.console import say, write
from fdl.cli.language_models import LanguageModel, load_language_model
from fdl.config import in_range
from fdl.data.text.read_texts import read_texts
from fdl.errors import UserError
from fdl.generation.prompts import padded
from fdl.generation.text import decode_continuation, encode_prompts, without_stop
from fdl.runs.directory import write_text
from fdl.runs.process import prepare

BATCH_SIZE = 32  # Samples that are made together.
MAX_SAMPLES = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the trained model, the prompts, and how to sample."""
    add_run(parser, "directory of a run, or an export")
    add_checkpoint(parser)
    prompts = parser.add_mutually_exclusive_group(required=True)
    prompts.add_argument(
        "--prompt", action="append", metavar="TEXT", help="text to continue; or several"
    )
    prompts.add_argument("--prompts", metavar="FILE", help="texts, one each line")
    add = parser.add_argument
    add("--num", type=int, default=1, help="texts for each prompt (default: 1)")
    add("--max-tokens", type=int, default=200, help="default: 200")
    add("--temperature", type=float, default=1.0, help="0: the most likely token")
    add("--top-k", type=int, help="sample of the k most likely tokens")
    add("--top-p", type=float, help="sample of the tokens that have this probability")
    add("--min-p", type=float, help="least probability, relative to the largest")
    add("--repetition-penalty", type=float, default=1.0, help="above 1: fewer repeats")
    add(
        "--stop", action="append", default=[], metavar="TEXT", help="end in front of it"
    )
    add("--beams", type=int, help="beam search with so many beams, in place of samples")
    add("--seed", type=int, default=0, help="of the samples (default: 0)")
    add("--run-seed", type=int, help="seed of the run (default: its first)")
    add("--output", help="a .jsonl file (default: terminal)")


def main(options: argparse.Namespace) -> int:
    """Continues prompts; prints the texts while they are made, or writes a file."""
    output = existing_output_path(options.output, (".jsonl",))
    in_range("--seed", options.seed, 0, 2**32 - 1)
    in_range("--num", options.num, 1, MAX_SAMPLES)
    filters = _filters(options)
    if options.beams is not None:
        _check_beams(options)
    prepare()
    language = load_language_model(options, options.run_seed)
    prompts = options.prompt
    if options.prompts is not None:
        prompts = read_texts(pathlib.Path(options.prompts), language.column)
    decoder = generation.decoder(language.model)
    # All of them, before the first of them costs time.
    ids = encode_prompts(language.tokenizer, prompts, language.begin)
    if options.beams is not None:
        padded(decoder, ids, options.max_tokens)
        texts = _beams(language, decoder, zip(prompts, ids, strict=True), options)
    else:
        padded(decoder, ids, min(1, options.max_tokens))
        texts = _samples(language, decoder, prompts, filters, options)
    rows = []
    for prompt, pieces in texts:
        text, shown = "", prompt
        for piece in pieces:
            text += piece
            if output is None:
                # With the first piece, as an error would come before it.
                write(shown + piece)
                sys.stdout.flush()
                shown = ""
        rows.append({"prompt": prompt, "text": text})
        if output is None:
            write("\n")
    if output is not None:
        write_text(output, "".join(json.dumps(row) + "\n" for row in rows))
        noun = "text" if len(rows) == 1 else "texts"
        say(f"{len(rows)} {noun}, in {output}")
    return 0


def _check_beams(options: argparse.Namespace) -> None:
    """Raises `UserError` where beams are too few, or an option is of samples alone."""
    in_range("--beams", options.beams, 1, MAX_SAMPLES)
    if options.num > options.beams:
        raise UserError(f"--num={options.num}: expected 1 to --beams={options.beams}")
    defaults = {"temperature": 1.0, "top_k": None, "top_p": None, "min_p": None}
    for name, default in {**defaults, "repetition_penalty": 1.0}.items():
        if getattr(options, name) != default:
            option = name.replace("_", "-")
            raise UserError(
                f"--{option}: expected none with --beams, which draw nothing"
            )


def _filters(options: argparse.Namespace) -> list[generation.Filter]:
    chosen = [generation.temperature(options.temperature)]
    makers = {
        "top_k": generation.top_k,
        "top_p": generation.top_p,
        "min_p": generation.min_p,
    }
    for name, make in makers.items():
        value = getattr(options, name)
        chosen += [] if value is None else [make(value)]
    return chosen


def _stop_tokens(language: LanguageModel) -> list[int]:
    """Special tokens that end a text."""
    special, ends = language.tokenizer.special, (language.end, "eos")
    return sorted({special[role] for role in ends if role and role in special})


def _samples(
    language: LanguageModel,
    decoder: generation.Decoder,
    prompts: Sequence[str],
    filters: Sequence[generation.Filter],
    options: argparse.Namespace,
) -> Iterator[tuple[str, Iterable[str]]]:
    """Each prompt with the pieces of its text, `options.num` times."""
    size = max(1, BATCH_SIZE // options.num)
    parts = itertools.product(
        range(0, len(prompts), size), range(0, options.num, BATCH_SIZE)
    )
    for start, first in parts:
        batch = prompts[start : start + size]
        pieces = generation.stream_text(
            decoder,
            language.variables,
            language.tokenizer,
            batch,
            jax.random.key(options.seed),
            begin=language.begin,
            stop=options.stop,
            stop_tokens=_stop_tokens(language),
            filters=filters,
            num_samples=min(options.num - first, BATCH_SIZE),
            first_sample=first,
            max_tokens=options.max_tokens,
            repetition_penalty=options.repetition_penalty,
            numbers=range(start, start + len(batch)),
            context=decoder.max_length and max(1, decoder.max_length // 2),
        )
        if len(batch) * options.num == 1:
            yield batch[0], (piece[0][0] for piece in pieces)
            continue
        for prompt, samples in zip(batch, generation.joined(pieces), strict=True):
            for text in samples:
                yield prompt, [text]


def _beams(
    language: LanguageModel,
    decoder: generation.Decoder,
    prompts: Iterable[tuple[str, np.ndarray]],
    options: argparse.Namespace,
) -> Iterator[tuple[str, Iterable[str]]]:
    """Each prompt, with its token ids given, with its best continuations."""
    tokenizer, stop_tokens = language.tokenizer, _stop_tokens(language)
    for prompt, row in prompts:
        beams = generation.beam_search(
            decoder,
            language.variables,
            [row],
            num_beams=options.beams,
            max_tokens=options.max_tokens,
            stop_tokens=stop_tokens,
            vocab_size=tokenizer.vocab_size,
        )
        best = [np.asarray(x)[0, : options.num] for x in beams]
        for new, length, score in zip(*best, strict=True):
            if score == -np.inf:  # There are no more.
                break
            text = decode_continuation(tokenizer, row, new[:length])
            yield prompt, [without_stop(text, options.stop)]
