"""Networks as one writes them in plain JAX: a function of weights and inputs.

Weights are a flat dict by the paths of the same network in `fdl.models`. Everything is
`jax.lax` and `jax.numpy`; nothing is tuned for a platform. In training, a batch norm
returns its new statistics beside the logits.
"""

import jax
import jax.numpy as jnp


def dense(w, name, x):
    """An affine map."""
    return x @ w[f"params/{name}/kernel"] + w[f"params/{name}/bias"]


def conv(w, name, x, stride=1, padding=0):
    """A convolution, [B, H, W, C] and HWIO."""
    pads = padding if isinstance(padding, str) else [(padding, padding)] * 2
    kernel = w[f"params/{name}/kernel"]
    layout = ("NHWC", "HWIO", "NHWC")
    groups = x.shape[-1] // kernel.shape[2]
    x = jax.lax.conv_general_dilated(
        x, kernel, (stride,) * 2, pads, None, None, layout, groups
    )
    bias = w.get(f"params/{name}/bias")
    return x if bias is None else x + bias


def max_pool(x, window, stride):
    """The maximum of each window."""
    shape, strides = (1, window, window, 1), (1, stride, stride, 1)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, shape, strides, "VALID")


def mlp(w, x, train):
    """784-512-512-10."""
    x = x.reshape(len(x), -1)
    x = jax.nn.relu(dense(w, "dense_0", x))
    x = jax.nn.relu(dense(w, "dense_1", x))
    return dense(w, "head", x), {}


def cnn(w, x, train):
    """Two convolutions with max-pooling, a hidden layer and a readout."""
    for i in range(2):
        x = jax.nn.relu(conv(w, f"convolution_{i}", x, padding="SAME"))
        x = max_pool(x, 2, 2)
    x = jax.nn.relu(dense(w, "dense_0", x.reshape(len(x), -1)))
    return dense(w, "head", x), {}


def resnet18(w, x, train):
    """ResNet-18 for images of 32×32."""
    new = {}

    def norm(name, x):
        stats = [f"batch_stats/{name}/mean", f"batch_stats/{name}/var"]
        mean, var = w[stats[0]], w[stats[1]]
        if train:
            mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
            new[stats[0]] = 0.9 * w[stats[0]] + 0.1 * mean
            new[stats[1]] = 0.9 * w[stats[1]] + 0.1 * var
        scale = w[f"params/{name}/scale"] * jax.lax.rsqrt(var + 1e-5)
        return (x - mean) * scale + w[f"params/{name}/bias"]

    x = jax.nn.relu(norm("bn1", conv(w, "conv1", x, padding=1)))
    for stage in range(1, 5):
        for i in range(2):
            block, stride = f"layer{stage}_{i}", 2 if stage > 1 and i == 0 else 1
            y = norm(f"{block}/bn1", conv(w, f"{block}/conv1", x, stride, 1))
            y = conv(w, f"{block}/conv2", jax.nn.relu(y), 1, 1)
            if stride > 1:
                x = conv(w, f"{block}/downsample_conv", x, stride)
                x = norm(f"{block}/downsample_bn", x)
            x = jax.nn.relu(x + norm(f"{block}/bn2", y))
    return dense(w, "head", x.mean((1, 2))), new


def alexnet(w, x, train):
    """The one-tower AlexNet; without dropout, so that the losses can be compared."""
    for i, (stride, padding, pool) in enumerate(
        [(4, 2, True), (1, 2, True), (1, 1, False), (1, 1, False), (1, 1, True)]
    ):
        x = jax.nn.relu(conv(w, f"conv{i + 1}", x, stride, padding))
        if pool:
            x = max_pool(x, 3, 2)
    x = jax.nn.relu(dense(w, "dense_0", x.reshape(len(x), -1)))
    x = jax.nn.relu(dense(w, "dense_1", x))
    return dense(w, "head", x), {}


def lstm(w, x, train):
    """An LSTM over features [B, T, D], and a readout of its last state."""
    gates = "ifgo"
    cell = "params/encoder/rnn/layer_0"
    inner = jnp.concatenate([w[f"{cell}/i{g}/kernel"] for g in gates], axis=1)
    outer = jnp.concatenate([w[f"{cell}/h{g}/kernel"] for g in gates], axis=1)
    bias = jnp.concatenate([w[f"{cell}/h{g}/bias"] for g in gates])

    def step(carry, x):
        h, c = carry
        i, f, g, o = jnp.split(x @ inner + h @ outer + bias, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), None

    start = jnp.zeros((len(x), outer.shape[0]))
    (h, _), _ = jax.lax.scan(step, (start, start), x.swapaxes(0, 1))
    return dense(w, "head", h), {}


def transformer(w, tokens, train):
    """A pre-norm language model of four layers with four heads, tied embedding."""

    def norm(name, x):
        x = x - x.mean(-1, keepdims=True)
        x = x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-5)
        return x * w[f"params/{name}/scale"] + w[f"params/{name}/bias"]

    def heads(x):
        return x.reshape(*x.shape[:2], 4, -1)

    length = tokens.shape[1]
    x = w["params/token_embedding/embedding"][tokens]
    x = x + w["params/position_embedding/embedding"][:length]
    causal = jnp.tril(jnp.ones((length, length), bool))
    for i in range(4):
        block = f"decoder/layers_{i}"
        y = norm(f"{block}/attention_norm", x)
        names = ("query", "key", "value")
        q, k, v = (heads(dense(w, f"{block}/attention/{n}", y)) for n in names)
        logits = jnp.einsum("bqhd,bkhd->bhqk", q, k) / jnp.sqrt(q.shape[-1])
        weights = jax.nn.softmax(jnp.where(causal, logits, -1e9), axis=-1)
        y = jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(x.shape)
        x = x + dense(w, f"{block}/attention/out", y)
        y = dense(w, f"{block}/mlp/up", norm(f"{block}/mlp_norm", x))
        x = x + dense(w, f"{block}/mlp/down", jax.nn.gelu(y))
    x = norm("norm", x)
    return x @ w["params/token_embedding/embedding"].T, {}
