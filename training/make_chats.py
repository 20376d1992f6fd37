"""The conversations of shapes-chat for the scenes that dataset.py draws, as arrays; those to test with as text too.

    python3 make_chats.py --work WORK [--seed 1]

Writes WORK/chat_tests.json; scene_chunks.py makes what is trained on. A row is all that follows the picture: question,
answer, perhaps a second question with its answer. The picture and what stands before it are the same for all rows of
a scene and are put there by the trainer.
"""
from __future__ import annotations

import argparse
import json
import multiprocessing
import random
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np

import statements
from chat_tokens import END, ChatTokenizer
from chats import (Turn, ask_caption, ask_judgement, ask_list, ask_of_it, ask_sentence, ask_short, ask_unseen,
                   chat_texts)
from make_texts import scenes_again
from pairs import ask_pair, pair_texts
from question_kinds import EVEN_WEIGHTS, TRAIN_WEIGHTS
from questions import KINDS
from scenes import Scene

LENGTH = 88  # tokens of a row; longer ones are not used
ROWS = {"train": 12, "valid": 12, "test": 12}
TESTED, TEST_PAIRS = 2000, 600  # scenes and pairs to test with
PAIR_ROWS = 8
# Up to which roll a turn is of that kind: for tests, and in training, where the long answers come more often.
EVEN_SHARES, TRAIN_SHARES = (0.46, 0.62, 0.68, 0.80, 0.90), (0.36, 0.48, 0.62, 0.75, 0.91)
CHAT_KINDS = [*KINDS, "sentence", "caption", "entailment", "list", "unseen", "follow_up", "which", "more", "in_one"]
NONE = -1
Row = tuple[list[int], list[bool], list[int], list[int]]


@lru_cache(None)
def tokenizer() -> ChatTokenizer:
    return ChatTokenizer([*chat_texts(), *pair_texts()])


def ask(scene: Scene, rng: random.Random, noisy: bool) -> Turn:
    """One turn about one picture."""
    weights, judged = (TRAIN_WEIGHTS, statements.TRAIN_WEIGHTS) if noisy else (EVEN_WEIGHTS, statements.EVEN_WEIGHTS)
    short, sentence, caption, judgement, listed = TRAIN_SHARES if noisy else EVEN_SHARES
    while True:
        roll = rng.random()
        turn = (ask_short(scene, rng, noisy, weights) if roll < short else
                ask_sentence(scene, rng, noisy, weights) if roll < sentence else
                ask_caption(scene, rng) if roll < caption else
                ask_judgement(scene, rng, noisy, judged) if roll < judgement else
                ask_list(scene, rng) if roll < listed else ask_unseen(scene, rng, noisy))
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
        out["scenes"][i] = i
        rows = []
        for j in range(ROWS[split]):
            turns = conversation(scene, rng, noisy)
            while not put(out, i, j, turns):
                turns = conversation(scene, rng, noisy)
            rows.append(as_text(turns))
        if split == "test":
            texts.append({"scenes": [start + i], "rows": rows})
    return out, texts


def make_pairs(split: str, seed: int, start: int, count: int, first: int,
               total: int) -> tuple[dict[str, np.ndarray], list[object]]:
    """Each scene together with another one of the `total` from `first` on; both are told as so many after `start`."""
    out, texts = empty(count, PAIR_ROWS), []
    noisy, weights = split == "train", TRAIN_WEIGHTS if split == "train" else EVEN_WEIGHTS
    for i, (scene, rng) in enumerate(scenes_again(split, seed, start, count, "pairs")):
        other = first + (start + i - first + 1 + rng.randrange(total - 1)) % total
        second = next(scenes_again(split, seed, other, 1, "pairs"))[0]
        out["scenes"][i] = i, other - start
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
    args = parser.parse_args()
    texts, step, _ = {}, 100, tokenizer()
    with multiprocessing.Pool() as pool:
        for name, work, jobs in (
                ("chats", make_chats, [("test", args.seed, at, step) for at in range(0, TESTED, step)]),
                ("pairs", make_pairs, [("test", args.seed, at, step, 0, TESTED) for at in range(0, TEST_PAIRS, step)])):
            texts[name] = [t for _, told in pool.starmap(work, jobs, chunksize=1) for t in told]
    (args.work / "chat_tests.json").write_text(json.dumps(texts))


if __name__ == "__main__":
    main()
