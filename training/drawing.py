"""Draws a scene: its background, its objects with edges, shadows and shading, and the light and grain of a photo."""
from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from colors import RGB, from_hsv, near
from grounds import GROUNDS, coordinates, picture_of
from outlines import PLAIN, Form, Points, outline
from scenes import Scene, SceneObject

MAX_TURN = 0.45  # radians
FILTERS = [Image.BILINEAR, Image.BICUBIC, Image.LANCZOS, Image.BOX, Image.HAMMING]


@dataclass(frozen=True)
class Manner:
    """How all objects of a scene are drawn."""
    form: Form
    edge: RGB | None
    edge_width: float   # share of the radius
    strokes: int        # an unsure hand goes over the edge again
    shadow: float       # how dark, 0: none
    shadow_at: tuple[float, float]  # share of the radius
    shadow_blur: float  # share of the radius
    shaded: float       # how much lighter to darker inside an object
    free_turn: bool


#: left, top, right, bottom as shares of the width and height
Box = tuple[float, float, float, float]


def box_of(points: Points, margin: float, size: tuple[int, int]) -> Box:
    """The smallest box around the points and half an edge's width, inside the picture."""
    def inside(at: float, length: int) -> float:
        return min(1.0, max(0.0, at / length))
    xs, ys = zip(*points)
    return (inside(min(xs) - margin, size[0]), inside(min(ys) - margin, size[1]),
            inside(max(xs) + margin, size[0]), inside(max(ys) + margin, size[1]))


def darker(color: RGB, share: float) -> RGB:
    return tuple(int(v * share) for v in color)  # type: ignore[return-value]


def edge_color(rng: random.Random) -> RGB:
    roll = rng.random()
    if roll < 0.55:
        return near((rng.choice([0, 0, 15, 40]),) * 3, rng, 8)
    if roll < 0.75:
        return near((rng.choice([255, 250, 235]),) * 3, rng, 5)
    return from_hsv(rng.uniform(0, 360), rng.uniform(0, 1), rng.uniform(0.15, 1))


def sample_manner(scene: Scene, rng: random.Random) -> Manner:
    if scene.ground == "studio" and rng.random() < 0.6:
        return Manner(PLAIN, None, 0, 1, 0, (0, 0), 0, 0, False)
    hand = rng.random() < 0.18
    form = Form(rng.random() < 0.75, rng.choice([0, 0, 0, rng.uniform(0.05, 0.25)]),
                math.exp(rng.uniform(math.log(0.015), math.log(0.065))) if hand else 0,
                rng.choice([1, 1, 1, rng.uniform(0.87, 1.15)]))
    edged = rng.random() < (0.75 if hand else 0.33)
    shadowed = rng.random() < 0.22
    turn = rng.uniform(0, 2 * math.pi)
    away = rng.uniform(0, 0.3)
    return Manner(form, edge_color(rng) if edged else None, math.exp(rng.uniform(math.log(0.03), math.log(0.2))),
                  rng.choice([1, 1, 2, 3]) if hand else 1, rng.uniform(0.15, 0.65) if shadowed else 0,
                  (away * math.cos(turn), away * math.sin(turn)), rng.choice([0, rng.uniform(0.02, 0.25)]),
                  rng.uniform(0.08, 0.45) if rng.random() < 0.18 else 0, rng.random() < 0.35)


class Canvas:
    def __init__(self, picture: Image.Image, rng: random.Random):
        self.picture, self.draw, self.rng = picture, ImageDraw.Draw(picture), rng

    def mask(self, points: Points, blur: float) -> tuple[Image.Image, tuple[int, int]]:
        """The polygon as a mask of its own, and where it belongs."""
        margin = math.ceil(3 * blur) + 2
        left, top = (math.floor(min(p[i] for p in points)) - margin for i in (0, 1))
        right, bottom = (math.ceil(max(p[i] for p in points)) + margin for i in (0, 1))
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in points], fill=255)
        return (mask.filter(ImageFilter.GaussianBlur(blur)) if blur > 0.3 else mask), (left, top)

    def shadow(self, points: Points, radius: float, manner: Manner) -> None:
        moved = [(x + radius * manner.shadow_at[0], y + radius * manner.shadow_at[1]) for x, y in points]
        mask, at = self.mask(moved, radius * manner.shadow_blur)
        self.picture.paste((0, 0, 0), (*at, at[0] + mask.width, at[1] + mask.height),
                           mask.point(lambda v: int(v * manner.shadow)))

    def fill(self, points: Points, o: SceneObject, manner: Manner) -> None:
        if not manner.shaded:
            self.draw.polygon(points, fill=o.rgb)
            return
        mask, at = self.mask(points, 0)
        x, y = coordinates(mask.width, mask.height)
        if self.rng.random() < 0.6:
            turn = self.rng.uniform(0, 6.3)
            light = math.cos(turn) * x + math.sin(turn) * y
        else:  # a ball's light
            light = 0.35 - np.hypot(x + 0.15, y + 0.15)
        values = np.array(o.rgb, np.float32) * (1 + manner.shaded * np.clip(light, -0.6, 0.6)[..., None])
        lighter = 120 * manner.shaded * np.clip(light, 0, 0.5)[..., None]
        self.picture.paste(picture_of(values + lighter), at, mask)

    def edge(self, points: Points, o: SceneObject, manner: Manner) -> None:
        assert manner.edge
        width = max(1, round(o.radius * manner.edge_width))
        for stroke in range(manner.strokes):
            off = o.radius * 0.05 if stroke else 0
            moved = [(x + self.rng.uniform(-off, off), y + self.rng.uniform(-off, off)) for x, y in points]
            self.draw.line([*moved, moved[0], moved[1]], fill=manner.edge, width=width, joint="curve")

    def object(self, o: SceneObject, manner: Manner, size: tuple[int, int]) -> Box:
        """Draws it and says what it covers."""
        rng = self.rng
        turn = rng.uniform(-MAX_TURN, MAX_TURN)
        if rng.random() < 0.35:
            turn = 0
        elif manner.free_turn and o.shape in ("star", "triangle"):
            turn = rng.uniform(-math.pi, math.pi)
        elif manner.free_turn and o.shape in ("cross", "heart"):
            turn = rng.uniform(-0.78, 0.78)
        points = outline(o.shape, o.x * size[0], o.y * size[1], o.radius, turn, rng, manner.form)
        if manner.shadow:
            self.shadow(points, o.radius, manner)
        self.fill(points, o, manner)
        if manner.edge:
            self.edge(points, o, manner)
        elif rng.random() < 0.08:  # a darker edge
            self.draw.line([*points, points[0], points[1]], fill=darker(o.rgb, rng.uniform(0.3, 0.6)),
                           width=max(1, round(o.radius * 0.07)), joint="curve")
        return box_of(points, round(o.radius * manner.edge_width) / 2 if manner.edge else 0, size)


def photographed(picture: Image.Image, rng: random.Random, noise: np.random.Generator) -> Image.Image:
    """Blur, light and grain, now and then."""
    if rng.random() < 0.12:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.2) * picture.width / 256))
    grain, light = rng.choice([0, 0, 0, 0, 5, 12]), rng.random() < 0.3
    if light:
        gain = rng.uniform(0.88, 1.08)
        tables = [[min(255, int(v * gain * part)) for v in range(256)] for part in (rng.uniform(0.97, 1.03) for _ in range(3))]
        picture = picture.point(sum(tables, []))
    if grain:
        spots = Image.frombytes("RGB", picture.size, noise.integers(0, 2 * grain + 1, 3 * picture.width * picture.height,
                                                                    dtype=np.uint8).tobytes())
        picture = ImageChops.subtract(ImageChops.add(picture, spots), Image.new("RGB", picture.size, (grain,) * 3))
    return picture


def render(scene: Scene, rng: random.Random) -> Image.Image:
    """Draw the scene at its own width and height."""
    return render_with_boxes(scene, rng)[0]


def render_with_boxes(scene: Scene, rng: random.Random) -> tuple[Image.Image, list[Box]]:
    """The picture, and what each object covers, shadow aside."""
    noise = np.random.default_rng(rng.getrandbits(32))
    canvas = Canvas(GROUNDS[scene.ground](scene, rng, noise), rng)
    manner = sample_manner(scene, rng)
    boxes = [canvas.object(o, sample_manner(scene, rng) if rng.random() < 0.12 else manner, (scene.width, scene.height))
             for o in scene.objects]
    return photographed(canvas.picture, rng, noise), boxes


def compressed(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Through JPEG or WebP of any quality, or neither."""
    roll = rng.random()
    if roll < 0.3:
        return picture
    buffer = io.BytesIO()
    if roll < 0.93:
        picture.save(buffer, "JPEG", quality=rng.choice([20, 35, 50, 70, 85, 95]))
    else:
        picture.save(buffer, "WEBP", quality=rng.choice([20, 50, 80]), method=0)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def squash(picture: Image.Image, size: int, rng: random.Random) -> np.ndarray:
    """The model's square input, through a random compression and resampling filter."""
    return np.asarray(compressed(picture, rng).resize((size, size), rng.choice(FILTERS)))
