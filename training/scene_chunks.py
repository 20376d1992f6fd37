"""Scenes as files of a few hundred, so that training can begin while the rest is still drawn.

    python3 scene_chunks.py --work WORK [--train 40000] [--nameless-train 12000] [--tiny-train 12000] [--processes N] [--seconds S]

Writes WORK/chunks/SPLIT-START.npz: the pictures, as dataset.py makes them and as an Idefics3 image processor does,
what is on each cell, the boxes and, but for nameless and tiny scenes, the conversations of make_chats.py.
"""
from __future__ import annotations

import argparse
import multiprocessing
import os
import queue
import threading
import random
import time
from pathlib import Path
from typing import Iterator

import numpy as np

from chat_tiles import SIDE, pieces
from dataset import (GRID, IMAGE_SIZE, MAX_OBJECTS, NAMELESS, SCENES, background_label, cell_labels,
                     object_labels, record, scene_rng)
from drawing import FILTERS, compressed, render_with_boxes
from make_chats import make_chats, make_pairs, tokenizer
from scenes import SHAPES, TRAIN_DIMS, sample_scene

CHUNK = 250  # scenes of a file
ALL = {"tiny-train": 12000, **SCENES}
TILED, PAIRED = 50, 2  # of how many scenes one is shown in tiles too, and one has a second picture
Arrays = dict[str, np.ndarray]


def draw(split: str, seed: int, start: int, count: int, tiled: int) -> Arrays:
    side, often = IMAGE_SIZE, 0.3 if split.endswith("train") else 0
    out: Arrays = {
        "squashed": np.zeros((count, side, side, 3), np.uint8), "processed": np.zeros((count, SIDE, SIDE, 3), np.uint8),
        "tiles": np.zeros((tiled, 5, SIDE, SIDE, 3), np.uint8),
        "maps": np.zeros((count, MAX_OBJECTS, GRID * GRID), np.float16), "cells": np.zeros((count, GRID * GRID, 3), np.uint8),
        "background": np.zeros(count, np.uint8), "radius": np.zeros((count, MAX_OBJECTS), np.float16),
        "shapes": np.zeros((count, MAX_OBJECTS), np.uint8), "boxes": np.zeros((count, MAX_OBJECTS, 4), np.float32),
    }
    for i in range(count):
        rng = scene_rng(split, seed, start + i)
        scene = sample_scene(rng, *rng.choice(TRAIN_DIMS), NAMELESS if split.startswith("nameless") else 0,
                             tiny=split.startswith("tiny"))
        picture, boxes = render_with_boxes(scene, rng)
        picture = compressed(picture, rng)
        out["squashed"][i] = np.asarray(picture.resize((side, side), rng.choice(FILTERS)))
        # In training mostly as an Idefics3 image processor makes them: other ways to scale teach more.
        out["processed"][i] = (np.asarray(picture.resize((SIDE, SIDE), rng.choice(FILTERS))) if rng.random() < often
                               else pieces(picture, SIDE)[0])
        if i < tiled:
            out["tiles"][i] = pieces(picture, 2 * SIDE)
        out["maps"][i] = object_labels(scene)
        out["cells"][i] = cell_labels(scene, out["maps"][i])
        out["background"][i] = background_label(scene)
        out["radius"][i, :len(boxes)] = [o.radius / (scene.width * scene.height) ** 0.5 for o in scene.objects]
        out["shapes"][i, :len(boxes)] = [1 + SHAPES.index(o.shape) for o in scene.objects]
        if boxes:
            out["boxes"][i, :len(boxes)] = boxes
    return out


def make_chunk(folder: Path, split: str, seed: int, start: int, count: int, total: int) -> str:
    """The second picture of a pair is another one of the chunk, and of the whole split where that is small."""
    named = not split.startswith(("nameless", "tiny"))
    first, total = (start, count) if split == "train" else (0, total)
    out = draw(split, seed, start, count, count // TILED if named else 0)
    if named:
        for name, (made, _) in (("chats", make_chats(split, seed, start, count)),
                                ("pairs", make_pairs(split, seed, start, count // PAIRED, first, total))):
            out |= {f"{name}_{key}": value for key, value in made.items()}
    path = folder / f"{split}-{start:07}.npz"
    partly = path.with_suffix(".partly")
    with partly.open("wb") as file:
        np.savez(file, **out)
    partly.rename(path)
    return path.name


def chunks(folder: Path, splits: tuple[str, ...], seen: set[str]) -> Iterator[Arrays]:
    """Those that are there and not among `seen`, which they are added to."""
    for path in sorted(folder.glob("*.npz")):
        if path.name not in seen and path.name.rpartition("-")[0] in splits:
            seen.add(path.name)
            with np.load(path) as data:
                yield {k: data[k] for k in data.files}


class Incoming:
    """Chunks of some splits as they appear, read by a thread of its own."""

    def __init__(self, folder: Path, splits: tuple[str, ...]):
        self.folder, self.splits = folder, splits
        self.queue: queue.Queue[Arrays] = queue.Queue(4)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        seen: set[str] = set()
        while True:
            for chunk in chunks(self.folder, self.splits, seen):
                self.queue.put(chunk)
            time.sleep(0.2)

    def next(self) -> Arrays | None:
        """The next one, or None where there is none yet."""
        return None if self.queue.empty() else self.queue.get()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    for split, count in ALL.items():
        parser.add_argument(f"--{split}", type=int, default=count)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=float("inf"), help="after which no more are begun")
    args = parser.parse_args()
    folder, started, made = args.work / "chunks", time.time(), 0
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    for split in ALL:
        total = getattr(args, split.replace("-", "_"))
        jobs.append([(folder, split, args.seed, at, min(CHUNK, total - at), total) for at in range(0, total, CHUNK)])
    # What is tested on comes first, and then a few tiny and nameless scenes always follow more of the others.
    tiny, *first, nameless, plain = jobs
    order = [job for split in first for job in split]
    rest = [(at / max(1, len(split)), job) for split in (tiny, nameless, plain) for at, job in enumerate(split)]
    order += [job for _, job in sorted(rest, key=lambda pair: pair[0])]
    tokenizer()  # the processes have it from here
    with multiprocessing.Pool(args.processes) as pool:
        for _ in pool.imap_unordered(make_named, order, chunksize=1):
            made += 1
            if time.time() - started > args.seconds:
                break
        pool.terminate()
    record(args.work, "scenes in chunks", files=made, seconds=round(time.time() - started))
    print(f"{made} chunks in {time.time() - started:.0f} s", flush=True)


def make_named(job: tuple[Path, str, int, int, int, int]) -> str:
    return make_chunk(*job)


if __name__ == "__main__":
    main()
