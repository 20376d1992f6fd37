"""shapes-detect, first stage: the head, trained on the output of the frozen encoder.

    python3 train_detect.py --work WORK [--steps 2200] [--start MODELS]

The truth is the outline that was drawn. Writes WORK/detect-head.pt, and WORK/detail_SPLIT.npy: the encoder's
16 x 16 cells of every scene. tune_detect.py goes on from there.
"""
from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Callable

from machine import WORKERS, in_parallel  # before torch
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from average_precision import Found, Judged, Truth, mean_average_precision
from dataset import SCENES, TRAIN_SPLITS, load_without_images, record
from detector import DETAIL_STAGES, DETAIL_WIDTH, DetectionHead, cells_of, corners
from earlier import graph_of, start_with, under, weights_of
from network import CELLS, encoder_of, normalise, parameter_count
from scenes import SHAPES
from train_encoder import apply_gradients, cosine_rate
from train_vqa import load_memory

FOCUS, POSITIVE = 2.0, 0.4  # focal loss: how little an easy cell counts, and the share of cells with an object
CUT = 0.02  # finds of a lower score are left out of the evaluation


def write_details(work: Path, split: str) -> None:
    """The output of the trunk's first stages for all scenes of a split."""
    trunk = encoder_of(work).trunk[:DETAIL_STAGES].to(memory_format=torch.channels_last)
    with np.load(work / f"{split}.npz") as data:
        images = data["images"]
    out = np.zeros((len(images), DETAIL_WIDTH, 16, 16), np.float16)

    def look(start: int) -> None:
        with torch.no_grad():
            pixels = normalise(torch.from_numpy(images[start:start + 100])).contiguous(memory_format=torch.channels_last)
            out[start:start + 100] = trunk(pixels).numpy()
    in_parallel(look, list(range(0, len(images), 100)))
    np.save(work / f"detail_{split}.npy", out)


def goals_of(shapes: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each cell the shape that it answers for (0: none), and its box as corners."""
    labels, places = np.zeros((len(shapes), CELLS), np.int64), np.zeros((len(shapes), CELLS, 4), np.float32)
    for i, (row, own) in enumerate(zip(shapes, boxes)):
        own = own[row > 0]
        cells = cells_of([((a + c) / 2, (b + d) / 2) for a, b, c, d in own.tolist()])
        labels[i, cells], places[i, cells] = row[row > 0], own
    return labels, places


def generalised_overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union, less the share of the box around both that neither fills."""
    def area(box: Tensor) -> Tensor:
        return (box[:, 2] - box[:, 0]).clamp(min=0) * (box[:, 3] - box[:, 1]).clamp(min=0)
    both = area(torch.cat([torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])], 1))
    around = area(torch.cat([torch.minimum(a[:, :2], b[:, :2]), torch.maximum(a[:, 2:], b[:, 2:])], 1))
    union = area(a) + area(b) - both
    return both / union.clamp(min=1e-6) - (around - union) / around.clamp(min=1e-6)


def detection_loss(logits: Tensor, boxes: Tensor, labels: Tensor, places: Tensor) -> Tensor:
    wanted = F.one_hot(labels, len(SHAPES) + 1)[..., 1:].float()
    plain = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    likely = torch.sigmoid(logits)
    missed = torch.where(wanted > 0, 1 - likely, likely) ** FOCUS * torch.where(wanted > 0, POSITIVE, 1 - POSITIVE)
    there = labels > 0
    count = max(1, int(there.sum()))
    found, truth = corners(boxes[there]), places[there]
    # In shares of the object's own size: a pixel beside a small one matters more.
    size = (truth[:, 2:] - truth[:, :2]).repeat(1, 2)
    return ((plain * missed).sum() + (1 - generalised_overlap(found, truth)).sum()
            + ((found - truth) / size).abs().clamp(max=2).sum() * 0.5) / count


@torch.no_grad()
def judge(run: Callable[[slice], tuple[Tensor, Tensor]], data: dict[str, np.ndarray]) -> list[Judged]:
    """What `run` (rows to logits and boxes) finds in the pictures of `data`, and what there is."""
    pictures = []
    for start in range(0, len(data["shapes"]), 100):
        part = slice(start, start + 100)
        logits, boxes = run(part)
        for scores, places, shapes, truth in zip(torch.sigmoid(logits).numpy(), corners(boxes).tolist(),
                                                 data["shapes"][part], data["boxes"][part].tolist()):
            found = [Found(SHAPES[s], float(scores[c, s]), places[c]) for c, s in zip(*np.nonzero(scores > CUT))]
            pictures.append((found, [Truth(SHAPES[s - 1], box) for s, box in zip(shapes, truth) if s]))
    return pictures


def precision_on(head: DetectionHead, work: Path, split: str) -> dict[float, float]:
    """Mean average precision on a split, at two overlaps."""
    memory, detail = (np.load(work / f"{what}_{split}.npy", mmap_mode="r") for what in ("memory", "detail"))

    def run(part: slice) -> tuple[Tensor, Tensor]:
        return head(torch.from_numpy(np.array(memory[part])).float(), torch.from_numpy(np.array(detail[part])).float())
    head.eval()
    pictures = judge(run, load_without_images(work, split))
    head.train()
    return {least: round(mean_average_precision(pictures, SHAPES, least)["all"], 4) for least in (0.5, 0.75)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--report", type=int, default=500)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--start", type=Path)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng, started, mean = np.random.default_rng(args.seed), time.time(), 0.0
    for split in SCENES:
        if not (args.work / f"detail_{split}.npy").exists():
            write_details(args.work, split)
    data = load_without_images(args.work, *TRAIN_SPLITS)
    labels, places = goals_of(data["shapes"], data["boxes"])
    memory = load_memory(args.work, *TRAIN_SPLITS)
    detail = np.concatenate([np.load(args.work / f"detail_{split}.npy") for split in TRAIN_SPLITS])
    head = DetectionHead()
    if args.start:
        start_with(head, under(weights_of(graph_of(args.start, "detect")), "head."))
    print("parameters", parameter_count(head), "scenes", len(memory), f"{time.time() - started:.0f} s", flush=True)
    parameters, started = list(head.parameters()), time.time()

    def gradients(rows: np.ndarray) -> tuple[float, tuple[Tensor, ...]]:
        cells, seen = torch.from_numpy(memory[rows]).float(), torch.from_numpy(detail[rows]).float()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, boxes = head(cells, seen)
        loss = detection_loss(logits.float(), boxes.float(), torch.from_numpy(labels[rows]), torch.from_numpy(places[rows]))
        return loss.item(), torch.autograd.grad(loss / WORKERS, parameters)

    optimiser = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=0.01)
    order, at = rng.permutation(len(memory)), 0
    for step in range(args.steps):
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, args.steps, args.rate)
        if at + args.batch > len(order):
            order, at = rng.permutation(len(memory)), 0
        shares = in_parallel(gradients, np.array_split(order[at:at + args.batch], WORKERS))
        at += args.batch
        apply_gradients(parameters, [g for _, g in shares])
        optimiser.step()
        loss = sum(value for value, _ in shares) / WORKERS
        mean = loss if step == 0 else 0.98 * mean + 0.02 * loss
        if (step + 1) % args.report == 0 or step + 1 == args.steps:
            torch.save(head.state_dict(), args.work / "detect-head.pt")
            print(f"{step + 1} {time.time() - started:.0f} s loss {mean:.4f}", precision_on(head, args.work, "valid"), flush=True)
    record(args.work, "objects, from earlier weights" if args.start else "objects", steps=args.steps,
           seconds=round(time.time() - started))


if __name__ == "__main__":
    main()
