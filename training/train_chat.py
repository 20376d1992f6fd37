"""shapes-chat: the decoder and what turns cells into image features, on the cached output of encoder and arranger.

    python3 train_chat.py --work WORK [--steps 3000] [--start CHECKPOINT --first STEP]

Beside the next token, one head learns where phrases and answers look. Writes WORK/chat.pt, and once in a while
what there is so far.
"""
from __future__ import annotations

import argparse
import time
from pathlib import Path

from machine import WORKERS, in_parallel  # before torch
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chat_batches import Batch, Group, Source, sources, validation
from chat_network import ABOUT_LAYER, CHAT_WIDTH, PHRASE_LAYER, Seen, ShapesChat
from dataset import record
from make_chats import CHAT_KINDS, tokenizer
from network import coordinates, parameter_count
from train_encoder import apply_gradients, cosine_rate


def embed_prefix(model: ShapesChat, batch: Batch) -> Tensor:
    """The prefix with image features where the image tokens are, [scenes, P, width]."""
    features = model.features(batch.seen.flatten(0, 1)).reshape(len(batch.seen), -1, CHAT_WIDTH)
    words = model.decoder.embed(batch.prefix).expand(len(batch.seen), -1, -1)
    if not len(batch.cells):
        return words
    parts, at = [], 0
    for start in batch.starts:  # of each run of image tokens
        parts += [words[:, at:start], features[:, :batch.run]]
        features, at = features[:, batch.run:], start + batch.run
    return torch.cat([*parts, words[:, at:]], 1)


class Looking(nn.Module):
    """What is asked of the decoder beside the next token; thrown away after training."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Linear(CHAT_WIDTH, 3)
        self.register_buffer("xy", coordinates()[:, :2])

    def pointing(self, scores: Tensor, batch: Batch, meant: Tensor) -> Tensor:
        """`scores` [K, P + T] of the pointing head against what it should point at, [K, cells]."""
        share = 1 / (1 + meant.sum(-1))
        log = F.log_softmax(scores, -1)
        return -(share * (log[:, 0] + (meant * log[:, batch.cells]).sum(-1))).mean()

    def forward(self, batch: Batch, group: Group, seen: Seen) -> Tensor:
        loss = torch.zeros(())
        if not len(batch.cells):
            return loss
        for layer, (rows, at, meant), weight in ((PHRASE_LAYER, group.phrases, 1.0), (ABOUT_LAYER, group.about, 0.6)):
            if len(rows):
                loss = loss + weight * self.pointing(seen.scores[layer][rows, 0, 0, at].float(), batch, meant)
        rows, at, meant = group.phrases
        if not len(rows):
            return loss
        guess, count = self.place(seen.middle[rows, at].float()), meant.sum(-1)
        single = (count > 0.5) & (count < 1.5)
        where = F.mse_loss(guess[single, 1:], meant[single].reshape(len(meant[single]), -1, 64).sum(1) @ self.xy) \
            if single.any() else 0
        return loss + 0.2 * F.mse_loss(guess[:, 0], count) + where


def words_loss(model: ShapesChat, group: Group, seen: Seen) -> Tensor:
    """Long answers weigh less by the token."""
    rows, at = group.say
    logits = model.decoder.head(seen.state[rows, at].float())
    wrong = F.cross_entropy(logits, group.tokens[rows, at + 1], reduction="none")
    weight = group.say_weight
    return (wrong * weight).sum() / weight.sum()


@torch.no_grad()
def right_rows(model: ShapesChat, batches: list[Batch]) -> dict[str, tuple[int, int]]:
    """By kind, of how many rows every token would be said as it should be, and of how many in all."""
    found: dict[str, tuple[int, int]] = {}

    def ask(batch: Batch) -> list[tuple[str, bool]]:
        out = []
        for group, seen in zip(batch.groups, model.decoder(embed_prefix(model, batch), [g.tokens for g in batch.groups])):
            rows, at = group.say
            wrong = model.decoder.head(seen.state[rows, at]).argmax(-1) != group.tokens[rows, at + 1]
            failed = set(rows[wrong].tolist())
            out += [(CHAT_KINDS[k], i not in failed) for i, k in enumerate(group.kinds.tolist())]
        return out
    with torch.no_grad():
        for kind, right in (r for rows in in_parallel(lambda b: torch.no_grad()(ask)(b), batches) for r in rows):
            good, total = found.get(kind, (0, 0))
            found[kind] = good + right, total + 1
    return found


def short(found: dict[str, tuple[int, int]]) -> str:
    good, total = (sum(v[i] for v in found.values()) for i in range(2))
    return f"all {100 * good / max(1, total):.1f} | " + " ".join(
        f"{k} {100 * found[k][0] / found[k][1]:.1f}" for k in CHAT_KINDS if k in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--first", type=int, default=0, help="the step to begin with, for the learning rate")
    parser.add_argument("--report", type=int, default=250)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from")
    parser.add_argument("--bfloat16", action="store_true", help="a quarter faster; torch 1.13 has crashed with it")
    parser.add_argument("--out", default="chat.pt")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    model, looking = ShapesChat(len(tokenizer().vocabulary)), Looking()
    optimiser_state = None
    if args.start:
        state = torch.load(args.start)
        model.load_state_dict(state["model"])
        looking.load_state_dict(state["looking"])
        optimiser_state = state.get("optimiser")
    print("parameters", parameter_count(model), flush=True)
    parameters = [*model.parameters(), *looking.parameters()]
    source: Source = sources(args.work, args.seed + args.first)
    checks = validation(args.work)

    def gradients(batch: Batch) -> tuple[list[float], tuple[Tensor, ...]]:
        words, beside = torch.zeros(()), torch.zeros(())
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bfloat16):
            seen = model.decoder(embed_prefix(model, batch), [g.tokens for g in batch.groups])
        for group, part in zip(batch.groups, seen):
            words = words + words_loss(model, group, part) * group.share
            beside = beside + looking(batch, group, part) * group.share
        found = torch.autograd.grad((words + beside) / WORKERS, parameters, allow_unused=True)
        return [words.item(), float(beside)], tuple(torch.zeros_like(p) if g is None else g
                                                    for p, g in zip(parameters, found))

    optimiser = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=0.01)
    if optimiser_state:
        optimiser.load_state_dict(optimiser_state)
    started, mean = time.time(), np.zeros(2)
    for step in range(args.first, args.steps):
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(step, args.steps, args.rate)
        shares = in_parallel(gradients, source.next())
        apply_gradients(parameters, [g for _, g in shares])
        optimiser.step()
        now = np.mean([values for values, _ in shares], 0)
        mean = now if step == args.first else 0.98 * mean + 0.02 * now
        if (step + 1) % 50 == 0:
            print(f"{step + 1} {time.time() - started:.0f} s words {mean[0]:.4f} beside {mean[1]:.3f}", flush=True)
        if (step + 1) % args.report == 0 or step + 1 == args.steps:
            print(f"{step + 1} {time.time() - started:.0f} s {short(right_rows(model, checks))}", flush=True)
            torch.save({"model": model.state_dict(), "looking": looking.state_dict(),
                        "optimiser": optimiser.state_dict(), "step": step + 1}, args.work / args.out)
    record(args.work, "chat", steps=args.steps, seconds=round(time.time() - started))


if __name__ == "__main__":
    main()
