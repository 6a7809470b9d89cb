"""What has to wait for what: a Transformer reads all tokens at once, an LSTM in turn.

fdl train experiments/theory/sequential_depth.py --seeds 5

The longest chain of operations, each of which needs the result of the one before, in
the program that computes a gradient: 387 for a GPT of two layers, of 64 tokens and of
256 alike, without a loop; 3,140 and 12,356 for an LSTM of two layers, whose loops over
the tokens have 256 and 1,024 steps in all, forwards and backwards. The numbers are read
from the program, and are the same for all seeds: all three claims hold. They tell what
could run at once, and no time. It takes 2 seconds of CPU time.

References:
  Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_, 2017,
  table 1.
"""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jax.extend import core
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 1  # Nothing is trained: programs are read.
    config.save_every = "never"
    config.best = "min gpt/ratio"

    config.lengths = (64, 256) if size == "full" else (4, 8)
    config.num_layers = 2 if size == "full" else 1
    config.hidden_size = 64 if size == "full" else 8
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    short, long = config.lengths
    growth = long / short
    sizes = {"vocab_size": 65}
    depth, width = config.num_layers, config.hidden_size
    modules = {
        "gpt": fdl.models.GPT(depth, 4, width, max_length=long, **sizes),
        "lstm": fdl.models.RNNLanguageModel(width, depth, **sizes),
    }

    @functools.cache
    def measure():
        return {
            f"{name}/{metric}": float(value)
            for name, module in modules.items()
            for metric, value in measured(module, short, long).items()
        }

    return fdl.Experiment(
        learner=fdl.Learner(
            init=lambda key: key,
            step=lambda key, batch: (key, {}),
            variables=lambda key: {"params": {}},
        ),
        batches=fdl.data.no_data(),
        evaluate=lambda variables: measure(),
        claims=[
            fdl.Claim(
                "a GPT has no loop over tokens, forwards or backwards (steps of loops)",
                lambda m: m["gpt/loops_long"],
                at_most=0,
            ),
            fdl.Claim(
                f"where tokens are {growth:g} times as many, its longest chain of "
                "operations is as long (ratio)",
                lambda m: m["gpt/ratio"],
                at_least=1,
                at_most=1,
            ),
            fdl.Claim(
                f"that of an LSTM is nearly {growth:g} times as long (ratio)",
                lambda m: m["lstm/ratio"],
                at_least=0.9 * growth,
                at_most=growth,
            ),
        ],
    )


def measured(module, short, long):
    """Steps of loops, and longest chains of operations, of a training step."""
    model = fdl.models.functional(module)

    def program(length):
        tokens = jax.ShapeDtypeStruct((1, length), jnp.int32)
        variables = jax.eval_shape(model.init, jax.random.key(0))

        def loss(variables, tokens):
            logits, _ = model.apply(variables, tokens)
            return fdl.losses.cross_entropy(logits, tokens).mean()

        return jax.make_jaxpr(jax.grad(loss))(variables, tokens).jaxpr

    programs = program(short), program(long)
    chains = [*map(chain, programs)]
    loops = [*map(loop_steps, programs)]
    return {
        "loops_short": loops[0],
        "loops_long": loops[1],
        "chain_short": chains[0],
        "chain_long": chains[1],
        "ratio": chains[1] / chains[0],
    }


def chain(program):
    """Longest chain of operations each of which needs the result of the one before."""
    depth = {}
    longest = 0
    for equation in program.eqns:
        inputs = [x for x in equation.invars if not isinstance(x, core.Literal)]
        before = max((depth.get(x, 0) for x in inputs), default=0)
        inside = [chain(part) for part in parts(equation)]
        here = times(equation) * max(inside, default=1)
        longest = max(longest, before + here)
        depth.update(dict.fromkeys(equation.outvars, before + here))
    return longest


def loop_steps(program):
    """Number of steps of all loops."""
    total = 0
    for equation in program.eqns:
        if equation.primitive.name == "scan":
            total += equation.params["length"]
        inside = [*map(loop_steps, parts(equation)), 0]
        # Of the branches of a condition, one is run.
        total += max(inside) if equation.primitive.name == "cond" else sum(inside)
    return total


def times(equation):
    """Number of times that an operation runs what is inside of it."""
    return equation.params["length"] if equation.primitive.name == "scan" else 1


def parts(equation):
    """Programs inside of an operation."""
    for value in jax.tree.leaves(
        [*equation.params.values()],
        is_leaf=lambda x: isinstance(x, core.Jaxpr | core.ClosedJaxpr),
    ):
        if isinstance(value, core.ClosedJaxpr):
            yield value.jaxpr
        elif isinstance(value, core.Jaxpr):
            yield value
