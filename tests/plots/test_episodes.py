"""Frames of episodes, and the GIF of them."""

import io

import numpy as np
import pytest
from PIL import Image

from fdl import plots
from fdl.plots.episodes import SCENES

ONES = np.ones(6)


@pytest.mark.parametrize("name", [*SCENES, "Breakout", ""])
def test_every_step_has_a_frame_that_shows_it(name):
    _, shape = SCENES.get(name, (None, (5,)))
    shape = (10, 10, 4) if name == "Breakout" else shape
    random = np.random.default_rng(0)
    observations = random.uniform(-0.5, 0.5, (6, *shape))
    shares = np.full((6, 3), 1 / 3)
    actions = np.array([0, 1, 2, 0, 1, 2])
    frames = plots.episode(
        observations, ONES, name=name, actions=actions, probabilities=shares
    )
    pictures = {frame.tobytes() for frame in frames}
    assert len(frames) == len(pictures) == 6
    assert {frame.size for frame in frames} == {(400, 300)}


def test_a_scene_needs_the_observations_that_it_knows():
    stacked = np.zeros((2, 8))  # Two frames of a CartPole.
    frames = plots.episode(stacked, ONES[:2], name="CartPole-v1")
    assert len(frames) == 2


def test_a_gif_has_all_frames_and_their_rate():
    observations = np.linspace(-1, 1, 24).reshape(6, 4)
    frames = plots.episode(observations, ONES, name="CartPole-v1")
    with Image.open(io.BytesIO(plots.gif(frames, rate=25))) as picture:
        assert (picture.n_frames, picture.info["duration"]) == (6, 40)
