"""Accuracy by kind of question on the held-out scenes; writes JSON, a table and the model card.

    python3 evaluate.py --work WORK --model MODEL_FOLDER [--files RESULT.json]

`--files` adds what evaluate_files.mjs measured on picture files. Also measured:
the accuracy with every question put to another scene's picture, which says how
much can be had without looking.
"""
from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import machine  # noqa: F401  (before torch)
import numpy as np
import torch

from dataset import load
from export import replace, replace_json
from questions import KINDS, TEMPLATES, question_vocabulary
from scenes import BACKGROUND_NAMES, COLOR_NAMES, SHAPES
from train_encoder import encode_all
from train_vqa import accuracy_by_kind, answer_all, load_model

EXAMPLE = {
    "color": "What color is the small star?", "shape": "What shape is the red object?",
    "size": "How big is the blue heart?", "count": "How many circles are there?",
    "exists": "Is there a yellow cross?", "attribute": "Is the triangle green?",
    "relation_yes_no": "Is the circle to the left of the star?", "relation_object": "What shape is above the square?",
    "compare_sizes": "Which is larger, the red heart or the star?",
    "where": "Is the cross at the top or at the bottom?",
    "compare_counts": "Are there more stars than circles?", "background": "What color is the background?",
}


def markdown_table(result: dict) -> str:
    columns = ["torch", *result["files"]]
    rows = ["| kind | example | " + " | ".join("held-out" if c == "torch" else f"files {c}" for c in columns)
            + " | blind | questions |", "|---|---|" + "---:|" * (len(columns) + 2)]
    for kind in ["all", *KINDS]:
        cells = [result["torch"][kind][0]] + [result["files"][c].get(kind, [float("nan")])[0]
                                             for c in columns[1:]] + [result["blind"][kind][0]]
        name = "**all**" if kind == "all" else kind
        rows.append(f"| {name} | {EXAMPLE.get(kind, '')} | " + " | ".join(f"{100 * v:.1f}" for v in cells)
                    + f" | {result['torch'][kind][1]} |")
    return "\n".join(rows)


def drawn_table(full: dict[str, dict], small: dict[str, dict]) -> str:
    """Accuracy on drawings by style, of the float32 and the int8 graph."""
    lines, sums = ["| style | fp32 | int8 | number |", "|---|---:|---:|---:|"], [0.0, 0.0, 0]
    for style in full:
        (a, n), (b, _) = full[style].get("all", (0, 0)), small[style].get("all", (0, 0))
        sums = [sums[0] + a * n, sums[1] + b * n, sums[2] + n]
        lines.append(f"| {style} | {100 * a:.1f} | {100 * b:.1f} | {n} |")
    lines.append(f"| **all** | {100 * sums[0] / sums[2]:.1f} | {100 * sums[1] / sums[2]:.1f} | {sums[2]} |")
    return "\n".join(lines)


def per_size(files: dict[str, dict]) -> str:
    """How many questions were asked about the files of each size."""
    return " and ".join(sorted({f"{table['all'][1]:,}" for table in files.values()})) or "no"


def read_json(path: Path | None) -> dict:
    return json.loads(path.read_text()) if path else {}


def fill(text: str, values: dict[str, str]) -> str:
    for key, value in values.items():
        text = text.replace("{{" + key + "}}", value)
    return text


def training_summary(work: Path) -> str:
    path = work / "stages.json"
    stages = json.loads(path.read_text()) if path.exists() else {}
    # Those of other models, which share the folder, are in their cards.
    stages = {name: facts for name, facts in stages.items() if re.match(r"encoder|questions|.* data$", name)}
    return "; ".join(f"{name}: " + ", ".join(
        f"{value / 60:.1f} min" if key == "seconds" else f"{value:,} {key.replace('_', ' ')}"
        for key, value in facts.items()) for name, facts in stages.items()) + "."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--files", type=Path)
    parser.add_argument("--drawn", type=Path, nargs=2, help="results on drawings: float32, int8")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model, test = load_model(args.work / "vqa.pt"), load(args.work, "test")
    memory = encode_all(model.encoder, test["images"])
    model.eval()
    others, theirs = load(args.work, "nameless-test"), np.load(args.work / "memory_nameless-test.npy").astype(np.float32)
    result = {
        "torch": accuracy_by_kind(answer_all(model.reader, model.head, test, memory), test),
        "blind": accuracy_by_kind(answer_all(model.reader, model.head, test, np.roll(memory, 1, 0)), test),
        "nameless": accuracy_by_kind(answer_all(model.reader, model.head, others, theirs), others),
        "scenes": len(test["images"]), "questions": int(test["answers"].size), "files": {},
    }
    if args.files:
        measured = json.loads(args.files.read_text())
        result["files"], result["differences"] = measured["files"], measured["differences"]
        result["files"] = {k: v for k, v in result["files"].items() if k != "examples"}
    replace_json(args.work / "evaluation.json", result)
    table = markdown_table(result)
    replace(args.work / "evaluation.md", (table + "\n").encode())
    print(table)
    card = fill((Path(__file__).parent / "model_card.md").read_text(), {
        "table": table, "scenes": f"{result['scenes']:,}", "questions": f"{result['questions']:,}",
        "seed": str(args.seed), "shapes": ", ".join(SHAPES), "colors": ", ".join(COLOR_NAMES),
        "backgrounds": ", ".join(BACKGROUND_NAMES), "words": str(len(question_vocabulary()) - 4),
        "vocabulary": " ".join(list(question_vocabulary())[4:]),
        "wordings": str(sum(len(t) for k, t in TEMPLATES.items() if k != "prefix")),
        "nameless": f"{100 * result['nameless']['all'][0]:.1f}", "per_size": per_size(result["files"]),
        "accuracy": f"{100 * result['torch']['all'][0]:.1f}",
        "bytes": f"{(args.model / 'onnx/model.onnx').stat().st_size / 1e6:.2f} MB",
        "training": training_summary(args.work),
        "drawn": drawn_table(*(read_json(p)["files"] for p in args.drawn)) if args.drawn else "(not measured)",
        "difference": f"{max(result.get('differences', {'': float('nan')}).values()):.0e}",
    })
    replace(args.model / "README.md", card.encode())


if __name__ == "__main__":
    main()
