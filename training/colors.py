"""Colours and their names: which drawn colour has which name, with room between the names.

A name is a region of hue, saturation and value (HSV) that people agree on. Between the regions lie
colours that have no one name (coral, amber, teal, slate): a background that has one is not asked about, and
objects have them, greys and browns only in scenes that are made for it (`nameless_color`).
"""
from __future__ import annotations

import colorsys
import random

RGB = tuple[int, int, int]

# The regions of an object's colour: ranges of hue (degrees), saturation and value.
Region = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
REGIONS: dict[str, list[Region]] = {
    "red": [((-12, 8), (0.68, 1), (0.55, 1)), ((-12, 8), (0.8, 1), (0.8, 1))],
    "orange": [((20, 38), (0.7, 1), (0.84, 1))],
    "yellow": [((46, 63), (0.55, 1), (0.87, 1))],
    "green": [((84, 152), (0.4, 1), (0.33, 1)), ((105, 145), (0.6, 1), (0.4, 0.85))],
    "cyan": [((175, 192), (0.55, 1), (0.7, 1))],
    "blue": [((205, 245), (0.5, 1), (0.48, 1)), ((215, 245), (0.7, 1), (0.6, 1))],
    "purple": [((264, 291), (0.4, 1), (0.4, 1)), ((291, 302), (0.45, 1), (0.35, 0.68))],
    "pink": [((316, 346), (0.3, 0.92), (0.88, 1)), ((343, 354), (0.2, 0.36), (0.94, 1))],
}
# Mixes of these make up a third of the objects' colours.
COLORS: dict[str, list[RGB]] = {
    "red": [(215, 35, 35), (255, 0, 0), (190, 20, 40)],
    "orange": [(245, 130, 25), (255, 150, 0), (235, 110, 30)],
    "yellow": [(240, 215, 40), (255, 255, 0), (250, 225, 70)],
    "green": [(35, 160, 55), (0, 128, 0), (60, 200, 70)],
    "cyan": [(40, 200, 215), (0, 240, 255), (60, 215, 210)],
    "blue": [(40, 75, 220), (0, 0, 255), (30, 100, 235)],
    "purple": [(140, 45, 170), (128, 0, 128), (150, 70, 200)],
    "pink": [(248, 130, 190), (255, 105, 180), (252, 160, 195)],
}
COLOR_NAMES = list(COLORS)
# Backgrounds that only backgrounds have; they may have the objects' colours too.
NEUTRALS: dict[str, RGB] = {
    "white": (240, 240, 238),
    "gray": (128, 128, 130),
    "black": (25, 25, 28),
    "brown": (108, 72, 44),
    "beige": (224, 205, 165),
}
BACKGROUND_NAMES = [*NEUTRALS, *COLOR_NAMES]
# Hues of a coloured ground that has a name, and the least saturation and value.
GROUND_HUES = {"red": (-10, 8), "orange": (22, 36), "yellow": (49, 62), "green": (88, 148), "cyan": (176, 191),
               "blue": (206, 244), "purple": (256, 290), "pink": (318, 352)}


# An object's colours without a name, by hue, saturation and value, with the names that some people might give them.
BETWEEN: list[tuple[Region, tuple[str, ...]]] = [
    (((11, 17), (0.6, 1), (0.75, 1)), ("red", "orange", "pink")),
    (((40, 44), (0.65, 1), (0.8, 1)), ("orange", "yellow")),
    (((66, 80), (0.5, 1), (0.6, 1)), ("yellow", "green")),
    (((48, 64), (0.5, 1), (0.3, 0.62)), ("yellow", "green")),
    (((157, 170), (0.5, 1), (0.4, 0.9)), ("green", "cyan")),
    (((195, 202), (0.5, 1), (0.5, 1)), ("cyan", "blue")),
    (((249, 260), (0.4, 1), (0.4, 1)), ("blue", "purple")),
    (((304, 313), (0.4, 1), (0.5, 1)), ("purple", "pink")),
    (((347, 353), (0.65, 1), (0.6, 1)), ("pink", "red", "purple")),
    (((-12, 8), (0.6, 1), (0.22, 0.42)), ("red", "purple")),
    (((195, 240), (0.12, 0.3), (0.25, 0.7)), ("blue", "cyan", "purple")),
]
BROWN: Region = ((16, 36), (0.42, 0.8), (0.22, 0.5))


def from_hsv(hue: float, saturation: float, value: float) -> RGB:
    r, g, b = colorsys.hsv_to_rgb(hue % 360 / 360, min(1, saturation), min(1, value))
    return round(r * 255), round(g * 255), round(b * 255)


def near(color: RGB, rng: random.Random, amount: float) -> RGB:
    """The colour with up to `amount` added to or taken from each part."""
    r, g, b = (int(min(255, max(0, v + rng.uniform(-amount, amount)))) for v in color)
    return r, g, b


def object_color(name: str, rng: random.Random) -> RGB:
    if rng.random() < 0.35:
        weights = [rng.random() for _ in COLORS[name]]
        total = sum(weights)
        r, g, b = (sum(w * p[i] for w, p in zip(weights, COLORS[name])) / total for i in range(3))
        return near((int(r), int(g), int(b)), rng, 10)
    hue, saturation, value = rng.choice(REGIONS[name])
    return from_hsv(rng.uniform(*hue), rng.uniform(*saturation), rng.uniform(*value))


def nameless_color(rng: random.Random) -> tuple[RGB, tuple[str, ...]]:
    """A colour that no answer names for an object, and the names that it might pass for: grey, brown, or between names."""
    roll = rng.random()
    if roll < 0.45:
        return near((rng.randint(0, 255),) * 3, rng, 3), ()
    if roll < 0.6:
        return from_hsv(*(rng.uniform(*part) for part in BROWN)), ("orange", "red")
    region, names = rng.choice(BETWEEN)
    return from_hsv(*(rng.uniform(*part) for part in region)), names


def ground_name(color: RGB) -> str | None:
    """The name of a plain background, or None where people would not agree."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(v / 255 for v in color))
    hue *= 360
    if value < 0.13:
        return "black"
    if saturation < 0.05 or max(color) - min(color) < 9:
        return "white" if value > 0.925 else "gray" if 0.34 < value < 0.8 else None
    if 14 < hue < 38 and 0.42 < saturation < 0.85 and 0.22 < value < 0.52:
        return "brown"
    if 30 < hue < 52 and 0.1 < saturation < 0.32 and 0.8 < value:
        return "beige"
    pale = value > 0.8 and saturation > 0.16
    full = value > 0.42 and saturation > 0.45
    for name, (low, high) in GROUND_HUES.items():
        if low < (hue - 360 if hue > 355 else hue) < high and (pale or full):
            if name == "red":
                return "red" if saturation > 0.65 else None
            if name == "orange":
                return "orange" if saturation > 0.65 and value > 0.82 else None
            if name == "yellow":
                return "yellow" if saturation > 0.3 and value > 0.85 else None
            if name == "pink":
                return "pink" if value > 0.85 else None
            return name
    return None


def distance(a: RGB, b: RGB) -> float:
    """How different two colours look (a weighted distance, about 0 to 760)."""
    mean = (a[0] + b[0]) / 2
    r, g, c = a[0] - b[0], a[1] - b[1], a[2] - b[2]
    return ((2 + mean / 256) * r * r + 4 * g * g + (2 + (255 - mean) / 256) * c * c) ** 0.5


def ground_color(rng: random.Random) -> RGB:
    """A plain background's colour: any hue from pale to deep, white, greys, black."""
    roll = rng.random()
    if roll < 0.22:
        return near((rng.randint(240, 255),) * 3, rng, 3)
    if roll < 0.30:
        return near((rng.randint(8, 30),) * 3, rng, 6)
    if roll < 0.37:
        return near((rng.randint(30, 235),) * 3, rng, 5)
    if roll < 0.45:
        return near(NEUTRALS[rng.choice(["brown", "beige"])], rng, 16)
    hue = rng.uniform(0, 360)
    if roll < 0.80:  # pastel
        return from_hsv(hue, rng.uniform(0.06, 0.42), rng.uniform(0.84, 1))
    if roll < 0.90:
        return from_hsv(hue, rng.uniform(0.4, 1), rng.uniform(0.45, 1))
    return from_hsv(hue, rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.35))
