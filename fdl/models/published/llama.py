"""Configs of Llama, Mistral and Qwen2: one block, configured."""

from collections.abc import Mapping
from typing import Any

from fdl.errors import UserError, shown
from fdl.models.language.llama import Llama
from fdl.models.layers.position_encodings import RotaryScaling
from fdl.models.published.fields import Attributes, Config, expect, value

# Attributes of a scaling by their names in a config.
SCALING = {
    "factor": "factor",
    "low_freq_factor": "low_frequency_factor",
    "high_freq_factor": "high_frequency_factor",
    "original_max_position_embeddings": "original_max_length",
}


def read(config: Config, architecture: str, options: Config) -> tuple[Any, Attributes]:
    """Module and its attributes of a config of Llama, Mistral or Qwen2.

    Args:
      config: Content of ``config.json``.
      architecture: ``LlamaForCausalLM``, ``MistralForCausalLM`` or
        ``Qwen2ForCausalLM``.
      options: Attributes that replace those of the config.

    Raises:
      UserError: A value is missing, or is not supported.
    """
    del options
    family = architecture.removesuffix("ForCausalLM")
    expect(config, "hidden_act", "silu")
    expect(config, "attention_bias", False)
    expect(config, "mlp_bias", False)
    num_heads = value(config, "num_attention_heads", int)
    # The first Llama has no such entry; the other defaults are those of single sizes.
    kv_heads = num_heads if family == "Llama" else None
    hidden_size = value(config, "hidden_size", int)
    head_size = value(config, "head_dim", int, hidden_size // max(num_heads, 1))
    return Llama, {
        "num_layers": value(config, "num_hidden_layers", int),
        "num_heads": num_heads,
        "hidden_size": hidden_size,
        "mlp_size": value(config, "intermediate_size", int),
        "num_kv_heads": value(config, "num_key_value_heads", int, kv_heads),
        "head_size": None if head_size * num_heads == hidden_size else head_size,
        "vocab_size": value(config, "vocab_size", int),
        "tie_embeddings": value(config, "tie_word_embeddings", bool, False),
        **_rotary(config),
        "qkv_bias": family == "Qwen2",
        "window": _window(config, family),
        "epsilon": value(config, "rms_norm_eps", float, 1e-6),
        "max_length": value(config, "max_position_embeddings", int, 2048),
        "attention_dropout": value(config, "attention_dropout", float, 0.0),
    }


def write(module: Llama, config: Config) -> dict[str, Any]:
    """Config of a Llama; inverse of `read`.

    Args:
      module: Module.
      config: Config that it was read from, if any: Mistral without a window is Llama.

    Raises:
      UserError: Transformers has no such network.
    """
    if module.dropout:
        raise UserError(
            f"dropout={module.dropout}: expected 0.0, as Llama of transformers has"
        )
    mistral = config.get("model_type") == "mistral" or module.window is not None
    family = "Qwen2" if module.qkv_bias else "Mistral" if mistral else "Llama"
    rotary: dict[str, Any] = {"rope_type": "default", "rope_theta": module.rotary_base}
    if module.rotary_scaling is not None:
        scaling = module.rotary_scaling._asdict()
        rotary["rope_type"] = "llama3"
        rotary |= {theirs: scaling[ours] for theirs, ours in SCALING.items()}
    written = {
        "architectures": [f"{family}ForCausalLM"],
        "model_type": family.lower(),
        "num_hidden_layers": module.num_layers,
        "num_attention_heads": module.num_heads,
        "hidden_size": module.hidden_size,
        "intermediate_size": module.mlp_size,
        "num_key_value_heads": module.num_kv_heads or module.num_heads,
        "head_dim": module.head_size or module.hidden_size // module.num_heads,
        "hidden_act": "silu",
        "vocab_size": module.vocab_size,
        "tie_word_embeddings": module.tie_embeddings,
        # Versions before 5 of transformers read the second and third.
        "rope_parameters": rotary,
        "rope_theta": module.rotary_base,
        "rope_scaling": None if module.rotary_scaling is None else rotary,
        "rms_norm_eps": module.epsilon,
        "max_position_embeddings": module.max_length,
        "attention_dropout": module.attention_dropout,
    }
    if family != "Llama":
        written["sliding_window"] = module.window
    if family == "Qwen2":
        kind = "full_attention" if module.window is None else "sliding_attention"
        written |= {
            "use_sliding_window": module.window is not None,
            "layer_types": [kind] * module.num_layers,
        }
        if module.window is not None:  # The first layer that has the window.
            written["max_window_layers"] = 0
    return written


def _rotary(config: Config) -> Attributes:
    """Base and scaling of the rotary embedding, of transformers 4 and 5."""
    found: dict[str, Any] = {"rope_theta": config.get("rope_theta")}
    for name in ("rope_parameters", "rope_scaling"):
        part = config.get(name) or {}
        if not isinstance(part, Mapping):
            raise UserError(f"{name}={shown(repr(part))}: expected an object")
        old = {"rope_type": part["type"]} if "type" in part else {}
        found |= old | {k: x for k, x in part.items() if k != "type"}
    if found["rope_theta"] is None:
        found["rope_theta"] = 10_000.0
    kind = found.get("rope_type", "default")
    if kind not in ("default", "llama3"):
        raise UserError(
            f"rope_type={shown(repr(kind))}: expected 'default' or 'llama3'; nothing "
            "else is supported"
        )
    expect(found, "partial_rotary_factor", 1.0)
    known = {"rope_theta", "rope_type", "partial_rotary_factor"}
    known |= SCALING.keys() if kind == "llama3" else set()
    unknown = sorted(found.keys() - known)
    if unknown:
        raise UserError(f"{shown(unknown[0])} of a rotary embedding: is not supported")
    base = value(found, "rope_theta", float)
    if kind == "default":
        return {"rotary_base": base, "rotary_scaling": None}
    last = "original_max_position_embeddings"
    parts: dict[str, Any] = {
        ours: value(found, theirs, int if theirs == last else float)
        for theirs, ours in SCALING.items()
    }
    scaling = RotaryScaling(**parts)
    if not 0 < scaling.low_frequency_factor < scaling.high_frequency_factor:
        raise UserError(
            f"low_freq_factor={scaling.low_frequency_factor}: expected less than "
            f"high_freq_factor={scaling.high_frequency_factor}"
        )
    return {"rotary_base": base, "rotary_scaling": scaling}


def _window(config: Config, family: str) -> int | None:
    """Window of the attention, the same in all layers."""
    # Null is no window; a config without the entry has that of Mistral 7B.
    if family == "Llama" or config.get("sliding_window", 4096) is None:
        return None
    window = value(config, "sliding_window", int, 4096)
    if family == "Mistral":
        return window
    if not value(config, "use_sliding_window", bool, False):
        return None
    first = value(config, "max_window_layers", int, 28)
    layers = range(value(config, "num_hidden_layers", int))
    kinds = config.get("layer_types") or [
        "sliding_attention" if i >= first else "full_attention" for i in layers
    ]
    if kinds == ["full_attention"] * len(layers):
        return None
    if kinds != ["sliding_attention"] * len(layers):
        raise UserError(
            f"layer_types={shown(repr(kinds))}: expected one kind of attention in all "
            "layers; a window in some of them is not supported"
        )
    return window
