"""What the other models should say about the test pictures of make_examples.py, and the example folders.

    python3 make_task_tests.py --tests FOLDER --size 640x480 [--scenes 250]   # writes FOLDER/tasks.json
    python3 make_task_tests.py --models MODELS                                # examples of each model

Every text and label comes from the scenes, described again from their seeds. Examples
reuse pictures of shapes-vqa's, as many as stay below the size that a folder may have.
"""
from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

import captions
from dataset import scene_rng
from drawing import render_with_boxes
from export import replace, replace_json
from make_examples import EXAMPLE_COUNT, EXAMPLES, shouted
from phrases import make_group
from scenes import Scene, sample_scene
from questions import Writer
from statements import STATE, STATEMENT_KINDS, TEMPLATES, make_statement
from towers import EMBED
from train_classify import main_label

STATEMENTS, GROUPS = 16, 4
EXAMPLE_BYTES, MOST_EXAMPLES = 125_000, 10


def typed(text: str) -> str:
    """As a person would type it."""
    text = text[0].upper() + text[1:]
    return text if text.endswith(".") else text + "."


def objects_of(scene: Scene, rng: random.Random) -> list[dict[str, Any]]:
    """Every object with the box around it in pixels; `rng` as make_examples.py had it after the scene."""
    _, boxes = render_with_boxes(scene, rng)
    size = (scene.width, scene.height) * 2
    return [{"label": o.shape, "box": {k: round(v * most, 1) for k, v, most in zip(("xmin", "ymin", "xmax", "ymax"), box, size)}}
            for o, box in zip(scene.objects, boxes)]


def tests(size: str, seed: int, count: int, only: str | None) -> list[dict[str, Any]]:
    entries, (width, height) = [], (int(v) for v in size.split("x"))
    for i in range(count):
        drawn, rng = scene_rng(f"files-{size}", seed, i), random.Random(f"tasks-{size}/{seed}/{i}")
        scene = sample_scene(drawn, width, height)  # the one that make_examples.py drew as that picture
        said = [make_statement(scene, rng) for _ in range(STATEMENTS)]
        groups = [make_group(scene, rng) for _ in range(GROUPS)]
        caption = captions.describe(scene)
        entries.append({
            "image": f"{i:04d}.{only or ('png' if i % 5 == 4 else 'jpg')}",
            "statements": [{"kind": s.kind, "text": shouted(typed(s.text), rng), "label": s.answer} for s in said],
            "caption": caption.text, "clear": caption.clear, "label": main_label(scene),
            "phrases": [{"kind": g.kind, "texts": g.texts} for g in groups],  # the first of each is the true one
            "objects": objects_of(scene, drawn)})
    return entries


def example_statements(scene: Scene, rng: random.Random, number: int) -> list[dict[str, str]]:
    """Two statements of kinds that go round from picture to picture."""
    found = []
    for i in range(len(STATEMENT_KINDS)):
        kind = STATEMENT_KINDS[(number * 3 + i * 7) % len(STATEMENT_KINDS)]
        if scene.objects or kind in ("exists", "count", "background"):
            said = next((s for s in (STATE[kind](Writer(scene, rng, False, TEMPLATES)) for _ in range(6)) if s), None)
            if said and len(found) < 2:
                found.append({"text": typed(said.text), "label": said.answer})
    return found


def example_entries(task: str, scene: Scene, drawn: random.Random, rng: random.Random, number: int) -> list[dict[str, Any]]:
    """What one picture is an example of; nothing where the model has no one right answer. `drawn` drew the scene."""
    if task == "entailment":
        return example_statements(scene, rng, number)
    caption = captions.describe(scene)
    if task == "caption":
        return [{"text": caption.text}] if caption.clear else []
    if task == "classify":
        label = main_label(scene)
        return [{"label": label}] if label else []
    if task == "detect":
        return [{"objects": objects_of(scene, drawn)}]
    if task == "clip":
        group = make_group(scene, rng)
        labels = group.texts[:5]
        rng.shuffle(labels)
        return [{"candidate_labels": labels, "label": group.texts[0]}]
    return [{"dimensions": EMBED, "caption": caption.text}]


TASKS = ("entailment", "caption", "classify", "clip", "embed", "detect")


def write_examples(models: Path, task: str, seed: int) -> None:
    folder, entries, used = models / f"shapes-{task}" / "1" / "examples", [], 0
    for old in folder.glob("scene-*"):
        old.unlink()
    order = list(range(EXAMPLE_COUNT))
    random.Random(f"examples/{task}/{seed}").shuffle(order)
    for i in order:
        width, height, kind = EXAMPLES[i % len(EXAMPLES)]
        drawn = scene_rng("examples", seed, i)
        scene = sample_scene(drawn, width, height)
        found = example_entries(task, scene, drawn, random.Random(f"{task}/{seed}/{i}"), i)
        name = f"scene-{i + 1:02d}.{kind}"
        content = (models / "shapes-vqa/1/examples" / name).read_bytes()
        if found and used + len(content) <= EXAMPLE_BYTES and len({e["image"] for e in entries}) < MOST_EXAMPLES:
            used += len(content)
            replace(folder / name, content)
            entries += [{"image": name, **e} for e in found]
    replace_json(folder / "examples.json", sorted(entries, key=lambda e: e["image"]))
    print(task, len(entries), "examples,", used, "bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tests", type=Path)
    parser.add_argument("--size")
    parser.add_argument("--format", help="as given to make_examples.py")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--only", nargs="*", choices=TASKS, default=TASKS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenes", type=int, default=250)
    args = parser.parse_args()
    if args.tests:
        replace_json(args.tests / "tasks.json", tests(args.size, args.seed, args.scenes, args.format))
    if args.models:
        for task in args.only:
            write_examples(args.models, task, args.seed)


if __name__ == "__main__":
    main()
