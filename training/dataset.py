"""Makes the data: pictures, labels and encoded questions, as NumPy arrays on disk.

    python3 dataset.py --work WORK [--train 40000] [--test 2000]

Writes WORK/{train,valid,test}.npz, and WORK/nameless-{train,test}.npz of scenes in which half of the
objects have a colour without a name: what shapes-vqa and shapes-detect learn beside the others. A scene depends on the split's name and its
own number only, so the splits never share scenes and the data does not depend
on how many processes made it.
"""
from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from pathlib import Path

import numpy as np

from question_kinds import EVEN_WEIGHTS, TRAIN_WEIGHTS, ask_question
from questions import ANSWERS, KINDS, question_vocabulary
from drawing import render_with_boxes, squash
from scenes import (BACKGROUND_NAMES, COLOR_NAMES, MAX_OBJECTS, SHAPES, SIZES, TRAIN_DIMS, Scene, cell_weights,
                    sample_scene)
from tokenizer import MAX_TOKENS, encode

IMAGE_SIZE = 128
GRID = 8
MAX_PHRASES = 2
NO_FOCUS = 255
MIXED_BACKGROUND, UNSURE_BACKGROUND = len(BACKGROUND_NAMES), 255
UNSURE_COLOR = 255
QUESTIONS_PER_SCENE = 16
#: number of scenes of each split
SCENES = {"test": 2000, "valid": 1000, "nameless-test": 1000, "nameless-train": 12000, "train": 40000}
TRAIN_SPLITS = ("train", "nameless-train")
NAMELESS = 0.5
CHUNK = 500


def scene_rng(split: str, seed: int, number: int) -> random.Random:
    return random.Random(f"{split}/{seed}/{number}")


def object_labels(scene: Scene) -> np.ndarray:
    """[MAX_OBJECTS, GRID * GRID] weights of each object's centre over the cells."""
    maps = np.zeros((MAX_OBJECTS, GRID * GRID), np.float16)
    for i, o in enumerate(scene.objects):
        for cell, weight in cell_weights(o, GRID):
            maps[i, cell] = weight
    return maps


def background_label(scene: Scene) -> int:
    """The background's index, or that it has many colours, or that people would not agree."""
    if scene.background is not None:
        return BACKGROUND_NAMES.index(scene.background)
    return MIXED_BACKGROUND if scene.mixed else UNSURE_BACKGROUND


def cell_labels(scene: Scene, maps: np.ndarray) -> np.ndarray:
    """[GRID * GRID, 3] colour, shape and size of the object on each cell, 0 where there is none."""
    labels = np.zeros((GRID * GRID, 3), np.uint8)
    colors = {name: 1 + i for i, name in enumerate(COLOR_NAMES)}
    cells = (np.arange(GRID) + 0.5) / GRID
    x, y = np.tile(cells, GRID), np.repeat(cells, GRID)
    nearest = np.full(GRID * GRID, np.inf)
    for i, o in enumerate(scene.objects):
        distance = np.hypot((x - o.x) * scene.width, (y - o.y) * scene.height) / o.radius
        mine = ((distance < 1) | (maps[i] > 0.03)) & (distance < nearest)
        nearest[mine] = distance[mine]
        labels[mine] = (colors.get(o.color, UNSURE_COLOR), 1 + SHAPES.index(o.shape), 1 + SIZES.index(o.size))
    return labels


def make_chunk(split: str, seed: int, start: int, count: int) -> dict[str, np.ndarray]:
    """Scenes `start` to `start + count` of a split, as arrays with one row per scene."""
    vocabulary, asked = question_vocabulary(), QUESTIONS_PER_SCENE
    training = split.endswith("train")
    out = {
        "images": np.zeros((count, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8),
        "maps": np.zeros((count, MAX_OBJECTS, GRID * GRID), np.float16),
        "cells": np.zeros((count, GRID * GRID, 3), np.uint8),
        "background": np.zeros(count, np.uint8),
        "radius": np.zeros((count, MAX_OBJECTS), np.float16),  # share of sqrt(width * height)
        "shapes": np.zeros((count, MAX_OBJECTS), np.uint8),  # 0: no object
        "boxes": np.zeros((count, MAX_OBJECTS, 4), np.float32),
        "tokens": np.zeros((count, asked, MAX_TOKENS), np.uint8),
        "answers": np.zeros((count, asked), np.uint8),
        "kinds": np.zeros((count, asked), np.uint8),
        "phrase_ends": np.zeros((count, asked, MAX_PHRASES), np.uint8),  # 0: no such phrase
        "phrase_masks": np.zeros((count, asked, MAX_PHRASES), np.uint8),
        "focus": np.full((count, asked), NO_FOCUS, np.uint8),
    }
    for i in range(count):
        rng = scene_rng(split, seed, start + i)
        scene = sample_scene(rng, *rng.choice(TRAIN_DIMS), NAMELESS if split.startswith("nameless") else 0)
        picture, boxes = render_with_boxes(scene, rng)
        out["images"][i] = squash(picture, IMAGE_SIZE, rng)
        out["maps"][i] = object_labels(scene)
        out["cells"][i] = cell_labels(scene, out["maps"][i])
        out["background"][i] = background_label(scene)
        out["radius"][i, :len(scene.objects)] = [o.radius / (scene.width * scene.height) ** 0.5 for o in scene.objects]
        out["shapes"][i, :len(boxes)] = [1 + SHAPES.index(o.shape) for o in scene.objects]
        if boxes:
            out["boxes"][i, :len(boxes)] = boxes
        for j in range(asked):
            question = ask_question(scene, rng, TRAIN_WEIGHTS if training else EVEN_WEIGHTS, noisy=training)
            ids = encode(question.text, vocabulary)
            out["tokens"][i, j, :len(ids)] = ids
            out["answers"][i, j] = ANSWERS.index(question.answer)
            out["kinds"][i, j] = KINDS.index(question.kind)
            for k, (end, mask) in enumerate(question.phrases):
                out["phrase_ends"][i, j, k], out["phrase_masks"][i, j, k] = end, mask
            if question.focus is not None:
                out["focus"][i, j] = question.focus
    return out


def record(work: Path, stage: str, **facts: float) -> None:
    """Notes in WORK/stages.json what a stage did and how long it took, for the model card."""
    path = work / "stages.json"
    stages = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**stages, stage: facts}, indent=2))


def load(work: Path, split: str) -> dict[str, np.ndarray]:
    with np.load(work / f"{split}.npz") as data:
        return {k: data[k] for k in data.files}


def load_without_images(work: Path, *splits: str) -> dict[str, np.ndarray]:
    """The labels and questions of the splits, one split after the other."""
    parts = []
    for split in splits:
        with np.load(work / f"{split}.npz") as data:
            parts.append({k: data[k] for k in data.files if k != "images"})
    return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    for split, count in SCENES.items():
        parser.add_argument(f"--{split}", type=int, default=count)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    for split in SCENES:
        started, total = time.time(), getattr(args, split.replace("-", "_"))
        jobs = [(split, args.seed, at, min(CHUNK, total - at)) for at in range(0, total, CHUNK)]
        with multiprocessing.Pool() as pool:
            chunks = pool.starmap(make_chunk, jobs, chunksize=1)
        arrays = {k: np.concatenate([c[k] for c in chunks]) for k in chunks[0]}
        np.savez(args.work / f"{split}.npz", **arrays)
        print(f"{split}: {total} scenes in {time.time() - started:.0f} s", flush=True)
        record(args.work, f"{split} data", scenes=total, seconds=round(time.time() - started))


if __name__ == "__main__":
    main()
