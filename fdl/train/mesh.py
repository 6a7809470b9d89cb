"""Meshes: which devices share the work, and how arrays lie on them."""

from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fdl.errors import UserError
from fdl.types import PyTree


def make_mesh(axes: Mapping[str, int]) -> Mesh:
    """A mesh of this machine's devices.

    Args:
      axes: Devices along each axis; one may be -1, for all that are left. Batches are
        shared along "data".

    Raises:
      UserError: More devices than there are, or a number that is none.
    """
    sizes, devices = dict(axes), jax.devices()
    if any(size == 0 or size < -1 for size in sizes.values()) or (
        list(sizes.values()).count(-1) > 1
    ):
        raise UserError(f"config.mesh={sizes}: expected positive sizes, at most one -1")
    known = int(np.prod([size for size in sizes.values() if size > 0]))
    sizes = {n: max(1, len(devices) // known) if s < 0 else s for n, s in sizes.items()}
    count = int(np.prod(list(sizes.values())))
    if count > len(devices):
        raise UserError(f"config.mesh={dict(axes)}: there are {len(devices)} devices")
    return jax.make_mesh(
        tuple(sizes.values()),
        tuple(sizes),
        axis_types=(AxisType.Auto,) * len(sizes),
        devices=devices[:count],
    )


def state_sharding(mesh: Mesh, partition: PyTree) -> PyTree:
    """A tree of `PartitionSpec`s as shardings on a mesh."""
    return jax.tree.map(
        lambda spec: NamedSharding(mesh, spec),
        partition,
        is_leaf=lambda x: isinstance(x, PartitionSpec),
    )


def place_batch(mesh: Mesh, batch_axis: int, items: PyTree) -> PyTree:
    """Lays items over the devices, without waiting.

    Args:
      mesh: With an axis "data", along which examples are shared.
      batch_axis: The axis of the items along which their examples lie.
      items: Arrays; one that has no such axis goes to every device.

    Raises:
      UserError: The batch cannot be shared evenly.
    """
    devices = mesh.shape["data"]

    def sharding(x):
        if np.ndim(x) <= batch_axis:
            return NamedSharding(mesh, PartitionSpec())
        size = np.shape(x)[batch_axis]
        if size % devices:
            raise UserError(f"batch_size={size} cannot be shared by {devices} devices")
        return NamedSharding(mesh, PartitionSpec(*(None,) * batch_axis, "data"))

    return jax.device_put(items, jax.tree.map(sharding, items))
