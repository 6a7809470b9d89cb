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

MODULES = {
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

assert "fdl" not in sys.modules
sys.modules["fdl"] = sys.modules["flax"] = None  # An import of them would raise.
folder, *names = sys.argv[1:]
for name in names:
    data = bytearray(open(f"{folder}/{name}.stablehlo", "rb").read())
    model = jax.export.deserialize(data)
    for batch_size in (1, 5):
        inputs = np.load(f"{folder}/{name}_{batch_size}.npy")
        outputs = model.call({"x": inputs})["logits"]
        np.save(f"{folder}/{name}_{batch_size}_outputs.npy", outputs)
"""


def predict(module):
    """Outputs by name, and shapes of an example by name."""

    def function(variables, inputs):
        return {"logits": module.apply(variables, inputs["x"], train=False)}

    (x,) = module.example()
    return function, {"x": jax.ShapeDtypeStruct(x.shape[1:], x.dtype)}


def test_an_artefact_runs_without_fdl(tmp_path, random_variables, random_inputs):
    expected = {}
    for name, module in MODULES.items():
        function, inputs = predict(module)
        variables = random_variables(module)
        artefact = export_stablehlo(function, variables, inputs)
        (tmp_path / f"{name}.stablehlo").write_bytes(artefact)
        for batch_size in (1, 5):
            x = random_inputs(batch_size, *inputs["x"].shape, seed=batch_size)
            np.save(tmp_path / f"{name}_{batch_size}.npy", x)
            logits = jax.jit(function)(variables, {"x": x})["logits"]
            expected[f"{name}_{batch_size}"] = logits
    subprocess.run(  # -I, and elsewhere: not even by accident is there an fdl.
        [sys.executable, "-I", "-c", ALONE, tmp_path, *MODULES],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    for name, logits in expected.items():
        actual = np.load(tmp_path / f"{name}_outputs.npy")
        np.testing.assert_allclose(actual, logits, rtol=1e-5, atol=1e-6)


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

    _, inputs = predict(module)
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
    with pytest.raises(UserError, match="no artefact of jax.export: Unknown platform"):
        export_stablehlo(lambda v, i: i["x"], {}, inputs, platforms=["abacus"])


@pytest.mark.parametrize("artefact", [b"", b"x", bytes(100), b"\xff" * 100])
def test_what_is_no_artefact_is_told(artefact):
    with pytest.raises(UserError, match="damaged, or no artefact of jax.export"):
        load_stablehlo(artefact)
