"""What the tests of augmentations share: an image, and torchvision's numbers."""

import json
import os
import pathlib

import numpy as np
import pytest

PATH = pathlib.Path(__file__).parent / "torchvision.json"


def pytest_collection_modifyitems(items):
    """What torch warns of is not ours to mend."""
    for item in items:
        if item.get_closest_marker("oracle"):
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def image():
    """Random colours [9, 12, 3], and some grey, black and white."""
    image = np.random.RandomState(0).uniform(size=(9, 12, 3)).astype(np.float32)
    image[0, 0], image[0, 1], image[1, 1] = 0, 1, 0.5
    return image


@pytest.fixture(scope="session")
def torchvision():
    """``torchvision(function, image)``: of an image [H, W, C]; or a skip."""
    torch = pytest.importorskip("torch")
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):  # May be missing, and are never called.
        if not hasattr(torch.ops.torchvision, name):
            operators.define(f"{name}(Tensor a, Tensor b, float c) -> Tensor")
    from torchvision.transforms import v2

    def call(function, image):
        tensor = torch.tensor(np.asarray(image)).permute(2, 0, 1)
        return function(v2, tensor).permute(1, 2, 0).numpy()

    yield call
    del operators  # It has to live as long as that is called.


class References:
    """32 numbers of each image that torchvision made, committed."""

    def __init__(self):
        self.cases = json.loads(PATH.read_text()) if PATH.exists() else {}

    def agree(self, name, ours, atol=2e-6):
        np.testing.assert_allclose(sample(ours), self.cases[name], atol=atol)

    def check(self, name, theirs):
        """That they are torchvision's; writes them, if asked to."""
        if os.environ.get("FDL_WRITE_REFERENCES"):
            self.cases[name] = [float(f"{x:.7g}") for x in sample(theirs)]
            lines = [f"{json.dumps(k)}: {v}" for k, v in sorted(self.cases.items())]
            PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        self.agree(name, theirs)


@pytest.fixture(scope="session")
def references():
    return References()


def sample(image):
    flat = np.asarray(image, np.float64).reshape(-1)
    return flat[np.linspace(0, flat.size - 1, min(32, flat.size)).astype(int)]
