"""Configs of GPT-2."""

from typing import Any

from fdl.errors import UserError
from fdl.models.language.gpt import GPT
from fdl.models.published.fields import (
    Attributes,
    Config,
    activation,
    activation_name,
    expect,
    one_rate,
    value,
)


def read(config: Config, architecture: str, options: Config) -> tuple[Any, Attributes]:
    """Module and its attributes of a config of GPT-2.

    Args:
      config: Content of ``config.json``.
      architecture: ``GPT2LMHeadModel``.
      options: Attributes that replace those of the config.

    Raises:
      UserError: A value is missing, or is not supported.
    """
    del architecture
    expect(config, "tie_word_embeddings", True)
    expect(config, "scale_attn_weights", True)
    expect(config, "scale_attn_by_inverse_layer_idx", False)
    rates = "resid_pdrop", "embd_pdrop"
    return GPT, {
        "num_layers": value(config, "n_layer", int),
        "num_heads": value(config, "n_head", int),
        "hidden_size": value(config, "n_embd", int),
        "mlp_size": config.get("n_inner"),
        "activation": activation(config, "activation_function", "gelu_new"),
        "vocab_size": value(config, "vocab_size", int),
        "max_length": value(config, "n_positions", int),
        "epsilon": value(config, "layer_norm_epsilon", float, 1e-5),
        "dropout": 0.0 if "dropout" in options else one_rate(config, *rates),
        "attention_dropout": value(config, "attn_pdrop", float, 0.1),
    }


def write(module: GPT, config: Config) -> dict[str, Any]:
    """Config of a GPT; inverse of `read`.

    Args:
      module: Module.
      config: Config that it was read from, if any.

    Raises:
      UserError: GPT-2 of transformers has no such network.
    """
    del config
    if not module.use_bias:
        raise UserError("use_bias=False: expected True, as GPT-2 of transformers has")
    rate = module.attention_dropout
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_layer": module.num_layers,
        "n_head": module.num_heads,
        "n_embd": module.hidden_size,
        "n_inner": module.mlp_size,
        "activation_function": activation_name(module.activation),
        "vocab_size": module.vocab_size,
        "n_positions": module.max_length,
        "layer_norm_epsilon": module.epsilon,
        "resid_pdrop": module.dropout,
        "embd_pdrop": module.dropout,
        "attn_pdrop": module.dropout if rate is None else rate,
        "tie_word_embeddings": True,
    }
