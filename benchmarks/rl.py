"""Environment steps a second of reinforcement learning, beside other libraries.

    .venv/bin/python benchmarks/rl.py [CASE ...] [--peer NAME=PYTHON ...]
    .venv/bin/python benchmarks/rl.py --scaling

Each library trains in a process of its own, and they take turns with the same
hyperparameters, seed by seed, from initial weights to the end:

* fdl: `rl.on_policy` and `rl.off_policy` in the loop of `fdl train`, steps fused;
* one file: PPO with nothing but JAX, optax and gymnax (`rl_in_one_file.py`), the floor;
* rejax, with gymnax 0.0.9 (`rl_in_rejax.py`);
* sbx and sb3, SBX and Stable-Baselines3 on gymnasium (`rl_in_stable_baselines.py`).

A peer is installed in an environment of its own, whose Python is given by ``--peer
rejax=PYTHON``; those that are not are left out. All threads of a library are counted,
but PyTorch has one, with which it is faster here.

It prints environment steps a second of processor time, or by ``--wall`` of the clock:
of a training that is compiled already, the median of all but the first, and of the
first one, with its compilation; the ratio of the former to fdl's, the median over
neighbours in time; and the mean returns of the final policies, whose evaluation is in
no time. They are greedy, but those of rejax's PPO and SAC, which are sampled, and of
its DQN, which have 0.5 % of random actions.

What cannot be made the same: rejax clips PPO's values too, bounds gradients element by
element, and learns DQN by squared errors, where the others have the Huber loss; rejax
and the one file take time limits for terminal states.

With ``--scaling``, fdl's PPO alone: steps a second against the number of environments,
and of seeds that are trained at once.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
PPO = {
    "env": "CartPole-v1",
    "total_steps": 204_800,
    "hidden_sizes": [64, 64],
    "num_envs": 8,
    "num_steps": 128,
    "num_epochs": 4,
    "num_minibatches": 4,
    "discount": 0.99,
    "lambda_": 0.95,
    "clip": 0.2,
    "value_cost": 0.5,
    "entropy_cost": 0.01,
    "learning_rate": 1e-3,
    "max_grad_norm": 0.5,
}
DQN = {
    "env": "CartPole-v1",
    "total_steps": 50_000,
    "hidden_sizes": [64, 64],
    "num_envs": 8,
    "num_updates": 8,
    "batch_size": 128,
    "capacity": 50_000,
    "learning_starts": 1000,
    "discount": 0.99,
    "target_every": 512,
    "epsilon": 0.05,
    "epsilon_steps": 10_000,
    "learning_rate": 1e-3,
}
SAC = {
    "env": "Pendulum-v1",
    "total_steps": 20_000,
    "hidden_sizes": [64, 64],
    "num_envs": 1,
    "num_updates": 1,
    "batch_size": 128,
    "capacity": 20_000,
    "learning_starts": 400,
    "discount": 0.99,
    "target_rate": 0.005,
    "learning_rate": 1e-3,
}
CASES = {"ppo": PPO, "dqn": DQN, "sac": SAC}
WORKERS = {  # Script of each library, and the cases it has.
    "fdl": ("rl_in_fdl.py", [*CASES]),
    "one file": ("rl_in_one_file.py", ["ppo"]),
    "rejax": ("rl_in_rejax.py", [*CASES]),
    "sbx": ("rl_in_stable_baselines.py", [*CASES]),
    "sb3": ("rl_in_stable_baselines.py", [*CASES]),
}


def main() -> None:
    """Runs the libraries in turns and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=[*CASES], metavar="CASE")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--rounds", type=int, default=3, help="after the first one")
    parser.add_argument("--wall", action="store_true", help="time of the clock")
    parser.add_argument("--scaling", action="store_true", help="environments and seeds")
    options = parser.parse_args()
    clock = "wall" if options.wall else "processor"
    if options.scaling:
        return scaling(clock, options.rounds)
    pythons = {"fdl": sys.executable, "one file": sys.executable}
    pythons |= dict(peer.split("=", 1) for peer in options.peer)
    print(f"environment steps a second of {clock} time")
    print(f"{'':14}{'compiled':>11}{'with compilation':>18}{'to fdl':>9}  returns")
    for case in options.cases:
        for line in compare(case, pythons, clock, options.rounds):
            print(line, flush=True)


def compare(case: str, pythons: dict, clock: str, num_rounds: int) -> list[str]:
    """Lines of the table of a case."""
    workers, lines = {}, []
    for name, (script, cases) in WORKERS.items():
        if case not in cases:
            continue
        if name not in pythons:
            lines.append(f"{f'{case} {name}':14}left out: no --peer {name}=PYTHON")
            continue
        worker = start(pythons[name], script, name, CASES[case] | {"case": case})
        if isinstance(worker, str):
            lines.append(f"{f'{case} {name}':14}left out: {worker}")
        else:
            workers[name] = worker
    rounds = [
        {name: ask(worker, seed) for name, worker in workers.items()}
        for seed in range(num_rounds + 1)
    ]
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    steps = CASES[case]["total_steps"]
    return [row(case, name, steps, rounds, clock) for name in workers] + lines


def row(case: str, name: str, steps: int, rounds: list[dict], clock: str) -> str:
    """Speeds, ratio and returns of a library."""
    first, *others = rounds

    def seconds(one: dict, library: str) -> float:
        return one[library][clock]

    compiled = steps / statistics.median(seconds(one, name) for one in others)
    cold = steps / first[name].get(f"first_{clock}", seconds(first, name))
    ratio = statistics.median(seconds(r, "fdl") / seconds(r, name) for r in others)
    returns = ", ".join(f"{one[name]['return']:.0f}" for one in rounds)
    return f"{f'{case} {name}':14}{compiled:11,.0f}{cold:18,.0f}{ratio:9.3f}  {returns}"


def scaling(clock: str, num_rounds: int) -> None:
    """Prints steps a second of fdl's PPO by environments, and by seeds."""
    print(f"PPO: environment steps a second of {clock} time")
    sizes = [("num_envs", n) for n in (1, 4, 16, 64, 256, 1024)]
    sizes += [("num_seeds", n) for n in (2, 4, 8, 16)]
    for key, number in sizes:
        config = {**PPO, "case": "ppo", "num_seeds": 1, key: number}
        # Rollouts of the same number, so that all are as long.
        rollout = config["num_envs"] * config["num_steps"]
        config["total_steps"] = 20 * rollout
        worker = start(sys.executable, "rl_in_fdl.py", "fdl", config)
        rounds = [ask(worker, seed) for seed in range(num_rounds + 1)]
        worker.stdin.close()
        worker.wait()
        taken = statistics.median(one[clock] for one in rounds[1:])
        speed = config["total_steps"] * config["num_seeds"] / taken
        print(f"{number:6} {key[4:]:6}{speed:12,.0f}", flush=True)


def start(python: str, script: str, name: str, config: dict):
    """Worker that waits for its turns, or why there is none."""
    command = [python, str(HERE / script), name, json.dumps(config)]
    pipe = subprocess.PIPE
    # Not a pipe: what a library warns of would fill it.
    with tempfile.TemporaryFile("w+") as errors:
        try:
            worker = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=errors, text=True
            )
        except OSError as error:
            return str(error)
        if answer(worker) is None:
            errors.seek(0)
            return ["it ended", *errors.read().strip().splitlines()][-1]
    return worker


def ask(worker: subprocess.Popen, seed: int) -> dict:
    """Has a worker train from a seed."""
    worker.stdin.write(f"{seed}\n")
    worker.stdin.flush()
    result = answer(worker)
    if result is None:
        sys.exit(f"{worker.args} ended with {worker.wait()}")
    return result


def answer(worker: subprocess.Popen) -> dict | None:
    """Next JSON line of a worker, among others that its library may print."""
    lines = (line for line in worker.stdout if line.startswith("{"))
    return next(map(json.loads, lines), None)


if __name__ == "__main__":
    main()
