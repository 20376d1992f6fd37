"""shapes-classify: colour and shape of the thing that a picture mostly shows.

    python3 train_classify.py --work WORK [--steps 1000] [--start MODELS]

The label is "red circle" where one object is clearly larger than all others, or the only one, and
"nothing" where the picture is empty. Other pictures have no one right label and are left out.
Writes WORK/classify.pt.
"""
from __future__ import annotations

import argparse
import time
from pathlib import Path

from machine import WORKERS, in_parallel  # before torch
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dataset import record, scene_rng
from earlier import graph_of, start_with, under, weights_of
from network import parameter_count
from scenes import COLOR_NAMES, SHAPES, TRAIN_DIMS, Scene, sample_scene
from towers import Classifier
from train_encoder import apply_gradients, cosine_rate

LABELS = [f"{color} {shape}" for color in COLOR_NAMES for shape in SHAPES] + ["nothing"]


def main_label(scene: Scene) -> str | None:
    """What the picture mostly shows, or None where that is not clear."""
    if not scene.objects:
        return "nothing"
    o, *others = sorted(scene.objects, key=lambda o: -o.radius)
    return f"{o.color} {o.shape}" if all(o.is_larger(other) for other in others) else None


def labels_of(split: str, seed: int, count: int) -> np.ndarray:
    """The label of each scene of the split, -1 where it has none."""
    out = np.full(count, -1, np.int64)
    for i in range(count):
        rng = scene_rng(split, seed, i)
        label = main_label(sample_scene(rng, *rng.choice(TRAIN_DIMS)))
        if label is not None:
            out[i] = LABELS.index(label)
    return out


@torch.no_grad()
def accuracy(model: Classifier, memory: np.ndarray, labels: np.ndarray) -> dict[str, tuple[float, int]]:
    usable = np.flatnonzero(labels >= 0)
    guess = np.concatenate([model(torch.from_numpy(memory[part]).float()).argmax(-1).numpy()
                            for part in np.array_split(usable, max(1, len(usable) // 200))])
    right = guess == labels[usable]
    return {"all": (float(right.mean()), len(right))}


def load_classifier(work: Path) -> Classifier:
    model = Classifier(len(LABELS))
    model.load_state_dict(torch.load(work / "classify.pt"))
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--report", type=int, default=500)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--start", type=Path)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    memory = {s: np.load(args.work / f"memory_{s}.npy", mmap_mode="r" if s == "train" else None)
              for s in ("train", "valid")}
    labels = {s: labels_of(s, args.seed, len(memory[s])) for s in memory}
    usable = np.flatnonzero(labels["train"] >= 0)
    model, started, mean = Classifier(len(LABELS)), time.time(), 0.0
    if args.start:
        start_with(model, under(weights_of(graph_of(args.start, "classify")), "top."))
    print("parameters", parameter_count(model), "scenes", len(usable), flush=True)
    parameters = list(model.parameters())

    def gradients(rows: np.ndarray) -> tuple[float, tuple[Tensor, ...]]:
        loss = F.cross_entropy(model(torch.from_numpy(memory["train"][rows]).float()),
                               torch.from_numpy(labels["train"][rows]))
        return loss.item(), torch.autograd.grad(loss / WORKERS, parameters)

    optimiser = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=0.01)
    for step in range(args.steps):
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, args.steps, args.rate)
        rows = rng.choice(usable, min(args.batch, len(usable)), replace=False)
        shares = in_parallel(gradients, np.array_split(rows, WORKERS))
        apply_gradients(parameters, [g for _, g in shares])
        optimiser.step()
        loss = sum(value for value, _ in shares) / WORKERS
        mean = loss if step == 0 else 0.98 * mean + 0.02 * loss
        if (step + 1) % args.report == 0 or step + 1 == args.steps:
            print(f"{step + 1} {time.time() - started:.0f} s loss {mean:.4f}",
                  accuracy(model, memory["valid"], labels["valid"]), flush=True)
    torch.save(model.state_dict(), args.work / "classify.pt")
    record(args.work, "labels", steps=args.steps, seconds=round(time.time() - started))


if __name__ == "__main__":
    main()
