"""Short phrases about a scene for matching pictures and texts, and whether each is true of a scene.

A phrase claims up to two things about objects ("two blue stars", "a large red circle")
and sometimes the background. Each true phrase comes with seven hard false ones that
differ from it in a single word where that is possible.
"""
from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np

from questions import PLURAL, SIZE_WORDS, VALUES, Spec, some_spec
from scenes import BACKGROUND_NAMES, COLOR_NAMES, MAX_OBJECTS, SHAPES, SIZES, Scene
from statements import NUMBERS
from tokenizer import build_vocabulary

GROUP, MAX_PHRASE = 8, 24
PHRASE_KINDS = ["object", "count", "background", "object_background", "two_objects"]
COUNTS_SHAPE = (len(SIZES) + 1, len(COLOR_NAMES) + 1, len(SHAPES) + 1)  # index 0: any
PARTS, PART_WIDTH = 2, 5
CLAIM_WIDTH = PARTS * PART_WIDTH + 1
UNNAMED = 200  # index of a background without a name
FRAMES = ["{}", "{}", "a picture of {}", "a picture with {}", "a photo of {}", "an image of {}",
          "a photo with {}", "{} in a picture"]


@dataclass(frozen=True)
class Part:
    """`least` to `most` objects that match; the attributes are indices with 0 for any."""
    size: int
    color: int
    shape: int
    least: int
    most: int


@dataclass(frozen=True)
class Claim:
    parts: tuple[Part, ...]
    background: int  # 0 for any

    def as_row(self) -> np.ndarray:
        row = np.zeros(CLAIM_WIDTH, np.uint8)
        for i, p in enumerate(self.parts):
            row[i * PART_WIDTH:(i + 1) * PART_WIDTH] = p.size, p.color, p.shape, p.least, p.most
        for i in range(len(self.parts), PARTS):
            row[i * PART_WIDTH:(i + 1) * PART_WIDTH] = 0, 0, 0, 0, MAX_OBJECTS
        row[-1] = self.background
        return row


@dataclass
class Group:
    kind: str
    claims: list[Claim]  # the first is true, the others are false
    texts: list[str]


def scene_facts(scene: Scene) -> tuple[np.ndarray, int]:
    """How many objects fit each combination of attributes, and the background's index."""
    counts = np.zeros(COUNTS_SHAPE, np.uint8)
    for o in scene.objects:
        s, c, h = 1 + SIZES.index(o.size), 1 + COLOR_NAMES.index(o.color), 1 + SHAPES.index(o.shape)
        counts[np.ix_([0, s], [0, c], [0, h])] += 1
    return counts, UNNAMED if scene.background is None else BACKGROUND_NAMES.index(scene.background)


def truths(claims: np.ndarray, counts: np.ndarray, background: np.ndarray) -> np.ndarray:
    """[claims, scenes] whether each claim (rows of `as_row`) holds in each scene."""
    right = (claims[:, None, -1] == 0) | (claims[:, None, -1] == background[None] + 1)
    for i in range(PARTS):
        size, color, shape, least, most = claims[:, i * PART_WIDTH:(i + 1) * PART_WIDTH].T
        found = counts[:, size, color, shape].T
        right &= (found >= least[:, None]) & (found <= most[:, None])
    return right


def phrase_vocabulary() -> dict[str, int]:
    return build_vocabulary([*COLOR_NAMES, *SHAPES, *BACKGROUND_NAMES, *NUMBERS, *PLURAL, *PLURAL.values(),
                             *[w for ws in SIZE_WORDS.values() for w in ws], *[f.replace("{}", "") for f in FRAMES],
                             "a an on background and picture photo image"])


def part_of(spec: Spec, least: int = 1, most: int = MAX_OBJECTS) -> Part:
    index = {k: 1 + VALUES[k].index(v) for k, v in spec.items()}
    return Part(index.get("size", 0), index.get("color", 0), index.get("shape", 0), least, most)


def part_words(part: Part, rng: random.Random) -> str:
    plural = part.least > 1
    noun = SHAPES[part.shape - 1] if part.shape else rng.choice(["shape", "object", "thing"])
    words = [rng.choice(SIZE_WORDS[SIZES[part.size - 1]])] if part.size else []
    words += [COLOR_NAMES[part.color - 1]] if part.color else []
    text = " ".join([*words, PLURAL[noun] if plural else noun])
    if plural or part.most == part.least:
        return f"{NUMBERS[part.least]} {text}"
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def claim_words(claim: Claim, rng: random.Random) -> str:
    text = " and ".join(part_words(p, rng) for p in claim.parts)
    if claim.background:
        name = BACKGROUND_NAMES[claim.background - 1]
        article = "an" if name[0] in "aeiou" else "a"
        text = f"{text} on {article} {name} background" if text else f"{article} {name} background"
    return rng.choice(FRAMES).format(text)


def true_claim(kind: str, scene: Scene, rng: random.Random) -> Claim | None:
    if scene.background is None and "background" in kind:
        return None
    background = BACKGROUND_NAMES.index(scene.background) + 1 if scene.background else 0
    if kind == "background":
        return Claim((), background)
    objects = rng.sample(scene.objects, min(2, len(scene.objects)))
    parts = []
    for o in objects[:2 if kind == "two_objects" else 1]:
        spec = some_spec(rng, o)
        if kind == "count":
            spec.pop("size", None)
            if rng.random() < 0.15:
                spec = {}
            counts, _ = scene_facts(scene)
            p = part_of(spec)
            number = int(counts[p.size, p.color, p.shape])
            parts.append(part_of(spec, number, number))
        else:
            if kind == "two_objects" or len(spec) == 1:
                spec = {"color": o.color, "shape": o.shape, **({"size": o.size} if rng.random() < 0.5 else {})}
            parts.append(part_of(spec))
    if len(parts) < (2 if kind == "two_objects" else 1):
        return None
    return Claim(tuple(parts), background if kind == "object_background" else 0)


def change(claim: Claim, rng: random.Random) -> Claim:
    """One thing about the claim made different."""
    choices = [(i, key) for i, p in enumerate(claim.parts) for key in
               (["size"] if p.size else []) + (["color"] * 2 if p.color else []) + (["shape"] * 2 if p.shape else [])
               + (["number"] * 2 if p.most == p.least else [])]
    if claim.background:
        choices += [(-1, "background")]
    at, key = rng.choice(choices)
    if key == "background":
        return replace(claim, background=rng.choice([b for b in range(1, len(BACKGROUND_NAMES) + 1) if b != claim.background]))
    part = claim.parts[at]
    if key == "number":
        number = rng.choice([n for n in range(1, MAX_OBJECTS + 1) if n != part.least])
        new = replace(part, least=number, most=number)
    else:
        old = getattr(part, key)
        new = replace(part, **{key: rng.choice([v for v in range(1, len(VALUES[key]) + 1) if v != old])})
    return replace(claim, parts=tuple(new if i == at else p for i, p in enumerate(claim.parts)))


def make_group(scene: Scene, rng: random.Random) -> Group:
    """A true phrase of a random kind and seven different false ones."""
    counts, background = scene_facts(scene)
    counts, background = counts[None], np.array([background])
    while True:
        kind = rng.choices(PHRASE_KINDS, [3, 2, 0.5, 2, 2])[0] if scene.objects else "background"
        claim = true_claim(kind, scene, rng)
        if claim is None:
            continue
        found = [claim]
        for tries in range(60):
            # Where one change does not give enough false ones, two do.
            other = change(claim, rng) if tries < 30 else change(change(claim, rng), rng)
            if other not in found and not truths(other.as_row()[None], counts, background)[0, 0]:
                found.append(other)
            if len(found) == GROUP:
                break
        while kind == "background" and len(found) < GROUP:  # only four other backgrounds: claims with more words
            spec = some_spec(rng)
            other = Claim((part_of(spec),), rng.randint(1, len(BACKGROUND_NAMES)))
            if other not in found and not truths(other.as_row()[None], counts, background)[0, 0]:
                found.append(other)
        if len(found) == GROUP:
            return Group(kind, found, [claim_words(c, rng) for c in found])
