"""Published models of the Hugging Face Hub, pinned to a commit."""

import os
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Any

from fdl.errors import UserError, describe, shown
from fdl.files import expanded
from fdl.models.published import weights
from fdl.models.published.folder import from_folder, read
from fdl.models.published.record import Published

PREFIX = "hf:"
# Named one by one: the same weights in other formats would come too, and code.
SETTINGS = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
WEIGHTS = (weights.NAME, weights.INDEX, "model-*.safetensors")
LOG_IN = "log in by `hf auth login`, or set HF_TOKEN"


def from_hub(name: str, *, revision: str | None = None, **options: Any) -> Published:
    """Reads a published model of the Hugging Face Hub.

    Only what `from_folder` reads is fetched, into the cache that the user's other
    programs share; weights are fetched once the config is known to be supported. The
    variables of huggingface_hub hold: ``HF_HOME``, ``HF_HUB_CACHE``, ``HF_ENDPOINT``,
    ``HF_TOKEN``, and ``HF_HUB_OFFLINE=1``, with which nothing but the cache is read.

    Args:
      name: Name of the model, such as "openai-community/gpt2".
      revision: Branch, tag, or hash of a commit; None for the branch "main". The
        ``source`` of what is returned has the hash.
      **options: Those of `from_folder`.

    Raises:
      UserError: The hub cannot be reached, or has no such model or revision for this
        user; or as of `from_folder`.
    """
    return _from_hub(name, revision, options)[0]


def from_source(source: str | os.PathLike[str], **options: Any) -> Published:
    """Reads a published model of a folder or of the Hugging Face Hub, by one text.

    This is what an experiment calls with its ``config.weights``. The ``digests`` of
    what it returns, for `fdl.Experiment`, tell the files from others; each file is
    read once more for them.

    Args:
      source: Folder, or ``hf:NAME`` or ``hf:NAME@REVISION``.
      **options: Those of `from_folder`.

    Raises:
      UserError: As `from_folder` and `from_hub`.
    """
    if _is_of_hub(source):
        published, folder = _from_hub(*_parsed(source), options)
    else:
        published, folder = from_folder(source, **options), expanded(source)
    return published._replace(digests=weights.digests(folder))


def pinned(source: str) -> str:
    """Source as of `from_source`, with the hash of a commit for a branch or a tag.

    Folders, and sources that have one already, are as they were. A name of a branch
    means another model as soon as its authors change it.

    Args:
      source: Folder, or ``hf:NAME`` or ``hf:NAME@REVISION``.

    Raises:
      UserError: As `from_hub`.
    """
    if not _is_of_hub(source):
        return source
    name, revision = _parsed(source)
    if re.fullmatch("[0-9a-f]{40}", revision or ""):
        return source
    return _shown(name, _fetched(name, revision, SETTINGS).name)


def _is_of_hub(source: Any) -> bool:
    return str(source).startswith(PREFIX)


def _parsed(source: Any) -> tuple[str, str | None]:
    """Name and revision of ``hf:NAME@REVISION``."""
    name, _, revision = str(source).removeprefix(PREFIX).partition("@")
    return name, revision or None


def _shown(name: str, revision: str | None) -> str:
    """``hf:NAME@REVISION``."""
    return f"{PREFIX}{name}@{revision}" if revision else f"{PREFIX}{name}"


def _from_hub(
    name: str, revision: str | None, options: dict[str, Any]
) -> tuple[Published, pathlib.Path]:
    """Model, and its folder in the cache, whose name is the hash of the commit."""
    folder = _fetched(name, revision, SETTINGS)
    source = _shown(name, folder.name)

    def find_weights(folder: pathlib.Path) -> pathlib.Path:
        _fetched(name, folder.name, WEIGHTS)
        if not any((folder / file).is_file() for file in (weights.NAME, weights.INDEX)):
            raise UserError(
                f"{source}: expected {weights.NAME}, or {weights.INDEX} and its "
                "shards, on the hub or in the cache; weights in Python objects, which "
                "can run code when they are read, are not fetched"
            )
        return weights.path_in(folder)

    return read(folder, find_weights, **options)._replace(source=source), folder


def _fetched(name: str, revision: str | None, files: Sequence[str]) -> pathlib.Path:
    """Folder in the cache with some files of a revision, those that there are."""
    # Imported late: models need jax and flax alone.
    from huggingface_hub import errors, snapshot_download
    from huggingface_hub.utils import tqdm

    class Progress(tqdm):
        """Progress of large files, on terminals."""

        def __init__(self, *args: Any, **kwargs: Any):
            if files is SETTINGS or not sys.stderr.isatty():
                kwargs["disable"] = True
            super().__init__(*args, **kwargs)

    try:
        found = snapshot_download(
            name, revision=revision, allow_patterns=[*files], tqdm_class=Progress
        )
        return pathlib.Path(found)
    except errors.HFValidationError:
        text = "expected hf:ORGANISATION/NAME or hf:ORGANISATION/NAME@REVISION"
    except errors.GatedRepoError:
        text = (
            "its authors grant access on request: ask for it on the page of the model, "
            f"and {LOG_IN}"
        )
    except errors.RepositoryNotFoundError:
        text = f"the hub has no such model; or it is private: {LOG_IN}"
    except errors.RevisionNotFoundError:
        text = (
            "the model has no such revision: expected a branch, a tag or the hash of a "
            "commit"
        )
    except errors.LocalEntryNotFoundError as error:
        cause = error.__cause__
        if cause is None or isinstance(cause, errors.OfflineModeIsEnabled):
            text = (
                "not in the cache, or not all of it: expected a model that was fetched "
                "before, as HF_HUB_OFFLINE is set"
            )
        else:
            text = f"not in the cache, and the hub cannot be reached: {describe(cause)}"
    except Exception as error:  # Of the network, in types of the library below.
        text = f"cannot be fetched from the hub: {describe(error)}"
    raise UserError(f"{shown(_shown(name, revision))}: {shown(text)}")
