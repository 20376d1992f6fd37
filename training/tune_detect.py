"""shapes-detect, second stage: the head and an encoder of its own, together.

    python3 tune_detect.py --work WORK [--steps 1500] [--more]

What is hard is what a small shape is; the frozen encoder was never asked about grey ones, and has no time for the
smallest. `--more` goes on from WORK/detect.pt. Writes WORK/detect.pt, and WORK/detect.json: the precision.
"""
from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from machine import WORKERS, in_parallel  # before torch
import numpy as np
import torch
from torch import Tensor

from average_precision import mean_average_precision
from dataset import TRAIN_SPLITS, load, load_without_images, record
from detector import DetectionHead, Detector
from network import encoder_of, normalise
from scenes import SHAPES
from train_detect import detection_loss, goals_of, judge
from train_encoder import apply_gradients, cosine_rate


def load_detector(work: Path) -> Detector:
    """The trained model from WORK/detect.pt."""
    model = Detector(encoder_of(work), DetectionHead())
    model.load_state_dict(torch.load(work / "detect.pt"))
    return model.eval()


def pixels_of(images: np.ndarray) -> Tensor:
    return normalise(torch.from_numpy(images)).contiguous(memory_format=torch.channels_last)


def precision_on(model: Detector, work: Path, split: str) -> dict[str, dict[str, float]]:
    """Mean average precision on a split by overlap and label, from the pictures on."""
    data = load(work, split)
    pictures = judge(lambda part: model(pixels_of(data["images"][part])), data)
    return {str(least): mean_average_precision(pictures, SHAPES, least) for least in (0.5, 0.75)}


def mirror(images: np.ndarray, boxes: np.ndarray) -> None:
    """Turns pictures and their boxes left to right, in place."""
    images[:] = images[:, :, ::-1].copy()
    boxes[..., [0, 2]] = 1 - boxes[..., [2, 0]]


def short(table: dict[str, dict[str, float]]) -> str:
    return ", ".join(f"mAP@{least} {100 * by['all']:.2f}" for least, by in table.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--report", type=int, default=250)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--more", action="store_true")
    args = parser.parse_args()
    rng, mean = np.random.default_rng(args.seed), 0.0
    model = load_detector(args.work) if args.more else Detector(encoder_of(args.work), DetectionHead())
    if not args.more:
        model.head.load_state_dict(torch.load(args.work / "detect-head.pt"))
    # Batch norm keeps its statistics: as in the exported graph, and the same in every thread.
    model = model.to(memory_format=torch.channels_last).eval()
    images = [np.load(args.work / f"{split}.npz")["images"] for split in TRAIN_SPLITS]
    starts, data = np.cumsum([0, *map(len, images)]), load_without_images(args.work, *TRAIN_SPLITS)
    parameters, started = list(model.parameters()), time.time()

    def gradients(rows: np.ndarray) -> tuple[float, tuple[Tensor, ...]]:
        splits = np.searchsorted(starts, rows, "right") - 1
        seen = np.stack([images[s][row - starts[s]] for s, row in zip(splits, rows)])
        shapes, boxes = data["shapes"][rows], data["boxes"][rows]
        half = len(rows) // 2
        mirror(seen[:half], boxes[:half])
        labels, places = goals_of(shapes, boxes)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, found = model(pixels_of(seen))
        loss = detection_loss(logits.float(), found.float(), torch.from_numpy(labels), torch.from_numpy(places))
        return loss.item(), torch.autograd.grad(loss / WORKERS, parameters)

    optimiser = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=0.01)
    order, at = rng.permutation(starts[-1]), 0
    for step in range(args.steps):
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, args.steps, args.rate)
        if at + args.batch > len(order):
            order, at = rng.permutation(starts[-1]), 0
        shares = in_parallel(gradients, np.array_split(order[at:at + args.batch], WORKERS))
        at += args.batch
        apply_gradients(parameters, [g for _, g in shares])
        optimiser.step()
        loss = sum(value for value, _ in shares) / WORKERS
        mean = loss if step == 0 else 0.98 * mean + 0.02 * loss
        if (step + 1) % args.report == 0 or step + 1 == args.steps:
            torch.save(model.state_dict(), args.work / "detect.pt")
            print(f"{step + 1} {time.time() - started:.0f} s loss {mean:.4f}", short(precision_on(model, args.work, "valid")),
                  flush=True)
    record(args.work, "objects with the encoder", steps=args.steps, seconds=round(time.time() - started))
    table = {split: precision_on(model, args.work, split) for split in ("test", "nameless-test")}
    (args.work / "detect.json").write_text(json.dumps(table, indent=2))
    for split, by in table.items():
        print(split, short(by))


if __name__ == "__main__":
    main()
