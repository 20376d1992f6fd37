"""shapes-clip and shapes-embed: a picture tower and a text tower whose products say what fits.

    python3 train_clip.py --work WORK [--steps 2000] [--start MODELS]

The picture tower stands on the frozen encoder's cached output. Every picture brings a true
phrase and seven hard false ones. The generator knows which phrases hold in which scenes, so
that another picture's phrase counts as false only where it is. Writes WORK/clip.pt.
"""
from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from machine import WORKERS, in_parallel  # before torch
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dataset import record
from earlier import graph_of, start_with, under, weights_of, widened
from network import parameter_count
from phrases import GROUP, PHRASE_KINDS, phrase_vocabulary, truths
from towers import PictureTower, TextTower
from train_encoder import apply_gradients, cosine_rate

Data = dict[str, np.ndarray]
NEVER = -1e4
FIRST_SCALE, MAX_SCALE = 10.0, 100.0


class Towers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pictures, self.texts = PictureTower(), TextTower(len(phrase_vocabulary()))
        self.log_scale = nn.Parameter(torch.tensor(np.log(FIRST_SCALE), dtype=torch.float32))

    def scale(self) -> Tensor:
        return self.log_scale.exp().clamp(max=MAX_SCALE)


def cut(tokens: np.ndarray) -> tuple[Tensor, Tensor]:
    """Ids and mask, no longer than the longest text."""
    ids = torch.from_numpy(tokens.astype(np.int64))[:, :int((tokens > 0).sum(1).max())]
    return ids, (ids > 0).long()


def losses(model: Towers, data: Data, memory: np.ndarray, rows: np.ndarray, picks: np.ndarray) -> Tensor:
    """Of choosing the phrase for a picture among all that do not hold, and the picture for a phrase likewise."""
    pictures = model.pictures(torch.from_numpy(memory[rows]).float())
    texts = model.texts(*cut(data["tokens"][rows, picks].reshape(-1, data["tokens"].shape[-1])))
    claims = data["claims"][rows, picks].reshape(len(rows) * GROUP, -1)
    holds = torch.from_numpy(truths(claims, data["counts"][rows], data["background"][rows]))
    logits = model.scale() * texts @ pictures.T                       # [rows * GROUP, rows]
    own = torch.arange(len(rows))
    mine = torch.zeros_like(holds)
    mine[own * GROUP, own] = True                                     # the true phrase of each picture
    usable = torch.where(holds & ~mine, torch.tensor(NEVER), logits)
    return F.cross_entropy(usable.T, own * GROUP) + F.cross_entropy(usable[::GROUP], own) \
        + F.cross_entropy(logits.reshape(len(rows), GROUP, len(rows))[own, :, own], torch.zeros_like(own))


@torch.no_grad()
def zero_shot(model: Towers, data: Data, memory: np.ndarray) -> dict[str, tuple[float, int]]:
    """How often the true phrase scores best among its group of eight, by kind."""
    right = np.zeros(data["kinds"].shape, bool)
    for i in range(0, len(memory), 100):
        rows = slice(i, i + 100)
        pictures = model.pictures(torch.from_numpy(memory[rows]).float())
        tokens = data["tokens"][rows]
        texts = model.texts(*cut(tokens.reshape(-1, tokens.shape[-1]))).reshape(*tokens.shape[:3], -1)
        right[rows] = (torch.einsum("nd,nkgd->nkg", pictures, texts).argmax(-1) == 0).numpy()
    table = {"all": (float(right.mean()), right.size)}
    for i, kind in enumerate(PHRASE_KINDS):
        of_kind = data["kinds"] == i
        table[kind] = (float(right[of_kind].mean()), int(of_kind.sum()))
    return table


def load_towers(work: Path) -> Towers:
    model = Towers()
    model.load_state_dict(torch.load(work / "clip.pt"))
    return model.eval()


def go_on_from(models: Path, model: Towers) -> None:
    pictures = under(weights_of(graph_of(models, "clip", "vision_model")), "top.")
    start_with(model.pictures, widened(pictures, model.pictures))
    start_with(model.texts, weights_of(graph_of(models, "clip", "text_model")))
    config = json.loads((models / "shapes-clip/1/config.json").read_text())
    with torch.no_grad():
        model.log_scale.fill_(config["logit_scale_init_value"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--report", type=int, default=500)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--start", type=Path)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    memory = {s: np.load(args.work / f"memory_{s}.npy") for s in ("train", "valid")}
    data = {s: dict(np.load(args.work / f"phrases_{s}.npz")) for s in ("train", "valid")}
    model, started, mean = Towers(), time.time(), 0.0
    if args.start:
        go_on_from(args.start, model)
    model.pictures.labels.load_state_dict(torch.load(args.work / "encoder.pt")["labels"])
    print("parameters", parameter_count(model), flush=True)
    parameters = [p for p in model.parameters() if p.requires_grad]

    def gradients(share: tuple[np.ndarray, np.ndarray]) -> tuple[float, tuple[Tensor, ...]]:
        loss = losses(model, data["train"], memory["train"], *share)
        return loss.item(), torch.autograd.grad(loss / WORKERS, parameters)

    optimiser = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=0.01)
    for step in range(args.steps):
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, args.steps, args.rate)
        rows = rng.choice(len(memory["train"]), args.batch, replace=False)
        picks = rng.integers(data["train"]["tokens"].shape[1], size=args.batch)
        shares = in_parallel(gradients, list(zip(np.array_split(rows, WORKERS), np.array_split(picks, WORKERS))))
        apply_gradients(parameters, [g for _, g in shares])
        optimiser.step()
        mean = 0.98 * mean + 0.02 * np.mean([value for value, _ in shares])
        if (step + 1) % args.report == 0 or step + 1 == args.steps:
            table = zero_shot(model, data["valid"], memory["valid"])
            print(f"{step + 1} {time.time() - started:.0f} s loss {mean:.3f} scale {model.scale().item():.1f} |",
                  " ".join(f"{k} {100 * v:.1f}" for k, (v, _) in table.items()), flush=True)
    torch.save(model.state_dict(), args.work / "clip.pt")
    record(args.work, "phrases", steps=args.steps, seconds=round(time.time() - started))


if __name__ == "__main__":
    main()
