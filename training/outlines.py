"""The forms of the shapes: many stars, hearts, crosses and so on, exact or drawn by an unsure hand."""
from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Callable

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Form:
    """How the shapes of a scene are drawn."""
    varied: bool      # other proportions than the plain ones
    rounded: float    # how much of a corner is cut off, 0 to 0.25
    wobble: float     # how far the hand strays, as a share of the radius
    stretch: float    # width to height


PLAIN = Form(False, 0, 0, 1)


def circle(_: random.Random, varied: bool) -> Points:
    return [(math.cos(t * math.pi / 24), math.sin(t * math.pi / 24)) for t in range(48)]


def square(rng: random.Random, varied: bool) -> Points:
    k = 0.88 * (rng.uniform(0.93, 1.07) if varied else 1)
    return [(-k, -k), (k, -k), (k, k), (-k, k)]


def triangle(rng: random.Random, varied: bool) -> Points:
    if not varied or rng.random() < 0.5:
        return [(1.1 * math.cos(t), 1.1 * math.sin(t) + 0.15) for t in (-math.pi / 2, math.pi / 6, 5 * math.pi / 6)]
    top, base, lean = rng.uniform(0.8, 1.1), rng.uniform(0.75, 1.05), rng.choice([0, 0, 0, rng.uniform(-0.9, 0.9)])
    return [(lean * base, -top), (base, 0.85), (-base, 0.85)]


def star(rng: random.Random, varied: bool) -> Points:
    tips, inner, outer = 5, 0.46, 1.12
    if varied:
        tips = rng.choices([5, 6, 4, 8], [0.8, 0.1, 0.04, 0.06])[0]
        inner = rng.uniform(0.24, 0.36) if tips == 4 else rng.uniform(0.34, 0.58) if tips == 5 else rng.uniform(0.42, 0.6)
        outer = rng.uniform(1.0, 1.15)
        inner *= outer
    points = []
    for i in range(2 * tips):
        k, t = (outer if i % 2 == 0 else inner), -math.pi / 2 + i * math.pi / tips
        points.append((k * math.cos(t), k * math.sin(t)))
    return points


def cross(rng: random.Random, varied: bool) -> Points:
    w, k = (rng.uniform(0.13, 0.42), rng.uniform(0.92, 1.08)) if varied else (0.33, 1.02)
    return [(-w, -k), (w, -k), (w, -w), (k, -w), (k, w), (w, w), (w, k), (-w, k), (-w, w), (-k, w), (-k, -w), (-w, -w)]


def curved_heart(_: random.Random) -> Points:
    points = []
    for i in range(40):
        t = i * math.pi / 20
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((x / 16, -(y + 2.5) / 15))
    return points


def lobed_heart(rng: random.Random) -> Points:
    """Two circles and the tangents down to the tip."""
    lobe, depth, sweep = rng.uniform(0.48, 0.56), rng.uniform(0.85, 1.12), rng.uniform(1.15, 1.22) * math.pi
    points: Points = []
    for side in (1, -1):
        at = [math.pi - i * sweep / 16 for i in range(17)]
        arc = [(side * (lobe + lobe * math.cos(t)), -0.42 - lobe * math.sin(t)) for t in at]
        points += arc if side == 1 else arc[::-1]
        if side == 1:
            points.append((0.0, depth))
    return points


def bezier_heart(rng: random.Random) -> Points:
    """Two cubic curves on each side, as drawing programs make them."""
    notch, depth, bulge, top = rng.uniform(-0.55, -0.3), rng.uniform(0.85, 1.1), rng.uniform(1.1, 1.4), rng.uniform(1.1, 1.5)
    a, b, c, d = (0.0, notch), (rng.uniform(0.1, 0.35), -top), (bulge, -top * 0.85), (0.98, -0.15)
    e, f, g = (rng.uniform(0.75, 1.0), rng.uniform(0.25, 0.45)), (rng.uniform(0.15, 0.45), 0.7 * depth), (0.0, depth)

    def curve(p: Points, i: float) -> tuple[float, float]:
        w = ((1 - i) ** 3, 3 * i * (1 - i) ** 2, 3 * i * i * (1 - i), i ** 3)
        return sum(k * q[0] for k, q in zip(w, p)), sum(k * q[1] for k, q in zip(w, p))
    right = [curve([a, b, c, d], i / 10) for i in range(10)] + [curve([d, e, f, g], i / 10) for i in range(11)]
    return right + [(-x, y) for x, y in right[-2:0:-1]]


def heart(rng: random.Random, varied: bool) -> Points:
    if not varied:
        return curved_heart(rng)
    return rng.choice([curved_heart, lobed_heart, bezier_heart])(rng)


FORMS: dict[str, Callable[[random.Random, bool], Points]] = {
    "circle": circle, "square": square, "triangle": triangle, "star": star, "cross": cross, "heart": heart}


def cut_corners(points: Points, share: float) -> Points:
    """Each corner replaced by two (Chaikin), twice."""
    for cut in (share, 0.25):
        following = points[1:] + points[:1]
        points = [p for (ax, ay), (bx, by) in zip(points, following)
                  for p in ((ax + cut * (bx - ax), ay + cut * (by - ay)), (bx - cut * (bx - ax), by - cut * (by - ay)))]
    return points


def by_hand(points: Points, amount: float, rng: random.Random) -> Points:
    """More points along the edges, each a little off, smoothly."""
    dense = []
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1]):
        parts = max(1, round(math.hypot(bx - ax, by - ay) / 0.22))
        dense += [(ax + (bx - ax) * i / parts, ay + (by - ay) * i / parts) for i in range(parts)]
    waves = [(rng.randint(2, 9), rng.uniform(0, 6.3), rng.gauss(0, amount * 0.5)) for _ in range(6)]
    out = []
    for i, (x, y) in enumerate(dense):
        t = 2 * math.pi * i / len(dense)
        dx = sum(a * math.sin(n * t + p) for n, p, a in waves[:3]) + rng.gauss(0, amount * 0.12)
        dy = sum(a * math.sin(n * t + p) for n, p, a in waves[3:]) + rng.gauss(0, amount * 0.12)
        out.append((x + dx, y + dy))
    return out


def outline(shape: str, cx: float, cy: float, r: float, angle: float, rng: random.Random, form: Form = PLAIN) -> Points:
    """The polygon of a shape of radius `r`, turned by `angle` (radians)."""
    points = FORMS[shape](rng, form.varied)
    if form.stretch != 1:
        across = math.sqrt(form.stretch)
        points = [(x * across, y / across) for x, y in points]
    if form.rounded and shape not in ("circle", "heart"):
        points = cut_corners(points, form.rounded * (1 if shape in ("square", "triangle") else 0.6))
    if form.wobble:
        points = by_hand(points, form.wobble, rng)
    c, s = r * math.cos(angle), r * math.sin(angle)
    return [(cx + x * c - y * s, cy + x * s + y * c) for x, y in points]
