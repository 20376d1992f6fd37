"""Writes the model cards of the other models from cards/*.md and what evaluate_tasks.mjs measured.

    python3 write_cards.py --models MODELS --work WORK --files RESULT.json... [--only entailment ...]
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import machine  # noqa: F401  (before torch)
import numpy as np

import train_caption
from average_precision import Judged, complete, judged, mean_average_precision
from captions import PROMPTS
from evaluate import drawn_table, fill, read_json
from export import replace
from scenes import SHAPES
from statements import TEMPLATES
from train_classify import LABELS
from train_entailment import load_texts

STAGES = {"entailment": ("statements texts", "statements"), "caption": ("captions texts", "captions"),
          "classify": ("labels",), "detect": ("objects", "objects, from earlier weights", "objects with the encoder"), "clip": ("phrases texts", "phrases"), "embed": ("phrases texts", "phrases")}


def table_of(files: dict[str, dict[str, list[float]]]) -> str:
    kinds = list(dict.fromkeys(k for t in files.values() for k in t))
    kinds = [k for k in kinds if k == "all"] + sorted(k for k in kinds if k != "all")
    counts = {k: int(sum(t[k][1] for t in files.values() if k in t)) for k in kinds}
    lines = ["| kind | " + " | ".join(files) + " | together | number |", "|---|" + "---:|" * (len(files) + 2)]
    for kind in kinds:
        values = [t.get(kind, [float("nan"), 0]) for t in files.values()]
        together = sum(v * n for v, n in values if n) / counts[kind]
        lines.append(f"| {'**all**' if kind == 'all' else kind} | " + " | ".join(f"{100 * v:.1f}" for v, _ in values)
                     + f" | {100 * together:.1f} | {counts[kind]} |")
    return "\n".join(lines)


def percent(pictures: list[Judged], least: float, label: str = "all") -> str:
    return f"{100 * mean_average_precision(pictures, SHAPES, least)[label]:.1f}"


def objects_of(files: dict[str, dict]) -> dict[str, list[Judged]]:
    return {name: judged(table["objects"]) for name, table in files.items()}


def precision_table(files: dict[str, dict]) -> str:
    """Mean average precision by folder of pictures, of a detector."""
    found = objects_of(files)
    found["together"] = [picture for pictures in found.values() for picture in pictures]
    lines = ["| objects | " + " | ".join(f"{name} ({len(pictures)})" for name, pictures in found.items()) + " | number |",
             "|---|" + "---:|" * (len(found) + 1)]
    every = [truth.label for _, truths in found["together"] for truth in truths]
    for label in SHAPES:
        lines.append(f"| {label} | " + " | ".join(percent(p, 0.5, label) for p in found.values()) + f" | {every.count(label)} |")
    for least in (0.5, 0.75):
        lines.append(f"| **mAP@{least}** | " + " | ".join(percent(p, least) for p in found.values()) + f" | {len(every)} |")
    return "\n".join(lines)


def drawn_precision_table(full: dict[str, dict], small: dict[str, dict]) -> str:
    """mAP at 0.5 on drawings by style, of the float32 and the int8 graph."""
    tables = [objects_of(files) for files in (full, small)]
    for table in tables:
        table["**all**"] = [picture for pictures in table.values() for picture in pictures]
    lines = ["| style | fp32 | int8 | pictures |", "|---|---:|---:|---:|"]
    return "\n".join([*lines, *(f"| {style} | {percent(pictures, 0.5)} | {percent(tables[1][style], 0.5)} | {len(pictures)} |"
                                for style, pictures in tables[0].items())])


def complete_table(*results: dict[str, dict]) -> str:
    """Of pictures of the training's generator and of drawings, in how many all is found and nothing else."""
    thresholds = (0.3, 0.4, 0.5, 0.6)
    lines = ["| pictures | " + " | ".join(f"at {t}" for t in thresholds) + " |", "|---|" + "---:|" * len(thresholds)]
    for name, files in zip(("files", "drawings", "drawings, int8"), results):
        every = [picture for pictures in objects_of(files).values() for picture in pictures]
        lines.append(f"| {name} | " + " | ".join(f"{100 * complete(every, t):.1f}" for t in thresholds) + " |")
    return "\n".join(lines)


def torch_objects(work: Path) -> str:
    table = read_json(work / "detect.json")
    return "; ".join(f"{split}: " + ", ".join(f"mAP@{least} {100 * by['all']:.1f}" for least, by in at.items())
                     for split, at in table.items())


def size_of(paths: list[Path]) -> str:
    return f"{sum(p.stat().st_size for p in paths) / 1e6:.2f} MB" if paths else "none"


def training_of(work: Path, model: str) -> str:
    stages = json.loads((work / "stages.json").read_text())
    return "; ".join(f"{s}: " + ", ".join(f"{v / 60:.1f} min" if k == "seconds" else f"{v:,} {k}"
                                          for k, v in stages[s].items()) for s in STAGES[model] if s in stages) + "."


def torch_captions(work: Path) -> str:
    model, memory = train_caption.load_model(work), np.load(work / "memory_test.npy")
    data, parts = load_texts(work, "captions", "test"), []
    for prompt in ("", "a picture of"):
        found = train_caption.measure(model.arranger, model.decoder, data, memory, prompt)
        parts.append(f"{'with the prompt ' + repr(prompt) if prompt else 'without a prompt'} exact "
                     f"{100 * found['exact']:.1f}, exact_clear {100 * found['exact_clear']:.1f}, attribute_f1 "
                     f"{100 * found['attribute_f1']:.1f}")
    return f"{'; '.join(parts)} ({found['scenes']:,.0f} scenes)."


def write_card(model: str, args: argparse.Namespace, measured: dict[str, dict], drawn: list[dict]) -> None:
    folder = args.models / f"shapes-{model}" / "1"
    result = measured["clip" if model == "embed" else model]
    table, drawn_of = (precision_table, drawn_precision_table) if model == "detect" else (table_of, drawn_table)
    graphs = sorted((folder / "onnx").glob("*.onnx"))
    small = [g for g in graphs if g.stem.endswith("_int8")]
    examples = json.loads((folder / "examples/examples.json").read_text())
    values = {
        "table": table(result["files"]), "difference": f"{result.get('difference', float('nan')):.0e}",
        "bytes": size_of([g for g in graphs if g not in small]), "int8": size_of(small),
        "training": training_of(args.work, model), "examples": f"{len({e['image'] for e in examples})} pictures",
        "labels": str(len(LABELS)), "prompts": ", ".join(f'"{p}"' for p in PROMPTS),
        "wordings": str(sum(len(t) for k, t in TEMPLATES.items() if k != "prefix")),
        "drawn": drawn_of(*(d["clip" if model == "embed" else model]["files"] for d in drawn)) if drawn else "(not measured)",
        "torch": torch_captions(args.work) if model == "caption" else torch_objects(args.work) if model == "detect" else "",
        "shapes": ", ".join(SHAPES), "complete": complete_table(result["files"], *(d["detect"]["files"] for d in drawn))
        if model == "detect" else "",
    }
    replace(folder / "README.md", fill((Path(__file__).parent / "cards" / f"{model}.md").read_text(), values).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--files", type=Path, nargs="+", required=True)
    parser.add_argument("--drawn", type=Path, nargs=2, default=[], help="results on drawings: float32, int8")
    parser.add_argument("--only", nargs="*", choices=list(STAGES), default=list(STAGES))
    args = parser.parse_args()
    measured = {k: v for path in args.files for k, v in json.loads(path.read_text()).items()}
    for model in args.only:
        write_card(model, args, measured, [read_json(path) for path in args.drawn])


if __name__ == "__main__":
    main()
