import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from fdl.errors import UserError
from fdl.train.mesh import make_mesh, place_batch


@pytest.mark.parametrize(
    "axes, shape",
    [
        ({"data": 1}, {"data": 1}),
        ({"data": -1}, {"data": 4}),
        ({"data": 2}, {"data": 2}),
        ({"data": -1, "model": 2}, {"data": 2, "model": 2}),
    ],
)
def test_a_mesh_has_the_devices_that_it_asks_for(axes, shape):
    assert dict(make_mesh(axes).shape) == shape


@pytest.mark.parametrize("axes", [{"data": 5}, {"data": 0}, {"a": -1, "b": -1}])
def test_a_mesh_that_cannot_be_is_an_error(axes):
    with pytest.raises(UserError, match=r"config\.mesh"):
        make_mesh(axes)


@pytest.mark.parametrize("batch_axis", [0, 1])
def test_examples_are_shared_by_the_devices_and_scalars_copied(batch_axis):
    mesh = make_mesh({"data": -1})
    shape = (3,) * batch_axis + (8, 2)
    items = {"image": np.zeros(shape), "step": np.zeros((3,) * batch_axis)}
    placed = place_batch(mesh, batch_axis, items)
    spec = PartitionSpec(*(None,) * batch_axis, "data")
    assert placed["image"].sharding.spec == spec
    local = placed["image"].addressable_shards[0].data.shape
    assert local == (3,) * batch_axis + (2, 2)
    assert placed["step"].sharding.is_fully_replicated
    assert len(jax.devices()) == len(placed["step"].addressable_shards)


def test_a_batch_that_cannot_be_shared_evenly_is_an_error():
    with pytest.raises(UserError, match=r"batch_size=6: .* 4 devices"):
        place_batch(make_mesh({"data": -1}), 0, np.zeros((6, 2)))
