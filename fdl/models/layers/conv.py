"""Convolution by im2col, a matrix product of patches: fast in loops on the CPU."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.models.layers.pooling import too_small

# Patches take kernel height × width times the memory of the images. Above a gigabyte of
# float32, memory matters more than speed.
MAX_PATCH_ELEMENTS = 2**28


def conv(features: int, kernel_size: Sequence[int], **options: Any) -> nn.Conv:
    """Convolution, a `flax.linen.Conv` that is computed by im2col on the CPU.

    On the CPU, the gradients of XLA's convolutions are up to 90 times slower inside a
    loop, and under `vmap` over the weights. A matrix product of patches is not, and
    trains a ResNet-18 1.4 times faster. XLA's grouped convolutions are slow on the CPU
    everywhere; here, depthwise ones are sums of shifted images. Convolutions that are
    not differentiated are left to XLA, which needs no memory for patches, and so are
    those on other platforms and those whose patches would exceed a gigabyte.

    Args:
      features: Number of output channels.
      kernel_size: Height and width of the kernel; of sequences [B, T, C], its length.
      **options: Further attributes of `flax.linen.Conv`; parameters and outputs are
        the same.
    """
    return nn.Conv(
        features,
        kernel_size,
        conv_general_dilated=_conv_general_dilated,
        **options,
    )


def _conv_general_dilated(images, kernel, strides, padding, **options):
    if images.ndim == 3:
        return _of_sequences(images, kernel, strides, padding, **options)
    groups = options.get("feature_group_count", 1)

    def xla(images, kernel):
        return jax.lax.conv_general_dilated(images, kernel, strides, padding, **options)

    def im2col(images, kernel):
        dilation = options.get("rhs_dilation") or (1, 1)
        shifted = _shifted(images, kernel.shape[:2], strides, padding, dilation)
        if groups == 1:
            return _product(shifted, kernel)
        return _grouped_product(shifted, kernel, groups)

    if images.ndim != 4 or any(d != 1 for d in options.get("lhs_dilation") or ()):
        return xla(images, kernel)
    depthwise = groups == kernel.shape[-1] > 1
    shape = jax.eval_shape(xla, images, kernel).shape
    if 0 in shape[1:3]:
        height, width, *_ = kernel.shape
        raise too_small(images, f"a convolution with a kernel of {height}×{width}")
    num_patches = math.prod(shape[:-1])
    # Depthwise convolutions sum shifted images, and gather no patches.
    patch_elements = 0 if depthwise else num_patches * kernel[..., 0].size * groups
    if patch_elements > MAX_PATCH_ELEMENTS:
        return xla(images, kernel)
    # The product of a 1×1 kernel needs no memory for patches: nothing is gained by
    # leaving its forward pass to XLA.
    if groups == 1 and kernel[..., 0, 0].size > 1 and images.dtype == jnp.float32:
        cpu = _if_differentiated(im2col, otherwise=xla)
    else:
        cpu = im2col
    return jax.lax.platform_dependent(images, kernel, cpu=cpu, default=xla)


def _of_sequences(sequences, kernel, strides, padding, **options):
    """Convolution of sequences [B, T, C], as that of images of height one."""
    images, kernel = sequences[:, None], kernel[None]
    for name in ("lhs_dilation", "rhs_dilation"):
        options[name] = (1, *(options.get(name) or (1,)))
    options["dimension_numbers"] = jax.lax.conv_dimension_numbers(
        images.shape, kernel.shape, ("NHWC", "HWIO", "NHWC")
    )
    padding = padding if isinstance(padding, str) else [(0, 0), *padding]
    outputs = _conv_general_dilated(images, kernel, (1, *strides), padding, **options)
    return outputs[:, 0]


def _if_differentiated(function, otherwise):
    """`function` under differentiation, and else `otherwise`, which equals it."""
    # JAX applies the rule of a custom_jvp only where it differentiates, in reverse mode
    # too: the primal function runs everywhere else.
    chosen = jax.custom_jvp(otherwise)
    chosen.defjvp(functools.partial(jax.jvp, function))
    return chosen


def _product(shifted, kernel):
    """Matrix product of all patches with the kernel."""
    patches = jnp.concatenate(shifted, axis=-1)
    features = kernel.shape[-1]
    flat = patches.reshape(-1, patches.shape[-1]) @ kernel.reshape(-1, features)
    return flat.reshape(*patches.shape[:-1], features)


def _grouped_product(shifted, kernel, groups):
    """Products of patches and kernels of each group; depthwise ones without patches."""
    height, width, size, features = kernel.shape
    if size == 1 and features == groups:
        taps = kernel.reshape(height * width, 1, 1, 1, features)
        return sum(x * tap for x, tap in zip(shifted, taps, strict=True))
    kernels = jnp.split(kernel, groups, axis=-1)
    parts = zip(*(jnp.split(x, groups, axis=-1) for x in shifted), strict=True)
    outputs = [_product(part, k) for part, k in zip(parts, kernels, strict=True)]
    return jnp.concatenate(outputs, axis=-1)


def _shifted(images, window, strides, padding, dilation):
    """Images under each tap of the kernel, a list of [B, rows, columns, C]."""
    extent = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(images.shape[1:3], extent, strides, padding)
    images = jnp.pad(images, [(0, 0), *padding, (0, 0)])
    rows, columns = (
        (size - e) // stride + 1
        for size, e, stride in zip(images.shape[1:3], extent, strides, strict=True)
    )

    def shifted(i, j):
        top, left = i * dilation[0], j * dilation[1]
        return images[
            :,
            top : top + (rows - 1) * strides[0] + 1 : strides[0],
            left : left + (columns - 1) * strides[1] + 1 : strides[1],
        ]

    return [shifted(i, j) for i in range(window[0]) for j in range(window[1])]
