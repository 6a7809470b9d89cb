"""Configs of ViT, and the images of its preprocessor."""

from typing import Any

from fdl.errors import UserError, shown
from fdl.models.published.fields import (
    Attributes,
    Config,
    activation,
    activation_name,
    expect,
    num_labels,
    value,
)
from fdl.models.published.record import ImageInputs
from fdl.models.vision.vit import ViT

# Filters of Pillow, by their numbers.
RESAMPLE = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")


def read(config: Config, architecture: str, options: Config) -> tuple[Any, Attributes]:
    """Module and its attributes of a config of ViT.

    Args:
      config: Content of ``config.json``.
      architecture: ``ViTForImageClassification`` or ``ViTModel``.
      options: Attributes that replace those of the config.

    Raises:
      UserError: A value is missing, or is not supported.
    """
    expect(config, "qkv_bias", True)
    expect(config, "num_channels", 3)
    size = value(config, "hidden_size", int)
    head: Attributes = {"num_classes": None}
    if architecture == "ViTModel":
        expect(config, "pooler_act", "tanh")
        units = value(config, "pooler_output_size", int, size)
        head["representation_size"] = units
    else:
        head["num_classes"] = num_labels(config)
    if "dropout" not in options:
        # Here the hidden units of the feed-forward networks are dropped as well.
        expect(config, "hidden_dropout_prob", 0.0)
    return ViT, {
        "patch_size": value(config, "patch_size", int, 16),
        "num_layers": value(config, "num_hidden_layers", int),
        "num_heads": value(config, "num_attention_heads", int),
        "hidden_size": size,
        "mlp_size": value(config, "intermediate_size", int),
        "activation": activation(config, "hidden_act", "gelu"),
        "image_size": value(config, "image_size", int, 224),
        "epsilon": value(config, "layer_norm_eps", float, 1e-12),
        "attention_dropout": value(config, "attention_probs_dropout_prob", float, 0.0),
        **head,
    }


def write(module: ViT, config: Config) -> dict[str, Any]:
    """Config of a ViT; inverse of `read`.

    Args:
      module: Module.
      config: Config that it was read from, if any.

    Raises:
      UserError: Transformers has no such network.
    """
    del config
    classifies = module.num_classes is not None
    units = module.representation_size
    if (
        module.pool != "token"
        or module.positions != "learned"
        or classifies == (units is not None)
        or module.stochastic_depth
    ):
        raise UserError(
            "ViT: expected pool='token', positions='learned', stochastic_depth=0.0, "
            "and either num_classes or representation_size, as in transformers"
        )
    return {
        "architectures": ["ViTForImageClassification" if classifies else "ViTModel"],
        "model_type": "vit",
        "num_hidden_layers": module.num_layers,
        "num_attention_heads": module.num_heads,
        "hidden_size": module.hidden_size,
        "intermediate_size": module.mlp_size or 4 * module.hidden_size,
        "hidden_act": activation_name(module.activation),
        "patch_size": module.patch_size,
        "image_size": module.image_size,
        "num_channels": 3,
        "qkv_bias": True,
        "pooler_output_size": units or module.hidden_size,
        "pooler_act": "tanh",
        "layer_norm_eps": module.epsilon,
        "hidden_dropout_prob": module.dropout,
        "attention_probs_dropout_prob": module.attention_dropout,
    }


def read_images(config: Config, size: int) -> ImageInputs:
    """Images of a ``preprocessor_config.json``.

    Args:
      config: Its content.
      size: Height and width of the images of the model, in pixels.

    Raises:
      UserError: It prepares images in a way that is not supported.
    """
    for name in ("do_resize", "do_rescale", "do_normalize"):
        expect(config, name, True)
    expect(config, "do_center_crop", False)
    found = config.get("size", size)
    found = found if isinstance(found, dict) else {"height": found, "width": found}
    height, width = (value(found, name, int) for name in ("height", "width"))
    if abs(value(config, "rescale_factor", float, 1 / 255) * 255 - 1) > 1e-6:
        raise UserError(
            f"rescale_factor={config['rescale_factor']}: expected 1/255, to values "
            "from 0 to 1"
        )
    mean, std = (_channels(config, name) for name in ("image_mean", "image_std"))
    code = value(config, "resample", int, RESAMPLE.index("bilinear"))
    if not 0 <= code < len(RESAMPLE):
        raise UserError(
            f"resample={code}: expected 0 to {len(RESAMPLE) - 1}, a filter of Pillow"
        )
    return ImageInputs((height, width), mean, std, RESAMPLE[code])


def write_images(images: ImageInputs) -> dict[str, Any]:
    """Content of a ``preprocessor_config.json``; inverse of `read_images`."""
    height, width = images.size
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "size": {"height": height, "width": width},
        "resample": RESAMPLE.index(images.resample),
        "rescale_factor": 1 / 255,
        "image_mean": [*images.mean],
        "image_std": [*images.std],
    }


def _channels(config: Config, name: str) -> tuple[float, ...]:
    """Three numbers, one for each channel."""
    numbers = config.get(name, [0.5] * 3)
    is_list = isinstance(numbers, list) and len(numbers) == 3
    if not is_list or not all(type(x) in (int, float) for x in numbers):
        raise UserError(f"{name}={shown(repr(numbers))}: expected three numbers")
    if name == "image_std" and not all(x > 0 for x in numbers):
        raise UserError(f"{name}={numbers}: expected positive numbers")
    return tuple(map(float, numbers))
