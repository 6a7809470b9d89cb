"""Writing of adapters of LoRA as files of PEFT."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from fdl.errors import UserError
from fdl.files import expanded, write_bytes
from fdl.models.layers.layer_stack import unstack_layers
from fdl.models.lora import BASE, SCALE, A, B
from fdl.models.pretrained.checkpoint import unrolled
from fdl.models.pretrained.convert import flatten, names_of
from fdl.models.pretrained.peft import (
    CONFIG_FILE,
    PREFIX,
    WEIGHTS_FILE,
    transformers_rules,
)
from fdl.models.pretrained.rules import DENSE, SAME, Numpy, Rule, Rules
from fdl.models.pretrained.safetensors_files import write
from fdl.types import Variables


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
    rules = transformers_rules(of)
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


def _writes_texts(module: nn.Module) -> bool:
    """True for a language model, which has a key-value cache."""
    return hasattr(module, "cache_length")


def _number(value: float) -> int | float:
    """Number as JSON shows it best: an integer where it is one."""
    return int(value) if value == int(value) else value
