"""Writes what torch and PIL make of three example pictures of each model, for the runtime's tests.

    python3 make_golden.py --work WORK --models MODELS --out ../packages/engine/test/golden-logits.json

WORK holds the checkpoints that MODELS were exported from. Nothing here reads a graph: pictures
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
from caption_network import greedy
from captions import MAX_CAPTION
from export import replace
from network import encoder_of
from phrases import phrase_vocabulary
from questions import ANSWERS, question_vocabulary
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


def golden(work: Path, models: Path) -> dict[str, Any]:
    """By what a task answers with."""
    vqa, entailment = train_vqa.load_model(work / "vqa.pt"), train_entailment.load_model(work / "entailment.pt")
    classifier = OnPictures(encoder_of(work), train_classify.load_classifier(work)).eval()
    towers = train_clip.load_towers(work)
    picture_tower = OnPictures(encoder_of(work), towers.pictures).eval()
    return {
        "scores": [
            entry(models, "shapes-vqa", of_text(vqa, question_vocabulary(), "question", ANSWERS)),
            entry(models, "shapes-entailment", of_text(entailment, statement_vocabulary(), "text", JUDGEMENTS)),
            entry(models, "shapes-classify",
                  lambda picture, _: {"logits": named(classifier(picture)[0], train_classify.LABELS)}),
            entry(models, "shapes-clip", of_labels(picture_tower, towers)),
        ],
        # shapes-embed is the picture tower of shapes-clip.
        "embeddings": [entry(models, "shapes-embed",
                             lambda picture, _: {"embedding": rounded(picture_tower(picture)[0])}, "shapes-clip")],
        "texts": [entry(models, "shapes-caption", caption_of(train_caption.load_model(work)))],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    made_with = {"made_with": f"torch {torch.__version__}, Pillow {PIL.__version__}"}
    with torch.no_grad():
        replace(args.out, (json.dumps({**made_with, **golden(args.work, args.models)}) + "\n").encode())
    print(args.out, "written")


if __name__ == "__main__":
    main()
