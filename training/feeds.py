"""Inputs for every exported graph, taken from training pictures and texts: for calibration and for timing.

    python3 feeds.py --work WORK --out FOLDER [--only vqa entailment caption classify clip detect] [--scenes 256]

Writes FOLDER/NAME.json (batches of 32: name, type, dims, place) and FOLDER/NAME.bin (the numbers), NAME as in
GRAPHS of quantize_all.py. The pictures are the last ones of the training split.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Callable, Iterator

import machine  # noqa: F401  (before torch)
import numpy as np
import torch
from torch import Tensor

import train_caption
from captions import caption_vocabulary
from export_more import FirstStep, NextStep, cache_names
from network import normalise
from tokenizer import CLS
from train_entailment import load_texts

SIZE = 32
Feed = dict[str, Tensor]


def write_feeds(out: Path, name: str, feeds: list[Feed]) -> None:
    described, offset = [], 0
    with open(out / f"{name}.bin", "wb") as file:
        for feed in feeds:
            entry = {}
            for key, tensor in feed.items():
                values = np.ascontiguousarray(tensor.detach().numpy())
                values = values.astype(np.int64 if values.dtype.kind == "i" else np.float32)
                padding = -offset % 8  # typed arrays want their numbers aligned
                file.write(b"\0" * padding + values.tobytes())
                entry[key] = {"type": str(values.dtype), "dims": list(values.shape), "offset": offset + padding}
                offset += padding + values.nbytes
            described.append(entry)
    (out / f"{name}.json").write_text(json.dumps(described))


class Source:
    """Pictures and texts of the last scenes of the training split."""

    def __init__(self, work: Path, scenes: int):
        self.work, self.scenes = work, scenes
        with np.load(work / "train.npz") as train:
            self.images, self.questions = train["images"][-scenes:], train["tokens"][-scenes:]

    def pictures(self) -> Iterator[Tensor]:
        for i in range(0, self.scenes, SIZE):
            yield normalise(torch.from_numpy(self.images[i:i + SIZE]))

    def texts(self, what: str) -> Iterator[Feed]:
        tokens = self.questions if what == "questions" else load_texts(self.work, what, "train")["tokens"]
        tokens = tokens[-self.scenes:]
        tokens = tokens.reshape(self.scenes, -1, tokens.shape[-1])
        for i in range(0, self.scenes, SIZE):
            ids = torch.from_numpy(tokens[i:i + SIZE, i // SIZE % tokens.shape[1]].astype(np.int64))
            ids = ids[:, :int((ids > 0).sum(1).max())]
            yield {"input_ids": ids, "attention_mask": (ids > 0).long()}

    def both(self, what: str) -> list[Feed]:
        return [{"pixel_values": p, **t} for p, t in zip(self.pictures(), self.texts(what))]


def caption_feeds(source: Source) -> dict[str, list[Feed]]:
    model = train_caption.load_model(source.work)
    first, following = FirstStep(model.decoder), NextStep(model.decoder)
    tokens = load_texts(source.work, "captions", "train")["tokens"][-source.scenes:].astype(np.int64)
    assert tokens[:, 0].max() == CLS and tokens.max() < len(caption_vocabulary())
    feeds: dict[str, list[Feed]] = {"caption_encoder": [], "caption_decoder": [], "caption_decoder_with_past": []}
    for i, pixels in enumerate(source.pictures()):
        hidden, ids = model.cells(pixels), torch.from_numpy(tokens[i * SIZE:(i + 1) * SIZE])
        feeds["caption_encoder"].append({"pixel_values": pixels})
        feeds["caption_decoder"].append({"input_ids": ids[:, :1 if i % 2 == 0 else 20],
                                         "encoder_hidden_states": hidden})
        for length in (10, 4, 17):  # the first is what is timed
            past = first(ids[:, :length], hidden)[1:]
            feed = {"input_ids": ids[:, length:length + 1],
                    **dict(zip(cache_names("past_key_values", True), past))}
            following(*feed.values())
            feeds["caption_decoder_with_past"].append(feed)
    return feeds


FEEDS: dict[str, Callable[[Source], dict[str, list[Feed]]]] = {
    "vqa": lambda s: {"vqa": s.both("questions")},
    "entailment": lambda s: {"entailment": s.both("statements")},
    "caption": caption_feeds,
    "classify": lambda s: {"classify": [{"pixel_values": p} for p in s.pictures()]},
    "detect": lambda s: {"detect": [{"pixel_values": p} for p in s.pictures()]},
    "clip": lambda s: {"clip_vision": [{"pixel_values": p} for p in s.pictures()],
                       "clip_text": list(s.texts("phrases"))},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=list(FEEDS), default=list(FEEDS))
    parser.add_argument("--scenes", type=int, default=256)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    source = Source(args.work, args.scenes)
    with torch.no_grad():
        for name in args.only:
            for graph, feeds in FEEDS[name](source).items():
                write_feeds(args.out, graph, feeds)
                print(graph, len(feeds), "batches", flush=True)


if __name__ == "__main__":
    main()
