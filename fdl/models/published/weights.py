"""Weights of published folders: found, told apart, and written in shards."""

import functools
import hashlib
import pathlib
from typing import Any

import flax.linen as nn

from fdl.errors import UserError
from fdl.files import opened, read_json
from fdl.models.pretrained.checkpoint import checked
from fdl.models.pretrained.convert import flatten, fused, their_names
from fdl.models.pretrained.safetensors_files import CODE
from fdl.models.pretrained.safetensors_files import write as write_arrays
from fdl.models.published.tokenizer_files import write_json
from fdl.types import Variables

NAME = "model.safetensors"
INDEX = f"{NAME}.index.json"
MAX_SHARD_BYTES = 5 << 30


def path_in(folder: pathlib.Path) -> pathlib.Path:
    """Path of the weights in a folder: a file, or the index of its shards.

    Raises:
      UserError: There are none, or only such as can run code when they are read.
    """
    # Of both, transformers reads the file.
    for name in (NAME, INDEX):
        if (folder / name).is_file():
            return folder / name
    pickles = sorted(x.name for x in folder.iterdir() if x.name.endswith(CODE))
    if pickles:
        raise UserError(
            f"{folder} has its weights in {pickles[0]}, a file of Python objects, "
            "which can run code when it is read: convert it to model.safetensors, with "
            "from_pretrained(DIR) and save_pretrained(DIR) of transformers"
        )
    raise UserError(f"{folder}: expected {NAME}, or {INDEX} and its shards")


def digests(folder: pathlib.Path) -> dict[str, str]:
    """SHA-256 of a model's files that determine what it computes, by name.

    Args:
      folder: Folder that the model was read from, with ``config.json`` and weights.
    """
    weights = path_in(folder)
    names = {"config.json", weights.name}
    if (folder / "tokenizer.json").exists():
        names.add("tokenizer.json")
    if weights.name == INDEX:
        names |= {*read_json(weights)["weight_map"].values()}
    return {name: _digest(folder / name) for name in sorted(names)}


def _digest(path: pathlib.Path) -> str:
    """SHA-256 of a file, which is read once while it stays as it is."""
    found = path.stat()
    return _digest_of(path.resolve(), found.st_size, found.st_mtime_ns)


@functools.lru_cache
def _digest_of(path: pathlib.Path, size: int, changed: int) -> str:
    """SHA-256 of a file of a size and a time."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(
    folder: pathlib.Path, variables: Variables, of: nn.Module, max_shard_bytes: int
) -> None:
    """Writes weights with the names of transformers, in one file or in shards.

    Args:
      folder: Folder.
      variables: Variables of the module.
      of: Module.
      max_shard_bytes: Size of a file; a single array may exceed it.

    Raises:
      UserError: The variables do not fit the module, or a file cannot be written.
    """
    if max_shard_bytes < 1:
        raise UserError(f"max_shard_bytes={max_shard_bytes}: expected at least 1")
    module, variables = checked(variables, of)
    leaves = flatten(variables)
    formats: Any = getattr(module, "checkpoints", dict)()
    rules = formats["transformers"]
    # A tied array has several names there, of which transformers writes the first.
    names = their_names(leaves, rules, copies=False)
    shards: list[list[str]] = [[]]
    size = total = 0
    for name, (_, paths) in names.items():
        num_bytes = sum(leaves[path].nbytes for path in paths)
        if shards[-1] and size + num_bytes > max_shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size, total = size + num_bytes, total + num_bytes
    files = [
        f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))
    ]
    files = [NAME] if len(shards) == 1 else files
    for file, shard in zip(files, shards, strict=True):
        arrays = {name: fused(leaves, *names[name]) for name in shard}
        write_arrays(folder / file, arrays, {"format": "pt"})
    if len(shards) > 1:
        index = {
            "metadata": {"total_size": total},
            "weight_map": {
                name: file
                for file, shard in zip(files, shards, strict=True)
                for name in shard
            },
        }
        write_json(folder / INDEX, index)
        (folder / NAME).unlink(missing_ok=True)
    else:
        (folder / INDEX).unlink(missing_ok=True)
    for old in {*folder.glob("model-*-of-*.safetensors")}:
        if old.name not in files:
            old.unlink()
