"""Questions about a scene, their answers, and what their words refer to.

Every question knows its referring phrases: at which token a phrase ends and
which objects it means. That is what teaches the network to point at objects;
the answer alone does not (pairwise relations then stay at chance).
"""
from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

from colors import NEUTRALS
from scenes import COLOR_NAMES, MAX_OBJECTS, SHAPES, SIZES, Scene, SceneObject
from tokenizer import build_vocabulary, tokenize

Spec = dict[str, str]  # some of size, color, shape

ANSWERS = (["yes", "no"] + [str(i) for i in range(MAX_OBJECTS + 1)] + COLOR_NAMES + list(NEUTRALS)
           + SHAPES + SIZES + ["left", "right", "top", "bottom"])
VALUES = {"size": SIZES, "color": COLOR_NAMES, "shape": SHAPES}
PLURAL = {"circle": "circles", "square": "squares", "triangle": "triangles", "star": "stars",
          "cross": "crosses", "heart": "hearts", "shape": "shapes", "object": "objects", "thing": "things",
          "one": "ones"}
SIZE_WORDS = {"small": ["small", "small", "little"], "large": ["large", "large", "big"]}
# relation -> axis, sign, wordings
RELATIONS = {
    "left": ("x", -1, ["left of", "to the left of", "on the left of"]),
    "right": ("x", 1, ["right of", "to the right of", "on the right of"]),
    "above": ("y", -1, ["above", "above", "over"]),
    "below": ("y", 1, ["below", "below", "under", "beneath"]),
}
# "A is left of B" is true beyond CLEAR, false beyond CLEAR_NOT the other way, and not asked in between.
CLEAR, CLEAR_NOT, OFF_CENTRE = 0.10, 0.05, 0.07

PICTURE = ["picture", "image", "photo", "scene"]
TEMPLATES: dict[str, list[str]] = {
    "color": ["what {hue} is the {a}?", "which {hue} is the {a}?", "what is the {hue} of the {a}?",
              "what's the {hue} of the {a}?", "{hue} of the {a}?", "name the {hue} of the {a}.",
              "what {hue} does the {a} have?", "the {a} is what {hue}?"],
    "shape": ["what shape is the {a}?", "which shape is the {a}?", "what is the shape of the {a}?",
              "what's the shape of the {a}?", "what is the {a}?", "shape of the {a}?", "what shape does the {a} have?"],
    "size": ["what size is the {a}?", "how big is the {a}?", "how large is the {a}?", "what is the size of the {a}?",
             "is the {a} small or large?", "is the {a} large or small?", "is the {a} big or small?"],
    "count": ["how many {a} are there?", "how many {a} are in the {pic}?", "how many {a} can you see?",
              "how many {a} do you see?", "count the {a}.", "what is the number of {a}?", "number of {a}?",
              "how many {a}?", "how many {a} are in this {pic}?", "how many {a} does the {pic} show?"],
    "exists": ["is there {art} {a}?", "is there {art} {a} in the {pic}?", "can you see {art} {a}?",
               "do you see {art} {a}?", "does the {pic} show {art} {a}?", "does the {pic} contain {art} {a}?",
               "is there {art} {a} in this {pic}?", "is {art} {a} in the {pic}?"],
    "exists_any": ["are there any {a}?", "are there any {a} in the {pic}?", "do you see any {a}?", "can you see {a}?"],
    "attribute": ["is the {a} {v}?", "would you say the {a} is {v}?"],
    "relation_yes_no": ["is the {a} {rel} the {b}?", "is the {a} {rel} the {b}?", "does the {a} lie {rel} the {b}?",
                        "is the {a} placed {rel} the {b}?", "can you see the {a} {rel} the {b}?"],
    "relation_shape": ["what shape is {rel} the {a}?", "which shape is {rel} the {a}?", "what is {rel} the {a}?",
                       "what is the shape of the object {rel} the {a}?", "what shape is the object {rel} the {a}?",
                       "which shape lies {rel} the {a}?"],
    "relation_color": ["what {hue} is the {thing} {rel} the {a}?", "which {hue} is {rel} the {a}?",
                       "what {hue} is {rel} the {a}?", "what is the {hue} of the {thing} {rel} the {a}?",
                       "which {hue} does the {thing} {rel} the {a} have?"],
    "larger": ["which is {more}, the {a} or the {b}?", "what is {more}, the {a} or the {b}?",
               "which one is {more}: the {a} or the {b}?", "which of the two is {more}, the {a} or the {b}?"],
    "larger_yes_no": ["is the {a} {more} than the {b}?"],
    "where_x": ["is the {a} on the left or on the right?", "is the {a} on the left or the right?",
                "is the {a} left or right?", "where is the {a}, left or right?",
                "on which side is the {a}, left or right?"],
    "where_y": ["is the {a} at the top or at the bottom?", "is the {a} at the top or the bottom?",
                "is the {a} top or bottom?", "where is the {a}, top or bottom?"],
    "where_yes_no": ["is the {a} in the {side} half?", "is the {a} in the {side} half of the {pic}?"],
    "compare": ["are there more {a} than {b}?", "are there more {a} than {b} in the {pic}?"],
    "compare_fewer": ["are there fewer {a} than {b}?", "are there less {a} than {b}?"],
    "compare_equal": ["are there as many {a} as {b}?"],
    "background": ["what {hue} is the background?", "which {hue} is the background?",
                   "what is the {hue} of the background?", "what's the background {hue}?", "background {hue}?",
                   "what {hue} does the background have?"],
    "prefix": ["please tell me,", "tell me:", "hey,", "so,", "and"],
}
LARGER = {"large": ["larger", "bigger"], "small": ["smaller"]}
KINDS = ["color", "shape", "size", "count", "exists", "attribute", "relation_yes_no", "relation_object",
         "compare_sizes", "where", "compare_counts", "background"]


@dataclass
class Question:
    kind: str
    text: str
    answer: str
    #: (token index of the phrase's last word counting [CLS], bit mask of the objects it means)
    phrases: list[tuple[int, int]] = field(default_factory=list)
    #: bit mask of the objects the answer is about, or None where there is no such thing
    focus: int | None = None
    #: which of the templates it was written by, and what was put into it
    template: str = ""
    words: dict[str, str] = field(default_factory=dict)


def question_vocabulary() -> dict[str, int]:
    """All words any question can contain."""
    texts = [re.sub(r"\{\w+\}", " ", t) for ts in TEMPLATES.values() for t in ts] + ANSWERS + PICTURE
    texts += list(PLURAL) + list(PLURAL.values()) + ["a an color colour"]
    texts += [w for ws in SIZE_WORDS.values() for w in ws] + [w for ws in LARGER.values() for w in ws]
    texts += [w for _, _, ws in RELATIONS.values() for w in ws]
    return build_vocabulary(texts)


# ---- phrases ----

def matches(o: SceneObject, spec: Spec) -> bool:
    return all(getattr(o, k) == v for k, v in spec.items())


def mask_of(scene: Scene, spec: Spec) -> int:
    return sum(1 << i for i, o in enumerate(scene.objects) if matches(o, spec))


def count_of(scene: Scene, spec: Spec) -> int:
    return mask_of(scene, spec).bit_count()


def hesitates(scene: Scene, spec: Spec) -> bool:
    """Whether the description might also be meant for an object whose colour has no name."""
    return any(spec.get("color") in o.almost and matches(o, {**spec, "color": ""}) for o in scene.objects)


def some_spec(rng: random.Random, like: SceneObject | None = None, without: str = "") -> Spec:
    keys = [k for k in VALUES if k != without and (not like or getattr(like, k))]
    chosen = rng.sample(keys, rng.randint(1, len(keys)))
    return {k: getattr(like, k) if like else rng.choice(VALUES[k]) for k in keys if k in chosen}


def unique_spec(scene: Scene, rng: random.Random, o: SceneObject, without: str = "") -> Spec | None:
    """A description that fits `o` and nothing else."""
    full = {k: getattr(o, k) for k in VALUES if k != without and getattr(o, k)}
    for spec in [some_spec(rng, o, without) for _ in range(5)] + [full]:
        if count_of(scene, spec) == 1:
            return spec
    return None


def absent_spec(scene: Scene, rng: random.Random) -> Spec | None:
    """A description that fits nothing, often one attribute away from an object."""
    for _ in range(12):
        spec = some_spec(rng, rng.choice(scene.objects)) if scene.objects and rng.random() < 0.7 else some_spec(rng)
        key = rng.choice(list(spec))
        spec[key] = rng.choice(VALUES[key])
        if not mask_of(scene, spec):
            return spec
    return None


def wording(rng: random.Random, spec: Spec, plural: bool = False, nouns: str = "shape object thing one") -> str:
    noun = spec.get("shape") or rng.choice(nouns.split())
    words = [rng.choice(SIZE_WORDS[spec["size"]])] if "size" in spec else []
    words += [spec["color"]] if "color" in spec else []
    return " ".join(words + [PLURAL[noun] if plural else noun])


class Writer:
    """Fills templates for one scene and keeps track of where the phrases end."""

    def __init__(self, scene: Scene, rng: random.Random, noisy: bool, templates: dict[str, list[str]] = TEMPLATES):
        self.scene, self.rng, self.noisy, self.templates = scene, rng, noisy, templates

    def write(self, kind: str, template: str, answer: str, specs: dict[str, Spec] | None = None,
              focus: int | None = None, plural: bool = False, nouns: str = "shape object thing one",
              **words: str) -> Question | None:
        """None where a description is a matter of taste."""
        rng, specs = self.rng, specs or {}
        if any(hesitates(self.scene, spec) for spec in specs.values()):
            return None
        text = rng.choice(self.templates[template])
        phrase = {k: wording(rng, s, plural, nouns) for k, s in specs.items()}
        words = {"hue": rng.choice(["color", "colour"]), "pic": rng.choice(PICTURE),
                 "thing": rng.choice(["shape", "object", "thing"]), **words, **phrase}
        if "a" in phrase:
            words["art"] = "an" if phrase["a"][0] in "aeiou" else "a"
        if rng.random() < (0.3 if self.noisy else 0.15):
            text = text.rstrip("?.")
        if rng.random() < 0.06:
            text = rng.choice(self.templates["prefix"]) + " " + text
        if self.noisy and rng.random() < 0.05:  # in a hurry
            text = text.replace("the ", "")
        if self.noisy and rng.random() < 0.05:  # an unknown word somewhere harmless
            text = rng.choice(["zzz " + text, text + " zzz", text.replace("{pic}", "zzz")])
        done, ends = "", []
        for i, piece in enumerate(re.split(r"\{(\w+)\}", text)):
            done += words[piece] if i % 2 else piece
            if i % 2 and piece in phrase:
                ends.append((len(tokenize(done)), mask_of(self.scene, specs[piece])))
        return Question(kind, done, answer, ends, focus, template, words)
