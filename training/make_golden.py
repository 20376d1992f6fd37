"""Writes what torch and PIL make of three example pictures of each model, for the runtime's tests.

    python3 make_golden.py --work WORK --models MODELS --out ../packages/engine/test/golden-logits.json [--only shapes-vqa ...]

WORK holds the checkpoints that MODELS were exported from; with `--only`, of these, and the others stay as they are in the
file. Nothing here reads a graph: pictures
are decoded and resized by PIL as preprocessor_config.json says, texts are split by tokenizer.py,
and the networks are those of the training.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Callable

import machine  # noqa: F401  (before torch)
import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor

import train_caption
import train_classify
import train_clip
import train_entailment
import train_vqa
import tune_detect
from caption_network import greedy
from captions import MAX_CAPTION
from detector import corners
from export import replace
from network import encoder_of
from phrases import phrase_vocabulary
from questions import ANSWERS, question_vocabulary
from scenes import SHAPES
from statements import JUDGEMENTS, statement_vocabulary
from tokenizer import CLS, PAD, SEP, encode
from towers import OnPictures

Example = dict[str, Any]
#: From a picture and its example to the model's input (where there is one) and answer.
Case = Callable[[Tensor, Example], Example]
PICTURES = 3
DIGITS = 5


def chosen(examples: list[Example]) -> list[Example]:
    """Spread over the list, each of another picture: first, middle, last."""
    first = list({e["image"]: e for e in reversed(examples)}.values())[::-1]  # a picture's first example
    return [first[round(i * (len(first) - 1) / (PICTURES - 1))] for i in range(PICTURES)]


def pixels(folder: Path, image: str) -> Tensor:
    """A picture as its model takes it, [1, 3, height, width]."""
    config = json.loads((folder / "preprocessor_config.json").read_text())
    assert config["do_resize"] and config["do_rescale"] and config["do_normalize"] and not config.get("do_center_crop")
    size = config["size"]["width"], config["size"]["height"]
    picture = Image.open(folder / "examples" / image).convert("RGB").resize(size, config["resample"])
    values = np.asarray(picture, np.float32) * config["rescale_factor"]
    values = (values - np.float32(config["image_mean"])) / np.float32(config["image_std"])
    return torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)[None]


def tokens(texts: list[str], vocabulary: dict[str, int]) -> tuple[Tensor, Tensor]:
    """Ids and mask, padded to the longest."""
    rows = [encode(text, vocabulary) for text in texts]
    length = max(map(len, rows))
    ids = torch.tensor([row + [PAD] * (length - len(row)) for row in rows])
    return ids, (ids != PAD).long()


def rounded(row: Tensor) -> list[float]:
    return [round(value, DIGITS) for value in row.tolist()]


def named(logits: Tensor, labels: list[str]) -> dict[str, float]:
    return dict(zip(labels, rounded(logits), strict=True))


def of_text(model: torch.nn.Module, vocabulary: dict[str, int], key: str, labels: list[str]) -> Case:
    """A model of a picture and a text; `key` names the text in examples and input."""
    def case(picture: Tensor, example: Example) -> Example:
        text = example[key]
        return {"input": {key: text}, "logits": named(model(picture, *tokens([text], vocabulary))[0], labels)}
    return case


def of_labels(picture_tower: torch.nn.Module, towers: train_clip.Towers) -> Case:
    def case(picture: Tensor, example: Example) -> Example:
        labels = example["candidate_labels"]
        likeness = towers.texts(*tokens(labels, phrase_vocabulary())) @ picture_tower(picture)[0]
        return {"input": {"candidate_labels": labels}, "logits": named(towers.scale() * likeness, labels)}
    return case


def caption_of(model: train_caption.Captioner) -> Case:
    def case(picture: Tensor, _: Example) -> Example:
        said = greedy(model.decoder, model.cells(picture), [CLS], SEP)[0]
        assert len(said) + 2 < MAX_CAPTION  # so it ended by itself: the end counts as a token
        return {"text": train_caption.words_of([said])[0], "tokens": len(said) + 1}
    return case


def entry(models: Path, name: str, case: Case, *pictures_of: str) -> dict[str, Any]:
    """A model's cases, with its own example pictures and those of other models."""
    cases = []
    for owner in (name, *pictures_of):
        folder = models / owner / "1"
        for example in chosen(json.loads((folder / "examples" / "examples.json").read_text())):
            cases.append({"image": f"{owner}/1/examples/{example['image']}", "input": {},
                          **case(pixels(folder, example["image"]), example)})
    task = json.loads((models / name / "1" / "model.json").read_text())["task"]
    return {"model": name, "task": task, "cases": cases}


def objects_in(model: torch.nn.Module, models: Path) -> Case:
    """What a detector is surer of than not, the surest first; boxes in pixels."""
    def case(picture: Tensor, example: Example) -> Example:
        logits, boxes = (output[0] for output in model(picture))
        scores, places = torch.sigmoid(logits), corners(boxes)
        size = Image.open(models / "shapes-detect/1/examples" / example["image"]).size * 2
        found = [(scores[c, s].item(), SHAPES[s], places[c].tolist()) for c, s in (scores > 0.5).nonzero().tolist()]
        return {"objects": [
            {"label": label, "score": round(score, DIGITS),
             "box": {k: round(v * most, 2) for k, v, most in zip(("xmin", "ymin", "xmax", "ymax"), box, size)}}
            for score, label, box in sorted(found, reverse=True)]}
    return case


def makers(work: Path, models: Path) -> dict[tuple[str, str], Callable[[], dict[str, Any]]]:
    """The entry of each model, by what its task answers with and its name."""
    def classify() -> dict[str, Any]:
        classifier = OnPictures(encoder_of(work), train_classify.load_classifier(work)).eval()
        return entry(models, "shapes-classify",
                     lambda picture, _: {"logits": named(classifier(picture)[0], train_classify.LABELS)})

    def clip() -> dict[str, Any]:
        towers = train_clip.load_towers(work)
        return entry(models, "shapes-clip", of_labels(OnPictures(encoder_of(work), towers.pictures).eval(), towers))

    def embed() -> dict[str, Any]:  # the picture tower of shapes-clip
        tower = OnPictures(encoder_of(work), train_clip.load_towers(work).pictures).eval()
        return entry(models, "shapes-embed", lambda picture, _: {"embedding": rounded(tower(picture)[0])}, "shapes-clip")

    return {
        ("scores", "shapes-vqa"): lambda: entry(models, "shapes-vqa", of_text(
            train_vqa.load_model(work / "vqa.pt"), question_vocabulary(), "question", ANSWERS)),
        ("scores", "shapes-entailment"): lambda: entry(models, "shapes-entailment", of_text(
            train_entailment.load_model(work / "entailment.pt"), statement_vocabulary(), "text", JUDGEMENTS)),
        ("scores", "shapes-classify"): classify,
        ("scores", "shapes-clip"): clip,
        ("embeddings", "shapes-embed"): embed,
        ("texts", "shapes-caption"): lambda: entry(
            models, "shapes-caption", caption_of(train_caption.load_model(work))),
        ("objects", "shapes-detect"): lambda: entry(models, "shapes-detect", objects_in(
            tune_detect.load_detector(work), models)),
    }


def golden(work: Path, models: Path, before: dict[str, Any], only: list[str] | None) -> dict[str, Any]:
    """By what a task answers with; what is not made again comes from `before`."""
    out: dict[str, list[dict[str, Any]]] = {}
    for (kind, name), make in makers(work, models).items():
        kept = [e for e in before.get(kind, []) if e["model"] == name]
        out.setdefault(kind, []).extend([make()] if only is None or name in only else kept)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+")
    args = parser.parse_args()
    made_with = {"made_with": f"torch {torch.__version__}, Pillow {PIL.__version__}"}
    before = json.loads(args.out.read_text()) if args.only else {}
    with torch.no_grad():
        made = golden(args.work, args.models, before, args.only)
    replace(args.out, (json.dumps({**made_with, **made}) + "\n").encode())
    print(args.out, "written")


if __name__ == "__main__":
    main()
