"""shapes-caption: the arranger and the decoder, on the cached output of the frozen picture encoder.

    python3 train_caption.py --work WORK [--steps 3000] [--start MODELS]

Beside the next word, cells with objects learn their place, rank and relation, and the decoder's
last pointer learns to point at the object that the next word is about. Writes WORK/caption.pt.
"""
from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from pathlib import Path

from machine import WORKERS, in_parallel  # before torch
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from caption_network import Arranger, CaptionDecoder, Captioner, OrderLabels, greedy
from captions import MAX_CAPTION, PROMPTS, caption_vocabulary
from dataset import record
from earlier import graph_of, start_with, under, weights_of
from network import parameter_count
from scenes import BACKGROUND_NAMES, COLOR_NAMES, SHAPES, SIZES
from tokenizer import CLS, SEP, tokenize
from train_encoder import apply_gradients, cosine_rate
from train_entailment import load_texts

Data = dict[str, np.ndarray]
ATTRIBUTES = set(SIZES + COLOR_NAMES + SHAPES + BACKGROUND_NAMES)


class Trained(nn.Module):
    """All that is trained here, and its loss."""

    def __init__(self, words: int):
        super().__init__()
        self.arranger, self.decoder, self.labels = Arranger(), CaptionDecoder(words), OrderLabels()

    def forward(self, memory: Tensor, data: Data, rows: np.ndarray, prompt: list[int]) -> tuple[Tensor, Tensor]:
        """The losses of the words and of everything beside them."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cells, states = self.arranger(memory)
        cells, states = cells.float(), [state.float() for state in states]
        maps = torch.from_numpy(data["maps"][rows].astype(np.float32))
        tokens = torch.from_numpy(data["tokens"][rows].astype(np.int64))[:, :MAX_CAPTION - len(prompt)]
        named = torch.from_numpy(data["named"][rows].astype(np.int64))[:, :MAX_CAPTION - len(prompt)]
        length = int((tokens > 0).sum(1).max())
        tokens, named = tokens[:, :length], named[:, :length]
        said = torch.tensor([CLS, *prompt]).expand(len(rows), -1)
        logits, _, pointed = self.decoder(torch.cat([said, tokens[:, 1:-1]], 1), self.decoder.look_ahead(cells))
        logits, pointed = logits[:, len(prompt):], pointed[:, len(prompt):]
        words = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=0)
        order = torch.from_numpy(data["order"][rows].astype(np.int64))
        return words, self.order_loss(states, maps, order, data, rows) + self.pointing(pointed, maps, order, named)

    def order_loss(self, states: list[Tensor], maps: Tensor, order: Tensor, data: Data, rows: np.ndarray) -> Tensor:
        """Weighted by how much of an object's centre lies on the cell."""
        scene, thing, cell = torch.nonzero(maps, as_tuple=True)
        weight = maps[scene, thing, cell] / len(rows)
        place = torch.from_numpy(data["places"][rows])[scene, thing]
        loss = 8 * (weight * (self.labels.place(states[0][scene, cell]) - place).square().sum(-1)).sum()
        for state, head in ((states[1], self.labels.early_rank), (states[2], self.labels.rank)):
            loss = loss + 0.3 * (weight * F.cross_entropy(head(state[scene, cell]), order[scene, thing],
                                                          reduction="none")).sum()
        relation = torch.from_numpy(data["relation"][rows].astype(np.int64))[scene, thing]
        wrong = F.cross_entropy(self.labels.relation(states[2][scene, cell]), relation, ignore_index=-1,
                                reduction="none")
        return loss + 0.5 * (weight * wrong).sum()

    def pointing(self, pointed: Tensor, maps: Tensor, order: Tensor, named: Tensor) -> Tensor:
        length = pointed.shape[1]
        meant = (named[:, :length, None] == order[:, None, :]) & (named[:, :length, None] >= 0)
        return 12 * F.binary_cross_entropy_with_logits(pointed, meant.float() @ maps)


def words_of(rows: list[list[int]]) -> list[str]:
    words = list(caption_vocabulary())
    return [" ".join(words[i] for i in row) for row in rows]


def attribute_f1(said: list[str], meant: list[str]) -> float:
    """F1 of the attribute words, counted with repetition, over all sentences."""
    both = given = wanted = 0
    for a, b in zip(said, meant):
        first, second = [Counter(w for w in re.findall(r"\w+", s) if w in ATTRIBUTES) for s in (a, b)]
        both, given, wanted = both + sum((first & second).values()), given + first.total(), wanted + second.total()
    return 2 * both / (given + wanted)


def measure(arranger: Arranger, decoder: CaptionDecoder, data: Data, memory: np.ndarray,
            prompt: str = "") -> dict[str, float]:
    vocabulary, said = caption_vocabulary(), []
    for i in range(0, len(memory), 100):
        with torch.no_grad():
            cells = arranger(torch.from_numpy(memory[i:i + 100]).float())[0]
        said += words_of(greedy(decoder, cells, [CLS, *(vocabulary[w] for w in tokenize(prompt))], SEP))
    meant = words_of([[t for t in row[1:] if t not in (0, SEP)] for row in data["tokens"].tolist()])
    exact = np.array([a == b for a, b in zip(said, meant)])
    return {"exact": float(exact.mean()), "exact_clear": float(exact[data["clear"]].mean()),
            "clear": float(data["clear"].mean()), "attribute_f1": attribute_f1(said, meant), "scenes": len(exact)}


def load_model(work: Path) -> Captioner:
    """The trained captioner, from WORK/encoder.pt and WORK/caption.pt."""
    model, state = Captioner(len(caption_vocabulary())), torch.load(work / "caption.pt")
    model.encoder.load_state_dict(torch.load(work / "encoder.pt")["encoder"])
    model.arranger.load_state_dict(state["arranger"])
    model.decoder.load_state_dict(state["decoder"])
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--report", type=int, default=500)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--start", type=Path)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    memory = {s: np.load(args.work / f"memory_{s}.npy") for s in ("train", "valid")}
    data = {s: load_texts(args.work, "captions", s) for s in ("train", "valid")}
    vocabulary = caption_vocabulary()
    prompts = [[vocabulary[w] for w in tokenize(p)] for p in PROMPTS]
    model = Trained(len(vocabulary))
    if args.start:
        start_with(model, {**under(weights_of(graph_of(args.start, "caption", "encoder_model")), "model."),
                           **weights_of(graph_of(args.start, "caption", "decoder_model"))})
    print("parameters", parameter_count(model), "clear", data["train"]["clear"].mean(), flush=True)
    parameters = list(model.parameters())

    def gradients(share: tuple[np.ndarray, list[int]]) -> tuple[list[float], tuple[Tensor, ...]]:
        rows, prompt = share
        words, beside = model(torch.from_numpy(memory["train"][rows]).float(), data["train"], rows, prompt)
        return [words.item(), beside.item()], torch.autograd.grad((words + beside) / WORKERS, parameters)

    optimiser = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=0.01)
    usable, started, at, mean = np.flatnonzero(data["train"]["clear"]), time.time(), 0, np.zeros(2)
    for step in range(args.steps):
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, args.steps, args.rate)
        if at % (len(usable) // args.batch) == 0:
            order = rng.permutation(usable)
        rows = order[at % (len(usable) // args.batch) * args.batch:][:args.batch]
        at += 1
        prompt = prompts[rng.integers(len(prompts))] if rng.random() < 0.4 else []
        shares = in_parallel(gradients, [(part, prompt) for part in np.array_split(rows, WORKERS)])
        apply_gradients(parameters, [g for _, g in shares])
        optimiser.step()
        mean = 0.98 * mean + 0.02 * np.mean([values for values, _ in shares], 0)
        if (step + 1) % args.report == 0 or step + 1 == args.steps:
            found = measure(model.arranger, model.decoder, data["valid"], memory["valid"])
            print(f"{step + 1} {time.time() - started:.0f} s words {mean[0]:.4f} beside {mean[1]:.3f} |",
                  " ".join(f"{k} {v:.4f}" for k, v in found.items()), flush=True)
    torch.save({k: getattr(model, k).state_dict() for k in ("arranger", "decoder", "labels")}, args.work / "caption.pt")
    record(args.work, "captions", steps=args.steps, seconds=round(time.time() - started))


if __name__ == "__main__":
    main()
