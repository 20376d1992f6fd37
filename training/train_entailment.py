"""shapes-entailment: the question reader, going on from shapes-vqa, judging statements instead.

    python3 train_entailment.py --work WORK [--steps 2000] [--start MODELS]

Starts from WORK/vqa.pt (words both know keep their vectors), or from the shipped model, and learns from
WORK/statements_*.npz with the same pointers. Writes WORK/entailment.pt.
"""
from __future__ import annotations

import argparse
from pathlib import Path

from machine import WORKERS  # noqa: F401  (before torch)
import numpy as np
import torch
from torch import nn

from dataset import record
from earlier import graph_of, start_with, weights_of
from network import WIDTH, PictureEncoder, QuestionReader, VisualQuestionAnswering, encoder_of, parameter_count
from questions import question_vocabulary
from statements import JUDGEMENTS, STATEMENT_KINDS, statement_vocabulary
from train_vqa import Grounding, train_reader


def load_texts(work: Path, what: str, split: str) -> dict[str, np.ndarray]:
    """The texts of a split with the places of its objects."""
    with np.load(work / f"{split}.npz") as scenes, np.load(work / f"{what}_{split}.npz") as texts:
        return {**{k: texts[k] for k in texts.files}, "maps": scenes["maps"]}


def empty_model() -> VisualQuestionAnswering:
    return VisualQuestionAnswering(PictureEncoder(), QuestionReader(len(statement_vocabulary())),
                                   nn.Linear(WIDTH, len(JUDGEMENTS)))


def load_model(checkpoint: Path) -> VisualQuestionAnswering:
    """The trained model from WORK/entailment.pt."""
    model = empty_model()
    model.load_state_dict(torch.load(checkpoint)["model"])
    return model.eval()


def start_from_vqa(model: VisualQuestionAnswering, grounding: Grounding, checkpoint: Path) -> None:
    """Everything but the head and the words that questions do not use."""
    state = torch.load(checkpoint)
    old, words = state["model"].pop("reader.embed.weight"), question_vocabulary()
    model.load_state_dict({k: v for k, v in state["model"].items() if not k.startswith("head.")}, strict=False)
    grounding.load_state_dict(state["grounding"])
    with torch.no_grad():
        model.reader.embed.weight.mul_(old.std())
        for word, row in statement_vocabulary().items():
            if word in words:
                model.reader.embed.weight[row] = old[words[word]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--scenes", type=int, default=32)
    parser.add_argument("--questions", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--report", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    memory = {s: np.load(args.work / f"memory_{s}.npy") for s in ("train", "valid")}
    data = {s: load_texts(args.work, "statements", s) for s in ("train", "valid")}
    model, grounding = empty_model(), Grounding()
    start_from_vqa(model, grounding, args.work / "vqa.pt")
    # WORK/memory_*.npy is its output, whichever encoder the questions were learnt on.
    model.encoder.load_state_dict(encoder_of(args.work).state_dict())
    if args.start:
        weights = weights_of(graph_of(args.start, "entailment"))
        start_with(model, {k: v for k, v in weights.items() if not k.startswith("encoder.")})
    print("parameters", parameter_count(model), flush=True)
    seconds = train_reader(model, grounding, data, memory, args, STATEMENT_KINDS)
    torch.save({"model": model.state_dict(), "grounding": grounding.state_dict()}, args.work / "entailment.pt")
    record(args.work, "statements", steps=args.steps, seconds=round(seconds))
    print(f"statements done in {seconds:.0f} s")


if __name__ == "__main__":
    main()
