"""`fdl generate`: continue texts with a trained language model."""

import argparse
import itertools
import json
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from fdl import generation
from fdl.cli.arguments import MODEL, add_checkpoint, add_run, existing_output_path
from fdl.cli.console import say, warn, write
from fdl.cli.language_models import LanguageModel, load_language_model
from fdl.config import in_range
from fdl.data.text.huggingface import special_encoder
from fdl.data.text.read_texts import read_messages, read_texts
from fdl.errors import UserError
from fdl.generation import chat
from fdl.generation.prompts import padded
from fdl.generation.text import decode_continuation, encode_prompts, without_stop
from fdl.runs.directory import write_text
from fdl.runs.process import prepare

BATCH_SIZE = 32  # Samples that are made together.
MAX_SAMPLES = 1 << 20
DEFAULTS = {"temperature": 1.0, "repetition_penalty": 1.0}  # Of sampling.
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the trained model, the prompts, and how to sample."""
    add_run(parser, MODEL)
    add_checkpoint(parser)
    prompts = parser.add_mutually_exclusive_group(required=True)
    prompts.add_argument(
        "--prompt", action="append", metavar="TEXT", help="text to continue; or several"
    )
    prompts.add_argument("--prompts", metavar="FILE", help="texts, one each line")
    add = parser.add_argument
    add("--chat", action="store_true", help="answer, by the chat template of a folder")
    add("--num", type=int, default=1, help="texts for each prompt (default: 1)")
    add("--max-tokens", type=int, default=200, help="default: 200")
    add("--temperature", type=float, help="0: the most likely token (default: 1)")
    add("--top-k", type=int, help="sample of the k most likely tokens")
    add("--top-p", type=float, help="sample of the tokens that have this probability")
    add("--min-p", type=float, help="least probability, relative to the largest")
    add("--repetition-penalty", type=float, help="above 1: fewer repeats")
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
    chosen = {k: x for k in SAMPLING if (x := getattr(options, k)) is not None}
    _filters(chosen)  # Checked before a model is loaded.
    if options.beams is not None:
        _check_beams(options)
    prepare()
    language = load_language_model(options, options.run_seed)
    language, prompts, given = _prompts(language, options)
    decoder = generation.decoder(language.model)
    # All of them, before the first of them costs time.
    ids = encode_prompts(language.tokenizer, prompts, language.begin)
    if options.beams is not None:
        padded(decoder, ids, options.max_tokens)
        texts = _beams(language, decoder, ids, options)
    else:
        padded(decoder, ids, min(1, options.max_tokens))
        settings = _settings(language, chosen, options.workdir)
        texts = _samples(language, decoder, prompts, settings, options)
    rows = []
    for i, pieces in texts:
        text, shown = "", "" if options.chat else prompts[i]
        for piece in pieces:
            text += piece
            if output is None:
                # With the first piece, as an error would come before it.
                write(shown + piece)
                sys.stdout.flush()
                shown = ""
        rows.append({**given[i], "text": text})
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
    for name in SAMPLING:
        if getattr(options, name) is not None:
            option = name.replace("_", "-")
            raise UserError(
                f"--{option}: expected none with --beams, which draw nothing"
            )


def _prompts(
    language: LanguageModel, options: argparse.Namespace
) -> tuple[LanguageModel, list[str], list[dict[str, Any]]]:
    """Language model that encodes prompts, the prompts, and rows of what was given."""
    path = None if options.prompts is None else pathlib.Path(options.prompts)
    as_messages = options.chat and path is not None and path.suffix.lower() == ".jsonl"
    texts = options.prompt or []
    if path is not None and not as_messages:
        texts = read_texts(path, language.column)
    if not options.chat:
        return language, texts, [{"prompt": text} for text in texts]
    template, tokenizer = language.chat_template, language.tokenizer
    if template is None:
        raise UserError(
            f"{options.workdir} has no chat template: expected a published model with "
            "a chat_template.jinja, or a chat_template in its tokenizer_config.json"
        )
    given = [{"messages": [{"role": "user", "content": text}]} for text in texts]
    if path is not None and as_messages:
        given = read_messages(path)
    prompts = chat.prompts(template, [row["messages"] for row in given], tokenizer)
    # Templates write all special tokens themselves.
    tokenizer = tokenizer._replace(encode=special_encoder(tokenizer))
    return language._replace(tokenizer=tokenizer, begin=None), prompts, given


def _settings(
    language: LanguageModel, chosen: Mapping[str, Any], place: str
) -> dict[str, Any]:
    """Settings of sampling: those of the user, then of the model, then of fdl."""
    stated = {k: x for k, x in language.sampling.items() if k not in chosen}
    if stated:
        texts = [f"{name} {x:g}" for name, x in stated.items()]
        warn(f"{place}: {', '.join(texts)}, by its generation_config.json")
    return {**DEFAULTS, **stated, **chosen}


def _filters(settings: Mapping[str, Any]) -> list[generation.Filter]:
    makers: dict[str, Callable[..., generation.Filter]] = {
        "temperature": generation.temperature,
        "top_k": generation.top_k,
        "top_p": generation.top_p,
        "min_p": generation.min_p,
    }
    return [make(settings[name]) for name, make in makers.items() if name in settings]


def _samples(
    language: LanguageModel,
    decoder: generation.Decoder,
    prompts: Sequence[str],
    settings: Mapping[str, Any],
    options: argparse.Namespace,
) -> Iterator[tuple[int, Iterable[str]]]:
    """Number of each prompt with the pieces of its text, `options.num` times."""
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
            stop_tokens=language.stop_tokens,
            filters=_filters(settings),
            num_samples=min(options.num - first, BATCH_SIZE),
            first_sample=first,
            max_tokens=options.max_tokens,
            repetition_penalty=settings["repetition_penalty"],
            numbers=range(start, start + len(batch)),
            context=decoder.max_length and max(1, decoder.max_length // 2),
        )
        if len(batch) * options.num == 1:
            yield start, (piece[0][0] for piece in pieces)
            continue
        for i, samples in enumerate(generation.joined(pieces), start):
            for text in samples:
                yield i, [text]


def _beams(
    language: LanguageModel,
    decoder: generation.Decoder,
    prompts: Sequence[np.ndarray],
    options: argparse.Namespace,
) -> Iterator[tuple[int, Iterable[str]]]:
    """Number of each prompt, of token ids, with its best continuations."""
    for i, row in enumerate(prompts):
        beams = generation.beam_search(
            decoder,
            language.variables,
            [row],
            num_beams=options.beams,
            max_tokens=options.max_tokens,
            stop_tokens=language.stop_tokens,
            vocab_size=language.tokenizer.vocab_size,
        )
        best = [np.asarray(x)[0, : options.num] for x in beams]
        for new, length, score in zip(*best, strict=True):
            if score == -np.inf:  # There are no more.
                break
            text = decode_continuation(language.tokenizer, row, new[:length])
            yield i, [without_stop(text, options.stop)]
