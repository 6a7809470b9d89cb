"""Networks of the zoo beside the same by hand in JAX, and in PyTorch.

    .venv/bin/python benchmarks/models.py [CASE ...]

Four processes take turns, so that all see the same machine, with the same weights, the
same inputs and as many threads as each takes by itself:

* hand: plain JAX (`by_hand.py`), a jitted step with a donated state;
* fdl: the module of `fdl.models` in the same step;
* kept: the same, with freed memory kept for the next step, as `fdl train` does;
* torch: PyTorch, eager, with its own defaults (`in_torch.py`).

It prints the median milliseconds of a forward pass and of a training step, with SGD
with momentum and with Adam, and median ratios of neighbours in time. The losses of the
first steps have to be the same in all four.
"""

import argparse
import functools
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

WORKERS = ("hand", "fdl", "kept", "torch")
KINDS = ("forward", "sgd", "adam")
CASES = {  # Shape of the inputs, number of classes, calls in a round.
    "mlp": ((128, 28, 28, 1), 10, 100),
    "cnn": ((128, 28, 28, 1), 10, 10),
    "resnet18": ((32, 32, 32, 3), 10, 1),
    "alexnet": ((16, 224, 224, 3), 1000, 1),
    "lstm": ((32, 128, 64), 10, 5),
    "transformer": ((16, 128), 256, 2),
}


def main() -> None:
    """Runs the workers in turns and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--without", nargs="*", default=[], choices=WORKERS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--weights", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work(options.worker, options.cases[0], options.weights)
    names = [name for name in WORKERS if name not in options.without]
    print(f"{'':24}" + "".join(f"{name:>9}" for name in names), end="")
    print(
        "".join(f"{f'fdl/{n}':>12}" for n in names if n not in ("fdl", "kept")), end=""
    )
    print("".join(f"{f'kept/{n}':>12}" for n in names if n not in ("fdl", "kept")))
    for case in options.cases:
        for line in compare(case, names, options.rounds):
            print(line, flush=True)


def compare(case: str, names: list[str], num_rounds: int) -> list[str]:
    """Three lines of the table: forward pass and training steps."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(command("write", case, folder), check=True)
        workers = {name: start(name, case, folder) for name in names}
        first = {name: ask(worker)["losses"] for name, worker in workers.items()}
        rounds = [
            {name: ask(worker) for name, worker in workers.items()}
            for _ in range(num_rounds)
        ]
        for worker in workers.values():
            worker.stdin.close()
            worker.wait()
    for name, losses in first.items():
        pairs = zip(losses, first["fdl"], strict=True)
        apart = max(abs(a - b) / abs(b) for a, b in pairs)
        assert apart < 1e-3, f"{case}: {name} begins with {losses}, {first['fdl']}"
    return [line(case, kind, rounds, names) for kind in KINDS]


def line(case: str, kind: str, rounds: list[dict], names: list[str]) -> str:
    """Medians over the rounds."""
    times = [statistics.median(r[name][kind] for r in rounds) for name in names]
    ratios = [
        statistics.median(r[ours][kind] / r[other][kind] for r in rounds)
        for ours, other in pairs(names)
    ]
    text = "".join(f"{ms:9.2f}" for ms in times)
    return f"{case:16}{kind:8}{text}" + "".join(f"{r:12.2f}" for r in ratios)


def pairs(names: list[str]) -> list[tuple[str, str]]:
    """Pairs of implementations to compare."""
    others = [name for name in names if name in ("hand", "torch")]
    return [(ours, o) for ours in ("fdl", "kept") if ours in names for o in others]


def command(name: str, case: str, folder: str) -> list[str]:
    """The command line of a worker."""
    return [sys.executable, __file__, case, "--worker", name, "--weights", folder]


def start(name: str, case: str, folder: str) -> subprocess.Popen:
    """Starts a worker that waits for its turns."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command(name, case, folder), stdin=pipe, stdout=pipe, text=True
    )


def ask(worker: subprocess.Popen) -> dict:
    """Has a worker run a round."""
    worker.stdin.write("go\n")
    worker.stdin.flush()
    return json.loads(worker.stdout.readline())


def work(name: str, case: str, folder: str) -> None:
    """A worker: for each line that it reads, runs a round and prints what it took."""
    if name == "write":
        return write_weights(case, pathlib.Path(folder))
    if name == "kept":
        from fdl.runs.process import keep_freed_memory

        keep_freed_memory()
    make = torch_calls if name == "torch" else jax_calls
    functions = dict(zip(KINDS, make(name, case, pathlib.Path(folder)), strict=True))
    sys.stdin.readline()
    losses = [functions[kind](1) for kind in KINDS[1:] for _ in range(3)]
    print(json.dumps({"losses": losses}), flush=True)
    functions["forward"](1)
    for _ in sys.stdin:
        result = {}
        for kind, call in functions.items():
            began, calls = time.perf_counter(), CASES[case][2]
            call(calls)
            result[kind] = (time.perf_counter() - began) / calls * 1e3
        print(json.dumps(result), flush=True)


def data(case: str):
    """Inputs and labels, numpy."""
    import numpy as np

    random = np.random.RandomState(0)
    shape, classes, _ = CASES[case]
    if case == "transformer":
        tokens = random.randint(classes, size=(shape[0], shape[1] + 1), dtype=np.int32)
        return tokens[:, :-1], tokens[:, 1:]
    inputs = random.normal(size=shape).astype(np.float32)
    return inputs, random.randint(classes, size=shape[0], dtype=np.int32)


def write_weights(case: str, folder: pathlib.Path) -> None:
    """Writes the same weights under our names and under torch's."""
    import cases
    import jax
    import numpy as np

    from fdl import models
    from fdl.models.pretrained.convert import flatten, to_theirs

    module, rules = cases.make(case)
    inputs = data(case)[0]
    init = jax.jit(models.functional(module, inputs[:1]).init)
    variables = init(jax.random.key(0))
    np.savez(folder / "ours.npz", **flatten(variables))
    np.savez(folder / "torch.npz", **to_theirs(variables, rules))


def jax_calls(name: str, case: str, folder: pathlib.Path):
    """The calls of a forward pass and of a training step, by hand or of the zoo."""
    import by_hand
    import cases
    import jax
    import numpy as np
    import optax

    from fdl.models.pretrained.convert import flatten, unflatten

    inputs, labels = jax.device_put(data(case))
    flat = dict(np.load(folder / "ours.npz"))
    if name == "hand":
        network = getattr(by_hand, case)
    else:
        module, _ = cases.make(case)

        def network(w, x, train):
            variables = unflatten(w)
            if not train:
                return module.apply(variables, x), {}
            logits, new = module.apply(variables, x, train=True, mutable="batch_stats")
            return logits, flatten(new)

    params = {k: v for k, v in flat.items() if k.startswith("params/")}
    stats = {k: v for k, v in flat.items() if k not in params}

    def loss_fn(params, stats, inputs, labels):
        logits, new = network({**params, **stats}, inputs, True)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), new

    def training(optimizer):
        @functools.partial(jax.jit, donate_argnums=0)
        def train_step(state, inputs, labels):
            params, stats, opt_state = state
            gradient = jax.value_and_grad(loss_fn, has_aux=True)
            (loss, new), grads = gradient(params, stats, inputs, labels)
            updates, opt_state = optimizer.update(grads, opt_state)
            params = optax.apply_updates(params, updates)
            return (params, {**stats, **new}, opt_state), loss

        state = jax.device_put((params, stats, optimizer.init(params)))

        def step(calls):
            nonlocal state
            for _ in range(calls):
                state, loss = train_step(state, inputs, labels)
            return float(loss)

        return step

    predict = jax.jit(lambda w, x: network(w, x, False)[0])
    weights = jax.device_put(flat)

    def forward(calls):
        for _ in range(calls):
            predict(weights, inputs).block_until_ready()

    return forward, training(optax.sgd(0.01, momentum=0.9)), training(optax.adam(1e-3))


def torch_calls(name: str, case: str, folder: pathlib.Path):
    """The same calls in PyTorch."""
    import in_torch
    import numpy as np
    import torch

    inputs, labels = data(case)
    if inputs.ndim == 4:
        inputs = np.moveaxis(inputs, -1, 1).copy()
    inputs, labels = torch.tensor(inputs), torch.tensor(labels.astype(np.int64))
    if case == "transformer":
        inputs = inputs.long()
    weights = {k: torch.tensor(v) for k, v in np.load(folder / "torch.npz").items()}

    def loaded():
        network = getattr(in_torch, case)()
        # PyTorch's LSTM has a second bias, and its batch norms count.
        rest = {k: v for k, v in network.state_dict().items() if k not in weights}
        rest = {k: torch.zeros_like(v) for k, v in rest.items()}
        assert all("bias_ih" in k or "num_batches" in k for k in rest), [*rest]
        network.load_state_dict({**weights, **rest})
        for name, value in network.named_parameters():
            value.requires_grad_(name not in rest)
        return network

    def training(network, optimizer):
        def step(calls):
            network.train()
            for _ in range(calls):
                optimizer.zero_grad()
                logits = network(inputs).reshape(labels.numel(), -1)
                loss = torch.nn.functional.cross_entropy(logits, labels.reshape(-1))
                loss.backward()
                optimizer.step()
            return float(loss.detach())

        return step

    network, first, second = loaded(), loaded(), loaded()

    def forward(calls):
        network.eval()
        with torch.no_grad():
            for _ in range(calls):
                network(inputs)

    return (
        forward,
        training(first, torch.optim.SGD(first.parameters(), lr=0.01, momentum=0.9)),
        training(second, torch.optim.Adam(second.parameters())),
    )


if __name__ == "__main__":
    main()
