"""What is behind the objects: plain, shaded, patterned, a made-up photograph, a made-up screenshot."""
from __future__ import annotations

import math
import random
from typing import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from colors import RGB, near
from scenes import Scene

WORDS = "File Edit View Help Search Settings Home Profile Orders Report Total Name Status Open Save Cancel Next".split()


def coordinates(w: int, h: int) -> tuple[np.ndarray, np.ndarray]:
    return (np.linspace(-0.5, 0.5, w, dtype=np.float32)[None, :], np.linspace(-0.5, 0.5, h, dtype=np.float32)[:, None])


def picture_of(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def blotches(noise: np.random.Generator, w: int, h: int, columns: int, rows: int) -> np.ndarray:
    field = noise.normal(0, 1, (rows, columns)).astype(np.float32)
    return np.asarray(Image.fromarray(field).resize((w, h), Image.BICUBIC))


def studio(scene: Scene, rng: random.Random, noise: np.random.Generator) -> Image.Image:
    """A shade of one colour: plain, gradient, blotched or striped."""
    w, h = scene.width, scene.height
    shade = rng.uniform(-8, 8)
    base = np.array([v + shade for v in scene.colors[0]], np.float32)
    x, y = coordinates(w, h)
    field = np.zeros((h, w), np.float32)
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * math.pi)
        field = field + (math.cos(angle) * x + math.sin(angle) * y) * rng.choice([20, 36])
    if rng.random() < 0.5:
        field = field + blotches(noise, w, h, rng.randint(3, 9), rng.randint(3, 9)) * rng.choice([4, 8])
    if rng.random() < 0.15:
        angle, turns = rng.uniform(0, math.pi), rng.uniform(4, 14)
        field = field + 7 * np.sin(2 * math.pi * turns * (math.cos(angle) * x + math.sin(angle) * y))
    return picture_of(base + field[..., None])


def plain(scene: Scene, rng: random.Random, noise: np.random.Generator) -> Image.Image:
    return Image.new("RGB", (scene.width, scene.height), scene.colors[0])


def blend(scene: Scene, share: np.ndarray) -> Image.Image:
    """From the first colour to the second by `share`."""
    a, b = [np.array(c, np.float32) for c in scene.colors[:2]]
    return picture_of(a + (b - a) * np.clip(share, 0, 1)[..., None])


def gradient(scene: Scene, rng: random.Random, noise: np.random.Generator) -> Image.Image:
    x, y = coordinates(scene.width, scene.height)
    if rng.random() < 0.7:
        angle = rng.choice([0, math.pi / 2, math.pi / 4, rng.uniform(0, 6.3)])
        return blend(scene, math.cos(angle) * x + math.sin(angle) * y + 0.5)
    return blend(scene, np.hypot(x - rng.uniform(-0.3, 0.3), y - rng.uniform(-0.3, 0.3)) * rng.uniform(1, 2))


def pattern(scene: Scene, rng: random.Random, noise: np.random.Generator) -> Image.Image:
    """Checks, stripes, a grid, dots or waves of two colours."""
    w, h = scene.width, scene.height
    first, second = scene.colors[:2]
    picture = Image.new("RGB", (w, h), first)
    draw = ImageDraw.Draw(picture)
    step = max(4, round(min(w, h) * math.exp(rng.uniform(math.log(0.03), math.log(0.25)))))
    kind = rng.choice(["checks", "checks", "stripes", "slanted", "grid", "dots", "lines"])
    thin = max(1, round(step * rng.uniform(0.05, 0.15)))
    if kind == "checks":
        for row in range(0, h, step):
            for column in range(row // step % 2 * step, w, 2 * step):
                draw.rectangle((column, row, column + step - 1, row + step - 1), fill=second)
    elif kind == "stripes":
        across = rng.random() < 0.5
        for at in range(0, max(w, h), 2 * step):
            draw.rectangle((at, 0, at + step - 1, h) if across else (0, at, w, at + step - 1), fill=second)
    elif kind == "slanted":
        for at in range(-h, w, 2 * step):
            draw.line((at, 0, at + h, h), fill=second, width=step)
    elif kind == "dots":
        r = step * rng.uniform(0.08, 0.2)
        for row in range(step // 2, h, step):
            for column in range(step // 2, w, step):
                draw.ellipse((column - r, row - r, column + r, row + r), fill=second)
    else:
        for at in range(step // 2, h, step):
            draw.line((0, at, w, at), fill=second, width=thin)
        for at in range(step // 2, w, step) if kind == "grid" else ():
            draw.line((at, 0, at, h), fill=second, width=thin)
    return picture


def photo(scene: Scene, rng: random.Random, noise: np.random.Generator) -> Image.Image:
    """Clouds of noise at several scales between four colours; often a horizon, rough things, lines and bokeh."""
    w, h = scene.width // 2, scene.height // 2
    colors = np.array(scene.colors, np.float32)
    x, y = coordinates(w, h)
    field, second, scale = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32), 1.0
    stretch = rng.choice([1, 1, 3])
    decay = rng.uniform(0.45, 0.85)
    for cells in (3, 6, 12, 25, 50):
        field = field + scale * blotches(noise, w, h, cells, cells * stretch)
        second = second + scale * blotches(noise, w, h, cells, cells)
        scale *= decay
    if rng.random() < 0.5:  # sky above, ground below
        edge = y - rng.uniform(-0.25, 0.25) + 0.04 * blotches(noise, w, 1, 9, 1)
        field = field * 0.5 + np.where(edge > 0, 1.2, -1.2)
    t, s = [1 / (1 + np.exp(-rng.uniform(1, 2.5) * v))[..., None] for v in (field, second)]
    values = (colors[0] * (1 - t) + colors[1] * t) * (1 - 0.5 * s) + 0.5 * s * (colors[2] * (1 - t) + colors[3] * t)
    picture = picture_of(values + noise.normal(0, rng.choice([1, 4, 10]), (h, w, 1)))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.choice([0, 0, 6, 14, 30])):  # leaves, stones, twigs
        at, size, tone = (rng.uniform(0, w), rng.uniform(0, h)), rng.uniform(0.02, 0.14) * w, near(rng.choice(scene.colors), rng, 28)
        if rng.random() < 0.5:
            turn = rng.uniform(0, 6.3)
            draw.line((*at, at[0] + 2 * size * math.cos(turn), at[1] + 2 * size * math.sin(turn)), fill=tone, width=rng.randint(1, 3))
        else:
            corners = [(at[0] + size * rng.uniform(0.2, 1) * math.cos(i), at[1] + size * rng.uniform(0.2, 1) * math.sin(i))
                       for i in (0.3, 1.5, 2.4, 3.9, 5.2)]
            draw.polygon(corners, fill=tone)
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 3)))
    return picture.resize((scene.width, scene.height), rng.choice([Image.BILINEAR, Image.BICUBIC]))


def screenshot(scene: Scene, rng: random.Random, noise: np.random.Generator) -> Image.Image:
    """A window: bars, a side panel, lines of text, buttons, a table."""
    w, h = scene.width, scene.height
    base, panel = scene.colors
    light = sum(base) > 380
    picture = Image.new("RGB", (w, h), base)
    draw = ImageDraw.Draw(picture)
    ink: RGB = near((60,) * 3 if light else (190,) * 3, rng, 40)
    accent = near(rng.choice([(60, 110, 200), (90, 90, 100), (200, 205, 212), (70, 80, 110)]), rng, 25)
    bar = rng.uniform(0.05, 0.12) * h
    draw.rectangle((0, 0, w, bar), fill=rng.choice([accent, panel]))
    side = rng.choice([0, rng.uniform(0.12, 0.28) * w])
    if side:
        draw.rectangle((0, bar, side, h), fill=panel)
    line = max(3.0, rng.uniform(0.025, 0.06) * h)
    for left, right in ((3, side - 3), (side + 5, w - 5)):
        y = bar + line
        while y < h - line and right - left > 8:
            kind, end = rng.random(), left + (right - left) * rng.uniform(0.2, 1)
            if kind < 0.55:
                at = left
                while at < end:
                    word = rng.uniform(1, 5) * line
                    draw.rectangle((at, y, min(at + word, end), y + line * 0.45), fill=ink)
                    at += word + line * 0.5
            elif kind < 0.75:
                draw.text((left, y - 2), " ".join(rng.choices(WORDS, k=rng.randint(1, 5))), fill=ink)
            elif kind < 0.85:
                draw.rectangle((left, y - line * 0.3, min(end, left + 6 * line), y + line * 0.8), fill=accent)
            elif kind < 0.93:
                draw.line((left, y, right, y), fill=panel if panel != base else ink)
            y += line * rng.uniform(1.1, 2.2)
    return picture


GROUNDS: dict[str, Callable[[Scene, random.Random, np.random.Generator], Image.Image]] = {
    "studio": studio, "plain": plain, "gradient": gradient, "pattern": pattern, "photo": photo, "screenshot": screenshot}
