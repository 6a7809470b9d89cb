"""Against transformers, on small random models that it has written itself."""

import json

import jax
import numpy as np
import pytest

from fdl import evaluation, generation, models
from fdl.data.text import tokenizers

pytestmark = pytest.mark.oracle
PROGRAMS = 600

SIZES = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}
GROUPED = SIZES | {"num_key_value_heads": 2}
GPT2 = {
    **{"vocab_size": 61, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4},
    "initializer_range": 0.2,
}
LLAMA3 = {
    **{"rope_type": "llama3", "rope_theta": 1000.0, "factor": 8.0},
    **{"low_freq_factor": 1.0, "high_freq_factor": 4.0},
    "original_max_position_embeddings": 16,
}
BERT = SIZES | {"num_labels": 3}
VIT = {"image_size": 16, "patch_size": 4, "num_labels": 3}
VIT |= {k: x for k, x in SIZES.items() if not k.startswith(("vocab", "max"))}
CASES = {
    "gpt2": ("GPT2LMHeadModel", GPT2),
    "gpt2_relu": ("GPT2LMHeadModel", GPT2 | {"activation_function": "relu"}),
    "llama2": ("LlamaForCausalLM", SIZES),
    "llama3": ("LlamaForCausalLM", GROUPED),
    "llama3.1": ("LlamaForCausalLM", GROUPED | {"rope_parameters": LLAMA3}),
    "wide_heads": ("LlamaForCausalLM", GROUPED | {"head_dim": 16}),
    "mistral": ("MistralForCausalLM", GROUPED | {"sliding_window": 5}),
    "mistral_v2": ("MistralForCausalLM", GROUPED | {"sliding_window": None}),
    "qwen2": ("Qwen2ForCausalLM", GROUPED | {"tie_word_embeddings": True}),
    "qwen2_window": (
        "Qwen2ForCausalLM",
        GROUPED
        | {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 0},
    ),
    "bert": ("BertModel", BERT),
    "bert_masked": ("BertForMaskedLM", BERT),
    "bert_pretraining": ("BertForPreTraining", BERT),
    "bert_sequence": ("BertForSequenceClassification", BERT),
    "bert_token": ("BertForTokenClassification", BERT | {"hidden_act": "gelu_new"}),
    "vit": ("ViTForImageClassification", VIT),
    "vit_pooler": ("ViTModel", VIT),
}
CAUSAL = [name for name in CASES if not name.startswith(("bert", "vit"))]
PROMPTS = [[3, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1]]


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def theirs(torch):
    """``theirs(name)``: a random model, all of whose arrays say something."""
    hf, made = pytest.importorskip("transformers"), {}

    def make(name):
        if name not in made:
            torch.manual_seed(0)
            architecture, options = CASES[name]
            kind = getattr(hf, architecture)
            model = kind(kind.config_class(**options)).eval()
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter.data += 0.1 * torch.randn_like(parameter)
            made[name] = model
        return made[name]

    return make


@pytest.fixture(scope="module")
def ours(theirs, tmp_path_factory):
    """``ours(name)``: the same, read from the folder that it was written to."""
    made = {}

    def make(name, **options):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            theirs(name).save_pretrained(folder, max_shard_size="20KB")
            assert (folder / "model.safetensors.index.json").exists()
            made[name] = folder
        return models.from_folder(made[name], dropout=0.0, **options)

    return make


@pytest.fixture(scope="module")
def both(torch, ours, theirs):
    """``both(name, model)``: outputs of ours, and of a model of theirs, by name."""

    def outputs(name, model):
        random, published = np.random.RandomState(0), ours(name)
        apply = jax.jit(published.model.apply)
        if name.startswith("vit"):
            images = random.normal(size=(2, 16, 16, 3)).astype(np.float32)
            with torch.no_grad():
                found = model(torch.tensor(images.transpose(0, 3, 1, 2)))
            expected = found["logits" if name == "vit" else "pooler_output"]
            return [apply(published.variables, images)[0]], [expected]
        tokens = random.randint(1, 61, (3, 24)).astype(np.int32)
        mask = np.arange(24) < [[24], [17], [9]]
        inputs = {"mask": mask}
        options = {"attention_mask": torch.tensor(mask.astype(np.int64))}
        if name.startswith("bert"):
            types = random.randint(0, 2, (3, 24)).astype(np.int32)
            inputs["token_types"] = types
            options["token_type_ids"] = torch.tensor(types.astype(np.int64))
        actual, _ = apply(published.variables, tokens, **inputs)
        with torch.no_grad():
            found = model(torch.tensor(tokens.astype(np.int64)), **options)
        if name == "bert":
            return [actual], [found.pooler_output]
        if name == "bert_sequence":
            return [actual], [found.logits]
        if name == "bert_pretraining":
            logits, following = actual
            expected = found.prediction_logits[mask], found.seq_relationship_logits
            return [logits[mask], following], [*expected]
        logits = actual[0] if name == "bert_masked" else actual
        return [logits[mask]], [found.logits[mask]]

    return outputs


@pytest.mark.parametrize("name", CASES)
def test_a_folder_of_transformers_has_its_logits(name, both, theirs, assert_close):
    actual, expected = both(name, theirs(name))
    pairs = zip(actual, expected, strict=True)
    worst = max(assert_close(x, y.numpy(), 1e-5) for x, y in pairs)
    print(f"logits {name} {worst:.1e}")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("scan", [False, True])
def test_transformers_reads_what_is_written_to_the_bit(
    name, scan, ours, theirs, tmp_path
):
    published = ours(name, scan_layers=scan)
    models.to_folder(tmp_path, published, max_shard_bytes=20_000)
    expected = theirs(name)
    again = type(expected).from_pretrained(tmp_path)
    for (path, one), two in zip(
        expected.state_dict().items(), again.state_dict().values(), strict=True
    ):
        assert (one == two).all(), path
    ignored = {"_name_or_path", "dtype", "id2label", "label2id", "rope_scaling"}
    ignored |= {*again.config.to_dict()} - {*expected.config.to_dict()}
    ignored |= {x for x in expected.config.to_dict() if "drop" in x}
    before, after = expected.config.to_dict(), again.config.to_dict()
    changed = {k for k in before if k not in ignored and before[k] != after[k]}
    assert not changed


@pytest.mark.parametrize("name", CAUSAL)
def test_greedy_and_beams_are_those_of_transformers(name, torch, ours, theirs):
    published, model = ours(name), theirs(name)
    decoder = generation.decoder(published.model)
    options = {"max_new_tokens": 24, "do_sample": False, "pad_token_id": 0}
    inputs = [torch.tensor([prompt]) for prompt in PROMPTS]

    found = generation.generate(decoder, published.variables, PROMPTS, max_tokens=24)
    for row, prompt in zip(found.tokens[:, 0], inputs, strict=True):
        expected = model.generate(prompt, eos_token_id=None, **options)
        assert row.tolist() == expected[0, prompt.shape[1] :].tolist()

    stop = int(found.tokens[0, 0, 5])
    beams = generation.beam_search(
        decoder,
        published.variables,
        PROMPTS,
        max_tokens=24,
        stop_tokens=[stop],
        length_penalty=generation.power(1.0),
    )
    for i, prompt in enumerate(inputs):
        expected = model.generate(
            prompt,
            eos_token_id=stop,
            num_beams=4,
            num_return_sequences=4,
            early_stopping="never",
            output_scores=True,
            return_dict_in_generate=True,
            **options,
        )
        for j in range(4):
            row = expected.sequences[j, prompt.shape[1] :].tolist()
            row = row[: row.index(stop) + 1] if stop in row else row
            length = int(beams.lengths[i, j])
            assert np.asarray(beams.tokens)[i, j, :length].tolist() == row
        scores = expected.sequences_scores.numpy()
        np.testing.assert_allclose(beams.scores[i], scores, atol=1e-5)


@pytest.mark.parametrize("name", CAUSAL)
def test_sampled_distributions_are_those_of_transformers(name, torch, ours, theirs):
    hf = pytest.importorskip("transformers")
    published, tokens = ours(name), np.array([PROMPTS[0]], np.int32)
    logits = jax.jit(published.model.apply)(published.variables, tokens)[0][:, -1]
    filters = generation.temperature(0.7), generation.top_k(20), generation.top_p(0.9)
    for keep in filters:
        logits = keep(logits)
    actual = np.asarray(jax.nn.softmax(logits))
    ids = torch.tensor(tokens.astype(np.int64))
    with torch.no_grad():
        expected = theirs(name)(ids).logits[:, -1]
    for warp in (
        hf.TemperatureLogitsWarper(0.7),
        hf.TopKLogitsWarper(20),
        hf.TopPLogitsWarper(0.9),
    ):
        expected = warp(ids, expected)
    expected = expected.softmax(-1).numpy()
    assert ((actual > 0) == (expected > 0)).all()
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    print(f"distribution {name} {np.abs(actual - expected).max():.1e}")


@pytest.mark.parametrize("name", CAUSAL)
def test_scores_of_texts_are_those_of_transformers(name, torch, ours, theirs):
    published, random = ours(name), np.random.RandomState(1)
    texts = [random.randint(0, 61, length) for length in (40, 23)]
    nats, counts = evaluation.log_likelihoods(
        published.model, published.variables, texts, window=48
    )
    for found, count, text in zip(nats, counts, texts, strict=True):
        ids = torch.tensor(text[None])
        with torch.no_grad():
            loss = theirs(name)(ids, labels=ids).loss
        np.testing.assert_allclose(-found / count, float(loss), rtol=1e-5)
        print(f"score {name} {abs(-found / count - float(loss)) / float(loss):.1e}")


TEXTS = [
    "The cat sat on the mat.",
    "  two  spaces\nand a line",
    "naïve café 東京 🙂",
    "",
]
LETTERS = [chr(i) for i in range(0x21, 0x180)] + ["▁"]  # GPT-2's 256 are among them.


def tokenizers_of(hf):
    """Tokenizers of transformers by name, and what each adds to a text."""
    special = {"<unk>": 0, "<s>": 1, "</s>": 2}
    letters = {x: i + 3 for i, x in enumerate(LETTERS)}
    pieces = {x: i + 5 + len(LETTERS) for i, x in enumerate(f"##{x}" for x in LETTERS)}
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
    words |= {x: i + 5 for i, x in enumerate(LETTERS)} | pieces
    merges = [("t", "h"), ("th", "e"), ("▁", "the"), ("Ġ", "th")]
    merged = {"".join(pair): len(letters) + 3 + i for i, pair in enumerate(merges)}
    byte_fallback = {f"<0x{i:02X}>": len(letters) + 10 + i for i in range(256)}
    llama = special | letters | merged | byte_fallback
    size = len(llama)
    plain = letters | merged | {"<|endoftext|>": size, "<unk>": 0}
    return {
        "llama": (hf.LlamaTokenizer(llama, merges, add_bos_token=True), "bos", None),
        "bert": (hf.BertTokenizer(words), "cls", "sep"),
        "gpt2": (hf.GPT2Tokenizer(plain, merges), None, None),
        "qwen2": (hf.Qwen2Tokenizer(plain, merges), None, None),
    }


@pytest.mark.parametrize("name", ["llama", "bert", "gpt2", "qwen2"])
def test_tokenizers_of_transformers_are_read(name, ours, tmp_path):
    hf = pytest.importorskip("transformers")
    expected, begin, end = tokenizers_of(hf)[name]
    models.to_folder(tmp_path, ours("gpt2"))
    expected.save_pretrained(tmp_path)
    found = models.from_folder(tmp_path)
    assert (found.begin, found.end) == (begin, end)
    special = found.tokenizer.special
    front, back = ([] if role is None else [special[role]] for role in (begin, end))
    for text in TEXTS:
        inner = expected(text, add_special_tokens=False)["input_ids"]
        if name != "llama" and None in (inner or [0]):
            continue
        assert found.tokenizer.encode(text).tolist() == inner
        assert [*front, *inner, *back] == expected(text)["input_ids"]
    for role, i in special.items():
        assert getattr(expected, f"{role}_token_id") == i


@pytest.mark.parametrize(
    "begin, end", [("bos", None), ("bos", "eos"), (None, None), ("cls", "sep")]
)
def test_transformers_reads_the_tokenizers_that_are_written(begin, end, ours, tmp_path):
    hf = pytest.importorskip("transformers")
    roles = ("pad", "bos", "eos", "cls", "sep", "unk", "mask")
    tokenizer = tokenizers.byte_pair(TEXTS * 9, 290, roles)
    changed = ours("gpt2")._replace(
        tokenizer=tokenizer,
        begin=begin,
        end=end,
        chat_template="{{ messages[0]['content'] }}",
    )
    models.to_folder(tmp_path, changed)
    theirs = hf.AutoTokenizer.from_pretrained(tmp_path)
    front, back = ([] if x is None else [tokenizer.special[x]] for x in (begin, end))
    for text in TEXTS:
        inner = tokenizer.encode(text).tolist()
        assert theirs(text)["input_ids"] == [*front, *inner, *back]
        assert theirs.decode(inner) == text == tokenizer.decode(inner)
    assert {r: getattr(theirs, f"{r}_token_id") for r in roles} == tokenizer.special
    said = [{"role": "user", "content": "ä"}]
    assert theirs.apply_chat_template(said, tokenize=False) == "ä"
    written = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert written["bos_token"] == theirs.bos_token
