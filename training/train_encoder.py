"""Stage 1: the picture encoder, taught what is on each of its 8 x 8 cells.

    python3 train_encoder.py --work WORK [--steps 3000]

Writes WORK/encoder.pt and WORK/memory_{train,valid,test}.npy: the encoder's
output for every scene as float16, on which the text stages train in minutes.
"""
from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path

from machine import WORKERS, in_parallel  # before torch
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dataset import load, record
from network import CELLS, WIDTH, CellLabels, PictureEncoder, normalise, parameter_count
from scenes import BACKGROUND_NAMES, COLOR_NAMES, SHAPES, SIZES

LABELS = (len(COLOR_NAMES), len(SHAPES), len(SIZES), len(BACKGROUND_NAMES))
EMPTY_WEIGHT = 0.3  # cells without an object are many and easy


def cosine_rate(step: int, steps: int, peak: float, warmup: int = 100) -> float:
    return peak * min(1.0, (step + 1) / warmup) * (0.5 * (1 + math.cos(math.pi * step / steps)) + 0.005)


def apply_gradients(parameters: list[nn.Parameter], shares: list[tuple[Tensor, ...]]) -> None:
    """The sum of the workers' gradients, always in the same order, clipped."""
    for parameter, first, *others in zip(parameters, *shares):
        parameter.grad = sum(others, first)
    nn.utils.clip_grad_norm_(parameters, 1.0)


def centre_map(maps: np.ndarray) -> Tensor:
    """[N, CELLS]: how much of an object's centre lies on each cell."""
    return torch.from_numpy(maps.astype(np.float32).sum(1)).clamp(max=1)


def label_loss(labels: CellLabels, memory: Tensor, cells: Tensor, centres: Tensor, background: Tensor) -> Tensor:
    parts, guess = labels(memory)
    loss = 0.3 * F.cross_entropy(guess, background)
    for i, part in enumerate(parts[:3]):
        weight = torch.ones(part.shape[-1])
        weight[0] = EMPTY_WEIGHT
        loss = loss + F.cross_entropy(part.flatten(0, 1), cells[..., i].flatten(), weight)
    return loss + 4 * F.binary_cross_entropy_with_logits(parts[3][..., 0], centres)


@torch.no_grad()
def encode_all(encoder: PictureEncoder, images: np.ndarray) -> np.ndarray:
    encoder.eval()
    out = np.zeros((len(images), CELLS, WIDTH), np.float16)
    for i in range(0, len(images), 250):
        out[i:i + 250] = encoder(normalise(torch.from_numpy(images[i:i + 250]))).numpy()
    encoder.train()
    return out


@torch.no_grad()
def cell_accuracy(encoder: PictureEncoder, labels: CellLabels, data: dict[str, np.ndarray]) -> str:
    """Accuracy on the cell nearest to each object's centre, and how far off the centre weights are."""
    memory = torch.from_numpy(encode_all(encoder, data["images"])).float()
    parts, guess = labels(memory)
    cells, maps = torch.from_numpy(data["cells"]).long(), torch.from_numpy(data["maps"].astype(np.float32))
    scene, thing = torch.nonzero(maps.sum(-1) > 0, as_tuple=True)
    at = maps[scene, thing].argmax(-1)
    right = [(p[scene, at].argmax(-1) == cells[scene, at, i]).float().mean().item() for i, p in enumerate(parts[:3])]
    off = (parts[3][..., 0].sigmoid() - centre_map(data["maps"])).abs().sum(1).mean().item()
    back = (guess.argmax(-1) == torch.from_numpy(data["background"]).long()).float().mean().item()
    return "color %.4f shape %.4f size %.4f centre-off %.3f background %.4f" % (*right, off, back)


def twin(encoder: PictureEncoder) -> PictureEncoder:
    """The same parameters, but batch norm statistics of its own: for another thread."""
    other = copy.deepcopy(encoder)
    for module, original in zip(other.modules(), encoder.modules()):
        module._parameters = original._parameters
    return other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    train, valid = load(args.work, "train"), load(args.work, "valid")
    centres = centre_map(train["maps"])
    encoder, labels = PictureEncoder().to(memory_format=torch.channels_last), CellLabels(*LABELS)
    print("encoder parameters", parameter_count(encoder), flush=True)
    parameters = [*encoder.parameters(), *labels.parameters()]
    encoders = [encoder] + [twin(encoder) for _ in range(WORKERS - 1)]

    def gradients(share: tuple[PictureEncoder, np.ndarray]) -> tuple[float, tuple[Tensor, ...]]:
        own, pick = share
        pixels = normalise(torch.from_numpy(train["images"][pick]))
        memory = own(pixels.contiguous(memory_format=torch.channels_last))
        loss = label_loss(labels, memory, torch.from_numpy(train["cells"][pick]).long(), centres[pick],
                          torch.from_numpy(train["background"][pick]).long())
        return loss.item(), torch.autograd.grad(loss / WORKERS, parameters)

    optimiser = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=0.01)
    started, order, at, mean = time.time(), rng.permutation(len(centres)), 0, 0.0
    for step in range(args.steps):
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, args.steps, args.rate)
        if at + args.batch > len(order):
            order, at = rng.permutation(len(centres)), 0
        shares = in_parallel(gradients, list(zip(encoders, np.array_split(order[at:at + args.batch], WORKERS))))
        at += args.batch
        apply_gradients(parameters, [g for _, g in shares])
        optimiser.step()
        loss = sum(value for value, _ in shares) / WORKERS
        mean = loss if step == 0 else 0.98 * mean + 0.02 * loss
        if (step + 1) % 500 == 0:
            print(f"{step + 1} {time.time() - started:.0f} s loss {mean:.3f}", cell_accuracy(encoder, labels, valid),
                  flush=True)
    torch.save({"encoder": encoder.state_dict(), "labels": labels.state_dict()}, args.work / "encoder.pt")
    for split in ("train", "valid", "test"):
        np.save(args.work / f"memory_{split}.npy", encode_all(encoder, load(args.work, split)["images"]))
    record(args.work, "encoder", steps=args.steps, seconds=round(time.time() - started))
    print(f"encoder done in {time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
