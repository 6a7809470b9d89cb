"""Names of torchvision and timm are answered with ours."""

import pytest

import fdl
from fdl import models
from fdl.errors import UserError
from fdl.models.published_names import PUBLISHED_NAMES


def test_each_stands_for_a_size_of_the_zoo():
    assert {*PUBLISHED_NAMES.values()} <= {*models.__all__}
    assert not {*PUBLISHED_NAMES} & {*models.__all__}


@pytest.mark.parametrize("theirs, ours", PUBLISHED_NAMES.items())
def test_errors_name_ours(theirs, ours):
    with pytest.raises(AttributeError, match=f"it is called '{ours}' here"):
        getattr(models, theirs)
    with pytest.raises(UserError, match=f"it is called '{ours}' here"):
        fdl.make(models, {"name": theirs})


def test_other_names_are_unknown():
    with pytest.raises(AttributeError, match=r"no attribute 'resnet19'$"):
        models.resnet19  # noqa: B018
