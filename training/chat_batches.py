"""Batches of conversations: a few scenes, for each the same prefix and a few rows, grouped by length."""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from chat_prefix import SYSTEM, TILES, prefix_ids
from chat_tokens import END, IMAGE
from machine import WORKERS
from make_chats import LENGTH, NONE, tokenizer
from network import CELLS, WIDTH
from scenes import MAX_OBJECTS

Data = dict[str, np.ndarray]
Pointers = tuple[Tensor, Tensor, Tensor]  # rows, positions, and [K, cells] what they point at
SCENES, ROWS = 24, 6
GROUPS = (4, 2)  # rows by length: shorter and longer
SHORT, LONGEST = 36, 64  # tokens of a row; most batches have short rows, the others long ones, so that little is padding
NO_PICTURE = "There is no image."


@dataclass
class Group:
    tokens: Tensor
    say: tuple[Tensor, Tensor]
    say_weight: Tensor
    phrases: Pointers
    about: Pointers
    kinds: Tensor
    share: float  # of the rows of the batch


@dataclass
class Batch:
    prefix: Tensor
    seen: Tensor    # [scenes, pictures, CELLS, 2 * WIDTH]
    starts: list[int]  # of each picture in the prefix
    run: int        # cells in each
    cells: Tensor   # positions in the prefix that pointers may point at
    groups: list[Group] = field(default_factory=list)


def pointers(data: Data, key: str, rows: np.ndarray, chosen: np.ndarray, length: int, maps: np.ndarray) -> Pointers:
    """`maps` is [scenes, objects, cells]; rows of a scene follow each other."""
    masks = data[key][rows[:, None], chosen].reshape(-1, LENGTH)[:, :length]
    row, at = np.nonzero(masks != NONE)
    bits = (masks[row, at][:, None] >> np.arange(maps.shape[1]) & 1).astype(np.float32)
    meant = np.einsum("ko,koc->kc", bits, maps[row // chosen.shape[1]])
    return torch.from_numpy(row), torch.from_numpy(at), torch.from_numpy(meant)


def make_group(data: Data, rows: np.ndarray, chosen: np.ndarray, maps: np.ndarray, share: float) -> Group:
    tokens = data["tokens"][rows[:, None], chosen].reshape(-1, LENGTH).astype(np.int64)
    length = min(LENGTH, int((tokens > 0).sum(1).max()) + 7 & ~7)  # few different forms are faster
    say = data["say"][rows[:, None], chosen].reshape(-1, LENGTH)[:, :length]
    row, at = np.nonzero(say)
    weight = 1 / np.sqrt(say.sum(1).clip(1))
    return Group(torch.from_numpy(tokens[:, :length]), (torch.from_numpy(row), torch.from_numpy(at)),
                 torch.from_numpy(weight[row].astype(np.float32)),
                 pointers(data, "phrase", rows, chosen, length, maps), pointers(data, "about", rows, chosen, length, maps),
                 torch.from_numpy(data["kinds"][rows[:, None], chosen].reshape(-1).astype(np.int64)), share)


def begin(seen: np.ndarray, pictures: int, tiles: bool, system: str) -> Batch:
    prefix = prefix_ids(tokenizer(), pictures, tiles, system)
    at = [i for i, t in enumerate(prefix) if t == tokenizer().special(IMAGE)]
    starts = at[::CELLS]
    shown = at[TILES * CELLS:] if tiles else at
    return Batch(torch.tensor([prefix]), torch.from_numpy(seen.astype(np.float32)), starts, CELLS,
                 torch.tensor(shown, dtype=torch.long))


def blind(group: Group) -> Group:
    """The first question of each row, asked without a picture."""
    t = tokenizer()
    after, said = t.encode("\nassistant:"), t.encode(NO_PICTURE, keep_case=True)
    rows, say = [], []
    for row in group.tokens.tolist():
        ask = [*row[:row.index(t.special(END)) + 1], *after]
        rows.append([*ask, *said, t.special(END)])
        say.append([len(ask) - 1 + i for i in range(len(said) + 1)])
    length = max(map(len, rows))
    tokens = torch.zeros(len(rows), length, dtype=torch.long)
    for i, row in enumerate(rows):
        tokens[i, :len(row)] = torch.tensor(row)
    at = torch.tensor(say)
    where = torch.arange(len(rows))[:, None].expand_as(at).flatten(), at.flatten()
    empty = torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long), torch.zeros(0, CELLS)
    return Group(tokens, where, torch.ones(at.numel()), empty, empty, group.kinds, group.share)


def load(path: Path) -> Data:
    with np.load(path) as data:
        return {k: data[k] for k in data.files}


class Source:
    """Endless batches of all sorts, in seeded random order, one for each worker."""

    def __init__(self, data: dict[str, Data], maps: np.ndarray, seen: np.ndarray, tiles: np.ndarray | None, seed: int):
        self.data, self.maps, self.seen, self.tiles = data, maps, seen, tiles
        self.rng = np.random.default_rng(seed)
        self.orders: dict[str, tuple[np.ndarray, int]] = {}

    def draw(self, kind: str, count: int, total: int) -> np.ndarray:
        order, at = self.orders.get(kind, (np.zeros(0, np.int64), 0))
        if at + count > len(order):
            order, at = self.rng.permutation(total), 0
        self.orders[kind] = order, at + count
        return order[at:at + count]

    def next(self) -> list[Batch]:
        roll, asked = self.rng.random(), ROWS
        kind = "pairs" if roll < 0.13 else "tiles" if roll < 0.23 and self.tiles is not None else \
            "none" if roll > 0.985 else "chats"
        system = SYSTEM[self.rng.integers(len(SYSTEM))] if self.rng.random() < 0.2 else ""
        data = self.data["pairs" if kind == "pairs" else "chats"]
        total = len(self.tiles) if kind == "tiles" and self.tiles is not None else len(data["tokens"])
        count = {"pairs": SCENES // 2, "tiles": SCENES // 4, "none": SCENES // 4}.get(kind, SCENES)
        rows = self.draw(kind, count, total)
        short = self.rng.random() < 0.65
        return [self.batch(kind, data, part, system, asked, short) for part in np.array_split(rows, WORKERS)]

    def batch(self, kind: str, data: Data, rows: np.ndarray, system: str, asked: int, short: bool) -> Batch:
        lengths = (data["tokens"][rows] > 0).sum(-1)
        least, most = (0, SHORT) if short else (SHORT + 1, LONGEST)
        unfit = (lengths < least) + (lengths > most) + 1.0 * (lengths > LONGEST)
        chosen = (self.rng.random(lengths.shape) + unfit).argsort(1)[:, :asked]
        lengths = np.take_along_axis(lengths, chosen, 1)
        chosen = np.take_along_axis(chosen, lengths.argsort(1, kind="stable"), 1)
        return self.fill(kind, data, rows, system, np.split(chosen, np.cumsum(GROUPS)[:-1], 1), asked)

    def fill(self, kind: str, data: Data, rows: np.ndarray, system: str, parts: list[np.ndarray], asked: int) -> Batch:
        scenes = data["scenes"][rows]
        maps = self.maps[scenes[:, 0]].astype(np.float32)
        if kind == "pairs":
            seen = self.seen[scenes]
            maps = np.zeros((len(rows), 2 * MAX_OBJECTS, 2 * CELLS), np.float32)
            for i in range(2):
                maps[:, i * MAX_OBJECTS:(i + 1) * MAX_OBJECTS, i * CELLS:(i + 1) * CELLS] = self.maps[scenes[:, i]]
        elif kind == "tiles" and self.tiles is not None:
            seen = np.concatenate([self.tiles[rows], self.seen[scenes[:, :1]]], 1)
        elif kind == "none":
            seen = np.zeros((len(rows), 0, CELLS, 2 * WIDTH), np.float16)
        else:
            seen = self.seen[scenes[:, :1]]
        batch = begin(seen, {"pairs": 2, "none": 0}.get(kind, 1), kind == "tiles", system)
        batch.groups = [make_group(data, rows, part, maps, part.shape[1] / asked) for part in parts]
        if kind == "none":
            batch.groups = [blind(group) for group in batch.groups]
        return batch


def source_of(work: Path, split: str, seed: int) -> Source:
    with np.load(work / f"{split}.npz") as drawn:
        maps = drawn["maps"]
    tiles = work / f"tiles_{split}.npy"
    return Source({k: load(work / f"{k}_{split}.npz") for k in ("chats", "pairs")}, maps,
                  np.load(work / f"seen_{split}.npy"), np.load(tiles) if tiles.exists() else None, seed)


def sources(work: Path, seed: int) -> Source:
    return source_of(work, "train", seed)


def validation(work: Path, scenes: int = 120) -> list[Batch]:
    """Batches with all rows of the first scenes and pairs, and of some scenes as tiles."""
    source, batches = source_of(work, "valid", 0), []
    for kind, total in (("chats", scenes), ("pairs", scenes // 2)):
        data = source.data[kind]
        for at in range(0, total, 20):
            rows = np.arange(at, at + 20)
            every = np.tile(np.arange(data["tokens"].shape[1]), (len(rows), 1))
            lengths = (data["tokens"][rows[:, None], every] > 0).sum(-1)
            every = np.take_along_axis(every, lengths.argsort(1, kind="stable"), 1)
            batches.append(source.fill(kind, data, rows, "", np.array_split(every, 3, 1), every.shape[1]))
    return batches
