"""Folders of published models: there and back, and what is said of those that fail."""

import functools
import json
import os
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fdl import models
from fdl.data.text import tokenizers
from fdl.errors import UserError
from fdl.models.layers.position_encodings import RotaryScaling
from fdl.models.published.folder import config_of, module_of
from fdl.models.published.record import ImageInputs

GELU = functools.partial(nn.gelu, approximate=False)
Llama = functools.partial(models.Llama, 2, 4, 32, 48, 2, vocab_size=61, max_length=64)
BERT = {"vocab_size": 61, "max_length": 32, "mlp_size": 48, "pad_token": 0}
MODULES = {
    "gpt2": models.GPT(2, 4, 32, vocab_size=61, max_length=32),
    "gpt2_gelu": models.GPT(1, 4, 32, 48, GELU, vocab_size=61, max_length=32),
    "llama": Llama(),
    "llama3.1": Llama(rotary_scaling=RotaryScaling(8.0, 1.0, 4.0, 16)),
    "wide_heads": Llama(head_size=16, rotary_base=5e5),
    "mistral": Llama(window=5),
    "qwen2": Llama(qkv_bias=True, tie_embeddings=True),
    "qwen2_window": Llama(qkv_bias=True, window=5),
    "bert": models.BERT(1, 4, 32, **BERT),
    "bert_sequence": models.BERT(1, 4, 32, num_classes=3, **BERT),
    "bert_token": models.BERT(1, 4, 32, num_classes=3, pool="none", **BERT),
    "bert_pretraining": models.BERTPretraining(1, 4, 32, **BERT),
    "bert_masked": models.BERTPretraining(
        1, 4, 32, num_classes=None, pool="none", **BERT
    ),
    "vit": models.ViT(4, 1, 4, 32, 48, num_classes=3, image_size=8),
    "vit_pooler": models.ViT(
        4, 1, 4, 32, 48, num_classes=None, representation_size=16, image_size=8
    ),
}
TOKENS = np.random.RandomState(0).randint(1, 61, (2, 20)).astype(np.int32)


@pytest.fixture(scope="module")
def published(random_variables):
    """``published(name, **fields)``: a model filled with numbers."""

    @functools.cache
    def variables_of(name):
        return random_variables(MODULES[name])

    def make(name, **fields):
        model = models.functional(MODULES[name])
        return models.Published(model, variables_of(name), **fields)

    return make


def same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, one, other)


def config(name, **changes):
    """Config of a model with some entries changed."""
    published = models.Published(models.functional(MODULES[name]), {})
    return {**config_of(published), **changes}


@pytest.mark.parametrize("name", MODULES)
def test_a_config_gives_the_module_that_it_was_written_of(name):
    before = MODULES[name]
    rate = before.attention_dropout or 0.0
    expected = before.clone(attention_dropout=rate)
    _, after = module_of(json.loads(json.dumps(config(name))))
    if isinstance(before, models.BERT | models.ViT | models.GPT):
        # Partial functions are never equal, and sizes may be stated or be the default.
        sizes = {"mlp_size": after.mlp_size, "activation": after.activation}
        assert config(name)["model_type"] == "gpt2" or after.mlp_size == 48
        expected = expected.clone(**sizes)
    assert after == expected


@pytest.mark.some(2)
@pytest.mark.parametrize("name", MODULES)
def test_a_folder_is_read_as_it_was_written(name, published, tmp_path):
    before = published(name)
    models.to_folder(tmp_path, before)
    after = models.from_folder(tmp_path)
    same(after.variables, before.variables)
    assert config_of(after) == after.config


@pytest.mark.some(1)
@pytest.mark.parametrize("name", ["llama3.1", "mistral", "qwen2"])
def test_logits_are_those_of_transformers(name, published, tmp_path, references):
    models.to_folder(tmp_path, published(name))
    model, variables, *_ = models.from_folder(tmp_path)
    logits, _ = jax.jit(model.apply)(variables, TOKENS)
    references.agree(name, logits)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["llama3.1", "mistral", "qwen2"])
def test_the_logits_expected_are_those_of_transformers(
    name, published, tmp_path, references
):
    torch, hf = pytest.importorskip("torch"), pytest.importorskip("transformers")
    models.to_folder(tmp_path, published(name))
    model = hf.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        logits = model(torch.tensor(TOKENS.astype(np.int64))).logits
    references.check(name, logits.numpy())


def test_weights_are_split_into_shards_and_put_together(published, tmp_path):
    before = published("llama")
    models.to_folder(tmp_path, before, max_shard_bytes=20_000)
    shards = sorted(x.name for x in tmp_path.glob("*.safetensors"))
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert shards[0] == f"model-00001-of-0000{len(shards)}.safetensors"
    assert {*index["weight_map"].values()} == {*shards} and len(shards) > 2
    sizes = [x.nbytes for x in jax.tree.leaves(before.variables)]
    assert index["metadata"]["total_size"] == sum(sizes)
    same(models.from_folder(tmp_path).variables, before.variables)
    models.to_folder(tmp_path, before)
    assert [x.name for x in tmp_path.glob("*.safetensors*")] == ["model.safetensors"]


def test_a_tied_array_is_written_once(published, tmp_path):
    models.to_folder(tmp_path, published("bert_masked"))
    assert not [x for x in load_file(tmp_path / "model.safetensors") if "decoder" in x]


def test_options_change_the_module_and_scanned_layers_are_written_unrolled(
    published, tmp_path
):
    before = published("gpt2")
    models.to_folder(tmp_path, before)
    options = {"scan_layers": True, "dropout": 0.3, "param_dtype": "bfloat16"}
    half = models.from_folder(tmp_path, **options)
    module = half.model.module
    assert (module.scan_layers, module.dropout) == (True, 0.3)
    assert {str(x.dtype) for x in jax.tree.leaves(half.variables)} == {"bfloat16"}
    models.to_folder(tmp_path, half)
    again = models.from_folder(tmp_path)
    assert again.config["dtype"] == "bfloat16" == again.model.module.param_dtype
    rounded = jax.tree.map(lambda x: x.astype(jnp.bfloat16), before.variables)
    same(again.variables, rounded)


def test_another_head_is_read_where_it_is_allowed(published, tmp_path):
    models.to_folder(tmp_path, published("bert_pretraining"))
    name = "BertForSequenceClassification"
    with pytest.raises(UserError, match=r"1 kind|allow="):
        models.from_folder(tmp_path, architecture=name, num_classes=5)
    allow = "params/head/*", "cls.*"
    found = models.from_folder(tmp_path, architecture=name, num_classes=5, allow=allow)
    assert found.variables["params"]["head"]["kernel"].shape == (32, 5)
    masked = models.from_folder(tmp_path, architecture="BertForMaskedLM")
    assert masked.model.module == MODULES["bert_masked"].clone(
        attention_dropout=0.0, activation=masked.model.module.activation
    )


def test_names_of_the_first_checkpoints_are_read(published, tmp_path):
    before = published("bert_masked")
    models.to_folder(tmp_path, before)
    file = tmp_path / "model.safetensors"
    old = {
        name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): x
        for name, x in load_file(file).items()
    }
    save_file(old | {"bert.pooler.dense.bias": np.zeros(32, np.float32)}, file)
    same(models.from_folder(tmp_path).variables, before.variables)


@pytest.mark.parametrize(
    "old",
    [
        {"rope_scaling": {"type": "llama3"}, "rope_theta": 500000.0},
        {"rope_scaling": {"rope_type": "llama3", "rope_theta": 500000}},
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5}},
    ],
)
def test_old_and_new_names_of_rotary_settings_say_the_same(old):
    scaling = {"factor": 8, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling["original_max_position_embeddings"] = 8192
    config = {
        **{"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
        **{"hidden_size": 32, "num_attention_heads": 4, "vocab_size": 61},
        **{"num_hidden_layers": 2, "intermediate_size": 48},
        **{k: x | scaling if isinstance(x, dict) else x for k, x in old.items()},
    }
    _, module = module_of(config)
    assert module.rotary_base == 500_000.0
    assert module.rotary_scaling == RotaryScaling(8.0, 1.0, 4.0, 8192)


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("gpt2", {"architectures": ["GPT2Model"]}, r"Did you mean 'GPT2LMHeadModel'"),
        ("gpt2", {"architectures": []}, r"architectures=\[\]: expected one"),
        ("gpt2", {"model_type": "gptj"}, r"model_type='gptj': expected 'gpt2'"),
        ("gpt2", {"n_layer": "two"}, r"n_layer='two': expected int"),
        ("gpt2", {"n_embd": "without"}, r"n_embd=missing: expected int"),
        ("gpt2", {"activation_function": "mish"}, r"activation_function='mish'"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, r"=True: expected False"),
        ("gpt2", {"tie_word_embeddings": False}, r"tie_word_embeddings=False"),
        ("gpt2", {"embd_pdrop": 0.5}, r"embd_pdrop=0.5: expected 0.0, that of resid"),
        ("gpt2", {"auto_map": {"AutoModelForCausalLM": "x.Y"}}, r"auto_map: .*not run"),
        ("gpt2", {"quantization_config": {"bits": 4}}, r"quantization_config: "),
        ("gpt2", {"dtype": "int8"}, r"param_dtype='int8': expected a dtype of floats"),
        ("llama", {"attention_bias": True}, r"attention_bias=True: expected False"),
        ("llama", {"hidden_act": "gelu"}, r"hidden_act='gelu': expected 'silu'"),
        ("llama", {"rope_scaling": {"type": "yarn"}}, r"rope_type='yarn': expected"),
        ("llama", {"rope_parameters": {"beta_fast": 1}}, r"beta_fast of a rotary"),
        (
            "qwen2_window",
            {"layer_types": ["full_attention", "sliding_attention"]},
            r"layer_types=.*: expected one kind of attention in all layers",
        ),
        ("bert", {"position_embedding_type": "relative_key"}, r"expected 'absolute'"),
        ("bert", {"is_decoder": True}, r"is_decoder=True: expected False"),
        ("bert_sequence", {"classifier_dropout": 0.5}, r"classifier_dropout=0.5"),
        ("bert_sequence", {"id2label": {"1": "a"}}, r"id2label=.*: expected names"),
        ("vit", {"num_channels": 1}, r"num_channels=1: expected 3"),
        ("vit", {"hidden_dropout_prob": 0.1}, r"hidden_dropout_prob=0.1"),
    ],
)
def test_what_is_not_supported_is_one_line(name, changes, message):
    entries = {k: x for k, x in config(name, **changes).items() if x != "without"}
    with pytest.raises(UserError, match=message) as caught:
        module_of(entries)
    assert "\n" not in str(caught.value)


def test_an_error_names_the_file(published, tmp_path):
    models.to_folder(tmp_path, published("gpt2_gelu"))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config("gpt2_gelu", n_layer=None)))
    with pytest.raises(UserError, match=f"{path}: n_layer=None: expected int"):
        models.from_folder(tmp_path)
    path.write_text(json.dumps(config("gpt2_gelu", n_positions=64)))
    with pytest.raises(
        UserError, match=r"position_embedding/embedding is .*\[32, 32\]"
    ):
        models.from_folder(tmp_path)


def test_a_pickle_is_not_opened_and_a_missing_file_is_said(published, tmp_path):
    with pytest.raises(UserError, match=r"missing: expected a folder"):
        models.from_folder(tmp_path / "missing")
    with pytest.raises(UserError, match=r"expected a config.json"):
        models.from_folder(tmp_path)
    models.to_folder(tmp_path, published("gpt2_gelu"))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"expected model.safetensors, or .*index"):
        models.from_folder(tmp_path)
    os.mkfifo(tmp_path / "pytorch_model.bin")  # Whoever opened it would wait for ever.
    with pytest.raises(UserError, match=r"pytorch_model.bin, .* save_pretrained"):
        models.from_folder(tmp_path)
    with pytest.raises(UserError, match=r"num_layer: expected .*mean 'num_layers'"):
        models.from_folder(tmp_path, num_layer=1)


@pytest.mark.parametrize(
    "module, message",
    [
        (models.MLP((8,), 3), "model of MLP: expected a GPT, Llama, BERT or ViT"),
        (models.nanogpt_baby(), "use_bias=False: expected True"),
        (MODULES["gpt2"].clone(activation=nn.elu), "expected one of transformers"),
        (Llama(dropout=0.1), "dropout=0.1: expected 0.0"),
        (MODULES["bert"].clone(pool="mean"), "pool='mean', num_classes=None"),
        (MODULES["vit"].clone(pool="mean"), "ViT: expected pool='token'"),
    ],
)
def test_what_transformers_has_not_is_not_written(module, message, tmp_path):
    model = models.functional(module, np.zeros((1, 4), np.float32))
    with pytest.raises(UserError, match=message):
        models.to_folder(tmp_path, models.Published(model, {}))


TEXTS = ["the cat sat on the mat", "a cat and a dog"] * 3
TRAINED = {
    "bos": lambda special: tokenizers.byte_pair(TEXTS, 270, special),
    "cls": lambda special: tokenizers.wordpiece(TEXTS, 60, special),
}


@pytest.mark.some(2)
@pytest.mark.parametrize(
    "begin, end", [("bos", None), ("bos", "eos"), (None, None), ("cls", "sep")]
)
def test_a_tokenizer_comes_with_what_it_adds_to_a_text(begin, end, published, tmp_path):
    import tokenizers as library

    roles = ("unk", "pad", "cls", "sep") if begin == "cls" else ("pad", "bos", "eos")
    tokenizer = TRAINED.get(begin, TRAINED["bos"])(roles)
    before = published(
        "gpt2_gelu",
        tokenizer=tokenizer,
        begin=begin,
        end=end,
        chat_template="{{ messages }}",
        generation_config={"max_new_tokens": 7},
    )
    models.to_folder(tmp_path, before)
    after = models.from_folder(tmp_path)
    assert (after.begin, after.end) == (begin, end)
    assert after.tokenizer.special == tokenizer.special
    assert after.chat_template == "{{ messages }}"
    assert after.generation_config == {"max_new_tokens": 7}
    special = tokenizer.special
    assert after.config["pad_token_id"] == special["pad"]
    inner = tokenizer.encode(TEXTS[0]).tolist()
    assert after.tokenizer.encode(TEXTS[0]).tolist() == inner
    whole = library.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    front, back = ([] if x is None else [special[x]] for x in (begin, end))
    assert whole.encode(TEXTS[0]).ids == [*front, *inner, *back]


def test_roles_of_tokens_are_those_that_files_declare(published, tmp_path):
    tokenizer = TRAINED["bos"](("bos", "eos"))
    models.to_folder(tmp_path, published("gpt2_gelu", tokenizer=tokenizer))
    texts = tokenizer.spec["special"]
    (tmp_path / "tokenizer_config.json").write_text("{}")
    path = tmp_path / "config.json"
    ids = {"bos_token_id": [0, 1], "eos_token_id": tokenizer.special["eos"]}
    config = {**json.loads(path.read_text()), **ids, "pad_token_id": 50_256}
    path.write_text(json.dumps(config))
    assert {**models.from_folder(tmp_path).tokenizer.special} == {
        "eos": tokenizer.special["eos"]
    }
    token = {"content": texts["bos"], "lstrip": False}
    special = tmp_path / "special_tokens_map.json"
    special.write_text(json.dumps({"eos_token": token}))
    found = models.from_folder(tmp_path).tokenizer.special
    assert {**found} == {"eos": tokenizer.special["bos"]}
    special.write_text(json.dumps({"mask_token": "[MASK]"}))
    with pytest.raises(
        UserError, match=r"tokenizer.json: special\['mask'\]='\[MASK\]'"
    ):
        models.from_folder(tmp_path)


def test_a_tokenizer_of_characters_is_not_written(published, tmp_path):
    characters = published("gpt2_gelu", tokenizer=tokenizers.characters("abc"))
    with pytest.raises(UserError, match=r"tokenizer of characters: expected one"):
        models.to_folder(tmp_path, characters)


def test_classes_and_images_are_read_as_they_were_written(published, tmp_path):
    images = ImageInputs((8, 8), (0.5, 0.4, 0.3), (0.2, 0.25, 0.5))
    names = "cat", "dog", "Träumerei"
    models.to_folder(tmp_path, published("vit", labels=names, images=images))
    found = models.from_folder(tmp_path)
    assert (found.labels, found.images) == (names, images)
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({"do_normalize": False}))
    with pytest.raises(UserError, match=r"do_normalize=False: expected True"):
        models.from_folder(tmp_path)


MEMORY = """
import json, resource, sys
import jax, jax.numpy as jnp
from fdl import models
jax.jit(lambda x: x + 1)(jnp.ones(3)).block_until_ready()
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
options = json.loads(sys.argv[2])
published = models.from_folder(sys.argv[1], **options)
variables = jax.block_until_ready(published.variables)
print((peak() - before) / sum(x.nbytes for x in jax.tree.leaves(variables)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"scan_layers": True}, {"param_dtype": "bfloat16"}]
)
def test_a_model_is_never_in_memory_twice(options, tmp_path):
    # 439 MB, of either dtype.
    num_layers, vocab_size = (12, 32_000) if "param_dtype" in options else (6, 16_000)
    module = models.Llama(num_layers, 8, 1024, 2816, vocab_size=vocab_size)
    model = models.functional(module)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    variables = jax.tree.map(lambda x: np.full(x.shape, 0.1, x.dtype), shapes)
    published = models.Published(model, variables)
    models.to_folder(tmp_path, published, max_shard_bytes=100 << 20)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path, json.dumps(options)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.2
