"""Quantises every shipped graph and reports what it gained and cost.

    python3 quantize_all.py graphs --models MODELS --work WORK [--only vqa ...]   # NAME_int8.onnx beside NAME.onnx
    python3 quantize_all.py report --models MODELS --work WORK --tests FOLDER... --out docs/int8.md [--foreign DIR]

`graphs` needs WORK/feeds of feeds.py. `report` measures accuracy on picture files (evaluate_files.mjs,
evaluate_tasks.mjs) and speed (calibrate.mjs) in onnxruntime-node and writes a table and the same as JSON beside it.
`--foreign` adds a folder with squeezenet's float16 graph and one with photos (report only).
"""
from __future__ import annotations

import argparse
import json
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from average_precision import judged, mean_average_precision
from quantize import HERE, quantize
from report_foreign import squeezenet
from scenes import SHAPES

BATCHES = ("1", "8", "32")


@dataclass(frozen=True)
class Target:
    model: str
    graph: str  # file name without .onnx
    feed: str
    shipped: bool = True  # whether INT8 is worth it; else it is only made for the report, in WORK

    def small(self, models: Path, work: Path) -> Path:
        return self.path(models, "_int8") if self.shipped else work / f"{self.feed}_int8.onnx"

    def path(self, models: Path, variant: str = "") -> Path:
        return models / f"shapes-{self.model}" / "1" / "onnx" / f"{self.graph}{variant}.onnx"


GRAPHS = [Target("vqa", "model", "vqa"), Target("entailment", "model", "entailment"),
          Target("caption", "encoder_model", "caption_encoder"), Target("caption", "decoder_model", "caption_decoder", False),
          Target("caption", "decoder_with_past_model", "caption_decoder_with_past", False),
          Target("classify", "model", "classify"), Target("clip", "vision_model", "clip_vision"),
          Target("clip", "text_model", "clip_text"), Target("detect", "model", "detect"), Target("embed", "model", "clip_vision")]


def node(script: str, *arguments: object) -> None:
    subprocess.run(["node", HERE / script, *map(str, arguments)], check=True)


def accuracy(models: Path, work: Path, tests: list[Path], only: list[str], variant: str) -> dict[str, float]:
    """Share of right answers over all test folders, by model; for captions also the F1 of attribute words, of
    objects the mean average precision."""
    out, found = work / f"accuracy-{variant or 'fp32'}.json", {}
    tasks = [t for t in ("entailment", "caption", "classify", "clip", "detect") if t in only]
    if tasks:
        node("evaluate_tasks.mjs", "--models", models, "--out", out, "--only", ",".join(tasks),
             *(["--variant", variant] if variant else []), *tests)
        for task, result in json.loads(out.read_text()).items():
            if task == "detect":
                pictures = [p for t in result["files"].values() for p in t["objects"]]
                found[task] = mean_average_precision(judged(pictures), SHAPES)["all"]
                continue
            for key in ("exact_clear", "attribute_f1") if task == "caption" else ("all",):
                tables = [t[key] for t in result["files"].values()]
                name = task if key != "attribute_f1" else "caption_f1"
                found[name] = sum(v * n for v, n in tables) / sum(n for _, n in tables)
    if "vqa" in only:
        node("evaluate_files.mjs", models / "shapes-vqa" / "1", "--out", out, *tests,
             "--graph", f"onnx/model{'_' + variant if variant else ''}.onnx")
        tables = [t["all"] for t in json.loads(out.read_text())["files"].values()]
        found["vqa"] = sum(v * n for v, n in tables) / sum(n for _, n in tables)
    if "clip" in found:
        found["embed"] = found["clip"]  # the same graph
    return found


def speed(work: Path, feed: str, *paths: Path) -> dict[str, list[float]]:
    out = work / "speed.json"
    node("calibrate.mjs", "speed", out, work / "feeds" / f"{feed}.json", *paths)
    return json.loads(out.read_text())


def row(entry: dict[str, Any]) -> str:
    (small, large), (full, quick) = entry["bytes"][::-1], entry["items_per_second"]
    gain = {b: quick[b] / full[b] for b in full}
    right = ["–" if v is None else f"{100 * v:.2f}" for v in entry["accuracy"]]
    cells = [entry["name"], f"{large / 1e6:.2f}", f"{small / 1e6:.2f}", f"{large / small:.2f}", *right]
    for b in BATCHES:
        cells.append(f"{full[b]:,.0f} → {quick[b]:,.0f} ({gain[b]:.2f}×)" if b in full else "–")
    return "| " + " | ".join(cells) + " |"


def table(entries: list[dict[str, Any]]) -> str:
    head = ["graph", "fp32 MB", "int8 MB", "smaller ×", "accuracy fp32", "int8",
            *(f"items/s, batch {b}" for b in BATCHES)]
    return "\n".join(["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1), *map(row, entries)])


def cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    name = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), "")
    flags = [f for f in ("avx512_vnni", "avx_vnni", "amx_int8") if f in text]
    return f"{name} ({', '.join(flags) or 'no VNNI'})"


def report(args: argparse.Namespace) -> None:
    targets = [t for t in GRAPHS if t.model in args.only and t.small(args.models, args.work).exists()]
    only = sorted({t.model for t in targets})
    before, after = [accuracy(args.models, args.work, args.tests, only, v) for v in ("", "int8")]
    entries: list[dict[str, Any]] = []
    for t in targets:
        paths = [t.path(args.models), t.small(args.models, args.work)]
        times = speed(args.work, t.feed, *paths)
        entries.append({
            "name": f"shapes-{t.model} {t.graph}", "bytes": [p.stat().st_size for p in paths],
            "shipped": t.shipped,
            "accuracy": [before.get(t.model), after.get(t.model)] if t.shipped else [None, None],
            "items_per_second": [{b: 1000 * int(b) / ms[i] for b, ms in times.items()} for i in range(2)]})
    if args.foreign:
        entries.append(squeezenet(args.foreign[0], args.foreign[1], args.work))
    facts = {"cpu": cpu_name(), "threads": 1, "graphs": entries,
             "caption_attribute_f1": [before.get("caption_f1"), after.get("caption_f1")]}
    write_report(facts, args.out)


def write_report(facts: dict[str, Any], out: Path) -> None:
    """The table and the JSON."""
    entries = facts["graphs"]
    out.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    text = (HERE / "int8.md").read_text().replace("{{table}}", table(entries)).replace("{{cpu}}", facts["cpu"])
    f1 = " and ".join("–" if v is None else f"{100 * v:.2f} %" for v in facts["caption_attribute_f1"])
    out.write_text(text.replace("{{f1}}", f1))
    print(table(entries))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["graphs", "report"])
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=sorted({t.model for t in GRAPHS}))
    parser.add_argument("--tests", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=Path("docs/int8.md"))
    parser.add_argument("--foreign", type=Path, nargs=2, metavar=("MODEL_FOLDER", "PHOTOS"))
    args = parser.parse_args()
    if args.what == "report":
        return report(args)
    for t in GRAPHS:
        if t.model in args.only and t.path(args.models).exists():
            out = t.small(args.models, args.work)
            quantize(t.path(args.models), args.work / "feeds" / f"{t.feed}.json", out, args.work)
            sizes = [p.stat().st_size for p in (t.path(args.models), out)]
            print(f"{t.model} {out.name}: {sizes[0]} -> {sizes[1]} bytes", flush=True)


if __name__ == "__main__":
    main()
