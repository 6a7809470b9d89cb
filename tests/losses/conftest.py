"""What the tests of the losses share: an oracle."""

import pytest


@pytest.fixture(scope="session")
def torch():
    """PyTorch, if it is installed; its torchvision may lack compiled operators."""
    torch = pytest.importorskip("torch")
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            operators.define(f"{name}(Tensor a, Tensor b, float c) -> Tensor")
    yield torch  # The operators live as long as `operators` does.
