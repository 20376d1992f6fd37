"""Pictures cut up as Idefics3's image processor does it."""
from __future__ import annotations

import math

import numpy as np
from PIL import Image

from dataset import scene_rng
from drawing import compressed, render
from scenes import TRAIN_DIMS, Scene, sample_scene

SIDE = 256  # pixels of what shapes-chat sees at once; the other models see `dataset.IMAGE_SIZE`


def to_longest_edge(picture: Image.Image, edge: int) -> Image.Image:
    """Scaled, up or down, so that the longer side has `edge` pixels and the other an even number."""
    width, height = picture.size
    aspect = width / height
    size = (edge, int(edge / aspect)) if width >= height else (int(edge * aspect), edge)
    width, height = (max(1, v + v % 2) if v != edge else v for v in size)
    return picture.resize((width, height), Image.LANCZOS)


def to_whole_tiles(picture: Image.Image) -> Image.Image:
    def up(v: int) -> int:
        return math.ceil(v / SIDE) * SIDE
    width, height = picture.size
    aspect = width / height
    if width >= height:
        width = up(width)
        height = up(int(width / aspect))
    else:
        height = up(height)
        width = up(int(height * aspect))
    return picture.resize((width, height), Image.LANCZOS)


def pieces(picture: Image.Image, longest_edge: int) -> list[np.ndarray]:
    """The tiles row by row and then the whole, or the whole alone; each SIDE square."""
    whole = to_whole_tiles(to_longest_edge(picture, longest_edge))
    width, height = whole.size
    tiles = [np.asarray(whole.crop((x, y, x + SIDE, y + SIDE)))
             for y in range(0, height, SIDE) for x in range(0, width, SIDE)]
    if len(tiles) == 1:
        return tiles
    return [*tiles, np.asarray(whole.resize((SIDE, SIDE), Image.LANCZOS))]


def picture_again(split: str, seed: int, number: int) -> tuple[Scene, Image.Image]:
    """A scene that dataset.py drew, drawn again."""
    rng = scene_rng(split, seed, number)
    scene = sample_scene(rng, *rng.choice(TRAIN_DIMS))
    return scene, compressed(render(scene, rng), rng)
