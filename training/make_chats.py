"""Makes the conversations of shapes-chat for the scenes that dataset.py drew, as arrays.

    python3 make_chats.py --work WORK [--seed 1]

Writes WORK/chats_{train,valid,test}.npz (one picture), WORK/pairs_*.npz (two) and, for the test, the same as text.
A row is all that follows the picture: question, answer, perhaps a second question with its answer. The picture
and what stands before it are the same for all rows of a scene and are put there by the trainer.
"""
from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np

import statements
from chat_tokens import END, ChatTokenizer
from chats import (Turn, ask_caption, ask_judgement, ask_list, ask_of_it, ask_sentence, ask_short, ask_unseen,
                   chat_texts)
from dataset import record
from make_texts import scenes_again
from pairs import ask_pair, pair_texts
from question_kinds import EVEN_WEIGHTS, TRAIN_WEIGHTS
from questions import KINDS
from scenes import Scene

LENGTH = 88  # tokens of a row; longer ones are not used
ROWS = {"train": 12, "valid": 12, "test": 12}
PAIRS = {"train": 12000, "valid": 300, "test": 600}
PAIR_ROWS = 8
CHAT_KINDS = [*KINDS, "sentence", "caption", "entailment", "list", "unseen", "follow_up", "which", "more", "in_one"]
NONE = -1
Row = tuple[list[int], list[bool], list[int], list[int]]


@lru_cache(None)
def tokenizer() -> ChatTokenizer:
    return ChatTokenizer([*chat_texts(), *pair_texts()])


def ask(scene: Scene, rng: random.Random, noisy: bool) -> Turn:
    """One turn about one picture."""
    weights = TRAIN_WEIGHTS if noisy else EVEN_WEIGHTS
    while True:
        roll = rng.random()
        turn = (ask_short(scene, rng, noisy, weights) if roll < 0.46 else
                ask_sentence(scene, rng, noisy, weights) if roll < 0.62 else
                ask_caption(scene, rng) if roll < 0.68 else
                ask_judgement(scene, rng, noisy, statements.TRAIN_WEIGHTS if noisy else statements.EVEN_WEIGHTS) if roll < 0.80 else
                ask_list(scene, rng) if roll < 0.90 else ask_unseen(scene, rng, noisy))
        if turn:
            return turn


def conversation(scene: Scene, rng: random.Random, noisy: bool) -> list[Turn]:
    turns = [ask(scene, rng, noisy)]
    if rng.random() < 0.35:
        turns.append((ask_of_it(scene, rng, turns[0]) if rng.random() < 0.8 else None) or ask(scene, rng, noisy))
    return turns


def token_ends(ids: list[int]) -> list[int]:
    return list(accumulate(tokenizer().lengths[i] for i in ids))


def encode_turn(turn: Turn, last: bool) -> Row:
    """Ids of the question and the answer, what is to be said, and what phrases and next tokens are about."""
    t = tokenizer()
    asked = t.encode(turn.ask)
    phrase = [NONE] * len(asked)
    for i, end in enumerate(token_ends(asked)):
        for at, mask in turn.phrases:
            if end == at:
                phrase[i] = mask
    after = [t.special(END), *t.encode("\nassistant:")]
    pieces = [(t.encode(text, keep_case=True), mask) for text, mask in turn.answer]
    said = [i for ids, _ in pieces for i in ids]
    ids = [*asked, *after, *(said if last else t.encode(turn.said)), t.special(END)]
    start = len(asked) + len(after) - 1  # the position that says the first token
    say = [False] * start + [last or t.encode(turn.said) == said] * (len(said) + 1) + [False]
    about = [NONE] * start + [NONE if mask is None else mask for ids_, mask in pieces for _ in ids_] + [NONE, NONE]
    if len(ids) != len(say):  # an earlier answer in lower case has other tokens: nothing is learnt from it
        say, about = [False] * len(ids), [NONE] * len(ids)
    return ids, say, phrase + [NONE] * (len(ids) - len(phrase)), about


def encode_row(turns: list[Turn]) -> Row:
    row: Row = ([], [], [], [])
    between = tokenizer().encode("\nuser:")
    for number, turn in enumerate(turns):
        parts = encode_turn(turn, number == len(turns) - 1)
        if number:
            for part, fill in zip(row, (between, [False] * len(between), [NONE] * len(between), [NONE] * len(between))):
                part.extend(fill)
        for part, more in zip(row, parts):
            part.extend(more)
    return row


def empty(count: int, rows: int) -> dict[str, np.ndarray]:
    return {"tokens": np.zeros((count, rows, LENGTH), np.int16), "say": np.zeros((count, rows, LENGTH), bool),
            "phrase": np.full((count, rows, LENGTH), NONE, np.int16), "about": np.full((count, rows, LENGTH), NONE, np.int16),
            "kinds": np.zeros((count, rows), np.uint8), "scenes": np.zeros((count, 2), np.int32)}


def put(out: dict[str, np.ndarray], i: int, j: int, turns: list[Turn]) -> bool:
    row = encode_row(turns)
    if len(row[0]) > LENGTH:
        return False
    for key, part in zip(("tokens", "say", "phrase", "about"), row):
        out[key][i, j, :len(part)] = part
    out["kinds"][i, j] = CHAT_KINDS.index(turns[-1].kind)
    return True


def as_text(turns: list[Turn]) -> dict[str, object]:
    return {"kind": turns[-1].kind, "turns": [[t.ask, t.said] for t in turns]}


def make_chats(split: str, seed: int, start: int, count: int) -> tuple[dict[str, np.ndarray], list[object]]:
    out, texts = empty(count, ROWS[split]), []
    noisy = split == "train"
    for i, (scene, rng) in enumerate(scenes_again(split, seed, start, count, "chats")):
        out["scenes"][i] = start + i
        rows = []
        for j in range(ROWS[split]):
            turns = conversation(scene, rng, noisy)
            while not put(out, i, j, turns):
                turns = conversation(scene, rng, noisy)
            rows.append(as_text(turns))
        if split == "test":
            texts.append({"scenes": [start + i], "rows": rows})
    return out, texts


def make_pairs(split: str, seed: int, start: int, count: int, total: int) -> tuple[dict[str, np.ndarray], list[object]]:
    """Scene i of the split together with another one."""
    out, texts = empty(count, PAIR_ROWS), []
    noisy, weights = split == "train", TRAIN_WEIGHTS if split == "train" else EVEN_WEIGHTS
    for i, (scene, rng) in enumerate(scenes_again(split, seed, start, count, "pairs")):
        other = (start + i + 1 + rng.randrange(total - 1)) % total
        second = next(scenes_again(split, seed, other, 1, "pairs"))[0]
        out["scenes"][i] = start + i, other
        rows = []
        for j in range(PAIR_ROWS):
            turns = [ask_pair((scene, second), rng, noisy, weights)]
            if not put(out, i, j, turns):
                raise ValueError(f"too long: {turns}")
            rows.append(as_text(turns))
        if split == "test":
            texts.append({"scenes": [start + i, other], "rows": rows})
    return out, texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--train", type=int, default=40000)
    args = parser.parse_args()
    started, texts = time.time(), {}
    totals = {"test": 2000, "valid": 1000, "train": args.train}
    for split, total in totals.items():
        step, pairs = 500, min(PAIRS[split], total)
        for name, work, jobs in (
                ("chats", make_chats, [(split, args.seed, at, min(step, total - at)) for at in range(0, total, step)]),
                ("pairs", make_pairs, [(split, args.seed, at, min(step, pairs - at), total) for at in range(0, pairs, step)])):
            with multiprocessing.Pool(2) as pool:
                chunks = pool.starmap(work, jobs, chunksize=1)
            np.savez(args.work / f"{name}_{split}.npz", **{k: np.concatenate([c[0][k] for c in chunks]) for k in chunks[0][0]})
            if split == "test":
                texts[name] = [t for c in chunks for t in c[1]]
    (args.work / "chat_tests.json").write_text(json.dumps(texts))
    record(args.work, "chats texts", seconds=round(time.time() - started))
    print(f"chats: {time.time() - started:.0f} s, {len(tokenizer().vocabulary)} tokens", flush=True)


if __name__ == "__main__":
    main()
