"""The networks that are compared, and what PyTorch calls their weights."""

from fdl import models
from fdl.models.pretrained import resnet
from fdl.models.pretrained.rules import CONV, DENSE, Rule, of_flat_images


def make(case: str):
    """The module of a case, and the rules of its weights in `in_torch`."""
    return {
        "mlp": (models.MLP((512, 512), 10), MLP),
        "cnn": (models.CNN((32, 64), (128,), 10), CNN),
        "resnet18": (
            models.resnet18(num_classes=10, small_images=True),
            resnet.TORCHVISION,
        ),
        "alexnet": (models.alexnet_one_tower(dropout=0.0), ALEXNET),
        "lstm": (models.RNNClassifier(256, input_shape=(128, 64)), LSTM),
        "transformer": (
            models.GPT(4, 4, 256, vocab_size=256, max_length=128),
            TRANSFORMER,
        ),
    }[case]


def layer(theirs: str, ours: str, layout) -> list[Rule]:
    """A kernel and a bias."""
    return [
        Rule(f"{theirs}.weight", f"params/{ours}/kernel", layout),
        Rule(f"{theirs}.bias", f"params/{ours}/bias"),
    ]


MLP = [
    *layer("1", "dense_0", DENSE),
    *layer("3", "dense_1", DENSE),
    *layer("5", "head", DENSE),
]
CNN = [
    *layer("0", "convolution_0", CONV),
    *layer("3", "convolution_1", CONV),
    *layer("7", "dense_0", of_flat_images(64, 7, 7)),
    *layer("9", "head", DENSE),
]
ALEXNET = [
    rule
    for theirs, ours in zip((0, 3, 6, 8, 10), range(1, 6), strict=True)
    for rule in layer(f"{theirs}", f"conv{ours}", CONV)
] + [
    *layer("14", "dense_0", of_flat_images(256, 6, 6)),
    *layer("16", "dense_1", DENSE),
    *layer("18", "head", DENSE),
]


def gates(side: str, kind: str) -> tuple[str, ...]:
    """The arrays of the four gates, in PyTorch's order."""
    return tuple(f"params/encoder/rnn/layer_0/{side}{gate}/{kind}" for gate in "ifgo")


LSTM = [
    Rule("lstm.weight_ih_l0", gates("i", "kernel"), DENSE),
    Rule("lstm.weight_hh_l0", gates("h", "kernel"), DENSE),
    Rule("lstm.bias_hh_l0", gates("h", "bias")),
    *layer("head", "head", DENSE),
]


def norm(theirs: str, ours: str) -> list[Rule]:
    """A scale and a bias."""
    return [
        Rule(f"{theirs}.weight", f"params/{ours}/scale"),
        Rule(f"{theirs}.bias", f"params/{ours}/bias"),
    ]


def projections(kind: str) -> tuple[str, ...]:
    """Query, key and value of each layer."""
    attention = "params/decoder/layers_{i}/attention"
    return tuple(f"{attention}/{name}/{kind}" for name in ("query", "key", "value"))


TRANSFORMER = [
    Rule("tokens.weight", "params/token_embedding/embedding"),
    Rule("positions.weight", "params/position_embedding/embedding"),
    Rule("layers.{i}.self_attn.in_proj_weight", projections("kernel"), DENSE),
    Rule("layers.{i}.self_attn.in_proj_bias", projections("bias")),
    *layer("layers.{i}.self_attn.out_proj", "decoder/layers_{i}/attention/out", DENSE),
    *layer("layers.{i}.linear1", "decoder/layers_{i}/mlp/up", DENSE),
    *layer("layers.{i}.linear2", "decoder/layers_{i}/mlp/down", DENSE),
    *norm("layers.{i}.norm1", "decoder/layers_{i}/attention_norm"),
    *norm("layers.{i}.norm2", "decoder/layers_{i}/mlp_norm"),
    *norm("norm", "norm"),
]
