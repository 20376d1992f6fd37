"""Makes the texts of the other models for the scenes that dataset.py drew: statements, captions, phrases.

    python3 make_texts.py --work WORK --what statements|captions|phrases [--seed 1]

Writes WORK/WHAT_{train,valid,test}.npz. The scenes are described again from
their own seeds, without drawing; the texts have seeds of their own.
"""
from __future__ import annotations

import argparse
import multiprocessing
import random
import time
from pathlib import Path
from typing import Callable, Iterator

import numpy as np

import captions
import phrases
import statements
from dataset import MAX_PHRASES, NO_FOCUS, record, scene_rng
from scenes import TRAIN_DIMS, Scene, sample_scene
from tokenizer import MAX_TOKENS, encode

CHUNK = 2500
Arrays = dict[str, np.ndarray]


def scenes_again(split: str, seed: int, start: int, count: int, what: str) -> Iterator[tuple[Scene, random.Random]]:
    """The scenes dataset.py drew, each with a generator for its texts."""
    for number in range(start, start + count):
        rng = scene_rng(split, seed, number)
        yield sample_scene(rng, *rng.choice(TRAIN_DIMS)), random.Random(f"{what}/{split}/{seed}/{number}")


def put(row: np.ndarray, ids: list[int]) -> None:
    row[:len(ids)] = ids


def make_statements(split: str, seed: int, start: int, count: int) -> Arrays:
    vocabulary, each, training = statements.statement_vocabulary(), 8 if split == "train" else 12, split == "train"
    out = {
        "tokens": np.zeros((count, each, MAX_TOKENS), np.uint8),
        "answers": np.zeros((count, each), np.uint8), "kinds": np.zeros((count, each), np.uint8),
        "phrase_ends": np.zeros((count, each, MAX_PHRASES), np.uint8),
        "phrase_masks": np.zeros((count, each, MAX_PHRASES), np.uint8),
        "focus": np.full((count, each), NO_FOCUS, np.uint8),
    }
    weights = statements.TRAIN_WEIGHTS if training else statements.EVEN_WEIGHTS
    for i, (scene, rng) in enumerate(scenes_again(split, seed, start, count, "statements")):
        for j in range(each):
            said = statements.make_statement(scene, rng, weights, noisy=training)
            put(out["tokens"][i, j], encode(said.text, vocabulary))
            out["answers"][i, j] = statements.JUDGEMENTS.index(said.answer)
            out["kinds"][i, j] = statements.STATEMENT_KINDS.index(said.kind)
            for k, (end, mask) in enumerate(said.phrases):
                out["phrase_ends"][i, j, k], out["phrase_masks"][i, j, k] = end, mask
            if said.focus is not None:
                out["focus"][i, j] = said.focus
    return out


def make_captions(split: str, seed: int, start: int, count: int) -> Arrays:
    vocabulary = captions.caption_vocabulary()
    out = {
        "tokens": np.zeros((count, captions.MAX_CAPTION), np.uint8),
        "named": np.zeros((count, captions.MAX_CAPTION), np.int8),   # rank of the object named next, -1: none
        "order": np.zeros((count, captions.MAX_OBJECTS), np.int8),   # rank of each object, -1: no such object
        "relation": np.zeros((count, captions.MAX_OBJECTS), np.int8),  # to the next in order
        "places": np.zeros((count, captions.MAX_OBJECTS, 2), np.float32),
        "clear": np.zeros(count, bool),
    }
    for i, (scene, _) in enumerate(scenes_again(split, seed, start, count, "captions")):
        caption = captions.describe(scene)
        put(out["tokens"][i], encode(caption.text, vocabulary))
        out["named"][i] = captions.named_by_token(caption)
        out["order"][i], out["relation"][i], out["places"][i] = captions.object_labels(scene, caption)
        out["clear"][i] = caption.clear
    return out


def make_phrases(split: str, seed: int, start: int, count: int) -> Arrays:
    vocabulary, each = phrases.phrase_vocabulary(), 2 if split == "train" else 4
    out = {
        "counts": np.zeros((count, *phrases.COUNTS_SHAPE), np.uint8), "background": np.zeros(count, np.uint8),
        # 1 true phrase and 7 hard false ones, `each` times
        "tokens": np.zeros((count, each, phrases.GROUP, phrases.MAX_PHRASE), np.uint8),
        "claims": np.zeros((count, each, phrases.GROUP, phrases.CLAIM_WIDTH), np.uint8),
        "kinds": np.zeros((count, each), np.uint8),
    }
    for i, (scene, rng) in enumerate(scenes_again(split, seed, start, count, "phrases")):
        out["counts"][i], out["background"][i] = phrases.scene_facts(scene)
        for j in range(each):
            group = phrases.make_group(scene, rng)
            out["kinds"][i, j] = phrases.PHRASE_KINDS.index(group.kind)
            for k, (claim, text) in enumerate(zip(group.claims, group.texts)):
                put(out["tokens"][i, j, k], encode(text, vocabulary))
                out["claims"][i, j, k] = claim.as_row()
    return out


MAKE: dict[str, Callable[[str, int, int, int], Arrays]] = {
    "statements": make_statements, "captions": make_captions, "phrases": make_phrases}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--what", choices=list(MAKE), required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    started = time.time()
    for split in ("test", "valid", "train"):
        with np.load(args.work / f"{split}.npz") as drawn:
            total = len(drawn["background"])
        jobs = [(split, args.seed, at, min(CHUNK, total - at)) for at in range(0, total, CHUNK)]
        with multiprocessing.Pool() as pool:
            chunks = pool.starmap(MAKE[args.what], jobs, chunksize=1)
        arrays = {k: np.concatenate([c[k] for c in chunks]) for k in chunks[0]}
        np.savez(args.work / f"{args.what}_{split}.npz", **arrays)
    record(args.work, f"{args.what} texts", seconds=round(time.time() - started))
    print(f"{args.what}: {time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
