"""Writes the model folder: ONNX graph, tokenizer, preprocessor and configuration.

    python3 export.py --work WORK --model MODEL_FOLDER

Also writes WORK/reference.json: inputs with the logits torch gives for them, for
comparing with another runtime. Every file is replaced in one step.
"""
from __future__ import annotations

import argparse
import json
import os
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch

from dataset import IMAGE_SIZE, load
from network import normalise
from questions import ANSWERS, question_vocabulary
from tokenizer import MAX_TOKENS, tokenizer_config, tokenizer_json
from train_vqa import load_model

OPSET = 17
BICUBIC = 3


def replace(path: Path, content: bytes) -> None:
    """Write beside the target, then rename: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def replace_json(path: Path, value: Any) -> None:
    replace(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def export_graph(model: torch.nn.Module, example: tuple[torch.Tensor, ...], inputs: dict[str, dict[int, str]],
                 outputs: dict[str, dict[int, str]], scratch: Path) -> bytes:
    """The ONNX file; `inputs` and `outputs` name the tensors and their dynamic axes."""
    path = scratch / "export.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model.eval(), example, str(path), input_names=list(inputs), output_names=list(outputs),
                          opset_version=OPSET, do_constant_folding=True, dynamic_axes={**inputs, **outputs})
    with torch.no_grad():
        made = model(*example)
    graph = onnx.load(str(path))
    for value, tensor in zip(graph.graph.output, (made,) if isinstance(made, torch.Tensor) else made):
        for i, dim in enumerate(value.type.tensor_type.shape.dim):
            if i not in outputs[value.name]:
                dim.dim_value = tensor.shape[i]  # where torch only knows "some number"
    graph.doc_string = ""
    for node in graph.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(graph)
    assert not any(n.op_type == "BatchNormalization" for n in graph.graph.node)
    assert [i.name for i in graph.graph.input] == list(inputs) and [o.name for o in graph.graph.output] == list(outputs)
    path.unlink()
    return graph.SerializeToString()


BATCH, TEXT = {0: "batch_size"}, {0: "batch_size", 1: "sequence_length"}


def graph_bytes(model: torch.nn.Module, scratch: Path) -> bytes:
    """A model of a picture and a text."""
    example = (torch.randn(2, 3, IMAGE_SIZE, IMAGE_SIZE), torch.randint(4, 90, (2, 9)), torch.ones(2, 9).long())
    return export_graph(model, example, {"pixel_values": BATCH, "input_ids": TEXT, "attention_mask": TEXT},
                        {"logits": BATCH}, scratch)


def preprocessor_config() -> dict[str, Any]:
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True, "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE}, "resample": BICUBIC,
        "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        "do_convert_rgb": True,
    }


def write_reference(model: torch.nn.Module, work: Path) -> None:
    """Batches of 1, 3 and 32 test questions with torch's logits."""
    test, batches = load(work, "test"), []
    for size in (1, 3, 32):
        pixels = normalise(torch.from_numpy(test["images"][:size]))
        tokens = test["tokens"][:size, 0].astype("int64")
        ids = torch.from_numpy(tokens[:, :int((tokens > 0).sum(1).max())])
        mask = (ids > 0).long()
        with torch.no_grad():
            logits = model(pixels, ids, mask)
        batches.append({"size": size, "length": ids.shape[1], "image_size": IMAGE_SIZE,
                        "pixel_values": pixels.flatten().tolist(), "input_ids": ids.flatten().tolist(),
                        "attention_mask": mask.flatten().tolist(), "logits": logits.flatten().tolist()})
    replace(work / "reference.json", json.dumps(batches).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    model, vocabulary = load_model(args.work / "vqa.pt"), question_vocabulary()
    graph = graph_bytes(model, args.work)
    replace(args.model / "onnx" / "model.onnx", graph)
    replace_json(args.model / "config.json", {
        "model_type": "shapes-vqa", "architectures": ["VisualQuestionAnswering"],
        "id2label": {str(i): a for i, a in enumerate(ANSWERS)}, "label2id": {a: i for i, a in enumerate(ANSWERS)},
        "vocab_size": len(vocabulary), "max_position_embeddings": MAX_TOKENS, "image_size": IMAGE_SIZE})
    replace_json(args.model / "preprocessor_config.json", preprocessor_config())
    replace_json(args.model / "tokenizer.json", tokenizer_json(vocabulary))
    replace_json(args.model / "tokenizer_config.json", tokenizer_config())
    replace(args.model / "model.json", b'{"task":"visual-question-answering","max_batch_size":32,"shrink_above_pixels":0}\n')
    write_reference(model, args.work)
    print(f"model.onnx {len(graph)} bytes, {len(vocabulary)} words, {len(ANSWERS)} answers")


if __name__ == "__main__":
    main()
