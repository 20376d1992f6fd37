"""shapes-detect, second stage: the head and an encoder of its own, together.

    python3 tune_detect.py --work WORK [--steps 1500 | --minutes M] [--more] [--device cuda]

What is hard is what a small shape is; the frozen encoder was never asked about grey ones, and has no time for the
smallest. An object between cells may belong to any of the four around its centre: to the one that is surest of it
already, so that it need not guess which cell's centre is nearer. `--more` goes on from WORK/detect.pt. In the end the
scores are moved so that 0.5 is the best threshold on what is validated on. Writes WORK/detect.pt, and
WORK/detect.json: the precision.
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

from average_precision import Judged, complete, mean_average_precision
from chat_batches import Store
from dataset import TRAIN_SPLITS, record
from detector import DetectionHead, Detector
from earlier import load_known
from network import CELLS, GRID, PictureEncoder, encoder_of, normalise
from scene_chunks import Incoming, chunks
from scenes import MAX_OBJECTS, SHAPES
from train_chat import Schedule
from train_detect import detection_loss, judge

NEARER = 0.3  # what the nearer cell has before the others, in shares of certainty
THRESHOLDS = [i / 100 for i in range(10, 91)]


def load_detector(work: Path) -> Detector:
    """The trained model from WORK/detect.pt."""
    model = Detector(PictureEncoder(), DetectionHead())
    left = load_known(model, torch.load(work / "detect.pt", map_location="cpu"))
    if any(".more." not in name for name in left):
        raise ValueError(f"{work} has no weights for {left}")
    return model.eval()


def pixels_of(images: Tensor) -> Tensor:
    return normalise(images).contiguous(memory_format=torch.channels_last)


class Pictures:
    """Of some splits, those that are there."""

    def __init__(self, work: Path, splits: tuple[str, ...], device: torch.device, live: bool = False):
        self.folder, self.splits, self.store = work / "chunks", splits, Store(device)
        self.incoming = Incoming(self.folder, splits) if live else None

    def take_in(self) -> int:
        """Takes the next chunk if there is one, or all where no more will come; says how many scenes there are."""
        for chunk in chunks(self.folder, self.splits, set()) if not self.incoming else [self.incoming.next()]:
            if chunk:
                self.store.add({k: torch.from_numpy(chunk[k]) for k in ("squashed", "shapes", "boxes")})
        return self.store.count


def mirrored(images: Tensor, boxes: Tensor, half: int) -> tuple[Tensor, Tensor]:
    """The first half of the pictures and their boxes turned left to right."""
    images = torch.cat([images[:half].flip(2), images[half:]])
    turned = torch.stack([1 - boxes[..., 2], boxes[..., 1], 1 - boxes[..., 0], boxes[..., 3]], -1)
    return images, torch.cat([turned[:half], boxes[half:]])


@torch.no_grad()
def goals_of(logits: Tensor, shapes: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """For each cell the shape that it answers for (0: none), and its box as corners."""
    every, likely = torch.arange(len(logits), device=logits.device), torch.sigmoid(logits)
    labels = torch.zeros(len(logits), CELLS, dtype=torch.long, device=logits.device)
    places = torch.zeros(len(logits), CELLS, 4, device=logits.device)
    for i in range(MAX_OBJECTS):
        there, shape, box = shapes[:, i] > 0, shapes[:, i].long(), boxes[:, i]
        at = ((box[:, :2] + box[:, 2:]) / 2 * GRID - 0.5).clamp(0, GRID - 1)
        low = at.floor().clamp(max=GRID - 2)
        part = at - low
        cells, near = [], []
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            cells.append((low[:, 1] + dy) * GRID + low[:, 0] + dx)
            near.append((part[:, 0] if dx else 1 - part[:, 0]) * (part[:, 1] if dy else 1 - part[:, 1]))
        around, nearness = torch.stack(cells, 1).long(), torch.stack(near, 1)
        sure = likely[every[:, None], around, (shape - 1).clamp(min=0)[:, None]] + NEARER * nearness
        sure = sure - 10.0 * (labels.gather(1, around) > 0)
        cell = around.gather(1, sure.argmax(1, keepdim=True)).squeeze(1)
        rows, cell = every[there], cell[there]
        labels[rows, cell], places[rows, cell] = shape[there], box[there]
    return labels, places


def found_in(model: Detector, pictures: Pictures) -> list[Judged]:
    store, was = pictures.store, model.training
    model.eval()
    data = {k: store[k].cpu().numpy() for k in ("shapes", "boxes")}
    found = judge(lambda part: tuple(v.float().cpu() for v in model(pixels_of(store["squashed"][part]))), data)
    model.train(was)
    return found


def precision(found: list[Judged]) -> dict[str, dict[str, float]]:
    """Mean average precision by overlap and label."""
    return {str(least): mean_average_precision(found, SHAPES, least) for least in (0.5, 0.75)}


def short(found: list[Judged]) -> str:
    by_threshold = ", ".join(f"{100 * complete(found, t):.1f} at {t}" for t in (0.3, 0.4, 0.5, 0.6))
    return ", ".join(f"mAP@{least} {100 * by['all']:.2f}" for least, by in precision(found).items()) + f", complete {by_threshold}"


@torch.no_grad()
def calibrate(model: Detector, pictures: Pictures) -> float:
    """Moves all scores so that the threshold at which most pictures are complete becomes 0.5; says which it was."""
    found = found_in(model, pictures)
    best = max(complete(found, t) for t in THRESHOLDS)
    good = [t for t in THRESHOLDS if complete(found, t) > best - 0.002]
    threshold = good[len(good) // 2]
    model.head.shape.bias -= math.log(threshold / (1 - threshold))
    return threshold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--minutes", type=float, help="train so long, however many steps that is")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--report", type=int, default=250)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--more", action="store_true")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    device, gpu = torch.device(args.device), args.device != "cpu"
    torch.manual_seed(args.seed)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    if args.more:
        model = load_detector(args.work)
    else:
        model = Detector(PictureEncoder(), DetectionHead())
        load_known(model.encoder, encoder_of(args.work).state_dict())
        model.head.load_state_dict(torch.load(args.work / "detect-head.pt"))
    # With several threads, batch norm keeps its statistics, as in the exported graph.
    model = model.to(device, memory_format=torch.channels_last).train(gpu)
    pictures = Pictures(args.work, TRAIN_SPLITS, device, live=args.minutes is not None)
    while pictures.take_in() < 2:
        time.sleep(1)
    valid = Pictures(args.work, ("valid",), device)
    valid.take_in()
    parameters, mean = list(model.parameters()), torch.zeros((), device=device)

    def gradients(rows: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        store = pictures.store
        images, boxes = mirrored(store["squashed"][rows], store["boxes"][rows], len(rows) // 2)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            logits, found = model(pixels_of(images))
        logits, found = logits.float(), found.float()
        loss = detection_loss(logits, found, *goals_of(logits, store["shapes"][rows], boxes))
        return loss.detach(), torch.autograd.grad(loss, parameters)

    optimiser, schedule = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=0.01), Schedule(args.steps, args.minutes, args.rate)
    while schedule.done < 1:
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate()
        if args.minutes and schedule.step % 3 == 0:
            pictures.take_in()
        rows = torch.randint(pictures.store.count, (args.batch,), device=device)
        shares = [gradients(rows)] if gpu else in_parallel(gradients, list(rows.tensor_split(WORKERS)))
        for i, parameter in enumerate(parameters):
            parameter.grad = sum(g[i] for _, g in shares) / len(shares)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        loss = torch.stack([value for value, _ in shares]).mean()
        mean = loss if schedule.step == 0 else 0.98 * mean + 0.02 * loss
        schedule.step += 1
        if schedule.step % args.report == 0:
            torch.save({k: v.cpu() for k, v in model.state_dict().items()}, args.work / "detect.pt")
            print(f"{schedule.step} {schedule.elapsed:.0f} s loss {mean.item():.4f} scenes {pictures.store.count}",
                  short(found_in(model, valid)), flush=True)
    threshold = calibrate(model, valid)
    torch.save({k: v.cpu() for k, v in model.state_dict().items()}, args.work / "detect.pt")
    record(args.work, "objects with the encoder", steps=schedule.step, scenes=pictures.store.count, threshold=threshold,
           seconds=round(schedule.elapsed))
    table = {}
    for split in ("valid", "test", "nameless-test"):
        held = Pictures(args.work, (split,), device)
        held.take_in()
        found = found_in(model, held)
        table[split] = precision(found)
        print(split, short(found), flush=True)
    (args.work / "detect.json").write_text(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
