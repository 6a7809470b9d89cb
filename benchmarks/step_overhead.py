"""Overhead of a step in fdl's loop, beside the same step in a loop by hand.

    .venv/bin/python benchmarks/step_overhead.py

Three processes take turns, so that all see the same machine:

* plain: a jitted step with a donated state in a Python loop, data on the device, the
  loss read every 100 steps;
* bare: `fdl.train`, one step a call, with glibc's memory as it comes;
* fdl: `fdl.train` as `fdl train` runs it: steps fused, and freed memory kept, but for
  PPO, whose buffers are small.

The table has the median time of a step over the rounds, the median ratios of neighbours
in time, and the page faults of a step.
"""

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import time

ROUNDS = 7
CASES = {  # Steps of a round, and how many are fused.
    "tiny MLP": (3000, 100),
    "3 ms MLP": (200, 20),
    "LeNet": (40, 20),
    "CNN": (20, 10),
    "PPO": (40, 10),
}


def main() -> None:
    """Runs the workers in turns and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work(options.worker, options.case)
    print(f"{'':10}{'ms a step':>28}{'ratio to plain':>18}{'faults a step':>20}")
    print(f"{'':10}{'plain':>10}{'bare':>9}{'fdl':>9}", end="")
    print(f"{'bare':>10}{'fdl':>8}{'plain':>12}{'fdl':>8}")
    for case in CASES:
        workers = {name: start(name, case) for name in ("plain", "bare", "fdl")}
        for worker in workers.values():
            ask(worker)  # Compiles, and warms up.
        rounds = [
            {name: ask(worker) for name, worker in workers.items()}
            for _ in range(options.rounds)
        ]
        print(row(case, rounds), flush=True)
        for worker in workers.values():
            worker.stdin.close()
            worker.wait()


def row(case: str, rounds: list[dict]) -> str:
    """Medians over the rounds of a case."""

    def median(value) -> float:
        return statistics.median(value(r) for r in rounds)

    times = [median(lambda r, n=n: r[n]["ms"]) for n in ("plain", "bare", "fdl")]
    ratios = [
        median(lambda r, n=n: r[n]["ms"] / r["plain"]["ms"]) for n in ("bare", "fdl")
    ]
    faults = [median(lambda r, n=n: r[n]["faults"]) for n in ("plain", "fdl")]
    return (
        f"{case:10}{times[0]:10.3f}{times[1]:9.3f}{times[2]:9.3f}"
        f"{ratios[0]:10.2f}{ratios[1]:8.2f}{faults[0]:12,.0f}{faults[1]:8,.0f}"
    )


def start(name: str, case: str) -> subprocess.Popen:
    """Starts a worker that waits for its turns."""
    command = [sys.executable, __file__, "--worker", name, "--case", case]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)


def ask(worker: subprocess.Popen) -> dict:
    """Has a worker run a round."""
    worker.stdin.write("go\n")
    worker.stdin.flush()
    return json.loads(worker.stdout.readline())


def work(name: str, case: str) -> None:
    """A worker: runs a round for each line that it reads, and prints what it took."""
    from fdl.runs.process import keep_freed_memory

    if name == "fdl" and case != "PPO":
        keep_freed_memory()
    steps, fused = CASES[case]
    loop = plain if name == "plain" else ours
    run = loop(*make(case), fused if name == "fdl" else 1)
    for _ in sys.stdin:
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        began = time.perf_counter()
        run(steps)
        seconds = time.perf_counter() - began
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
        result = {"ms": seconds / steps * 1e3, "faults": faults / steps}
        print(json.dumps(result), flush=True)


def make(case: str):
    """The learner and the batches of a case."""
    import jax.numpy as jnp
    import numpy as np
    import optax

    import fdl
    from fdl import data, distributions, envs, models, objectives, rl

    if case == "PPO":
        model = models.functional(models.ActorCritic(2), jnp.zeros((1, 4)))
        categorical = distributions.categorical()
        learner = rl.on_policy(
            envs.gymnax("CartPole-v1"),
            model,
            categorical,
            objectives.ppo(model, categorical),
            optax.adam(1e-3),
            num_envs=16,
            num_steps=64,
            num_epochs=4,
            num_minibatches=4,
            discount=0.99,
            lambda_=0.95,
        )
        return learner, data.no_data()
    module = {
        "tiny MLP": models.MLP((32,), 10),
        "3 ms MLP": models.MLP((512, 256), 10),
        "LeNet": models.lenet5(),
        "CNN": models.CNN((32, 64), (128,), 10),
    }[case]
    random = np.random.default_rng(0)
    source = {
        "image": random.normal(size=(4096, 28, 28, 1)).astype(np.float32),
        "label": random.integers(10, size=4096).astype(np.int32),
    }
    model = models.functional(module, source["image"][:1])
    objective = objectives.classification(model)
    learner = fdl.gradient_learner(model, objective, optax.adam(1e-3))
    return learner, data.batches(source, 16 if case == "tiny MLP" else 128)


def plain(learner, batches, fused: int):
    """The loop that one writes by hand."""
    del fused
    import jax

    @jax.jit
    def init(key):
        return learner.init(key)

    def step(state, data, item):
        return learner.step(state, batches.take(data, item))

    step = jax.jit(step, donate_argnums=0)
    data = jax.device_put(batches.data)
    state, items = init(jax.random.key(0)), batches.stream(0)

    def run(num_steps: int) -> None:
        nonlocal state
        for i, item in enumerate(itertools.islice(items, num_steps)):
            state, metrics = step(state, data, item)
            if i % 100 == 0:
                float(metrics["loss"].compute())
        jax.block_until_ready(state)

    return run


def ours(learner, batches, fused: int):
    """The loop of fdl."""
    import jax

    from fdl import train
    from fdl.train.loop import read_metrics

    program = train.compiled(learner, batches, steps_per_call=fused)
    carry, start = program.init(jax.random.key(0)), 0
    log, flush = read_metrics(lambda step, values: None)

    def run(num_steps: int) -> None:
        nonlocal carry, start
        carry, start = train.iterate(
            program, carry, batches, start, start + num_steps, [train.Hook(100, log)]
        )
        jax.block_until_ready(carry)
        flush()

    return run


if __name__ == "__main__":
    main()
