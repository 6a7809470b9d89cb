"""`fdl play`: watch the trained policy of a run, and record its episodes."""

import argparse
import pathlib
from collections.abc import Sequence

import jax
import numpy as np

from fdl import rl
from fdl.cli.abilities import write_npz
from fdl.cli.arguments import add_checkpoint, add_run, add_seed, existing_output_path
from fdl.cli.console import say, warn
from fdl.config import in_range
from fdl.errors import UserError
from fdl.files import write_bytes
from fdl.runs.directory import writing
from fdl.runs.open_run import check_one_model, open_run, restore
from fdl.types import Variables

MAX_EPISODES, MAX_STEPS = 10_000, 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the run, what to play and what to write."""
    add_run(parser)
    add_checkpoint(parser)
    add_seed(parser)
    add = parser.add_argument
    add("--output", metavar="FILE", help="a .gif of the first episode")
    add("--record", metavar="FILE", help="an .npz of all transitions, to learn from")
    add("--episodes", type=int, default=1, help="default: 1")
    add("--max-steps", type=int, default=1000, help="of an episode (default: 1000)")
    add("--play-seed", type=int, default=0, help="of starts and chance (default: 0)")
    add("--gymnasium", action="store_true", help="play in gymnasium's environment")


def main(options: argparse.Namespace) -> int:
    """Plays episodes; prints their returns, and writes what is asked for."""
    picture = existing_output_path(options.output, (".gif",))
    record = existing_output_path(options.record, (".npz",))
    in_range("--episodes", options.episodes, 1, MAX_EPISODES)
    in_range("--max-steps", options.max_steps, 1, MAX_STEPS)
    in_range("--play-seed", options.play_seed, 0, 2**32 - 1)
    run = open_run(options.workdir, warn, options.experiment)
    check_one_model(run)
    member = run.member(options.seed)
    player = run.experiments[member].player
    if player is None:
        raise UserError(
            f"{run.loaded.name} plays nothing: expected its build to return an "
            "fdl.Experiment with a player (see fdl.rl.Player)"
        )
    step, loop_state = restore(
        run.workdir, run.setup, run.loaded.config, options.checkpoint
    )
    variables = run.variables_of(loop_state, member)
    say(run.title(step, member))
    if options.gymnasium:
        if picture or record:
            raise UserError("--gymnasium: expected no --output and no --record")
        return in_gymnasium(player, variables, options)
    episodes = rl.record(
        player,
        variables,
        jax.random.key(options.play_seed),
        num_episodes=options.episodes,
        max_steps=options.max_steps,
    )
    print_episodes(episodes)
    if picture is not None:
        write_picture(picture, player, episodes[0])
        say(f"  {picture}  the first episode")
    if record is not None:
        count = write_record(record, episodes)
        say(f"  {record}  {count:,} transitions")
    return 0


def print_episodes(episodes: Sequence[rl.Episode]) -> None:
    """Prints the return and the length of each episode, and their mean."""
    for i, episode in enumerate(episodes, 1):
        length = len(episode.transitions.reward)
        end = "ended" if episode.transitions.terminated[-1] else "was cut off"
        if not episode.ended:
            end = "did not end; --max-steps says how long to wait"
        say(f"episode {i}: return {episode.total:g}, {length} steps, {end}")
    if len(episodes) > 1:
        totals = np.array([episode.total for episode in episodes])
        say(f"mean return {totals.mean():g}, least {totals.min():g}")


def write_picture(path: pathlib.Path, player: rl.Player, episode: rl.Episode) -> None:
    """Writes an animated GIF of an episode."""
    from fdl import plots  # Imports matplotlib.

    transitions = episode.transitions
    frames = plots.episode(
        np.asarray(transitions.observation),
        np.asarray(transitions.reward),
        name=player.env.name,
        actions=np.asarray(transitions.action),
        probabilities=episode.probabilities,
    )
    with writing(path):
        write_bytes(path, plots.gif(frames))


def write_record(path: pathlib.Path, episodes: Sequence[rl.Episode]) -> int:
    """Writes the transitions of episodes, one after another; returns their number."""
    arrays = {
        name: np.concatenate([getattr(x.transitions, name) for x in episodes])
        for name in rl.Transition._fields
    }
    lengths = [len(x.transitions.reward) for x in episodes]
    arrays["episode"] = np.repeat(np.arange(len(episodes)), lengths)
    write_npz(path, arrays)
    return len(arrays["reward"])


def in_gymnasium(
    player: rl.Player, variables: Variables, options: argparse.Namespace
) -> int:
    """Plays in gymnasium's environment of the same name; prints the returns."""
    from fdl import envs

    if not player.env.name:
        raise UserError("--gymnasium: the environment has no name")
    if isinstance(player.policy, rl.RecurrentPolicy):
        raise UserError("--gymnasium: expected a policy that is not recurrent")
    returns, lengths = envs.play_in_gymnasium(
        player.env.name,
        player.policy,
        variables,
        num_episodes=options.episodes,
        max_steps=options.max_steps,
        seed=options.play_seed,
    )
    for i, (total, length) in enumerate(zip(returns, lengths, strict=True), 1):
        say(f"episode {i}: return {total:g}, {length} steps, in gymnasium")
    if len(returns) > 1:
        say(f"mean return {returns.mean():g}, least {returns.min():g}")
    return 0
