"""Makes a test set of shapes-chat: pictures as the image processor gives them, prompts and true answers.

    python3 make_chat_tests.py --work WORK --out FOLDER [--scenes 300] [--pairs 60] [--longest-edge 256] [--blind]

Writes FOLDER/tests.json and FOLDER/pieces.bin (uint8, [pieces, 256, 256, 3]) for evaluate_chat.mjs.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from chat_prefix import encode_special, picture_text
from chat_tiles import SIDE, picture_again, pieces
from chat_tokens import END, START
from make_chats import tokenizer


def prompt_of(turns: list[list[str]], pictures: str) -> str:
    """What the chat template makes of the messages, with the pictures written out."""
    text, images = START, pictures
    for ask, said in turns:
        text += f"User:{images}{ask}{END}\nAssistant:{said}{END}\n"
        images = ""
    return text[:-len(f"{turns[-1][1]}{END}\n")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--longest-edge", type=int, default=SIDE)
    parser.add_argument("--blind", action="store_true", help="grey pictures, to learn what the words alone tell")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    texts = json.loads((args.work / "chat_tests.json").read_text())
    cut, cases, t = [], [], tokenizer()
    for entry in [*texts["chats"][:args.scenes], *texts["pairs"][:args.pairs]]:
        shown: list[int] = []
        written = ""
        for number in entry["scenes"]:
            parts = pieces(picture_again("test", args.seed, number)[1], args.longest_edge)
            shown += range(len(cut), len(cut) + len(parts))
            cut += [np.full_like(p, 128) for p in parts] if args.blind else parts
            written += picture_text(len(parts) > 1)
        rows: list[dict[str, Any]] = []
        for row in entry["rows"]:
            prompt = prompt_of(row["turns"], written)
            rows.append({"kind": row["kind"], "prompt": prompt, "answer": row["turns"][-1][1], "ids": encode_special(t, prompt)})
        cases.append({"pieces": shown, "rows": rows})
    np.stack(cut).tofile(args.out / "pieces.bin")
    (args.out / "tests.json").write_text(json.dumps({"size": SIDE, "pieces": len(cut), "cases": cases}))
    print(f"{len(cut)} pieces, {sum(len(c['rows']) for c in cases)} questions", flush=True)


if __name__ == "__main__":
    main()
