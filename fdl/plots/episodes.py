"""Pictures of episodes: the scene of each step, the return, and the probabilities."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from fdl.plots.figure import COLORS

SIZE = 400, 300  # Width and height of a frame, in pixels.
SCENE = 400, 240
GROUND, INK, PAPER = "#BBBBBB", "#222222", "#FFFFFF"

Scene = Callable[[ImageDraw.ImageDraw, np.ndarray], None]


def episode(
    observations: np.ndarray,
    rewards: np.ndarray,
    *,
    name: str = "",
    actions: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
) -> list[Image.Image]:
    """Frames of an episode, one for each step.

    CartPole, MountainCar, Pendulum and Acrobot are drawn as they look; observations
    [H, W, C], as those of MinAtar, with a colour for each channel; others as bars.

    Args:
      observations: Observations that actions were taken at, [T, ...].
      rewards: Rewards of the actions, float [T].
      name: Name of the environment.
      actions: Actions, [T, ...], to mark the chosen one.
      probabilities: Probabilities of the actions, float [T, A], which are drawn as
        bars; none if None.
    """
    scene = SCENES.get(name, (None, None))
    draw_scene = scene[0] if scene[1] == observations.shape[1:] else _any_scene
    totals = np.cumsum(np.asarray(rewards, np.float64))
    frames = []
    for i, observation in enumerate(observations):
        frame = Image.new("RGB", SIZE, PAPER)
        draw = ImageDraw.Draw(frame)
        assert draw_scene is not None
        draw_scene(draw, np.asarray(observation, np.float64))
        draw.text((8, SCENE[1] + 8), f"step {i + 1}   return {totals[i]:g}", fill=INK)
        if probabilities is not None:
            chosen = None if actions is None else actions[i]
            _bars(draw, probabilities[i], chosen, (8, SCENE[1] + 26, 392, 292))
        frames.append(frame)
    return frames


def gif(frames: Sequence[Image.Image], *, rate: float = 30.0) -> bytes:
    """Animated GIF of frames, which repeats.

    Args:
      frames: Frames of one size, at least one.
      rate: Frames a second; browsers show at most 50.

    Returns:
      Content of the file.
    """
    file = io.BytesIO()
    # Of few colours: no dithering, which takes room.
    few = [f.quantize(64, dither=Image.Dither.NONE) for f in frames]
    few[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=few[1:],
        duration=round(1000 / rate),
        loop=0,
    )
    return file.getvalue()


def _bars(
    draw: ImageDraw.ImageDraw,
    shares: np.ndarray,
    chosen: Any,
    box: tuple[int, int, int, int],
) -> None:
    """Bars from the left, one below the other, of shares from 0 to 1."""
    left, top, right, bottom = box
    height = (bottom - top) / len(shares)
    for i, share in enumerate(shares):
        color = COLORS[1] if i == chosen else COLORS[0]
        y = top + i * height
        width = float(share) * (right - left)
        draw.rectangle((left, y, left + width, y + max(1, height - 2)), fill=color)


def _cart_pole(draw: ImageDraw.ImageDraw, observation: np.ndarray) -> None:
    x, _, angle, _ = observation
    center, ground, scale = SCENE[0] / 2 + x * 75, 190, 75
    draw.line((0, ground, SCENE[0], ground), fill=GROUND, width=2)
    draw.rectangle((center - 25, ground - 15, center + 25, ground + 10), fill=INK)
    tip = center + scale * np.sin(angle), ground - 15 - scale * np.cos(angle)
    draw.line((center, ground - 15, *tip), fill=COLORS[1], width=8)


def _mountain_car(draw: ImageDraw.ImageDraw, observation: np.ndarray) -> None:
    def place(position):
        height = 0.45 * np.sin(3 * position) + 0.55
        return SCENE[0] * (position + 1.2) / 1.8, 220 - 180 * height

    hill = [place(p) for p in np.linspace(-1.2, 0.6, 80)]
    draw.line(hill, fill=GROUND, width=2)
    x, y = place(0.5)
    draw.line((x, y, x, y - 30), fill=COLORS[2], width=3)
    x, y = place(observation[0])
    draw.ellipse((x - 9, y - 18, x + 9, y), fill=COLORS[1])


def _pendulum(draw: ImageDraw.ImageDraw, observation: np.ndarray) -> None:
    cosine, sine, _ = observation
    x, y = SCENE[0] / 2, SCENE[1] / 2
    tip = x - 95 * sine, y - 95 * cosine
    draw.line((x, y, *tip), fill=COLORS[1], width=10)
    draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=INK)


def _acrobot(draw: ImageDraw.ImageDraw, observation: np.ndarray) -> None:
    first = np.arctan2(observation[1], observation[0])
    second = first + np.arctan2(observation[3], observation[2])
    x, y, length = SCENE[0] / 2, SCENE[1] / 2, 55
    draw.line((0, y - length, SCENE[0], y - length), fill=GROUND, width=2)
    for angle, color in ((first, COLORS[0]), (second, COLORS[1])):
        tip = x + length * np.sin(angle), y + length * np.cos(angle)
        draw.line((x, y, *tip), fill=color, width=8)
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=INK)
        x, y = tip


def _any_scene(draw: ImageDraw.ImageDraw, observation: np.ndarray) -> None:
    """Image of channels, or bars of the numbers of an observation."""
    if observation.ndim in (2, 3):
        _channels(draw, observation)
        return
    numbers = np.nan_to_num(observation.ravel())[:40]
    largest = np.abs(numbers).max(initial=1.0)
    width, middle = SCENE[0] / max(1, len(numbers)), SCENE[1] / 2
    draw.line((0, middle, SCENE[0], middle), fill=GROUND)
    for i, number in enumerate(numbers):
        end = middle - 110 * number / largest
        box = (i * width + 2, min(middle, end), (i + 1) * width - 2, max(middle, end))
        draw.rectangle(box, fill=COLORS[0])


def _channels(draw: ImageDraw.ImageDraw, observation: np.ndarray) -> None:
    """Cells in the colour of the last channel that is on."""
    cells = observation[..., None] if observation.ndim == 2 else observation
    side = min(SCENE[0] / cells.shape[1], SCENE[1] / cells.shape[0])
    left = (SCENE[0] - side * cells.shape[1]) / 2
    box = (left, 0, left + side * cells.shape[1], side * cells.shape[0])
    draw.rectangle(box, fill=INK)
    for row, column, channel in np.argwhere(cells > 0):
        x, y = left + column * side, row * side
        color = COLORS[channel % len(COLORS)]
        draw.rectangle((x, y, x + side - 1, y + side - 1), fill=color)


# Scenes by the name of the environment, with the shape of the observations they read.
SCENES: Mapping[str, tuple[Scene, tuple[int, ...]]] = {
    "CartPole-v1": (_cart_pole, (4,)),
    "MountainCar-v0": (_mountain_car, (2,)),
    "MountainCarContinuous-v0": (_mountain_car, (2,)),
    "Pendulum-v1": (_pendulum, (3,)),
    "Acrobot-v1": (_acrobot, (6,)),
}
