"""One sentence for a scene, always the same one: its objects from left to right, related, and the background.

    a small red circle left of a large blue star above a small green cross on a black background

Each object is related to the one named before it: *left of* where they are further apart
in x than in y (shares of the picture), else *above* or *below*. A background of many colours is left out.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scenes import BACKGROUND_NAMES, COLOR_NAMES, MAX_OBJECTS, SHAPES, SIZES, Scene, SceneObject
from tokenizer import build_vocabulary, tokenize

RELATION_WORDS = ["left of", "above", "below"]  # of the earlier object to the later one
PROMPTS = ["a picture of", "a photo of", "an image of", "this picture shows", "the image shows", "there is", "i see"]
MAX_CAPTION = 36  # tokens, with [CLS], [SEP] and a prompt
# Closer calls than this are neither trained on nor held against the model (see `Caption.clear`).
MARGIN = 0.015


@dataclass
class Caption:
    text: str
    order: list[int]      # object numbers from left to right
    relations: list[int]  # of each in that order to the one before it; -1 for the first
    #: for every word, the rank of the object it is about (a relation is about the later one), or -1
    ranks: list[int] = field(default_factory=list)
    #: whether no order, no relation and no name of the background is a close call
    clear: bool = True


def caption_vocabulary() -> dict[str, int]:
    return build_vocabulary([*SIZES, *COLOR_NAMES, *SHAPES, *BACKGROUND_NAMES, *RELATION_WORDS, *PROMPTS,
                             "a nothing on background"])


def relation_between(a: SceneObject, b: SceneObject) -> tuple[int, float]:
    """The index of "a is ... b", where a is not right of b, and by how much it is so."""
    dx, dy = abs(b.x - a.x), abs(b.y - a.y)
    return (0 if dx >= dy else 1 if a.y < b.y else 2), abs(dx - dy)


def describe(scene: Scene) -> Caption:
    order = sorted(range(len(scene.objects)), key=lambda i: scene.objects[i].x)
    words, caption = [], Caption("", order, [], clear=not scene.unsure)
    for rank, number in enumerate(order):
        o = scene.objects[number]
        part = f"a {o.size} {o.color} {o.shape}"
        if rank:
            before = scene.objects[order[rank - 1]]
            relation, margin = relation_between(before, o)
            caption.clear &= margin >= MARGIN and o.x - before.x >= MARGIN
            part = f"{RELATION_WORDS[relation]} {part}"
        caption.relations.append(relation if rank else -1)
        words.append(part)
        caption.ranks += [rank] * len(tokenize(part))
    if not order:
        words.append("nothing")
    if scene.background is not None:
        words.append(f"on {'an' if scene.background[0] in 'aeiou' else 'a'} {scene.background} background")
    caption.text = " ".join(words)
    caption.ranks += [-1] * (len(tokenize(caption.text)) - len(caption.ranks))
    return caption


def named_by_token(caption: Caption) -> np.ndarray:
    """For each input token, the rank of the object that the next word is about, or -1."""
    named = np.full(MAX_CAPTION, -1, np.int8)
    named[:len(caption.ranks)] = caption.ranks  # [CLS] is before the first word
    return named


def object_labels(scene: Scene, caption: Caption) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rank, relation to the object before, and place of each object, in the scene's numbering."""
    order, relation = np.full(MAX_OBJECTS, -1, np.int8), np.full(MAX_OBJECTS, -1, np.int8)
    places = np.zeros((MAX_OBJECTS, 2), np.float32)
    for rank, number in enumerate(caption.order):
        order[number], relation[number] = rank, caption.relations[rank]
        places[number] = scene.objects[number].x * 2 - 1, scene.objects[number].y * 2 - 1
    return order, relation, places
