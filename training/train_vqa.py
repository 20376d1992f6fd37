"""Stage 2: the question reader, trained on the cached output of the frozen picture encoder.

    python3 train_vqa.py --work WORK [--steps 3000] [--start MODELS]

It trains on the scenes of all splits for training, those with colours without a name included.
Besides the answers it learns to point (`Grounding`): the last word of every
phrase points at what the phrase means, [CLS] at what the answer is about.
Writes WORK/vqa.pt.
"""
from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

from machine import WORKERS, in_parallel  # before torch
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dataset import NO_FOCUS, TRAIN_SPLITS, load_without_images, record
from earlier import graph_of, start_with, weights_of
from network import (CELLS, WIDTH, PictureEncoder, QuestionReader, VisualQuestionAnswering, coordinates,
                     parameter_count)
from questions import ANSWERS, KINDS, question_vocabulary
from scenes import MAX_OBJECTS
from train_encoder import apply_gradients, cosine_rate

WORDS_LAYER = 0  # index among the looking layers: where phrases point
FOCUS_LAYER = -1  # and where [CLS] points


@dataclass
class Batch:
    """A few questions for each of a few scenes; questions are the rows."""
    scenes: np.ndarray
    tokens: Tensor
    mask: Tensor
    answers: Tensor
    ends: Tensor     # [rows, phrases] token index, 0 where there is no phrase
    meant: Tensor    # [rows, phrases, CELLS] centre weights of the objects meant
    focus: Tensor    # [rows, CELLS]
    focused: Tensor  # [rows] whether there is a focus


def unpack_masks(masks: np.ndarray) -> np.ndarray:
    """Bit masks to 0/1 over the objects, as a new last axis."""
    return ((masks[..., None] >> np.arange(MAX_OBJECTS)) & 1).astype(np.float32)


def make_batch(data: dict[str, np.ndarray], scenes: np.ndarray, chosen: np.ndarray) -> Batch:
    """`chosen` is [scenes, questions per scene]: which of each scene's questions to take."""
    row = scenes[:, None]
    tokens = data["tokens"][row, chosen].reshape(-1, data["tokens"].shape[-1]).astype(np.int64)
    tokens = tokens[:, :int((tokens > 0).sum(1).max())]
    maps = data["maps"][scenes].astype(np.float32)
    phrase = unpack_masks(data["phrase_masks"][row, chosen])
    focus = data["focus"][row, chosen]
    rows = len(tokens)
    ids = torch.from_numpy(tokens)
    return Batch(
        scenes, ids, (ids > 0).long(),
        torch.from_numpy(data["answers"][row, chosen].reshape(-1).astype(np.int64)),
        torch.from_numpy(data["phrase_ends"][row, chosen].reshape(rows, -1).astype(np.int64)),
        torch.from_numpy(np.einsum("skpo,soc->skpc", phrase, maps).reshape(rows, -1, CELLS)),
        torch.from_numpy(np.einsum("sko,soc->skc", unpack_masks(focus), maps).reshape(rows, CELLS)),
        torch.from_numpy((focus != NO_FOCUS).reshape(rows)))


class Grounding(nn.Module):
    """What the reader is asked beside the answer; thrown away after training."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Linear(WIDTH, 3)
        self.register_buffer("xy", coordinates()[:, :2])

    def forward(self, batch: Batch, pointers: list[Tensor], words: Tensor) -> Tensor:
        rows, phrases = torch.nonzero(batch.ends, as_tuple=True)
        ends, meant = batch.ends[rows, phrases], batch.meant[rows, phrases]
        said = F.binary_cross_entropy_with_logits(pointers[WORDS_LAYER][rows, ends], meant)
        about = F.binary_cross_entropy_with_logits(pointers[FOCUS_LAYER][batch.focused, 0],
                                                   batch.focus[batch.focused])
        # How many objects are meant and, where it is one, where it is: the words must carry it on.
        guess = self.place(words[rows, ends])
        count = meant.sum(-1)
        single = (count > 0.5) & (count < 1.5)
        where = F.mse_loss(guess[single, 1:], (meant @ self.xy)[single])
        return 12 * (said + about) + 0.5 * F.mse_loss(guess[:, 0], count) + 2 * where


@torch.no_grad()
def answer_all(reader: QuestionReader, head: nn.Linear, data: dict[str, np.ndarray], memory: np.ndarray) -> np.ndarray:
    """The predicted answer of every question, [scenes, questions]."""
    reader.eval()
    count, asked = data["answers"].shape
    out = np.zeros((count, asked), np.uint8)
    for i in range(0, count, 50):
        scenes = np.arange(i, min(count, i + 50))
        batch = make_batch(data, scenes, np.tile(np.arange(asked), (len(scenes), 1)))
        state, _, _ = reader(batch.tokens, batch.mask, torch.from_numpy(memory[scenes]).float())
        out[scenes] = head(state).argmax(-1).reshape(len(scenes), asked).numpy()
    reader.train()
    return out


def accuracy_by_kind(predicted: np.ndarray, data: dict[str, np.ndarray],
                     kinds: list[str] = KINDS) -> dict[str, tuple[float, int]]:
    right = predicted == data["answers"]
    table = {"all": (float(right.mean()), right.size)}
    for i, kind in enumerate(kinds):
        of_kind = data["kinds"] == i
        table[kind] = (float(right[of_kind].mean()), int(of_kind.sum()))
    return table


def short(table: dict[str, tuple[float, int]]) -> str:
    return " ".join(f"{k} {100 * v:.1f}" for k, (v, _) in table.items())


class Sampler:
    """Endless batches in seeded random order."""

    def __init__(self, data: dict[str, np.ndarray], scenes: int, questions: int, seed: int):
        self.data, self.scenes, self.questions = data, scenes, questions
        self.rng, self.order, self.at = np.random.default_rng(seed), np.zeros(0, np.int64), 0

    def next(self) -> list[list[Batch]]:
        """One share per worker; in a share, the shorter and the longer questions of the same scenes."""
        if self.at + self.scenes > len(self.order):
            self.order, self.at = self.rng.permutation(len(self.data["answers"])), 0
        scenes = self.order[self.at:self.at + self.scenes]
        self.at += self.scenes
        asked = self.data["answers"].shape[1]
        chosen = self.rng.random((self.scenes, asked)).argsort(1)[:, :self.questions]
        lengths = (self.data["tokens"][scenes[:, None], chosen] > 0).sum(-1)
        chosen = np.take_along_axis(chosen, lengths.argsort(1, kind="stable"), 1)
        return [[make_batch(self.data, *share) for share in ((own, part) for part in np.array_split(picked, 2, 1))]
                for own, picked in zip(np.array_split(scenes, WORKERS), np.array_split(chosen, WORKERS))]


def load_model(checkpoint: Path) -> VisualQuestionAnswering:
    """The trained model from WORK/vqa.pt."""
    state = torch.load(checkpoint)
    model = VisualQuestionAnswering(PictureEncoder(), QuestionReader(len(question_vocabulary())),
                                    nn.Linear(WIDTH, len(ANSWERS)))
    model.load_state_dict(state["model"])
    return model.eval()


def load_memory(work: Path, *splits: str) -> np.ndarray:
    """The encoder's output for the scenes of the splits, one split after the other."""
    return np.concatenate([np.load(work / f"memory_{split}.npy") for split in splits])


def train_reader(model: VisualQuestionAnswering, grounding: Grounding, data: dict[str, dict[str, np.ndarray]],
                 memory: dict[str, np.ndarray], args: argparse.Namespace, kinds: list[str] = KINDS) -> float:
    """Trains reader, head and grounding on `data["train"]`; returns the seconds it took."""
    sampler, started = Sampler(data["train"], args.scenes, args.questions, args.seed), time.time()

    parameters = [*model.reader.parameters(), *model.head.parameters(), *grounding.parameters()]

    def gradients(share: list[Batch]) -> tuple[list[float], tuple[Tensor, ...]]:
        """Of the mean over the share's batches; also the losses of answers and pointers by themselves."""
        seen = torch.from_numpy(memory["train"][share[0].scenes]).float()
        answers = grounds = torch.zeros(())
        for batch in share:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                state, pointers, words = model.reader(batch.tokens, batch.mask, seen)
            state, words, pointers = state.float(), words.float(), [p.float() for p in pointers]
            answers = answers + F.cross_entropy(model.head(state), batch.answers) / len(share)
            grounds = grounds + grounding(batch, pointers, words) / len(share)
        return [answers.item(), grounds.item()], torch.autograd.grad((answers + grounds) / WORKERS, parameters)

    optimiser = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=0.01)
    mean = np.zeros(2)
    for step in range(args.steps):
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, args.steps, args.rate)
        shares = in_parallel(gradients, sampler.next())
        apply_gradients(parameters, [g for _, g in shares])
        optimiser.step()
        mean = 0.98 * mean + 0.02 * np.mean([values for values, _ in shares], 0)
        if (step + 1) % args.report == 0 or step + 1 == args.steps:
            table = accuracy_by_kind(answer_all(model.reader, model.head, data["valid"], memory["valid"]),
                                     data["valid"], kinds)
            print(f"{step + 1} {time.time() - started:.0f} s loss {mean[0]:.3f} "
                  f"grounding {mean[1]:.3f} | {short(table)}", flush=True)
    return time.time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--report", type=int, default=500)
    parser.add_argument("--scenes", type=int, default=32)
    parser.add_argument("--questions", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    data = {"train": load_without_images(args.work, *TRAIN_SPLITS), "valid": load_without_images(args.work, "valid")}
    memory = {"train": load_memory(args.work, *TRAIN_SPLITS), "valid": load_memory(args.work, "valid")}
    encoder = PictureEncoder()
    encoder.load_state_dict(torch.load(args.work / "encoder.pt")["encoder"])
    model = VisualQuestionAnswering(encoder, QuestionReader(len(question_vocabulary())), nn.Linear(WIDTH, len(ANSWERS)))
    if args.start:
        weights = weights_of(graph_of(args.start, "vqa"))
        start_with(model, {k: v for k, v in weights.items() if not k.startswith("encoder.")})
        model.encoder.load_state_dict(encoder.state_dict())
    grounding = Grounding()
    print("parameters", parameter_count(model), flush=True)
    seconds = train_reader(model, grounding, data, memory, args)
    torch.save({"model": model.state_dict(), "grounding": grounding.state_dict()}, args.work / "vqa.pt")
    record(args.work, "questions, from earlier weights" if args.start else "questions", steps=args.steps, seconds=round(seconds))
    print(f"questions done in {seconds:.0f} s")


if __name__ == "__main__":
    main()
