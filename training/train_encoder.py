"""Stage 1: the picture encoder, taught what is on each of its 8 x 8 cells.

    python3 train_encoder.py --work WORK [--steps 6000] [--start MODELS | --more] [--chunks [--fine]]

`--start` goes on from the encoder of shipped models (with `--steps 0` it stays that encoder), `--more` from
WORK/encoder.pt. `--chunks` takes the scenes of scene_chunks.py, of which there may be many more, and leaves no memory;
with `--fine` it is the encoder of shapes-chat, for pictures twice as large (`network.FineEncoder`), in WORK/fine.pt.
Writes WORK/encoder.pt and, for each split that dataset.py made, WORK/memory_SPLIT.npy: the encoder's output for every
scene as float16, on which the text stages train in minutes.
"""
from __future__ import annotations

import argparse
import copy
import math
import re
import time
from pathlib import Path

from machine import WORKERS, in_parallel  # before torch
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dataset import SCENES, UNSURE_BACKGROUND, UNSURE_COLOR, load, record
from earlier import Weights, graph_of, known_labels, load_known, restore_norms, under, weights_of
from network import CELLS, GRID, WIDTH, CellLabels, FineEncoder, PictureEncoder, normalise, parameter_count
from scene_chunks import chunks
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


def flip(batch: dict[str, np.ndarray], rows: slice) -> None:
    """Mirrors some of the pictures and their labels, in place."""
    images, cells, maps = batch["images"], batch["cells"], batch["maps"]
    images[rows] = images[rows, :, ::-1]
    cells[rows] = cells[rows].reshape(-1, GRID, GRID, 3)[:, :, ::-1].reshape(-1, CELLS, 3)
    maps[rows] = maps[rows].reshape(-1, maps.shape[1], GRID, GRID)[..., ::-1].reshape(-1, maps.shape[1], CELLS)


def roughened(pixels: Tensor) -> Tensor:
    """A little lighter, darker or duller, and grainy: so that fewer pictures are learnt by heart."""
    shade, gain = (0.1 * torch.randn(len(pixels), 1, 1, 1) for _ in range(2))
    return (pixels + shade) * (1 + gain) + 0.02 * torch.randn_like(pixels)


def radius_map(data: dict[str, np.ndarray]) -> Tensor:
    """[N, CELLS]: the radius of the object whose centre lies on the cell most, 0 where none does."""
    maps = data["maps"].astype(np.float32)
    radius = np.take_along_axis(data["radius"].astype(np.float32), maps.argmax(1), 1)
    return torch.from_numpy(np.where(maps.max(1) > 0.1, radius, 0))


def label_loss(labels: CellLabels, memory: Tensor, cells: Tensor, centres: Tensor, radius: Tensor,
               background: Tensor) -> Tensor:
    parts, guess = labels(memory)
    # By hand: the mean over a batch without any sure background would be no number.
    sure = (background != UNSURE_BACKGROUND).sum().clamp(min=1)
    loss = 0.3 * F.cross_entropy(guess, background, ignore_index=UNSURE_BACKGROUND, reduction="sum") / sure
    on_object = (cells[..., 0] > 0) & (radius > 0)
    if on_object.any():
        loss = loss + 2 * F.mse_loss(parts[4][..., 0][on_object], radius[on_object].log() + 2)
    for i, part in enumerate(parts[:3]):
        weight = torch.ones(part.shape[-1], device=part.device)
        weight[0] = EMPTY_WEIGHT
        loss = loss + F.cross_entropy(part.flatten(0, 1), cells[..., i].flatten(), weight)
        # Small things cover few cells: by its centre each counts as much as a large one.
        wrong = F.cross_entropy(part.transpose(1, 2), cells[..., i], ignore_index=UNSURE_COLOR, reduction="none")
        loss = loss + (wrong * centres).sum() / centres.sum().clamp(min=1)
    return loss + 4 * F.binary_cross_entropy_with_logits(parts[3][..., 0], centres)


def encode_all(encoder: PictureEncoder, images: np.ndarray) -> np.ndarray:
    encoder.eval()
    out = np.zeros((len(images), CELLS, WIDTH), np.float16)

    def encode(start: int) -> None:
        with torch.no_grad():
            pixels = normalise(torch.from_numpy(images[start:start + 100]))
            out[start:start + 100] = encoder(pixels.contiguous(memory_format=torch.channels_last)).numpy()
    in_parallel(encode, list(range(0, len(images), 100)))
    encoder.train()
    return out


def of_chunks(work: Path, splits: tuple[str, ...], fine: bool) -> dict[str, np.ndarray]:
    """The scenes of WORK/chunks."""
    names, keys = {"images": "processed" if fine else "squashed"}, ("images", "maps", "cells", "radius", "background")
    parts = [{k: part[names.get(k, k)] for k in keys} for part in chunks(work / "chunks", splits, set())]
    return {k: np.concatenate([part[k] for part in parts]) for k in keys}


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


def imitate_stem(encoder: PictureEncoder, weights: Weights, images: np.ndarray, steps: int = 200) -> None:
    """An encoder of 64 x 64 pixels began with one convolution: the first layers learn to give the same for 128 x 128."""
    stem = encoder.trunk[:6].to(memory_format=torch.channels_last)
    wanted, rows = weights["trunk.0.weight"].shape[0], np.random.default_rng(0)
    optimiser = torch.optim.Adam(stem.parameters(), lr=5e-3)
    for _ in range(steps):
        pixels = normalise(torch.from_numpy(images[rows.choice(len(images), 24, replace=False)]))
        with torch.no_grad():
            goal = F.relu(F.conv2d(F.avg_pool2d(pixels, 2), weights["trunk.0.weight"], weights["trunk.0.bias"], 2, 2))
            spread = goal.std((0, 2, 3), keepdim=True) + 0.01
        loss = ((stem(pixels.contiguous(memory_format=torch.channels_last))[:, :wanted] - goal) / spread).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    print(f"stem differs by {loss.item():.3f} of the variance", flush=True)


def go_on_from(models: Path, encoder: PictureEncoder, labels: CellLabels, images: np.ndarray) -> None:
    """Starts with the weights of shipped models, those of the first encoder (64 x 64 pixels) included."""
    weights = weights_of(graph_of(models, "clip", "vision_model"))
    known_labels(labels, under(weights, "top.labels."))
    weights = under(weights, "encoder.")
    old = "trunk.0.weight" in weights and weights["trunk.0.weight"].shape[-1] == 5
    if old:
        imitate_stem(encoder, weights, images)
        second = encoder.trunk[7].weight.detach() * 0.3
        encoder.trunk[6].body[-1].weight.data.zero_()  # a layer that the first encoder had not: nothing, to begin with
        second[:, :weights["trunk.3.weight"].shape[1]] = weights["trunk.3.weight"]
        weights = {re.sub(r"^trunk\.(\d+)", lambda m: f"trunk.{int(m[1]) + 4}", k): v for k, v in weights.items()
                   if not k.startswith("trunk.0.")}
        weights["trunk.7.weight"] = second
    load_known(encoder, weights)
    restore_norms(encoder, weights, normalise(torch.from_numpy(images)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--report", type=int, default=500)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--more", action="store_true", help="go on from WORK/encoder.pt")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--chunks", action="store_true", help="the scenes of scene_chunks.py instead of those of dataset.py")
    parser.add_argument("--fine", action="store_true", help="for pictures twice as large")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    if args.chunks:
        train, valid = [of_chunks(args.work, splits, args.fine) for splits in (("train", "tiny-train"), ("valid",))]
    else:
        train, valid = [load(args.work, split) for split in ("train", "valid")]
    encoder, labels = (FineEncoder if args.fine else PictureEncoder)(), CellLabels(*LABELS)
    if args.start:
        go_on_from(args.start, encoder, labels, train["images"][:128])
    if args.more:
        state = torch.load(args.work / "encoder.pt")
        encoder.load_state_dict(state["encoder"], strict=not args.fine)
        labels.load_state_dict(state["labels"])
    encoder = encoder.to(memory_format=torch.channels_last)
    print("encoder parameters", parameter_count(encoder), flush=True)
    parameters = [*encoder.parameters(), *labels.parameters()]
    encoders = [encoder] + [twin(encoder) for _ in range(WORKERS - 1)]

    def gradients(share: tuple[PictureEncoder, np.ndarray]) -> tuple[float, tuple[Tensor, ...]]:
        own, pick = share
        batch = {k: train[k][pick] for k in ("images", "maps", "cells", "radius", "background")}
        flip(batch, slice(0, len(pick) // 2))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            pixels = normalise(torch.from_numpy(batch["images"]))
            memory = own((roughened(pixels) if args.fine else pixels).contiguous(memory_format=torch.channels_last))
        loss = label_loss(labels, memory.float(), torch.from_numpy(batch["cells"]).long(), centre_map(batch["maps"]),
                          radius_map(batch), torch.from_numpy(batch["background"]).long())
        return loss.item(), torch.autograd.grad(loss / WORKERS, parameters)

    optimiser = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=0.01)
    started, order, at, mean = time.time(), rng.permutation(len(train["images"])), 0, 0.0
    for step in range(args.steps):
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, args.steps, args.rate)
        if at + args.batch > len(order):
            order, at = rng.permutation(len(train["images"])), 0
        shares = in_parallel(gradients, list(zip(encoders, np.array_split(order[at:at + args.batch], WORKERS))))
        at += args.batch
        apply_gradients(parameters, [g for _, g in shares])
        optimiser.step()
        loss = sum(value for value, _ in shares) / WORKERS
        mean = loss if step == 0 else 0.98 * mean + 0.02 * loss
        if (step + 1) % args.report == 0 or step + 1 == args.steps:
            print(f"{step + 1} {time.time() - started:.0f} s loss {mean:.3f}", cell_accuracy(encoder, labels, valid),
                  flush=True)
    torch.save({"encoder": encoder.state_dict(), "labels": labels.state_dict()},
               args.work / ("fine.pt" if args.fine else "encoder.pt"))
    for split in () if args.chunks else SCENES:
        np.save(args.work / f"memory_{split}.npy", encode_all(encoder, load(args.work, split)["images"]))
    record(args.work, "encoder of shapes-chat" if args.fine else "encoder, from earlier weights" if args.start or args.more else "encoder", steps=args.steps, seconds=round(time.time() - started))
    print(f"encoder done in {time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
