"""Exported models: without fdl, for batches of any size, and the same numbers."""

import os
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.errors import UserError
from fdl.models.functional import zeros
from fdl.models.stablehlo import export_stablehlo, load_stablehlo

NETWORKS = {
    "batch norm and dropout": models.MLP(
        (8,), 3, norm=nn.BatchNorm, dropout=0.5, input_shape=(4,)
    ),
    "convolution": models.CNN((4,), (8,), 3, input_shape=(8, 8, 1)),
    "attention": models.ViT(4, 1, 2, 8, image_size=8, num_classes=3),
}
# What somebody without fdl writes.
ALONE = """
import sys

import jax.export
import numpy as np

sys.modules["fdl"] = sys.modules["flax"] = None  # An import of them would raise.
model = jax.export.deserialize(bytearray(open("model.stablehlo", "rb").read()))
for batch_size in (1, 5):
    inputs = {name: x[:batch_size] for name, x in np.load("inputs.npz").items()}
    np.savez(f"outputs_{batch_size}.npz", **model.call(inputs))
"""


def of_one_example(module):
    """Shape and dtype of the input without the batch axis."""
    (x,) = module.example()
    return jax.ShapeDtypeStruct(x.shape[1:], x.dtype)


def test_an_artefact_runs_without_fdl(
    tmp_path, random_variables, random_inputs, assert_close
):
    def function(variables, inputs):  # Three networks, for one compilation.
        return {
            name: NETWORKS[name].apply(variables[name], x, train=False)
            for name, x in inputs.items()
        }

    shapes = {name: of_one_example(module) for name, module in NETWORKS.items()}
    variables = {name: random_variables(module) for name, module in NETWORKS.items()}
    inputs = {name: random_inputs(5, *x.shape) for name, x in shapes.items()}
    artefact = export_stablehlo(function, variables, shapes)
    (tmp_path / "model.stablehlo").write_bytes(artefact)
    np.savez(tmp_path / "inputs.npz", **inputs)
    # Isolated, and in another folder: not even by accident is there an fdl.
    subprocess.run(
        [sys.executable, "-I", "-c", ALONE],
        check=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir,
        },
    )
    expected = jax.jit(function)(variables, inputs)
    for batch_size in (1, 5):
        with np.load(tmp_path / f"outputs_{batch_size}.npz") as outputs:
            assert {*outputs} == {*NETWORKS}
            for name, logits in outputs.items():
                assert_close(logits, expected[name][:batch_size], 1e-5)


@pytest.mark.parametrize(
    "module",
    [
        models.GPT(1, 2, 8, vocab_size=11, max_length=4, dtype="bfloat16"),
        models.lstm(3, input_shape=(4, 2)),
        models.conv_autoencoder(features=(2,), code_size=2, input_shape=(8, 8, 1)),
    ],
    ids=lambda module: type(module).__name__,
)
def test_layers_that_differ_by_platform_are_exported_for_all(module):
    """Which is traced and lowered, not compiled: the machine has one platform."""

    def function(variables, inputs):
        return module.apply(variables, inputs["x"], train=False)

    inputs = {"x": of_one_example(module)}
    shapes = jax.eval_shape(models.functional(module).init, jax.random.key(0))
    artefact = export_stablehlo(function, zeros(shapes), inputs)
    exported = jax.export.deserialize(bytearray(artefact))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert all(str(x.shape[0]) == "b" for x in exported.out_avals)


def test_inputs_and_outputs_may_be_several():
    def function(variables, inputs):
        left, right = inputs["left"], inputs["right"]
        return {"sum": left.sum(-1) + right + variables["bias"], "both": (left, right)}

    shapes = {
        "left": jax.ShapeDtypeStruct((3,), jnp.float32),
        "right": jax.ShapeDtypeStruct((), jnp.int32),
    }
    call = load_stablehlo(export_stablehlo(function, {"bias": jnp.ones(())}, shapes))
    inputs = {"left": np.ones((2, 3), np.float32), "right": np.arange(2, dtype="int32")}
    outputs = call(inputs)
    assert outputs["sum"].tolist() == [4, 5]
    np.testing.assert_array_equal(outputs["both"][0], inputs["left"])


def test_what_cannot_be_exported_is_told():
    def fails(variables, inputs):
        return jnp.zeros(3) if inputs["x"].sum() > 0 else jnp.ones(3)

    inputs = {"x": jax.ShapeDtypeStruct((3,), jnp.float32)}
    with pytest.raises(UserError, match="the model cannot be exported: Attempted bool"):
        export_stablehlo(fails, {}, inputs)
    huge = {"params": np.broadcast_to(np.float32(0), 2**29)}
    with pytest.raises(UserError, match=r"variables of 2\.0 GiB cannot be exported"):
        export_stablehlo(fails, huge, inputs)
    with pytest.raises(UserError, match=r"platforms=\['gpu'\]: expected some of"):
        export_stablehlo(fails, {}, inputs, platforms=["gpu"])
    with pytest.raises(UserError, match=r"unregistered type .*VAEOutput"):
        export_stablehlo(lambda v, i: models.VAEOutput(*3 * [i["x"]]), {}, inputs)


@pytest.mark.parametrize("artefact", [b"", b"x", bytes(100), b"\xff" * 100], ids=len)
def test_what_is_no_artefact_is_told(artefact):
    with pytest.raises(UserError, match="damaged, or no artefact of jax"):
        load_stablehlo(artefact)
