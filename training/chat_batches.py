"""Batches of conversations: a few scenes, for each the same prefix and a few rows, grouped by length.

All that is trained on lies on the device that trains, and grows while scene_chunks.py makes more.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from chat_prefix import SYSTEM, TILES, prefix_ids
from chat_tokens import END, IMAGE
from make_chats import LENGTH, NONE, tokenizer
from network import CELLS
from scene_chunks import Arrays, Incoming, chunks
from scenes import MAX_OBJECTS

GROUPS = (4, 2)  # rows of a scene by length: shorter and longer
ROWS = sum(GROUPS)
SHORT, LONGEST = 36, 64  # tokens of a row; most batches have short rows, the others long ones, so that little is padding
NO_PICTURE = "There is no image."
LABELS = ("cells", "maps", "radius", "background")
CHATS = ("tokens", "say", "phrase", "about", "kinds")


@dataclass
class Pointers:
    """What the tokens of some rows point at: [rows, T] whether they do, [rows, T, cells] at what."""
    there: Tensor
    meant: Tensor


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
    images: Tensor  # uint8 [scenes, pictures, SIDE, SIDE, 3]
    starts: list[int]  # of each picture in the prefix
    cells: Tensor   # positions in the prefix that pointers may point at
    labelled: slice  # of the pictures, those whose cells have labels
    labels: dict[str, Tensor]
    groups: list[Group] = field(default_factory=list)


class Store:
    """Arrays with a row for each of something, as many as have come in so far."""

    def __init__(self, device: torch.device):
        self.device, self.parts, self.count = device, {}, 0  # type: ignore[var-annotated]

    def add(self, arrays: dict[str, Tensor]) -> None:
        new = len(next(iter(arrays.values())))
        for key, value in arrays.items():
            room = len(self.parts[key]) if key in self.parts else 0
            if self.count + new > room:
                larger = torch.empty((max(self.count + new, 2 * room), *value.shape[1:]), dtype=value.dtype, device=self.device)
                if room:
                    larger[:self.count] = self.parts[key][:self.count]
                self.parts[key] = larger
            self.parts[key][self.count:self.count + new] = value.to(self.device)
        self.count += new

    def __getitem__(self, key: str) -> Tensor:
        return self.parts[key][:self.count]


def pointers(masks: Tensor, maps: Tensor) -> Pointers:
    """`masks` [rows, T] of objects; `maps` [scenes, objects, cells]; rows of a scene follow each other."""
    there = masks != NONE
    bits = (masks.long().unsqueeze(-1) >> torch.arange(maps.shape[1], device=maps.device)) & 1
    bits = (bits * there.unsqueeze(-1)).float()
    meant = torch.matmul(bits.reshape(len(maps), -1, maps.shape[1]), maps)
    return Pointers(there, meant.reshape(*masks.shape, -1))


def blind(group: Group) -> Group:
    """The first question of each row, asked without a picture."""
    t, device = tokenizer(), group.tokens.device
    after, said = t.encode("\nassistant:"), t.encode(NO_PICTURE, keep_case=True)
    rows, say = [], []
    for row in group.tokens.tolist():
        ask = [*row[:row.index(t.special(END)) + 1], *after]
        rows.append([*ask, *said, t.special(END)])
        say.append([len(ask) - 1 + i for i in range(len(said) + 1)])
    length = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (length - len(row)) for row in rows], device=device)
    at = torch.tensor(say, device=device)
    where = torch.arange(len(rows), device=device)[:, None].expand_as(at).flatten(), at.flatten()
    nothing = Pointers(torch.zeros(tokens.shape, dtype=torch.bool, device=device), torch.zeros(*tokens.shape, 0, device=device))
    return Group(tokens, where, torch.ones(at.numel(), device=device), nothing, nothing, group.kinds, group.share)


class Source:
    """Endless batches of all sorts in random order, of the scenes of a split that are there."""

    def __init__(self, work: Path, split: str, device: torch.device, seed: int, live: bool = False):
        self.folder, self.split = work / "chunks", split
        self.incoming = Incoming(self.folder, (split,)) if live else None
        self.device, self.generator = device, torch.Generator().manual_seed(seed)
        self.scenes, self.tiles, self.pairs = (Store(device) for _ in range(3))

    def take_in(self) -> int:
        """Takes the next chunk if there is one, or all where no more will come; says how many scenes there are."""
        for chunk in chunks(self.folder, (self.split,), set()) if not self.incoming else [self.incoming.next()]:
            if chunk:
                self.add(chunk)
        return self.scenes.count

    def add(self, chunk: Arrays) -> None:
        base = self.scenes.count
        part = {key: torch.from_numpy(value) for key, value in chunk.items()}
        self.scenes.add({"images": part["processed"], **{k: part[k] for k in LABELS}, **{k: part[f"chats_{k}"] for k in CHATS}})
        if len(part["tiles"]):
            self.tiles.add({"images": part["tiles"], "scene": base + torch.arange(len(part["tiles"]))})
        self.pairs.add({"scenes": base + part["pairs_scenes"].long(), **{k: part[f"pairs_{k}"] for k in CHATS}})

    def roll(self) -> float:
        return torch.rand(1, generator=self.generator).item()

    def draw(self, kind: str, count: int) -> Batch:
        """So many scenes with some of their conversations."""
        store = {"pairs": self.pairs, "tiles": self.tiles}.get(kind, self.scenes)
        rows = torch.randint(store.count, (count,), generator=self.generator).to(self.device)
        system = SYSTEM[int(self.roll() * len(SYSTEM))] if self.roll() < 0.2 else ""
        asked = self.tiles["scene"][rows] if kind == "tiles" else rows
        data = self.pairs if kind == "pairs" else self.scenes
        lengths = (data["tokens"][asked] > 0).sum(-1)
        least, most = (0, SHORT) if self.roll() < 0.65 else (SHORT + 1, LONGEST)
        unfit = (lengths < least).float() + (lengths > most).float() + (lengths > LONGEST).float()
        chosen = (torch.rand(lengths.shape, device=self.device) + unfit).argsort(1)[:, :ROWS]
        chosen = chosen.gather(1, lengths.gather(1, chosen).argsort(1))
        return self.fill(kind, rows, list(chosen.split(GROUPS, 1)), system)

    def fill(self, kind: str, rows: Tensor, parts: list[Tensor], system: str = "") -> Batch:
        t, data = tokenizer(), self.pairs if kind == "pairs" else self.scenes
        asked = self.tiles["scene"][rows] if kind == "tiles" else rows
        shown = self.pairs["scenes"][rows] if kind == "pairs" else asked[:, None]
        images = self.tiles["images"][rows] if kind == "tiles" else self.scenes["images"][shown]
        maps = self.scenes["maps"][shown].float()
        if kind == "pairs":
            both = torch.zeros(len(rows), 2 * MAX_OBJECTS, 2 * CELLS, device=self.device)
            both[:, :MAX_OBJECTS, :CELLS], both[:, MAX_OBJECTS:, CELLS:] = maps[:, 0], maps[:, 1]
            maps = both
        else:
            maps = maps[:, 0]
        prefix = prefix_ids(t, {"pairs": 2, "none": 0}.get(kind, 1), kind == "tiles", system)
        at = [i for i, token in enumerate(prefix) if token == t.special(IMAGE)]
        batch = Batch(torch.tensor([prefix], device=self.device), images if kind != "none" else images[:, :0], at[::CELLS],
                      torch.tensor(at[TILES * CELLS:] if kind == "tiles" else at, dtype=torch.long, device=self.device),
                      slice(TILES, None) if kind == "tiles" else slice(None),
                      {k: self.scenes[k][shown].flatten(0, 1) for k in LABELS})
        longest = [min(LENGTH, length + 7 & ~7) for length in torch.stack(  # few different forms are faster
            [(data["tokens"][asked[:, None], part] > 0).sum(-1).max() for part in parts]).tolist()]
        total = sum(part.shape[1] for part in parts)
        batch.groups = [self.group(data, asked, part, length, maps, part.shape[1] / total)
                        for part, length in zip(parts, longest)]
        if kind == "none":
            batch.groups = [blind(group) for group in batch.groups]
        return batch

    def group(self, data: Store, rows: Tensor, chosen: Tensor, length: int, maps: Tensor, share: float) -> Group:
        tokens, say, phrase, about, kinds = (data[key][rows[:, None], chosen].flatten(0, 1) for key in CHATS)
        say = say[:, :length]
        row, at = torch.nonzero(say, as_tuple=True)
        weight = say.sum(1).clamp(min=1).float().rsqrt()
        return Group(tokens[:, :length].long(), (row, at), weight[row], pointers(phrase[:, :length], maps),
                     pointers(about[:, :length], maps), kinds.long(), share)

    def all_of(self, kind: str, total: int, step: int = 20) -> list[Batch]:
        """Batches with all rows of the first scenes, pairs or scenes in tiles."""
        batches, data = [], self.pairs if kind == "pairs" else self.scenes
        total = min(total, {"pairs": self.pairs, "tiles": self.tiles}.get(kind, self.scenes).count)
        for start in range(0, total, step):
            rows = torch.arange(start, min(start + step, total), device=self.device)
            asked = self.tiles["scene"][rows] if kind == "tiles" else rows
            order = (data["tokens"][asked] > 0).sum(-1).argsort(1)
            batches.append(self.fill(kind, rows, list(torch.tensor_split(order, 3, 1))))
        return batches
