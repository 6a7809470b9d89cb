"""Adapters of LoRA as files of PEFT, of Hugging Face."""

import json
import math
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from fdl.errors import UserError, check_type, shown
from fdl.files import expanded, read_json, write_bytes
from fdl.models.layers.layer_stack import stack_layers, unstack_layers
from fdl.models.lora import BASE, SCALE, A, B, lora, with_adapters
from fdl.models.pretrained.checkpoint import unrolled
from fdl.models.pretrained.convert import flatten, names_of, stand_for, unflatten
from fdl.models.pretrained.rules import DENSE, SAME, Numpy, Rule, Rules
from fdl.models.pretrained.safetensors_files import reading, write
from fdl.types import Model, Variables

WEIGHTS_FILE, CONFIG_FILE = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."  # Of all names: PEFT's wrappers of a model.
# Options of PEFT that change what an adapter computes, where they are not as here.
PLAIN: Mapping[str, Sequence[Any]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "use_dora": (False, None),
    "use_qalora": (False, None),
    "lora_bias": (False, None),
    "layer_replication": (None,),
    "target_parameters": (None, []),
}


def save_adapters(
    folder: str | os.PathLike[str],
    variables: Variables,
    of: nn.Module,
    *,
    base: str | None = None,
) -> None:
    """Saves the adapters of a model of `lora` in a folder, as PEFT does.

    The folder has ``adapter_model.safetensors`` and ``adapter_config.json``, which
    ``peft.PeftModel.from_pretrained`` opens on the same base of transformers. Where
    that has several of our kernels in one, such as the queries, keys and values of
    GPT-2, their adapters become one of the sum of their ranks, which computes the same.

    Args:
      folder: Folder, which is made.
      variables: Variables of a model of `lora`.
      of: Module of the base.
      base: Name of the base, such as ``openai-community/gpt2``, for those who read the
        folder.

    Raises:
      UserError: The module has no format of transformers, the variables are of no such
        model, or the files cannot be written.
    """
    rules = _rules(of)
    params, frozen, scale = _adapted(variables, of)
    ranks = {
        path.removesuffix(A): leaf.shape[-1]
        for path, leaf in params.items()
        if path.endswith(f"/{A}")
    }
    arrays: dict[str, Numpy] = {}
    rank_of: dict[str, int] = {}
    saved: set[str] = set()
    kernels = {**frozen, **params}
    for path in params:
        place, _, leaf = path.rpartition("/")
        if leaf not in (A, B):
            for name, (rule, paths) in _names(path, rules).items():
                parts = [rule.layout.to_theirs(_array(kernels, p)) for p in paths]
                arrays[name] = np.concatenate(parts, rule.axis)
                saved.add(name.rpartition(".")[0])
        elif leaf == A:
            name, rule, paths = _kernel_name(f"{place}/kernel", rules)
            places = [p.removeprefix("params/").removesuffix("kernel") for p in paths]
            a, b = _as_one(places, params, kernels)
            module = name.removesuffix(".weight")
            arrays |= {f"{module}.lora_A.weight": a, f"{module}.lora_B.weight": b}
            rank_of[module] = len(a)
    rank = min(ranks.values())
    fused = {name: r for name, r in rank_of.items() if r != rank}
    flat = any(
        _kernel_name(f"{place}kernel", rules)[1].layout is SAME for place in ranks
    )
    content = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM" if _writes_texts(of) else None,
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": _number(scale * rank),
        "rank_pattern": fused,
        "alpha_pattern": {name: _number(scale * r) for name, r in fused.items()},
        "target_modules": sorted(rank_of),
        "modules_to_save": sorted(saved) or None,
        "fan_in_fan_out": flat,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": False,
        "use_dora": False,
        "inference_mode": True,
    }
    folder = expanded(folder)
    folder.mkdir(parents=True, exist_ok=True)
    named = {PREFIX + name: array for name, array in arrays.items()}
    write(folder / WEIGHTS_FILE, named, {"format": "pt"})
    write_bytes(folder / CONFIG_FILE, json.dumps(content, indent=2).encode() + b"\n")


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
    rules = _rules(model.module)
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


def _rules(module: nn.Module | None) -> Rules:
    """Rules of the format of transformers of a module."""
    formats: Mapping[str, Rules] = getattr(module, "checkpoints", dict)()
    if "transformers" not in formats:
        raise UserError(
            f"model of {type(module).__name__}: expected one with a format of "
            "transformers, such as a GPT, Llama or BERT"
        )
    return formats["transformers"]


def _adapted(
    variables: Variables, of: nn.Module
) -> tuple[dict[str, Any], dict[str, Any], float]:
    """Learnt and frozen parameters by path, of unrolled layers, and the scale."""
    if BASE not in variables or SCALE not in variables:
        found = ", ".join(variables)
        raise UserError(f"variables of {found}: expected those of models.lora")
    trees = [jax.tree.map(np.asarray, variables[name]) for name in ("params", BASE)]
    if unrolled(of) is not of:
        trees = [unstack_layers(tree) for tree in trees]
    return *(flatten(tree) for tree in trees), float(variables[SCALE]["scale"])  # type: ignore[return-value]


def _names(path: str, rules: Rules) -> dict[str, tuple[Rule, list[str]]]:
    names = names_of(f"params/{path}", rules)
    if not names:
        raise UserError(f"format transformers has no name for {path}")
    return names


def _kernel_name(path: str, rules: Rules) -> tuple[str, Rule, list[str]]:
    """Name of a kernel in transformers, its rule, and all paths that share the name."""
    name, (rule, paths) = next(iter(_names(path, rules).items()))
    if rule.layout not in (SAME, DENSE):
        raise UserError(f"{path}: expected a matrix of transformers, [in, out]")
    return name, rule, paths


def _array(leaves: Mapping[str, Any], path: str) -> Numpy:
    return leaves[path.removeprefix("params/")]


def _as_one(
    places: Sequence[str], params: Mapping[str, Numpy], kernels: Mapping[str, Numpy]
) -> tuple[Numpy, Numpy]:
    """A [R, D] and B [F, R] of kernels that are one in the checkpoint.

    Those without an adapter have zeros in B.
    """
    adapted = [place for place in places if place + A in params]
    parts = [params[place + A] for place in adapted]
    shared = len(adapted) == len(places) and all(
        np.array_equal(parts[0], part) for part in parts
    )
    if shared:  # As they are in PEFT.
        b = np.concatenate([params[place + B] for place in places], axis=1)
        return parts[0].T, b.T
    rank = sum(part.shape[1] for part in parts)
    columns, begin = [], 0
    for place in places:
        width = kernels[f"{place}kernel"].shape[1]
        b = np.zeros((rank, width), parts[0].dtype)
        if place in adapted:
            own = params[place + B]
            b[begin : begin + len(own)] = own
            begin += len(own)
        columns.append(b)
    return np.concatenate(parts, axis=1).T, np.concatenate(columns, axis=1).T


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
        own = [x for name, x in patterns.items() if f".{module}".endswith(f".{name}")]
        divisor = math.sqrt(rank) if config.get("use_rslora") else rank
        return (own[0] if own else alpha) / divisor

    return scale_of


def _writes_texts(module: nn.Module) -> bool:
    """True for a language model, which has a key-value cache."""
    return hasattr(module, "cache_length")


def _number(value: float) -> int | float:
    """Number as JSON shows it best: an integer where it is one."""
    return int(value) if value == int(value) else value
