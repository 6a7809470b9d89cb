"""Device meshes, and shardings of states and batches on them."""

from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fdl.errors import UserError
from fdl.types import PyTree


def make_mesh(axes: Mapping[str, int]) -> Mesh:
    """Mesh of the devices of this machine.

    Args:
      axes: Number of devices along each axis; one may be -1, for all that remain.
        Batches are sharded along the axis "data".

    Raises:
      UserError: A size is not valid, or the mesh has more devices than there are.
    """
    sizes, devices = dict(axes), jax.devices()
    if any(size == 0 or size < -1 for size in sizes.values()) or (
        list(sizes.values()).count(-1) > 1
    ):
        raise UserError(f"config.mesh={sizes}: expected positive sizes, at most one -1")
    num_fixed = int(np.prod([size for size in sizes.values() if size > 0]))
    sizes = {
        name: max(1, len(devices) // num_fixed) if size < 0 else size
        for name, size in sizes.items()
    }
    count = int(np.prod(list(sizes.values())))
    if count > len(devices):
        raise UserError(
            f"config.mesh={dict(axes)}: expected at most {len(devices)} devices"
        )
    # With Auto the compiler propagates shardings, and learners need not know of them.
    return jax.make_mesh(
        tuple(sizes.values()),
        tuple(sizes),
        axis_types=(AxisType.Auto,) * len(sizes),
        devices=devices[:count],
    )


def state_sharding(mesh: Mesh, partition: PyTree) -> PyTree:
    """Shardings on a mesh of a tree of `PartitionSpec`.

    Args:
      mesh: Device mesh.
      partition: `PartitionSpec`, or tree of them, as of `Learner.partition`.
    """
    return jax.tree.map(
        lambda spec: NamedSharding(mesh, spec),
        partition,
        is_leaf=lambda x: isinstance(x, PartitionSpec),
    )


def place_batch(mesh: Mesh, batch_axis: int, items: PyTree) -> PyTree:
    """Items sharded along the axis of examples, without waiting for the transfer.

    Args:
      mesh: Device mesh with an axis "data", along which examples are sharded.
      batch_axis: Axis of examples in the items.
      items: Tree of arrays; those without this axis are replicated.

    Raises:
      UserError: The batch size is no multiple of the number of devices.
    """
    num_devices = mesh.shape["data"]

    def sharding(x):
        if np.ndim(x) <= batch_axis:
            return NamedSharding(mesh, PartitionSpec())
        size = np.shape(x)[batch_axis]
        if size % num_devices:
            raise UserError(
                f"batch_size={size}: expected a multiple of {num_devices} devices"
            )
        return NamedSharding(mesh, PartitionSpec(*(None,) * batch_axis, "data"))

    return jax.device_put(items, jax.tree.map(sharding, items))
