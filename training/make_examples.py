"""Draws pictures as files: the examples shipped with the model, and test sets on disk.

    python3 make_examples.py --out FOLDER            # 24 examples, various sizes and formats
    python3 make_examples.py --out FOLDER --test 640x480 --scenes 250

Answers come from the scene, never from a model; no picture is left out. The
scenes have their own seeds, apart from all training and test data.
"""
from __future__ import annotations

import argparse
import io
import random
from pathlib import Path

from PIL import Image

from dataset import scene_rng
from export import replace, replace_json
from question_kinds import ASK, EVEN_WEIGHTS, Writer, ask_question
from questions import KINDS, Question
from drawing import render
from scenes import sample_scene

# width, height, format: about as many landscape as portrait and square
EXAMPLES = [(320, 240, "jpg"), (640, 480, "jpg"), (480, 640, "webp"), (800, 600, "jpg"), (256, 256, "png"),
            (1280, 720, "webp"), (720, 1280, "webp"), (500, 375, "jpg"), (640, 360, "webp"), (360, 640, "jpg"),
            (240, 320, "png"), (1000, 750, "webp")]
EXAMPLE_COUNT = 24
TARGET_BYTES = 22_000


def as_bytes(picture: Image.Image, kind: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    if kind == "png":
        picture.quantize(256, kmeans=1, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    elif kind == "webp":
        picture.save(buffer, "WEBP", quality=quality, method=6)
    else:
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def sentence(text: str) -> str:
    """As a person would type it: a capital, and a question mark unless it is a request."""
    text = text[0].upper() + text[1:]
    return text if text.endswith(("?", ".")) else text + "?"


def example_questions(writer: Writer, number: int) -> list[Question]:
    """Three questions of different kinds, going round the kinds from picture to picture."""
    found: list[Question] = []
    for i in range(len(KINDS)):
        kind = KINDS[(number * 3 + i) % len(KINDS)]
        if not writer.scene.objects and kind not in ("count", "exists", "background"):
            continue
        question = next((q for q in (ASK[kind](writer) for _ in range(6)) if q), None)
        if question and len(found) < 3:
            found.append(question)
    return found


def write_examples(out: Path, seed: int) -> None:
    entries = []
    for i in range(EXAMPLE_COUNT):
        width, height, kind = EXAMPLES[i % len(EXAMPLES)]
        rng = scene_rng("examples", seed, i)
        scene = sample_scene(rng, width, height)
        picture = render(scene, rng)
        for quality in (90, 80, 70, 60, 50, 40):
            content = as_bytes(picture, kind, quality)  # the quality means nothing to PNG
            if len(content) <= TARGET_BYTES:
                break
        name = f"scene-{i + 1:02d}.{kind}"
        replace(out / name, content)
        for question in example_questions(Writer(scene, rng, noisy=False), i):
            entries.append({"image": name, "question": sentence(question.text), "answer": question.answer})
    replace_json(out / "examples.json", entries)
    print(f"{EXAMPLE_COUNT} pictures, {len(entries)} questions,", sum(p.stat().st_size for p in out.iterdir()), "bytes")


def shouted(text: str, rng: random.Random) -> str:
    """Now and then all capitals or double spaces, as people do."""
    roll = rng.random()
    return text.upper() if roll < 0.05 else text.replace(" ", "  ") if roll < 0.1 else text


def write_test(out: Path, seed: int, size: tuple[int, int], count: int, only: str | None = None) -> None:
    """A test set as JPEG and PNG files (or only in one format) in `out`, listed in test.json with 16 questions each."""
    entries = []
    for i in range(count):
        rng = scene_rng(f"files-{size[0]}x{size[1]}", seed, i)
        scene = sample_scene(rng, *size)
        kind = only or ("png" if i % 5 == 4 else "jpg")
        buffer, picture = io.BytesIO(), render(scene, rng)
        if kind == "png":
            picture.save(buffer, "PNG", compress_level=3)
        else:
            picture.save(buffer, "WEBP" if kind == "webp" else "JPEG", quality=rng.choice([50, 70, 85, 95]))
        replace(out / f"{i:04d}.{kind}", buffer.getvalue())
        for question in (ask_question(scene, rng, EVEN_WEIGHTS) for _ in range(16)):
            entries.append({"image": f"{i:04d}.{kind}", "kind": question.kind,
                            "question": shouted(sentence(question.text), rng), "answer": question.answer})
    replace_json(out / "test.json", entries)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--test", help="make a test set of this picture size, such as 640x480")
    parser.add_argument("--format", choices=["jpg", "png", "webp"], help="of the test set; else JPEG and PNG")
    parser.add_argument("--scenes", type=int, default=250)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.test:
        width, height = (int(v) for v in args.test.split("x"))
        write_test(args.out, args.seed, (width, height), args.scenes, args.format)
    else:
        write_examples(args.out, args.seed)


if __name__ == "__main__":
    main()
