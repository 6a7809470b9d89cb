"""Reading of adapters of LoRA from files of PEFT, of Hugging Face."""

import math
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import numpy as np

from fdl.errors import UserError, check_type, shown
from fdl.files import expanded, read_json
from fdl.models.layers.layer_stack import stack_layers, unstack_layers
from fdl.models.lora import A, B, lora, with_adapters
from fdl.models.pretrained.checkpoint import unrolled
from fdl.models.pretrained.convert import flatten, names_of, stand_for, unflatten
from fdl.models.pretrained.rules import Numpy, Rules
from fdl.models.pretrained.safetensors_files import reading
from fdl.types import Model, Variables

WEIGHTS_FILE, CONFIG_FILE = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."  # Of all names: PEFT's wrappers of a model.
# Options of PEFT that have to be as here. Some initialisations change the base.
PLAIN: Mapping[str, Sequence[Any]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "use_dora": (False, None),
    "use_qalora": (False, None),
    "lora_bias": (False, None),
    "layer_replication": (None,),
    "target_parameters": (None, []),
    "init_lora_weights": (True, False, None, "gaussian", "orthogonal", "eva"),
}
# Those that are read, and those that say nothing of what an adapter computes. Of others
# that are set, nobody here can say.
READ = {
    *("r", "lora_alpha", "alpha_pattern", "use_rslora", "ensure_weight_tying"),
    *("rank_pattern", "target_modules", "modules_to_save"),  # By the arrays.
    *("auto_mapping", "base_model_name_or_path", "eva_config", "exclude_modules"),
    *("fan_in_fan_out", "inference_mode", "layers_pattern", "layers_to_transform"),
    *("lora_dropout", "megatron_config", "megatron_core", "peft_version"),
    *("qalora_group_size", "revision", "task_type", *PLAIN),
}


def load_adapters(
    folder: str | os.PathLike[str], model: Model, variables: Variables
) -> tuple[Model, Variables]:
    """Loads adapters that PEFT or `save_adapters` saved, beside their base.

    Args:
      folder: Folder with ``adapter_model.safetensors`` and ``adapter_config.json``.
      model: Base, a model of the zoo.
      variables: Variables of the base.

    Returns:
      The adapted model and its variables, in float32; `merge_lora` makes one set of
      weights of these. To train on, begin with `initialised` of both.

    Raises:
      UserError: A file is missing or damaged, says what is not known here, or does not
        fit the base.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    folder = expanded(folder)
    config = read_json(folder / CONFIG_FILE)
    scale_of = _scales(config, folder / CONFIG_FILE)
    scale = scale_of("", config.get("r", 8))
    path = folder / WEIGHTS_FILE
    rules = transformers_rules(model.module)
    scanned = unrolled(model.module) is not model.module
    params = variables["params"]
    base = flatten(unstack_layers(params) if scanned else params)
    found: dict[str, Any] = {}
    with reading(path) as tensors:
        names = {name.removeprefix(PREFIX): name for name in tensors}
        for name, whole_name in names.items():
            module, _, part = name.removesuffix(".weight").rpartition(".")
            if part == "lora_B":
                continue
            if part == "lora_A":
                other = f"{module}.lora_B.weight"
                if other not in names:
                    raise UserError(f"{path}: expected {shown(other)} as well")
                pair = tensors[whole_name], tensors[names[other]]
                factor = scale_of(module, len(pair[0])) / scale
                found |= _as_several(module, *pair, factor, rules, base, path)
            else:
                found |= _whole(name, tensors[whole_name], rules, base, path)
                if not config.get("ensure_weight_tying"):
                    _check_tied(name, names, rules, base, path)
    ranks = [x.shape[-1] for name, x in found.items() if name.endswith(f"/{A}")]
    if not ranks:
        raise UserError(f"{path}: expected adapters, arrays named lora_A and lora_B")
    tree = unflatten(found)
    if scanned:
        _check_all_layers(found, base, path)
        tree = stack_layers(tree)
    adapters = flatten(tree)
    places = [p.removesuffix(f"/{A}") for p in adapters if p.endswith(f"/{A}")]
    whole = [p for p in adapters if not p.endswith((f"/{A}", f"/{B}"))]
    adapted = lora(model, min(ranks), match=places, whole=whole)
    return adapted, with_adapters(variables, adapters, scale)


def transformers_rules(module: nn.Module | None) -> Rules:
    """Rules of the format of transformers of a module."""
    formats: Mapping[str, Rules] = getattr(module, "checkpoints", dict)()
    if "transformers" not in formats:
        raise UserError(
            f"model of {type(module).__name__}: expected one with a format of "
            "transformers, such as a GPT, Llama or BERT"
        )
    return formats["transformers"]


def _as_several(
    module: str,
    a: Numpy,
    b: Numpy,
    factor: float,
    rules: Rules,
    base: Mapping[str, Any],
    path: pathlib.Path,
) -> dict[str, Numpy]:
    """A and factor · B of our kernels, by path, of a module of a checkpoint."""
    paths = _paths(f"{module}.weight", rules, base, path)
    kernels = [base[p] for p in paths]
    inputs, widths = kernels[0].shape[0], [kernel.shape[-1] for kernel in kernels]
    expected = [[len(a), inputs], [sum(widths), len(a)]]
    if [[*a.shape], [*b.shape]] != expected or any(k.ndim != 2 for k in kernels):
        raise UserError(
            f"{path}: {shown(module)} has lora_A {[*a.shape]} and lora_B {[*b.shape]}:"
            f" expected {expected[0]} and {expected[1]}, as of the base"
        )
    columns = np.split(
        b.T.astype(np.float32) * np.float32(factor), np.cumsum(widths)[:-1], axis=1
    )
    places = [p.removesuffix("kernel") for p in paths]
    found = {place + A: a.T.astype(np.float32) for place in places}
    return found | {p + B: part for p, part in zip(places, columns, strict=True)}


def _whole(
    name: str, array: Numpy, rules: Rules, base: Mapping[str, Any], path: pathlib.Path
) -> dict[str, Numpy]:
    """Parameters of the base, by path, that were trained as a whole."""
    paths = _paths(name, rules, base, path)
    rule, _ = stand_for([name], rules)[name]
    parts = np.split(array, len(paths), rule.axis) if len(paths) > 1 else [array]
    found = {p: rule.layout.to_ours(x) for p, x in zip(paths, parts, strict=True)}
    for p, x in found.items():
        if x.shape != base[p].shape:
            raise UserError(
                f"{path}: {shown(name)} {[*array.shape]} does not fit {p} "
                f"{[*base[p].shape]}"
            )
    return found


def _check_tied(
    name: str,
    names: Mapping[str, str],
    rules: Rules,
    base: Mapping[str, Any],
    path: pathlib.Path,
) -> None:
    """Raises `UserError` if of two arrays that are one here only one was trained."""
    for place in _paths(name, rules, base, path):
        for other in names_of(f"params/{place}", rules):
            if other not in names:
                raise UserError(
                    f"{path}: {shown(name)} without {shown(other)}: expected both, as "
                    "they are tied"
                )


def _paths(
    name: str, rules: Rules, base: Mapping[str, Any], path: pathlib.Path
) -> list[str]:
    """Paths of parameters of the base that a name of a checkpoint stands for."""
    _, paths = stand_for([name], rules).get(name, (None, []))
    paths = [p.removeprefix("params/") for p in paths]
    if not paths or not all(p in base for p in paths):
        raise UserError(f"{path}: the model has no {shown(name)} to adapt")
    return paths


def _check_all_layers(
    found: Mapping[str, Any], base: Mapping[str, Any], path: pathlib.Path
) -> None:
    """Raises `UserError` unless all layers of a scanned model are adapted alike."""

    def layers(paths):
        counts: dict[str, int] = {}
        for p in paths:
            place = re.sub(r"\blayers_\d+\b", "layers", p)
            counts[place] = counts.get(place, 0) + 1
        return counts

    kernels = layers(base)
    for place, count in layers(found).items():
        kernel = re.sub(f"/({A}|{B})$", "/kernel", place)
        if count != kernels[kernel]:
            raise UserError(
                f"{path} adapts {count} of {kernels[kernel]} layers, {place}: expected "
                "all, as of scanned layers (scan_layers=False takes some)"
            )


def _scales(config: Mapping[str, Any], path: pathlib.Path):
    """Function of a module's name and rank to its scale."""
    for name, values in PLAIN.items():
        value = config.get(name, values[0])
        if value not in values:
            raise UserError(
                f"{path}: {name}={value!r:.50}: expected {values[0]!r}, as nothing "
                "else is known here"
            )
    for name, value in config.items():
        if name not in READ and value not in (None, False, "", [], {}):
            raise UserError(
                f"{path}: {shown(name)}={shown(repr(value))}: expected none, as it is "
                "not known here"
            )
    alpha = config.get("lora_alpha", 8)
    patterns = config.get("alpha_pattern") or {}
    numbers = [alpha, *(patterns.values() if isinstance(patterns, dict) else [None])]
    if not all(type(x) in (int, float) and 0 < x < math.inf for x in numbers):
        raise UserError(f"{path}: lora_alpha, alpha_pattern: expected positive numbers")
    for pattern in patterns:
        if not re.fullmatch(r"[\w.]+", pattern):
            raise UserError(
                f"{path}: alpha_pattern {pattern!r:.50}: expected the name of a module"
            )

    rank = config.get("r", 8)
    if type(rank) is not int or rank < 1:
        raise UserError(f"{path}: r={rank!r:.20}: expected a rank from 1 on")

    def scale_of(module: str, rank: int) -> float:
        # Regular expressions, but of names and dots alone.
        own = [x for n, x in patterns.items() if re.fullmatch(rf"(.*\.)?{n}", module)]
        divisor = math.sqrt(rank) if config.get("use_rslora") else rank
        return (own[0] if own else alpha) / divisor

    return scale_of
