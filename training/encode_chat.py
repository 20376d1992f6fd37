"""What the shipped encoder and arranger say of every scene, on which shapes-chat is trained.

    python3 encode_chat.py --work WORK --models MODELS

Reads them from MODELS/shapes-caption. Writes WORK/seen_{train,valid,test}.npy, [scenes, CELLS, 2 * WIDTH] float16.
"""
from __future__ import annotations

import argparse
import time
from pathlib import Path

from machine import in_parallel  # before torch
import numpy as np
import torch
from torch import Tensor, nn

from caption_network import Arranger
from dataset import load, record
from earlier import graph_of, load_known, restore_norms, under, weights_of
from network import CELLS, WIDTH, PictureEncoder, normalise


class Eyes(nn.Module):
    """Pictures to cells: what was seen on each, beside what the arranger made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.arranger = PictureEncoder(), Arranger()

    def forward(self, pixel_values: Tensor) -> Tensor:
        memory = self.encoder(pixel_values)
        return torch.cat([memory, self.arranger(memory)[0]], -1)


def shipped_eyes(models: Path) -> Eyes:
    weights, eyes = weights_of(graph_of(models, "caption", "encoder_model")), Eyes()
    # Convolutions are named without the "model." that all else begins with.
    encoder = {**under(weights, "model.encoder."), **under(weights, "encoder.")}
    left = [*load_known(eyes.encoder, encoder), *load_known(eyes.arranger, under(weights, "model.arranger."))]
    norms = {name for name, module in eyes.encoder.named_modules() if isinstance(module, nn.BatchNorm2d)}
    missing = [name for name in left if name.rpartition(".")[0] not in norms]
    if missing:
        raise ValueError(f"{models} has no weights for {missing}")
    # Batch norms were folded into the convolutions before them.
    restore_norms(eyes.encoder, encoder, torch.randn(8, 3, 128, 128).clamp(-1, 1))
    return eyes.eval()


def see_all(eyes: Eyes, images: np.ndarray) -> np.ndarray:
    out = np.zeros((len(images), CELLS, 2 * WIDTH), np.float16)

    def see(start: int) -> None:
        with torch.no_grad():
            out[start:start + 100] = eyes(normalise(torch.from_numpy(images[start:start + 100])).contiguous(
                memory_format=torch.channels_last)).numpy()
    in_parallel(see, list(range(0, len(images), 100)))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--splits", nargs="+", default=["test", "valid", "train"])
    args = parser.parse_args()
    torch.manual_seed(0)
    started, eyes = time.time(), shipped_eyes(args.models)
    for split in args.splits:
        np.save(args.work / f"seen_{split}.npy", see_all(eyes, load(args.work, split)["images"]))
        print(f"{split}: {time.time() - started:.0f} s", flush=True)
    record(args.work, "cells for shapes-chat", seconds=round(time.time() - started))


if __name__ == "__main__":
    main()
