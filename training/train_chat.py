"""shapes-chat: the decoder, and with it the encoder and arranger that it sees through.

    python3 train_chat.py --work WORK --models MODELS [--steps 3000 | --minutes M] [--start CHECKPOINT | --on] [--encoder WORK/fine.pt] [--device cuda]

Encoder and arranger begin as shapes-caption has them (with `--on` all begins as shapes-chat ships), and are asked beside what is on each cell. Beside the next token,
one head learns where phrases and answers look. With `--minutes` training ends by the clock, and takes in what
scene_chunks.py makes meanwhile. Writes WORK/chat.pt, and once in a while what there is so far.
"""
from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

from machine import WORKERS, in_parallel  # before torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chat_batches import Batch, Group, Pointers, Source
from chat_eyes import shipped_chat, shipped_eyes, shipped_labels
from chat_network import ABOUT_LAYER, CHAT_WIDTH, PHRASE_LAYER, Seen, ShapesChat
from dataset import record
from make_chats import CHAT_KINDS, tokenizer
from network import WIDTH, CellLabels, coordinates, normalise, parameter_count
from train_encoder import LABELS, label_loss

Found = dict[str, tuple[int, int]]
EXACT = 0.85  # of the training; what comes after is not in bfloat16
KINDS = {"pairs": 0.77, "tiles": 0.2, "none": 0.03}  # how often one of these comes beside a batch of single pictures


def look(model: ShapesChat, images: Tensor) -> Tensor:
    """What the eyes see in pictures [scenes, pictures, SIDE, SIDE, 3]: [scenes, pictures, CELLS, 2 * WIDTH]."""
    pixels = normalise(images.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
    return model.eyes(pixels).unflatten(0, images.shape[:2])


def embed_prefix(model: ShapesChat, batch: Batch, seen: Tensor | None) -> Tensor:
    """The prefix with image features where the image tokens are, [scenes, P, width]."""
    words = model.decoder.embed(batch.prefix).expand(len(batch.images), -1, -1)
    if seen is None:
        return words
    features = model.features(seen.flatten(0, 1)).unflatten(0, seen.shape[:2])
    parts, at = [], 0
    for number, start in enumerate(batch.starts):
        parts += [words[:, at:start], features[:, number]]
        at = start + features.shape[2]
    return torch.cat([*parts, words[:, at:]], 1)


class Looking(nn.Module):
    """What is asked of the decoder beside the next token; thrown away after training."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Linear(CHAT_WIDTH, 3)
        self.register_buffer("xy", coordinates()[:, :2])

    def pointing(self, scores: Tensor, batch: Batch, pointers: Pointers) -> Tensor:
        """`scores` [rows, T, P + T] of the pointing head against what it should point at."""
        share = 1 / (1 + pointers.meant.sum(-1))
        log = F.log_softmax(scores, -1)
        wrong = -share * (log[..., 0] + (pointers.meant * log[..., batch.cells]).sum(-1))
        return (wrong * pointers.there).sum() / pointers.there.sum().clamp(min=1)

    def forward(self, batch: Batch, group: Group, seen: Seen) -> Tensor:
        loss = torch.zeros((), device=batch.prefix.device)
        if not batch.starts:
            return loss
        for layer, pointers, weight in ((PHRASE_LAYER, group.phrases, 1.0), (ABOUT_LAYER, group.about, 0.6)):
            loss = loss + weight * self.pointing(seen.scores[layer][:, 0, 0].float(), batch, pointers)
        there, meant = group.phrases.there, group.phrases.meant
        guess, count = self.place(seen.middle.float()), meant.sum(-1)
        single = there & (count > 0.5) & (count < 1.5)
        off = (guess[..., 1:] - meant.unflatten(-1, (-1, 64)).sum(-2) @ self.xy).square().mean(-1)
        return loss + 0.2 * ((guess[..., 0] - count).square() * there).sum() / there.sum().clamp(min=1) \
            + (off * single).sum() / single.sum().clamp(min=1)


def words_loss(model: ShapesChat, group: Group, seen: Seen) -> Tensor:
    """Long answers weigh less by the token."""
    rows, at = group.say
    logits = model.decoder.head(seen.state[rows, at].float())
    wrong = F.cross_entropy(logits, group.tokens[rows, at + 1], reduction="none")
    return (wrong * group.say_weight).sum() / group.say_weight.sum()


def on_cells(labels: CellLabels, batch: Batch, seen: Tensor) -> Tensor:
    """The loss of stage 1 (train_encoder.py) on what the encoder says of each cell."""
    memory, known = seen[:, batch.labelled, :, :WIDTH].flatten(0, 1), batch.labels
    maps = known["maps"].float()
    at = maps.argmax(1, keepdim=True)
    radius = known["radius"].float().gather(1, at.squeeze(1))
    radius = torch.where(maps.max(1)[0] > 0.1, radius, torch.zeros_like(radius))
    return label_loss(labels, memory.float(), known["cells"].long(), maps.sum(1).clamp(max=1), radius, known["background"].long())


@torch.no_grad()
def right_rows(model: ShapesChat, batches: list[Batch]) -> Found:
    """By kind, of how many rows every token would be said as it should be, and of how many in all."""
    found, was = {}, model.training  # type: ignore[var-annotated]
    model.eval()

    def ask(batch: Batch) -> list[tuple[str, bool]]:
        out = []
        with torch.no_grad():
            prefix = embed_prefix(model, batch, look(model, batch.images))
            for group, seen in zip(batch.groups, model.decoder(prefix, [g.tokens for g in batch.groups])):
                rows, at = group.say
                wrong = model.decoder.head(seen.state[rows, at]).argmax(-1) != group.tokens[rows, at + 1]
                failed = set(rows[wrong].tolist())
                out += [(CHAT_KINDS[k], i not in failed) for i, k in enumerate(group.kinds.tolist())]
        return out
    for kind, right in (r for rows in in_parallel(ask, batches) for r in rows):
        good, total = found.get(kind, (0, 0))
        found[kind] = good + right, total + 1
    model.train(was)
    return found


def short(found: Found) -> str:
    good, total = (sum(v[i] for v in found.values()) for i in range(2))
    return f"all {100 * good / max(1, total):.1f} of {total} | " + " ".join(
        f"{k} {100 * found[k][0] / found[k][1]:.1f}" for k in CHAT_KINDS if k in found)


class Schedule:
    """How far training is, by its steps or by the clock, and the learning rate then."""

    def __init__(self, steps: int, minutes: float | None, peak: float, warmup: int = 150):
        self.steps, self.seconds, self.peak, self.warmup = steps, minutes and 60 * minutes, peak, warmup
        self.step, self.started = 0, time.time()

    @property
    def elapsed(self) -> float:
        return time.time() - self.started

    @property
    def done(self) -> float:
        return self.elapsed / self.seconds if self.seconds else self.step / self.steps

    def rate(self) -> float:
        falling = 0.5 * (1 + math.cos(math.pi * min(1, self.done))) + 0.005
        return self.peak * min(1.0, (self.step + 1) / self.warmup) * falling


class Training(nn.Module):
    """All that is trained, and its loss on a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.looking, self.labels = ShapesChat(len(tokenizer().vocabulary)), Looking(), CellLabels(*LABELS)

    def begin(self, models: Path, on: bool, checkpoint: Path | None, encoder: Path | None, images: Tensor) -> None:
        if on:
            shipped_chat(models, self.model, normalise(images))
        else:
            self.model.eyes = shipped_eyes(models, normalise(images))
        shipped_labels(models, self.labels)
        if checkpoint:
            state = torch.load(checkpoint, map_location="cpu")
            for name, part in (("model", self.model), ("looking", self.looking), ("labels", self.labels)):
                if name in state:
                    part.load_state_dict(state[name], strict=name != "model")
        if encoder:
            state = torch.load(encoder, map_location="cpu")
            self.model.eyes.encoder.load_state_dict(state["encoder"])
            self.labels.load_state_dict(state["labels"])

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Of the words, of where to look, and of what is on the cells."""
        nothing = torch.zeros((), device=batch.prefix.device)
        seen = look(self.model, batch.images) if batch.starts else None
        words, beside = nothing, nothing
        rows = self.model.decoder(embed_prefix(self.model, batch, seen), [g.tokens for g in batch.groups])
        with torch.autocast(batch.prefix.device.type, enabled=False):
            for group, part in zip(batch.groups, rows):
                words = words + words_loss(self.model, group, part) * group.share
                beside = beside + self.looking(batch, group, part) * group.share
            cells = nothing if seen is None else on_cells(self.labels, batch, seen)
        return words, beside, cells

    def save(self, path: Path) -> None:
        torch.save({name: {k: v.cpu() for k, v in getattr(self, name).state_dict().items()}
                    for name in ("model", "looking", "labels")}, path)


def batches_of(source: Source, scenes: int, parts: int) -> list[Batch]:
    """Of a step: single pictures, and beside them something else; `parts` of each."""
    roll, at = source.roll(), 0.0
    for kind, share in KINDS.items():
        at += share
        if roll < at:
            break
    count = {"pairs": scenes // 2, "tiles": scenes // 5, "none": scenes // 8}[kind]
    sizes = [("chats", scenes)] * parts + [(kind, count)] * parts
    return [source.draw(kind, max(2, size // parts)) for kind, size in sizes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--minutes", type=float, help="train so long, however many steps that is")
    parser.add_argument("--scenes", type=int, default=16, help="of a step, and half as many pairs and the like beside them")
    parser.add_argument("--report", type=int, default=250)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--warmup", type=int, default=150)
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from")
    parser.add_argument("--on", action="store_true", help="go on from shapes-chat as it ships")
    parser.add_argument("--encoder", type=Path, help="of train_encoder.py --fine, instead of shapes-caption's")
    parser.add_argument("--keep-encoder", action="store_true", help="it stays as it is: a step takes half as long")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--check", type=int, default=120, help="scenes to validate on")
    args = parser.parse_args()
    device, gpu = torch.device(args.device), args.device != "cpu"
    torch.manual_seed(args.seed)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    source = Source(args.work, "train", device, args.seed, live=args.minutes is not None)
    while source.take_in() < 2:
        time.sleep(1)
    training = Training()
    training.begin(args.models, args.on, args.start, args.encoder, source.scenes["images"][:256].cpu())
    # With several threads, batch norm keeps its statistics.
    training.to(device).train(gpu)
    training.model.eyes.encoder.to(memory_format=torch.channels_last)
    held = Source(args.work, "valid", device, 0)
    held.take_in()
    checks = [b for kind, total in (("chats", args.check), ("pairs", args.check // 2), ("tiles", args.check // 3))
              for b in held.all_of(kind, total, 60 if gpu else 20)]
    training.model.eyes.encoder.requires_grad_(not args.keep_encoder)
    parameters = [p for p in training.parameters() if p.requires_grad]
    print("parameters", parameter_count(training.model), "scenes", source.scenes.count, flush=True)
    optimiser = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=0.01)
    schedule, mean = Schedule(args.steps, args.minutes, args.rate, args.warmup), torch.zeros(3, device=device)
    while schedule.done < 1:
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate()
        if args.minutes:
            source.take_in()

        def gradients(batch: Batch) -> tuple[Tensor, tuple[Tensor | None, ...]]:
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=gpu and schedule.done < EXACT):
                losses = training.loss(batch)
            found = torch.autograd.grad(sum(losses[1:], losses[0]), parameters, allow_unused=True)
            return torch.stack([v.detach() for v in losses]), found
        batches = batches_of(source, args.scenes, 1 if gpu else WORKERS)
        shares = [gradients(b) for b in batches] if gpu else in_parallel(gradients, batches)
        for i, parameter in enumerate(parameters):
            there = [g[i] for _, g in shares if g[i] is not None]
            parameter.grad = sum(there[1:], there[0]) / len(shares) if there else None
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        now = torch.stack([values for values, _ in shares]).mean(0)
        mean = now if schedule.step == 0 else 0.98 * mean + 0.02 * now
        schedule.step += 1
        if schedule.step % 50 == 0:
            words, beside, cells = mean.tolist()
            print(f"{schedule.step} {schedule.elapsed:.0f} s words {words:.4f} beside {beside:.3f} cells {cells:.3f} "
                  f"scenes {source.scenes.count}", flush=True)
        if schedule.step % args.report == 0:
            print(f"{schedule.step} {schedule.elapsed:.0f} s {short(right_rows(training.model, checks))}", flush=True)
            training.save(args.work / "chat.pt")
    training.save(args.work / "chat.pt")
    record(args.work, "chat", steps=schedule.step, scenes=source.scenes.count, seconds=round(schedule.elapsed))
    test, figures = Source(args.work, "test", device, 0), {}
    test.take_in()
    for kind in ("chats", "pairs", "tiles"):
        figures[kind] = right_rows(training.model, test.all_of(kind, 2000 if gpu else 100))
        print("test", kind, short(figures[kind]), flush=True)
    (args.work / "chat.json").write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
