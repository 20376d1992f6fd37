"""Writes the folders of the other models, as export.py does for shapes-vqa.

    python3 export_more.py --work WORK --models MODELS [--only entailment caption classify clip detect]

`clip` writes shapes-clip and shapes-embed. Also writes WORK/reference-NAME.json, inputs
with what torch makes of them, for comparing with another runtime.
"""
from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any, Callable

import machine  # noqa: F401  (before torch)
import numpy as np
import torch
from torch import Tensor, nn

import train_caption
import train_classify
import train_clip
import train_entailment
import tune_detect
from caption_network import DECODER_LAYERS, CaptionDecoder
from captions import MAX_CAPTION, caption_vocabulary
from dataset import IMAGE_SIZE, load
from export import (BATCH, TEXT, export_graph, graph_bytes, preprocessor_config, replace, replace_json,
                    tokenizer_config, tokenizer_json)
from network import CELLS, HEADS, WIDTH, encoder_of, normalise
from phrases import MAX_PHRASE, phrase_vocabulary
from scenes import MAX_OBJECTS, SHAPES
from statements import JUDGEMENTS, statement_vocabulary
from tokenizer import CLS, MAX_TOKENS, PAD, SEP
from towers import EMBED, OnPictures

PICTURES = {"pixel_values": BATCH}
CHECKED = 4  # pictures in the reference


def common(folder: Path, task: str, config: dict[str, Any], vocabulary: dict[str, int] | None = None,
           max_tokens: int = MAX_TOKENS, **more: Any) -> None:
    """The files that every model folder has."""
    replace_json(folder / "config.json", config)
    replace_json(folder / "preprocessor_config.json", preprocessor_config())
    replace(folder / "model.json", (json.dumps({"task": task, "max_batch_size": 32, "shrink_above_pixels": 0, **more}, separators=(",", ":"))
                                    + "\n").encode())
    if vocabulary:
        replace_json(folder / "tokenizer.json", tokenizer_json(vocabulary))
        replace_json(folder / "tokenizer_config.json", tokenizer_config(max_tokens))


def labels_config(labels: list[str]) -> dict[str, Any]:
    return {"id2label": {str(i): a for i, a in enumerate(labels)}, "label2id": {a: i for i, a in enumerate(labels)},
            "image_size": IMAGE_SIZE}


def write_reference(work: Path, name: str, tensors: dict[str, Tensor]) -> None:
    replace(work / f"reference-{name}.json", json.dumps(
        {k: {"dims": list(v.shape), "type": "int64" if v.dtype == torch.int64 else "float32",
             "data": v.detach().flatten().tolist()} for k, v in tensors.items()}).encode())


def test_pixels(work: Path) -> Tensor:
    return normalise(torch.from_numpy(load(work, "test")["images"][:CHECKED]))


def entailment(work: Path, models: Path) -> None:
    model, folder = train_entailment.load_model(work / "entailment.pt"), models / "shapes-entailment" / "1"
    replace(folder / "onnx/model.onnx", graph_bytes(model, work))
    vocabulary = statement_vocabulary()
    common(folder, "visual-entailment", {"model_type": "shapes-entailment", **labels_config(JUDGEMENTS),
                                         "vocab_size": len(vocabulary),
                                         "max_position_embeddings": MAX_TOKENS}, vocabulary)
    tokens = train_entailment.load_texts(work, "statements", "test")["tokens"][:CHECKED, 0].astype("int64")
    ids = torch.from_numpy(tokens)
    inputs = {"pixel_values": test_pixels(work), "input_ids": ids, "attention_mask": (ids > 0).long()}
    write_reference(work, "entailment", {**inputs, "logits": model(*inputs.values())})


class PictureSide(nn.Module):
    """From the picture to the arranged cells: encoder_model.onnx."""

    def __init__(self, model: train_caption.Captioner):
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.model.cells(pixel_values)


class FirstStep(nn.Module):
    """All tokens so far at once: decoder_model.onnx."""

    def __init__(self, decoder: CaptionDecoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, input_ids: Tensor, encoder_hidden_states: Tensor) -> tuple[Tensor, ...]:
        pictures = self.decoder.look_ahead(encoder_hidden_states)
        logits, present, _ = self.decoder(input_ids, pictures)
        return (logits, *[t for own, picture in zip(present, pictures) for t in (*own, *picture)])


class NextStep(FirstStep):
    """One more token, with the keys and values of all before: decoder_with_past_model.onnx."""

    def forward(self, input_ids: Tensor, *past: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        pasts = [(past[4 * i], past[4 * i + 1]) for i in range(DECODER_LAYERS)]
        pictures = [(past[4 * i + 2], past[4 * i + 3]) for i in range(DECODER_LAYERS)]
        logits, present, _ = self.decoder(input_ids, pictures, pasts)
        return (logits, *[t for own in present for t in own])


def cache_names(start: str, encoder: bool) -> list[str]:
    sides = ["decoder", "encoder"] if encoder else ["decoder"]
    return [f"{start}.{i}.{side}.{part}" for i in range(DECODER_LAYERS) for side in sides for part in ("key", "value")]


def cache_axes(start: str, encoder: bool, own: str) -> dict[str, dict[int, str]]:
    return {n: {**BATCH, 2: own if ".decoder." in n else "encoder_sequence_length"}
            for n in cache_names(start, encoder)}


def caption(work: Path, models: Path) -> None:
    model, folder, vocabulary = train_caption.load_model(work), models / "shapes-caption" / "1", caption_vocabulary()
    pixels = test_pixels(work)
    hidden = model.cells(pixels)
    ids = torch.tensor([[CLS, 5, 9, 11]]).expand(CHECKED, -1)
    first, following = FirstStep(model.decoder), NextStep(model.decoder)
    outputs = first(ids, hidden)
    states = {0: "batch_size", 1: "encoder_sequence_length"}
    replace(folder / "onnx/encoder_model.onnx", export_graph(
        PictureSide(model), (pixels,), PICTURES, {"last_hidden_state": BATCH}, work))
    replace(folder / "onnx/decoder_model.onnx", export_graph(
        first, (ids, hidden), {"input_ids": TEXT, "encoder_hidden_states": states},
        {"logits": TEXT, **cache_axes("present", True, "sequence_length")}, work))
    replace(folder / "onnx/decoder_with_past_model.onnx", export_graph(
        following, (ids[:, :1], *outputs[1:]),
        {"input_ids": BATCH, **cache_axes("past_key_values", True, "past_sequence_length")},
        {"logits": BATCH, **cache_axes("present", False, "total_sequence_length")}, work))
    tokens = {"bos_token_id": CLS, "eos_token_id": SEP, "pad_token_id": PAD, "decoder_start_token_id": CLS}
    common(folder, "image-to-text", {
        "model_type": "vision-encoder-decoder", "is_encoder_decoder": True, "image_size": IMAGE_SIZE, **tokens,
        "encoder": {"model_type": "shapes-encoder", "hidden_size": WIDTH, "image_size": IMAGE_SIZE,
                    "sequence_length": CELLS},
        "decoder": {"model_type": "shapes-decoder", "hidden_size": WIDTH, "num_hidden_layers": DECODER_LAYERS,
                    "num_attention_heads": HEADS, "vocab_size": len(vocabulary),
                    "max_position_embeddings": MAX_CAPTION}}, vocabulary, MAX_CAPTION)
    replace_json(folder / "generation_config.json", {**tokens, "max_new_tokens": 6 * MAX_OBJECTS + 6})
    later = following(torch.full((CHECKED, 1), 6), *outputs[1:])
    write_reference(work, "caption", {"pixel_values": pixels, "last_hidden_state": hidden, "input_ids": ids,
                                      "logits": outputs[0], "next_logits": later[0]})


def classify(work: Path, models: Path) -> None:
    folder, pixels = models / "shapes-classify" / "1", test_pixels(work)
    model = OnPictures(encoder_of(work), train_classify.load_classifier(work)).eval()
    replace(folder / "onnx/model.onnx", export_graph(model, (pixels,), PICTURES, {"logits": BATCH}, work))
    common(folder, "image-classification", {"model_type": "shapes-classify", **labels_config(train_classify.LABELS)})
    write_reference(work, "classify", {"pixel_values": pixels, "logits": model(pixels)})


def clip(work: Path, models: Path) -> None:
    towers, vocabulary, pixels = train_clip.load_towers(work), phrase_vocabulary(), test_pixels(work)
    pictures = OnPictures(encoder_of(work), towers.pictures).eval()
    graph = export_graph(pictures, (pixels,), PICTURES, {"image_embeds": BATCH}, work)
    folder, embed = models / "shapes-clip" / "1", models / "shapes-embed" / "1"
    replace(folder / "onnx/vision_model.onnx", graph)
    replace(embed / "onnx/model.onnx", graph)
    ids = torch.from_numpy(np.load(work / "phrases_test.npz")["tokens"][:CHECKED, 0, 0].astype("int64"))
    ids = ids[:, :int((ids > 0).sum(1).max())]
    mask = (ids > 0).long()
    replace(folder / "onnx/text_model.onnx", export_graph(
        towers.texts, (ids, mask), {"input_ids": TEXT, "attention_mask": TEXT}, {"text_embeds": BATCH}, work))
    sizes = {"projection_dim": EMBED, "image_size": IMAGE_SIZE}
    common(folder, "zero-shot-image-classification", {
        "model_type": "clip", **sizes, "logit_scale_init_value": math.log(towers.scale().item()),
        "text_config": {"vocab_size": len(vocabulary), "max_position_embeddings": MAX_PHRASE}}, vocabulary, MAX_PHRASE)
    common(embed, "image-feature-extraction", {"model_type": "shapes-embed", **sizes})
    write_reference(work, "clip", {"pixel_values": pixels, "input_ids": ids, "attention_mask": mask,
                                   "image_embeds": pictures(pixels), "text_embeds": towers.texts(ids, mask)})


def detect(work: Path, models: Path) -> None:
    folder, pixels = models / "shapes-detect" / "1", test_pixels(work)
    model = tune_detect.load_detector(work)
    replace(folder / "onnx/model.onnx", export_graph(model, (pixels,), PICTURES, {"logits": BATCH, "pred_boxes": BATCH}, work))
    # No other family's architecture fits: model.json says the task, the outputs say the rest.
    common(folder, "object-detection", {"model_type": "shapes-detect", "architectures": ["ShapesForObjectDetection"],
                                        **labels_config(SHAPES)})
    logits, boxes = model(pixels)
    write_reference(work, "detect", {"pixel_values": pixels, "logits": logits, "pred_boxes": boxes})


EXPORTS: dict[str, Callable[[Path, Path], None]] = {
    "entailment": entailment, "caption": caption, "classify": classify, "clip": clip,
    "detect": detect}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=list(EXPORTS), default=list(EXPORTS))
    args = parser.parse_args()
    torch.manual_seed(0)
    with torch.no_grad():
        for name in args.only:
            EXPORTS[name](args.work, args.models)
            print(name, "written", flush=True)


if __name__ == "__main__":
    main()
