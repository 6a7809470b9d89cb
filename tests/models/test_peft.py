"""Adapters as files of PEFT: theirs here, and ours there."""

import functools
import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fdl import models
from fdl.errors import UserError
from fdl.models.layers.layer_stack import stack_layers
from fdl.models.lora import with_adapters
from fdl.models.pretrained.convert import flatten, to_theirs
from fdl.trees import named_leaves

SIZES = {"vocab_size": 32, "max_length": 8}
MODELS = {
    "gpt": models.GPT(2, 2, 8, **SIZES),
    "llama": models.Llama(2, 4, 8, 16, 2, **SIZES),
    "bert": models.BERT(2, 2, 8, 16, num_classes=3, **SIZES),
}
# Of GPT-2, queries and values are parts of one kernel there, and keys have no adapter.
MATCH = {
    "gpt": ["query", "value", "out", "layers_0/mlp/up"],
    "llama": ["attention", "gate"],
    "bert": ["query", "value"],
}
TOKENS = np.arange(12, dtype=np.int32).reshape(2, 6)
each = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="module")
def adapted(random_variables):
    """``adapted(name)``: base, its variables, the adapted model, and its variables."""

    @functools.cache
    def make(name):
        base = models.functional(MODELS[name])
        variables = random_variables(MODELS[name])
        whole = "head" if name == "bert" else ()
        model = models.lora(base, 2, 4.0, MATCH[name], whole=whole)
        shapes = jax.eval_shape(model.init, jax.random.key(0))
        rng, adapters = np.random.RandomState(1), {}
        for path, leaf in sorted(flatten(shapes["params"]).items()):
            adapters[path] = rng.normal(size=leaf.shape).astype(np.float32) / 4
        return base, variables, model, with_adapters(variables, adapters, 2.0)

    return make


def logits(model, variables):
    outputs = jax.jit(model.apply)(variables, TOKENS)[0]
    return np.asarray(outputs[-1] if isinstance(outputs, tuple) else outputs)


@pytest.mark.some(1)
@each
def test_a_folder_of_peft_and_back_changes_nothing(name, adapted, references, tmp_path):
    base, variables, model, ours = adapted(name)
    found = logits(model, ours)
    references.agree(name, found)
    models.save_adapters(tmp_path, ours, MODELS[name], base="me/base")
    again = models.load_adapters(tmp_path, base, variables)[1]
    merged = logits(base, models.merge_lora(again))
    np.testing.assert_allclose(merged, found, rtol=1e-4, atol=1e-5)
    arrays = load_file(tmp_path / "adapter_model.safetensors")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 2, 4)
    if name == "gpt":
        c_attn = "base_model.model.transformer.h.1.attn.c_attn.lora_"
        assert arrays[f"{c_attn}A.weight"].shape == (4, 8)
        assert arrays[f"{c_attn}B.weight"].shape == (24, 4)
        assert not arrays[f"{c_attn}B.weight"][8:16].any()  # Keys.
        assert config["rank_pattern"]["transformer.h.1.attn.c_attn"] == 4
        assert config["alpha_pattern"]["transformer.h.1.attn.c_attn"] == 8
        assert config["fan_in_fan_out"] and config["task_type"] == "CAUSAL_LM"
    if name == "llama":
        k_proj = "base_model.model.model.layers.0.self_attn.k_proj.lora_"
        assert arrays[f"{k_proj}B.weight"].shape == (4, 2)
        assert not config["fan_in_fan_out"] and config["rank_pattern"] == {}
    if name == "bert":
        assert arrays["base_model.model.classifier.weight"].shape == (3, 8)
        assert config["modules_to_save"] == ["classifier"]


@pytest.mark.slow
def test_scanned_layers_take_the_adapters_of_all_layers(adapted, tmp_path):
    _, variables, model, ours = adapted("llama")
    scanned = models.functional(MODELS["llama"].clone(scan_layers=True))
    models.save_adapters(tmp_path, ours, MODELS["llama"])
    stacked = stack_layers(variables)
    found, theirs = models.load_adapters(tmp_path, scanned, stacked)
    np.testing.assert_allclose(logits(found, theirs), logits(model, ours), atol=1e-5)
    _, variables, _, ours = adapted("gpt")  # Of which one layer has an adapter more.
    models.save_adapters(tmp_path / "gpt", ours, MODELS["gpt"])
    scanned = models.functional(MODELS["gpt"].clone(scan_layers=True))
    with pytest.raises(UserError, match="adapts 1 of 2 layers"):
        models.load_adapters(tmp_path / "gpt", scanned, stack_layers(variables))


A = "base_model.model.transformer.h.0.attn.c_proj.lora_A.weight"
B = A.replace("lora_A", "lora_B")
WTE = "base_model.model.transformer.wte.weight"
TIED = "transformer.wte.weight without lm_head.weight: expected both, as they are tied"


@pytest.mark.parametrize(
    "config, arrays, message",
    [
        ({"use_dora": True}, {}, "use_dora=True: expected False"),
        ({"peft_type": "IA3"}, {}, "peft_type='IA3': expected 'LORA'"),
        ({"lora_alpha": "x"}, {}, "lora_alpha, alpha_pattern: expected positive"),
        ({"alpha_pattern": {"(a+)+": 2}}, {}, "expected the name of a module"),
        ({"r": 0}, {}, "r=0: expected a rank from 1 on"),
        (
            {"init_lora_weights": "pissa"},
            {},
            "init_lora_weights='pissa': expected True",
        ),
        (
            {"alora_invocation_tokens": [5]},
            {},
            r"alora_invocation_tokens=\[5\]: expected",
        ),
        ({}, {A: np.ones((2, 8)), B: np.ones((8, 2)), WTE: np.ones((32, 8))}, TIED),
        ({}, {}, "expected adapters, arrays named lora_A and lora_B"),
        ({}, {A: np.ones((2, 8))}, "expected transformer.h.0.attn.c_proj.lora_B"),
        ({}, {A: np.ones((2, 7)), B: np.ones((8, 2))}, r"\[2, 7\] and .* expected"),
        (
            {},
            {
                A.replace("h.0", "h.9"): np.ones((2, 8)),
                B.replace("h.0", "h.9"): np.ones((8, 2)),
            },
            "the model has no transformer.h.9.attn.c_proj",
        ),
        ({}, {A.replace("lora_A.", ""): np.ones(3)}, "does not fit"),
    ],
)
def test_what_is_not_known_or_does_not_fit_is_one_line(
    config, arrays, message, adapted, tmp_path
):
    base, variables, _, _ = adapted("gpt")
    content = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, **config}
    (tmp_path / "adapter_config.json").write_text(json.dumps(content))
    arrays = {name: np.float32(x) for name, x in arrays.items()}
    save_file(arrays, tmp_path / "adapter_model.safetensors")
    with pytest.raises(UserError, match=message):
        models.load_adapters(tmp_path, base, variables)


def theirs(name, variables):
    """Base of transformers with our variables."""
    import torch
    import transformers

    kinds = {
        "gpt": lambda: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=32,
                n_positions=8,
                n_embd=8,
                n_layer=2,
                n_head=2,
                bos_token_id=0,
                eos_token_id=0,
            )
        ),
        "llama": lambda: transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                vocab_size=32,
                hidden_size=8,
                intermediate_size=16,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                rms_norm_eps=1e-5,
            )
        ),
        "bert": lambda: transformers.BertForSequenceClassification(
            transformers.BertConfig(
                vocab_size=32,
                hidden_size=8,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=16,
                max_position_embeddings=8,
                num_labels=3,
            )
        ),
    }
    model = kinds[name]()
    arrays = to_theirs(variables, MODELS[name].checkpoints()["transformers"])
    state = {key: torch.tensor(np.array(x)) for key, x in arrays.items()}
    model.load_state_dict(state, strict=False)
    return model.eval()


def test_patterns_of_alpha_are_those_of_peft(adapted, tmp_path):
    base, variables, _, ours = adapted("gpt")
    models.save_adapters(tmp_path, ours, MODELS["gpt"])
    path = tmp_path / "adapter_config.json"
    config = json.loads(path.read_text())
    _, before = models.load_adapters(tmp_path, base, variables)
    # A dot is any character.
    config["alpha_pattern"]["h.1.attn.c.proj"] = 2 * config["lora_alpha"]
    path.write_text(json.dumps(config))
    _, after = models.load_adapters(tmp_path, base, variables)
    before, after = (named_leaves(x["params"]) for x in (before, after))
    twice = "layers_1/attention/out/lora_b"
    (path,) = [path for path in before if path.endswith(twice)]
    for name in before:
        factor = 2 if name == path else 1
        np.testing.assert_allclose(after[name], factor * before[name], rtol=1e-6)


@pytest.mark.oracle
@each
def test_peft_opens_our_folder(name, adapted, references, torch, tmp_path):
    peft = pytest.importorskip("peft")
    _, variables, _, ours = adapted(name)
    models.save_adapters(tmp_path, ours, MODELS[name])
    model = peft.PeftModel.from_pretrained(theirs(name, variables), tmp_path).eval()
    with torch.no_grad():
        references.check(name, model(torch.tensor(TOKENS).long()).logits.numpy())


@pytest.mark.oracle
@pytest.mark.parametrize("stabilised", [False, True])
@each
def test_we_open_a_folder_of_peft(name, stabilised, adapted, torch, tmp_path):
    peft = pytest.importorskip("peft")
    base, variables, _, _ = adapted(name)
    targets = {
        "gpt": ["c_attn", "mlp.c_proj"],
        "llama": ["q_proj", "v_proj", "down_proj"],
        "bert": ["query", "value", "dense"],
    }
    config = peft.LoraConfig(
        r=2,
        lora_alpha=6,
        target_modules=targets[name],
        rank_pattern={targets[name][0]: 3},
        alpha_pattern={targets[name][0]: 5},
        fan_in_fan_out=name == "gpt",
        use_rslora=stabilised,
        init_lora_weights=False,
        exclude_modules=".*pooler.*",
    )
    model = peft.get_peft_model(theirs(name, variables), config).eval()
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        expected = model(torch.tensor(TOKENS).long()).logits.numpy()
    found = logits(*models.load_adapters(tmp_path, base, variables))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(found - logits(base, variables)).max() > 1e-3
