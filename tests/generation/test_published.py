"""What published models say of how texts are generated with them."""

import pytest

from fdl.data.text import tokenizers
from fdl.errors import UserError
from fdl.generation.published import sampling, stop_tokens
from fdl.models import Published

MODEL = Published(None, {})


@pytest.mark.parametrize(
    "config, expected",
    [
        ({}, {}),
        ({"max_length": 20, "eos_token_id": 3, "temperature": None}, {}),
        ({"do_sample": True, "temperature": 0.6, "top_p": 0.9}, None),
        ({"temperature": 1, "top_k": 0, "min_p": 0.0}, {"temperature": 1.0}),
        ({"top_k": 50, "min_p": 0.1, "repetition_penalty": 1.1}, None),
        ({"do_sample": False, "temperature": 0.6}, {"temperature": 0.0}),
    ],
)
def test_settings_of_sampling_are_those_that_the_file_states(config, expected):
    if expected is None:
        expected = {k: x for k, x in config.items() if k != "do_sample"}
    assert sampling(MODEL._replace(generation_config=config)) == expected


@pytest.mark.parametrize(
    "config, message",
    [
        ({"top_k": "all"}, r"generation_config.json: top_k='all': expected int"),
        ({"temperature": True}, r"temperature=True: expected float"),
        ({"do_sample": 1}, r"do_sample=1: expected bool"),
    ],
)
def test_a_setting_of_another_type_is_one_line(config, message):
    with pytest.raises(UserError, match=message):
        sampling(MODEL._replace(generation_config=config))


@pytest.mark.parametrize(
    "generation, config, expected",
    [
        ({"eos_token_id": [5, 3, 5]}, {"eos_token_id": 1}, (3, 5)),
        ({"eos_token_id": None}, {"eos_token_id": 0}, (0,)),
        ({}, {}, (3,)),
    ],
)
def test_stop_tokens_are_those_of_the_first_file_that_names_them(
    generation, config, expected
):
    tokenizer = tokenizers.characters("abc", ["eos"])
    model = Published(None, {}, tokenizer, config, generation)
    assert stop_tokens(model) == expected
    with pytest.raises(UserError, match=r"json: eos_token_id='x': expected token ids"):
        stop_tokens(model._replace(generation_config={"eos_token_id": "x"}))
    with pytest.raises(UserError, match="eos_token_id=2147483648: expected token ids"):
        stop_tokens(model._replace(generation_config={"eos_token_id": 2**31}))
    with pytest.raises(UserError, match=r"top_k=1e.30: expected below"):
        sampling(MODEL._replace(generation_config={"top_k": 10**30}))
    assert stop_tokens(MODEL) == ()
