"""Synthetic scenes: a few coloured shapes on a background, and how they are drawn.

A scene is described first (`sample_scene`) and drawn afterwards (`render`), so
every label used in training comes from the description and never from pixels.
All randomness comes from the `random.Random` handed in: the same generator
state always gives the same scene and the same picture.
"""
from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SHAPES = ["circle", "square", "triangle", "star", "cross", "heart"]
SIZES = ["small", "large"]

# Each colour is a region: a drawn colour is a random mix of its prototypes.
COLORS: dict[str, list[tuple[int, int, int]]] = {
    "red": [(215, 35, 35), (255, 0, 0), (190, 20, 40)],
    "orange": [(245, 130, 25), (255, 150, 0), (235, 110, 30)],
    "yellow": [(240, 215, 40), (255, 255, 0), (250, 225, 70)],
    "green": [(35, 160, 55), (0, 128, 0), (60, 200, 70)],
    "cyan": [(40, 200, 215), (0, 240, 255), (60, 215, 210)],
    "blue": [(40, 75, 220), (0, 0, 255), (30, 100, 235)],
    "purple": [(140, 45, 170), (128, 0, 128), (150, 70, 200)],
    "pink": [(248, 130, 190), (255, 105, 180), (252, 160, 195)],
}
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (240, 240, 238),
    "gray": (128, 128, 130),
    "black": (25, 25, 28),
    "brown": (108, 72, 44),
    "beige": (224, 205, 165),
}
COLOR_NAMES = list(COLORS)
BACKGROUND_NAMES = list(BACKGROUNDS)

# Radius as a share of sqrt(width * height), so that "small" and "large" mean
# the same share of the picture whatever its aspect ratio.
RADIUS = {"small": (0.090, 0.120), "large": (0.160, 0.205)}
MAX_TURN = 0.45  # radians
MAX_OBJECTS = 4
# Pictures used for training; they are squashed to the model's size afterwards.
TRAIN_DIMS = [(256, 192), (192, 256), (224, 224), (264, 176), (176, 264),
              (256, 144), (144, 256), (320, 240), (240, 192)]
FILTERS = [Image.BILINEAR, Image.BICUBIC, Image.LANCZOS, Image.BOX, Image.HAMMING]


@dataclass
class SceneObject:
    """One shape; `x`, `y` are the centre as a share of the width and height."""
    size: str
    color: str
    shape: str
    x: float
    y: float
    radius: float  # pixels


@dataclass
class Scene:
    width: int
    height: int
    background: str
    objects: list[SceneObject] = field(default_factory=list)


def sample_scene(rng: random.Random, width: int, height: int) -> Scene:
    """Draw up to four objects that neither touch each other nor leave the picture."""
    wanted = rng.choices(range(MAX_OBJECTS + 1), [0.02, 0.16, 0.28, 0.28, 0.26])[0]
    unit = math.sqrt(width * height)
    scene = Scene(width, height, rng.choice(BACKGROUND_NAMES))
    for _ in range(wanted):
        for _attempt in range(60):
            size = rng.choice(SIZES)
            radius = unit * rng.uniform(*RADIUS[size])
            edge = radius * 1.15
            cx, cy = rng.uniform(edge, width - edge), rng.uniform(edge, height - edge)
            if all(math.hypot(cx - o.x * width, cy - o.y * height) > (radius + o.radius) * 1.12
                   for o in scene.objects):
                color, shape = rng.choice(COLOR_NAMES), rng.choice(SHAPES)
                if scene.objects and rng.random() < 0.4:  # alike in one thing, so that counting is worth asking
                    other = rng.choice(scene.objects)
                    color, shape = (other.color, shape) if rng.random() < 0.5 else (color, other.shape)
                scene.objects.append(SceneObject(size, color, shape, cx / width, cy / height, radius))
                break
    return scene


def outline(shape: str, cx: float, cy: float, r: float, angle: float) -> list[tuple[float, float]]:
    """The polygon of a shape of radius `r`, turned by `angle` (radians)."""
    if shape == "circle":
        points = [(r * math.cos(t * math.pi / 24), r * math.sin(t * math.pi / 24)) for t in range(48)]
    elif shape == "square":
        k = r * 0.88
        points = [(-k, -k), (k, -k), (k, k), (-k, k)]
    elif shape == "triangle":
        points = [(1.1 * r * math.cos(t), 1.1 * r * math.sin(t) + 0.15 * r)
                  for t in (-math.pi / 2, math.pi / 6, 5 * math.pi / 6)]
    elif shape == "star":
        points = []
        for i in range(10):
            k, t = r * (1.12 if i % 2 == 0 else 0.46), -math.pi / 2 + i * math.pi / 5
            points.append((k * math.cos(t), k * math.sin(t)))
    elif shape == "cross":
        w, k = r * 0.33, r * 1.02
        points = [(-w, -k), (w, -k), (w, -w), (k, -w), (k, w), (w, w),
                  (w, k), (-w, k), (-w, w), (-k, w), (-k, -w), (-w, -w)]
    elif shape == "heart":
        points = []
        for i in range(40):
            t = i * math.pi / 20
            hx = 16 * math.sin(t) ** 3
            hy = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
            points.append((hx * r / 16, -(hy + 2.5) * r / 15))
    else:
        raise ValueError(f"unknown shape {shape!r}")
    c, s = math.cos(angle), math.sin(angle)
    return [(cx + x * c - y * s, cy + x * s + y * c) for x, y in points]


def object_color(name: str, rng: random.Random) -> tuple[int, ...]:
    weights = [rng.random() for _ in COLORS[name]]
    total = sum(weights)
    mixed = [sum(w * p[i] for w, p in zip(weights, COLORS[name])) / total for i in range(3)]
    return tuple(int(min(255, max(0, v + rng.uniform(-10, 10)))) for v in mixed)


def background_pixels(scene: Scene, rng: random.Random, noise: np.random.Generator) -> np.ndarray:
    """Plain, gradient, blotched or striped, in a shade of the background's colour."""
    w, h = scene.width, scene.height
    shade = rng.uniform(-8, 8)
    base = np.array([v + shade + rng.uniform(-5, 5) for v in BACKGROUNDS[scene.background]], np.float32)
    x = np.linspace(-0.5, 0.5, w, dtype=np.float32)[None, :]
    y = np.linspace(-0.5, 0.5, h, dtype=np.float32)[:, None]
    field_ = np.zeros((h, w), np.float32)
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * math.pi)
        field_ = field_ + (math.cos(angle) * x + math.sin(angle) * y) * rng.choice([20, 36])
    if rng.random() < 0.5:
        blotches = noise.normal(0, 1, (rng.randint(3, 9), rng.randint(3, 9))).astype(np.float32)
        smooth = Image.fromarray(blotches).resize((w, h), Image.BICUBIC)
        field_ = field_ + np.asarray(smooth) * rng.choice([4, 8])
    if rng.random() < 0.15:
        angle, turns = rng.uniform(0, math.pi), rng.uniform(4, 14)
        field_ = field_ + 7 * np.sin(2 * math.pi * turns * (math.cos(angle) * x + math.sin(angle) * y))
    return base + field_[..., None]


def render(scene: Scene, rng: random.Random) -> Image.Image:
    """Draw the scene at its own width and height, with light and grain of a photo."""
    noise = np.random.default_rng(rng.getrandbits(32))
    pixels = background_pixels(scene, rng, noise)
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for o in scene.objects:
        points = outline(o.shape, o.x * scene.width, o.y * scene.height, o.radius, rng.uniform(-MAX_TURN, MAX_TURN))
        color = object_color(o.color, rng)
        draw.polygon(points, fill=color)
        if rng.random() < 0.12:  # a darker edge
            edge = tuple(int(v * rng.uniform(0.3, 0.6)) for v in color)
            draw.line([*points, points[0], points[1]], fill=edge, width=max(1, round(o.radius * 0.07)), joint="curve")
    if rng.random() < 0.15:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.0) * scene.width / 256))
    grain, light = rng.choice([0, 0, 5, 12]), rng.random() < 0.4
    if grain or light:
        values = np.asarray(picture).astype(np.float32)
        if light:
            gain = rng.uniform(0.88, 1.08)
            values = values * np.array([gain * rng.uniform(0.97, 1.03) for _ in range(3)], np.float32)
        if grain:
            values = values + noise.integers(-grain, grain + 1, values.shape, dtype=np.int16)
        picture = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return picture


def squash(picture: Image.Image, size: int, rng: random.Random) -> np.ndarray:
    """The model's square input, through a random JPEG quality and resampling filter."""
    quality = rng.choice([None, 35, 50, 70, 85, 95])
    if quality:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        picture = Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")
    return np.asarray(picture.resize((size, size), rng.choice(FILTERS)))


def cell_weights(o: SceneObject, grid: int) -> list[tuple[int, float]]:
    """Where the object's centre lies on a `grid` x `grid` raster: up to four
    (cell, weight) pairs. The weights sum to one and interpolate the centre."""
    def axis(v: float) -> list[tuple[int, float]]:
        p = min(max(v * grid - 0.5, 0.0), grid - 1.0)
        low = min(int(p), grid - 2)
        return [(low, 1 - (p - low)), (low + 1, p - low)]
    return [(cy * grid + cx, wx * wy) for cy, wy in axis(o.y) for cx, wx in axis(o.x) if wx * wy > 0]
