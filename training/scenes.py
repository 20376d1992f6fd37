"""Synthetic scenes: a few coloured shapes on a background.

A scene is described here (`sample_scene`) and drawn elsewhere (`drawing.render`), so every label
used in training comes from the description and never from pixels. All randomness comes from the
`random.Random` handed in: the same generator state always gives the same scene and picture.
"""
from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from colors import (BACKGROUND_NAMES, COLOR_NAMES, NEUTRALS, RGB, distance, from_hsv, ground_color, ground_name, nameless_color,
                    near, object_color)

SHAPES = ["circle", "square", "triangle", "star", "cross", "heart"]
SIZES = ["small", "large"]

# Radius as a share of sqrt(width * height), so that "small" and "large" mean
# the same share of the picture whatever its aspect ratio.
RADIUS = {"small": (0.045, 0.120), "large": (0.138, 0.215)}
TINY = (0.045, 0.08)
MAX_OBJECTS = 4
# Pictures used for training; they are squashed to the model's size afterwards.
TRAIN_DIMS = [(288, 216), (216, 288), (256, 256), (320, 213), (213, 320), (340, 192), (192, 340), (320, 240),
              (300, 240), (400, 300), (160, 120), (128, 128)]
# What is behind the objects, and how often.
GROUNDS = {"studio": 0.24, "plain": 0.36, "gradient": 0.10, "pattern": 0.12, "photo": 0.12, "screenshot": 0.06}
LEAST_CONTRAST = 110


@dataclass
class SceneObject:
    """One shape; `x`, `y` are the centre as a share of the width and height."""
    size: str
    color: str  # empty: one without a name
    shape: str
    x: float
    y: float
    radius: float  # pixels
    rgb: RGB = (0, 0, 0)
    #: what a colour without a name might be called
    almost: tuple[str, ...] = ()

    def is_larger(self, other: "SceneObject") -> bool | None:
        """None where a person might hesitate."""
        ratio = self.radius / other.radius
        return True if ratio > 1.3 else False if ratio < 1 / 1.3 else None


@dataclass
class Scene:
    width: int
    height: int
    #: the background's name; None where it has many colours or one that people would not agree on
    background: str | None
    ground: str  # of GROUNDS
    colors: list[RGB]  # of the background
    objects: list[SceneObject] = field(default_factory=list)

    @property
    def mixed(self) -> bool:
        """Whether the background has no colour of its own (so that a caption leaves it out)."""
        return self.background is None and (self.ground in ("photo", "screenshot") or len(self.colors) > 1)

    @property
    def unsure(self) -> bool:
        """Whether the background's name is a matter of taste."""
        return self.background is None and not self.mixed


def muted(rng: random.Random) -> RGB:
    """A colour as photographs have many of."""
    return from_hsv(rng.uniform(0, 360), rng.choice([0.1, 0.25, 0.4, 0.6]) * rng.random(), rng.uniform(0.12, 0.95))


def ground_colors(ground: str, rng: random.Random) -> tuple[str | None, list[RGB]]:
    """The background's name and colours."""
    if ground == "studio":
        name = rng.choice(list(NEUTRALS))
        return name, [near(NEUTRALS[name], rng, 5)]
    if ground == "screenshot":
        light = rng.random() < 0.75
        shade = rng.randint(225, 255) if light else rng.randint(18, 48)
        return None, [near((shade,) * 3, rng, 5), near((min(255, max(0, shade + rng.randint(-22, 18))),) * 3, rng, 5)]
    if ground == "photo":
        first = muted(rng)
        return None, [first, near(first, rng, 70), near(first, rng, 45), muted(rng)]
    first = ground_color(rng)
    if ground == "plain":
        return ground_name(first), [first]
    kind = rng.random()
    if kind < 0.6:  # two shades of one colour
        pull = rng.choice([0, 255])
        share = rng.uniform(0.06, 0.3 if ground == "pattern" else 0.45)
        second: RGB = tuple(round(v + (pull - v) * share) for v in first)  # type: ignore[assignment]
    else:
        second = ground_color(rng)
    names = {ground_name(first), ground_name(second)}
    return (names.pop() if len(names) == 1 else None), [first, second]


def visible_color(name: str, scene: Scene, rng: random.Random) -> RGB | None:
    """A colour of that name that stands out from the background."""
    for _ in range(4):
        rgb = object_color(name, rng)
        if scene.ground == "studio" or all(distance(rgb, c) > LEAST_CONTRAST for c in scene.colors):
            return rgb
    return None


def look(scene: Scene, rng: random.Random) -> tuple[str, str, RGB]:
    """Colour and shape of a new object."""
    for _ in range(40):
        color, shape = rng.choice(COLOR_NAMES), rng.choice(SHAPES)
        if scene.objects and rng.random() < 0.4:  # alike in one thing, so that counting is worth asking
            other = rng.choice(scene.objects)
            color, shape = (other.color, shape) if rng.random() < 0.5 and other.color else (color, other.shape)
        rgb = visible_color(color, scene, rng)
        if rgb:
            return color, shape, rgb
    return color, shape, object_color(color, rng)


def without_name(scene: Scene, rng: random.Random) -> tuple[RGB, tuple[str, ...]] | None:
    """A colour without a name that stands out from the background."""
    for _ in range(20):
        rgb, almost = nameless_color(rng)
        if all(distance(rgb, c) > LEAST_CONTRAST for c in scene.colors):
            return rgb, almost
    return None


def sample_scene(rng: random.Random, width: int, height: int, nameless: float = 0, tiny: bool = False) -> Scene:
    """Draw up to four objects that neither touch each other nor leave the picture.

    `nameless` is the share of objects whose colour has no name. With `tiny` most objects are as small as they get, since
    it is their shapes that are hard to tell.
    """
    wanted = rng.choices(range(MAX_OBJECTS + 1), [0.02, 0.18, 0.28, 0.27, 0.25])[0]
    unit = math.sqrt(width * height)
    ground = rng.choices(list(GROUNDS), list(GROUNDS.values()))[0] if wanted else "studio"
    scene = Scene(width, height, *_ground(ground, rng))
    for _ in range(wanted):
        for _attempt in range(60):
            size = "small" if tiny and rng.random() < 0.8 else rng.choice(SIZES)
            radius = unit * (rng.uniform(*TINY) if tiny and size == "small" else rng.uniform(*RADIUS[size]))
            edge = radius * 1.12
            if 2 * edge >= min(width, height):
                continue
            cx, cy = rng.uniform(edge, width - edge), rng.uniform(edge, height - edge)
            if all(math.hypot(cx - o.x * width, cy - o.y * height) > max((radius + o.radius) * 1.1, 0.13 * unit)
                   for o in scene.objects):
                color, shape, rgb = look(scene, rng)
                o = SceneObject(size, color, shape, cx / width, cy / height, radius, rgb)
                other = without_name(scene, rng) if nameless and rng.random() < nameless else None
                if other:
                    o.color, (o.rgb, o.almost) = "", other
                scene.objects.append(o)
                break
    return scene


def _ground(ground: str, rng: random.Random) -> tuple[str | None, str, list[RGB]]:
    name, colors = ground_colors(ground, rng)
    return name, ground, colors


def cell_weights(o: SceneObject, grid: int) -> list[tuple[int, float]]:
    """Where the object's centre lies on a `grid` x `grid` raster: up to four
    (cell, weight) pairs. The weights sum to one and interpolate the centre."""
    def axis(v: float) -> list[tuple[int, float]]:
        p = min(max(v * grid - 0.5, 0.0), grid - 1.0)
        low = min(int(p), grid - 2)
        return [(low, 1 - (p - low)), (low + 1, p - low)]
    return [(cy * grid + cx, wx * wy) for cy, wy in axis(o.y) for cx, wx in axis(o.x) if wx * wy > 0]
