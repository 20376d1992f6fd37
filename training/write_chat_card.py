"""Writes the card of shapes-chat from cards/chat.md and what evaluate_chat.mjs measured.

    python3 write_chat_card.py --work WORK --model FOLDER --plain R.json --grouped R.json --blind R.json [--tiles R.json]
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import machine  # noqa: F401  (before torch)

from chat_network import LAYERS, ShapesChat
from evaluate import fill
from export import replace
from make_chats import CHAT_KINDS, tokenizer
from network import parameter_count

Result = dict[str, Any]
STAGES = ("chat",)


def table(columns: dict[str, Result]) -> str:
    """Each cell with the number of questions behind it."""
    lines = ["| kind | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for kind in CHAT_KINDS:
        cells = [c["found"].get(kind) for c in columns.values()]
        lines.append(f"| {kind} | " + " | ".join(f"{100 * f['right'] / f['total']:.1f} ({f['total']})" if f else "-"
                                                 for f in cells) + " |")
    lines.append("| **all** | " + " | ".join(f"{100 * c['all']:.1f} ({c['total']})" for c in columns.values()) + " |")
    return "\n".join(lines)


def lists(result: Result) -> str:
    found = result["found"]["list"]
    return (f"Of {found['total']} lists {100 * found['valid'] / found['total']:.1f} % are valid JSON without any help.")


def training_of(work: Path) -> str:
    stages = json.loads((work / "stages.json").read_text())
    return "; ".join(f"{s}: " + ", ".join(f"{v / 60:.1f} min" if k == "seconds" else f"{v:,} {k}"
                                          for k, v in stages[s].items()) for s in STAGES if s in stages) + "."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    for name in ("plain", "grouped", "blind"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--tiles", type=Path, help="with 2 x 2 tiles and the whole picture")
    parser.add_argument("--notes", type=Path)
    args = parser.parse_args()
    read = {k: json.loads(p.read_text()) for k, p in (
        ("plain, float32", args.plain), ("grouped, float16", args.grouped), ("with tiles", args.tiles),
        ("blind", args.blind)) if p}
    model = ShapesChat(len(tokenizer().vocabulary))
    size = sum(p.stat().st_size for p in (args.model / "onnx").iterdir())
    card = fill((Path(__file__).parent / "cards/chat.md").read_text(), {
        "parameters": f"{parameter_count(model) / 1e6:.1f} million", "words": str(len(tokenizer().vocabulary)),
        "layers": str(LAYERS), "bytes": f"{size / 1e6:.1f} MB", "table": table(read), "lists": lists(next(iter(read.values()))),
        "notes": args.notes.read_text().strip() if args.notes else "", "training": training_of(args.work)})
    replace(args.model / "README.md", card.encode())


if __name__ == "__main__":
    main()
