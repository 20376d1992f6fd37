"""The examples of shapes-chat: pictures of scenes with seeds of their own, with true answers.

    python3 make_chat_examples.py --models MODELS

An entry has `image` and `prompt`, or `messages` (several turns), or `images` (two pictures); `text` is the true answer.
"""
from __future__ import annotations

import argparse
import random
import re
from pathlib import Path
from typing import Any, Callable

from chats import (BRIEFLY, IN_A_SENTENCE, Turn, ask_caption, ask_judgement, ask_list, ask_of_it, ask_sentence, ask_short,
                   ask_unseen, capital)
from dataset import scene_rng
from export import replace, replace_json
from drawing import render
from make_examples import EXAMPLES, TARGET_BYTES, as_bytes
from pairs import ask_more, ask_which
from question_kinds import EVEN_WEIGHTS
from scenes import Scene, sample_scene
from statements import EVEN_WEIGHTS as STATEMENTS

PICTURES = [0, 1, 2, 5, 6, 7, 8, 11, 13, 17, 18, 23]  # of make_examples.py's scenes, those in formats that stay light


def typed(text: str) -> str:
    """As a person would type it: a capital, and sentences that end."""
    for after in (*BRIEFLY, *IN_A_SENTENCE):
        text = re.sub(rf"(\w) {re.escape(after)}", rf"\1? {after}", text)
    text = re.sub(r"(\w) (?=True\?|Is that|Yes, no)", r"\1. ", capital(text))
    return text if text.endswith((".", "?")) else text + "?"


def until(ask: Callable[[], Turn | None]) -> Turn:
    while True:
        turn = ask()
        if turn:
            return turn


def turns_of(scene: Scene, rng: random.Random, number: int) -> list[list[Turn]]:
    """Two conversations, going round what the model can do from picture to picture."""
    kinds: list[Callable[[], list[Turn]]] = [
        lambda: [until(lambda: ask_short(scene, rng, False, EVEN_WEIGHTS))],
        lambda: [until(lambda: ask_list(scene, rng))],
        lambda: [until(lambda: ask_sentence(scene, rng, False, EVEN_WEIGHTS))],
        lambda: [until(lambda: ask_unseen(scene, rng, False))],
        lambda: [until(lambda: ask_judgement(scene, rng, False, STATEMENTS))],
        lambda: followed(scene, rng),
    ]
    found = [kinds[(2 * number + i) % len(kinds)]() for i in range(2)]
    caption = ask_caption(scene, rng)
    return [*found, [caption]] if caption and number % 2 == 0 else found


def followed(scene: Scene, rng: random.Random) -> list[Turn]:
    while True:
        first = ask_short(scene, rng, False, EVEN_WEIGHTS)
        second = ask_of_it(scene, rng, first)
        if second:
            return [first, second]


def entry_of(image: str, turns: list[Turn]) -> dict[str, Any]:
    asked = [typed(t.ask) for t in turns]
    if len(turns) == 1:
        return {"image": image, "prompt": asked[0], "text": turns[0].said}
    messages: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": asked[0]}]}]
    for before, ask in zip(turns, asked[1:]):
        messages += [{"role": "assistant", "content": before.said}, {"role": "user", "content": ask}]
    return {"image": image, "messages": messages, "text": turns[-1].said}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    folder, entries = args.models / "shapes-chat/1/examples", []
    drawn: list[tuple[str, Scene]] = []
    for number, i in enumerate(PICTURES):
        width, height, kind = EXAMPLES[i % len(EXAMPLES)]
        scene_random, name = scene_rng("examples", args.seed, i), f"scene-{i + 1:02d}.{kind}"
        scene = sample_scene(scene_random, width, height)
        picture = render(scene, scene_random)
        replace(folder / name, next(content for quality in (90, 80, 70, 60, 50, 40)
                                    if len(content := as_bytes(picture, kind, quality)) <= TARGET_BYTES or quality == 40))
        drawn.append((name, scene))
        if not scene.objects:
            continue
        rng = random.Random(f"chat/{args.seed}/{i}")
        entries += [entry_of(name, turns) for turns in turns_of(scene, rng, number)]
    for at in range(0, len(drawn) - 1, 3):
        (first, a), (second, b) = drawn[at], drawn[at + 1]
        rng = random.Random(f"chat pairs/{args.seed}/{at}")
        turn = ask_more((a, b), rng) if at % 2 else ask_which((a, b), rng)
        if turn:
            entries.append({"image": first, "images": [first, second], "prompt": typed(turn.ask), "text": turn.said})
    replace_json(folder / "examples.json", entries)
    print(len(entries), "examples,", sum(p.stat().st_size for p in folder.iterdir()), "bytes")


if __name__ == "__main__":
    main()
