"""Folders of published models, as Hugging Face lays them out."""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from fdl.errors import UserError, near, shown
from fdl.files import expanded, read_json, write_bytes
from fdl.models.attributes import check
from fdl.models.attributes import fields as attributes_of
from fdl.models.functional import functional
from fdl.models.language.bert import BERT
from fdl.models.language.gpt import GPT
from fdl.models.language.llama import Llama
from fdl.models.pretrained.checkpoint import load
from fdl.models.published import bert, gpt2, llama, tokenizer_files, vit, weights
from fdl.models.published.fields import Config, check_general, labels
from fdl.models.published.record import Published
from fdl.models.vision.vit import ViT
from fdl.types import NOTHING, Key


class Family(NamedTuple):
    """Functions between configs of some architectures and modules.

    Attributes:
      read: ``read(config, architecture, options) -> (class, attributes)``.
      write: ``write(module, config) -> config``.
      module: Class of the modules.
      architectures: Value of ``model_type`` by the name of the architecture.
    """

    read: Any
    write: Any
    module: type[nn.Module]
    architectures: dict[str, str]


FAMILIES = (
    Family(gpt2.read, gpt2.write, GPT, {"GPT2LMHeadModel": "gpt2"}),
    Family(
        llama.read,
        llama.write,
        Llama,
        {f"{name}ForCausalLM": name.lower() for name in ("Llama", "Mistral", "Qwen2")},
    ),
    Family(
        bert.read,
        bert.write,
        BERT,
        {
            f"Bert{head}": "bert"
            for head in (
                "Model",
                "ForMaskedLM",
                "ForPreTraining",
                "ForSequenceClassification",
                "ForTokenClassification",
            )
        },
    ),
    Family(
        vit.read,
        vit.write,
        ViT,
        {"ViTModel": "vit", "ViTForImageClassification": "vit"},
    ),
)


def from_folder(
    folder: str | os.PathLike[str],
    *,
    architecture: str | None = None,
    allow: str | Sequence[str] = (),
    key: Key | None = None,
    **options: Any,
) -> Published:
    """Reads a published model from a folder as Hugging Face lays it out.

    It has ``config.json``; ``model.safetensors``, or shards with their index; and
    optionally ``tokenizer.json``, ``generation_config.json`` and, for images,
    ``preprocessor_config.json``. Nothing in it is run. A value of the config that
    changes the outputs and is not supported is an error.

    Args:
      folder: Folder.
      architecture: Name of one in transformers, such as
        "BertForSequenceClassification"; None for that of the config.
      allow: Patterns of variables and names that may differ, as of `fdl.models.load`:
        ``"params/head/*"``, say, for a head of one's own.
      key: Random key of variables that are not in the file, as of `fdl.models.load`.
      **options: Attributes of the module that differ from the config, such as
        ``dropout``, ``remat``, ``scan_layers``, ``dtype`` and ``param_dtype``, the
        dtype of the weights; by default that of the config.

    Raises:
      UserError: A file is missing or damaged, or something is not supported.
      WeightsError: The weights do not fit the config.

    Example:
      >>> import jax, tempfile
      >>> from fdl import models
      >>> model = models.functional(models.GPT(1, 2, 8, vocab_size=5, max_length=4))
      >>> variables = jax.jit(model.init)(jax.random.key(0))
      >>> folder = tempfile.mkdtemp()
      >>> models.to_folder(folder, models.Published(model, variables))
      >>> models.from_folder(folder).config["architectures"]
      ['GPT2LMHeadModel']
    """
    path = expanded(folder)
    if not path.is_dir():
        raise UserError(f"{path}: expected a folder of a published model")
    return read(
        path,
        weights.path_in,
        architecture=architecture,
        allow=allow,
        key=key,
        **options,
    )


def read(
    path: pathlib.Path,
    find_weights: Callable[[pathlib.Path], pathlib.Path],
    *,
    architecture: str | None = None,
    allow: str | Sequence[str] = (),
    key: Key | None = None,
    **options: Any,
) -> Published:
    """Reads a published model; see `from_folder`.

    Args:
      path: Folder.
      find_weights: Function of the folder, called once its config is known to be
        supported, that returns the path of the weights, or of the index of their
        shards.
      architecture: As of `from_folder`.
      allow: As of `from_folder`.
      key: As of `from_folder`.
      **options: As of `from_folder`.

    Raises:
      UserError: As `from_folder`.
    """
    if not (path / "config.json").is_file():
        raise UserError(f"{path}: expected a config.json in the folder")
    config = read_json(path / "config.json")
    try:
        name, module = module_of(config, architecture, options)
        names = labels(config) if getattr(module, "num_classes", None) else ()
    except UserError as error:
        raise UserError(f"{path / 'config.json'}: {error}") from None
    allow = [allow] if isinstance(allow, str) else [*allow]
    ignored = bert.IGNORED.get(name, ())
    variables, _ = load(find_weights(path), module, allow=[*allow, *ignored], key=key)
    generation = _optional_json(path / "generation_config.json")
    tokenizer, begin, end = (
        tokenizer_files.read(path, (config, generation)) or [None] * 3
    )
    preprocessor = _optional_json(path / "preprocessor_config.json")
    images = None
    if preprocessor and isinstance(module, ViT):
        try:
            images = vit.read_images(preprocessor, module.image_size)
        except UserError as error:
            raise UserError(f"{path / 'preprocessor_config.json'}: {error}") from None
    return Published(
        functional(module),
        variables,
        tokenizer,
        config,
        generation,
        begin,
        end,
        tokenizer_files.read_chat_template(path),
        names,
        images,
        str(path),
    )


def to_folder(
    folder: str | os.PathLike[str],
    published: Published,
    *,
    max_shard_bytes: int = weights.MAX_SHARD_BYTES,
) -> None:
    """Writes a model to a folder as Hugging Face lays it out; transformers reads it.

    Inverse of `from_folder`. Files that are there already are replaced; layers that are
    scanned are written unrolled.

    Args:
      folder: Folder, which is made if there is none.
      published: Model of a `GPT`, `Llama`, `BERT`, `BERTPretraining` or `ViT`, with its
        variables; what it has besides is written too. Entries of its config that the
        model does not determine are kept.
      max_shard_bytes: Size of the weights in one file; more are written to several,
        with an index.

    Raises:
      UserError: Transformers has no such model, or a file cannot be written.
    """
    path, tokenizer = expanded(folder), published.tokenizer
    config = config_of(published)
    module = published.model.module
    try:
        path.mkdir(parents=True, exist_ok=True)
        weights.write(path, published.variables, module, max_shard_bytes)
        tokenizer_files.write_json(path / "config.json", config)
        if published.generation_config:
            name = "generation_config.json"
            tokenizer_files.write_json(path / name, published.generation_config)
        if tokenizer is not None:
            tokenizer_files.write(path, tokenizer, published.begin, published.end)
        if published.chat_template is not None:
            template = published.chat_template.encode()
            write_bytes(path / tokenizer_files.CHAT_TEMPLATE, template)
        if published.images is not None:
            images = vit.write_images(published.images)
            tokenizer_files.write_json(path / "preprocessor_config.json", images)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error


def module_of(
    config: Config, architecture: str | None = None, options: Config = NOTHING
) -> tuple[str, nn.Module]:
    """Name of the architecture of a config, and its module.

    Args:
      config: Content of ``config.json``.
      architecture: Name of another architecture to read it as, or None.
      options: Attributes of the module that differ from the config.

    Raises:
      UserError: Something is not supported.
    """
    known = {name: x for x in FAMILIES for name in x.architectures}
    declared = config.get("architectures") or []
    if architecture is None and (not isinstance(declared, list) or len(declared) != 1):
        raise UserError(
            f"architectures={shown(repr(declared))}: expected one; or choose it, by "
            "architecture=NAME"
        )
    name = architecture or str(declared[0])
    if name not in known:
        where = "architectures" if architecture is None else "architecture"
        raise UserError(
            f"{where}={shown(name)!r}: expected an architecture that is supported. "
            f"{near(name, known)}"
        )
    family = known[name]
    expected = family.architectures[name]
    if config.get("model_type", expected) != expected:
        found = shown(repr(config["model_type"]))
        raise UserError(f"model_type={found}: expected {expected!r}, as of {name}")
    check_general(config)
    kind, attributes = family.read(config, name, options)
    dtype = config.get("dtype") or config.get("torch_dtype") or "float32"
    attributes |= {"param_dtype": dtype, **options}
    fields = attributes_of(kind)
    for option in options:
        if option not in fields:
            raise UserError(
                f"{option}: expected an attribute of {kind.__name__}. "
                f"{near(option, fields)}"
            )
    module = kind(**attributes)
    check(module)
    return name, module


def config_of(published: Published) -> dict[str, Any]:
    """Content of the ``config.json`` of a model; inverse of `module_of`.

    Args:
      published: Model; entries of its config that it does not determine are kept.

    Raises:
      UserError: Transformers has no such model.
    """
    module = published.model.module
    family = next((x for x in FAMILIES if isinstance(module, x.module)), None)
    if family is None:
        raise UserError(
            f"model of {type(module).__name__}: expected a GPT, Llama, BERT or ViT"
        )
    config = {**published.config, **family.write(module, published.config)}
    config = {k: x for k, x in config.items() if k not in ("torch_dtype", "auto_map")}
    config["dtype"] = str(jnp.dtype(module.param_dtype))
    num_classes = getattr(module, "num_classes", None)
    if num_classes is not None:
        names = published.labels or [f"LABEL_{i}" for i in range(num_classes)]
        config["id2label"] = {str(i): name for i, name in enumerate(names)}
        config["label2id"] = {name: i for i, name in enumerate(names)}
    if published.tokenizer is not None:
        special = published.tokenizer.special
        ids = {f"{role}_token_id": i for role, i in special.items()}
        config |= {name: i for name, i in ids.items() if config.get(name) is None}
    return config


def _optional_json(path: pathlib.Path) -> dict[str, Any]:
    """Object of a JSON file; empty without the file."""
    return read_json(path) if path.is_file() else {}
