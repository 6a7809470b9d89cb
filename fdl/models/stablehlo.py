"""Export of a model as a StableHLO artefact, which runs with JAX alone."""

from collections.abc import Callable, Mapping, Sequence

import jax
from jax import export

from fdl.errors import UserError, reason
from fdl.types import Array, PyTree, Variables

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
# Of jax.export's format, whose offsets are signed integers of 32 bits.
MAX_BYTES = 2**31 - 2**20


def export_stablehlo(
    function: Callable[[Variables, Mapping[str, Array]], PyTree],
    variables: Variables,
    inputs: Mapping[str, jax.ShapeDtypeStruct],
    *,
    platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
) -> bytes:
    """Exports a model with its variables as a StableHLO artefact of `jax.export`.

    The artefact takes batches of any size. It runs without fdl::

        exported = jax.export.deserialize(bytearray(open(path, "rb").read()))
        outputs = exported.call({"image": images})

    JAX promises to read it for six months of later versions. It is the pure function
    alone: random numbers are those of the trace.

    Args:
      function: ``function(variables, inputs) -> outputs``, of a batch of examples;
        outputs are arrays [B, ...] in dicts, lists and tuples. It is traced on a batch
        of one example and mapped over the batch by `jax.vmap`, so that code which
        computes with the size of the batch needs no symbols.
      variables: Variables of the model, which become constants of the artefact; less
        than 2 GiB.
      inputs: Shapes and dtypes of one example, without the batch axis, by name.
      platforms: Platforms that the artefact can run on: cpu, cuda, rocm, tpu. Where
        the CPU lacks an operation that the others have, as for attention in float16,
        it needs an artefact of its own.

    Returns:
      Bytes of the artefact, for a file.

    Raises:
      UserError: The function cannot be exported, or the package flatbuffers is missing.

    References:
      `Exporting and serializing staged-out computations
      <https://docs.jax.dev/en/latest/export/export.html>`_, JAX.

    Example:
      >>> import jax.numpy as jnp
      >>> def double(variables, inputs):
      ...     return {"y": inputs["x"] * variables["params"]["scale"]}
      >>> example = {"x": jax.ShapeDtypeStruct((3,), jnp.float32)}
      >>> variables = {"params": {"scale": jnp.float32(2)}}
      >>> artefact = export_stablehlo(double, variables, example)
      >>> load_stablehlo(artefact)({"x": jnp.ones((2, 3))})["y"].tolist()
      [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    """
    if not platforms or {*platforms} - {*PLATFORMS}:
        raise UserError(
            f"platforms={[*platforms]}: expected some of {', '.join(PLATFORMS)}"
        )
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(variables))
    if size >= MAX_BYTES:
        raise UserError(
            f"variables of {size / 2**30:.1f} GiB cannot be exported: expected less "
            "than 2 GiB, the limit of jax.export"
        )

    def of_example(example):
        batch = jax.tree.map(lambda x: x[None], example)
        return jax.tree.map(lambda x: x[0], function(variables, batch))

    (batch_size,) = export.symbolic_shape("b")
    batched = {
        name: jax.ShapeDtypeStruct((batch_size, *x.shape), x.dtype)
        for name, x in inputs.items()
    }
    try:
        exported = export.export(jax.jit(jax.vmap(of_example)), platforms=platforms)
        return bytes(exported(batched).serialize())
    except UserError:
        raise
    except ImportError as error:
        raise UserError("exporting needs a package: pip install flatbuffers") from error
    # JAX raises errors of many types for operations that it cannot lower.
    except Exception as error:
        raise UserError(f"the model cannot be exported: {reason(error)}") from error


def load_stablehlo(artefact: bytes) -> Callable[[Mapping[str, Array]], PyTree]:
    """Function of the artefact that `export_stablehlo` returned.

    Args:
      artefact: Bytes of the artefact.

    Returns:
      ``function(inputs) -> outputs``, of a batch of any size, by name.

    Raises:
      UserError: The bytes are no artefact of a JAX that this one can read.
    """
    try:
        return export.deserialize(bytearray(artefact)).call
    except ImportError as error:
        raise UserError("reading needs a package: pip install flatbuffers") from error
    # A reader of flat buffers takes damaged offsets for data, and fails anywhere.
    except Exception as error:
        raise UserError(
            f"damaged, or no artefact of jax.export: {reason(error)}"
        ) from error
