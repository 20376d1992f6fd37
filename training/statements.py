"""Statements about a scene, judged yes, no or maybe.

*Maybe* means that the picture does not decide it: it speaks of what no picture
of shapes shows (weight, material, yesterday), or of "the star" where there is
no star, or of "the star" being red where one star is and another is not.
"""
from __future__ import annotations

import random
import re
from typing import Callable

from question_kinds import relation_holds, two_objects
from questions import (LARGER, OFF_CENTRE, PICTURE, PLURAL, RELATIONS, SIZE_WORDS, VALUES, Question, Spec, Writer,
                       absent_spec, count_of, mask_of, matches, some_spec, unique_spec)
from scenes import BACKGROUND_NAMES, COLOR_NAMES, MAX_OBJECTS, Scene
from tokenizer import build_vocabulary

JUDGEMENTS = ["no", "maybe", "yes"]
STATEMENT_KINDS = ["exists", "count", "attribute", "relation", "compare_sizes", "where", "compare_counts",
                   "background", "property", "unclear"]
NUMBERS = ["no", "one", "two", "three", "four"]
# What no picture of shapes tells.
PROPERTIES = ["heavy", "light in weight", "warm", "cold", "soft", "hard", "old", "new", "expensive", "cheap", "wet",
              "dry", "made of wood", "made of metal", "made of paper", "made of plastic", "hollow", "moving",
              "for sale", "famous", "poisonous", "magnetic", "hand made", "fragile", "painted by a child",
              "liked by everyone", "older than the {pic}", "the favorite of the artist", "tasty", "loud"]
TEMPLATES: dict[str, list[str]] = {
    "exists": ["there is {art} {a}.", "there is {art} {a} in the {pic}.", "the {pic} shows {art} {a}.",
               "the {pic} contains {art} {a}.", "{art} {a} can be seen.", "{art} {a} is in the {pic}.",
               "i can see {art} {a}.", "we see {art} {a} in this {pic}."],
    "exists_not": ["there is no {a}.", "there is no {a} in the {pic}.", "the {pic} shows no {a}.",
                   "no {a} can be seen.", "there is not {art} {a} in the {pic}.", "the {pic} does not show {art} {a}."],
    "count": ["there are {n} {a}.", "there are {n} {a} in the {pic}.", "the {pic} shows {n} {a}.",
              "there are exactly {n} {a}.", "the number of {a} is {n}.", "{n} {a} can be seen.", "i can see {n} {a}."],
    "count_one": ["there is exactly one {a}.", "the {pic} shows exactly one {a}.", "only one {a} can be seen.",
                  "there is only one {a} in the {pic}.", "i can see one {a}."],
    "count_least": ["there are at least {n} {a}.", "the {pic} shows at least {n} {a}."],
    "count_most": ["there are at most {n} {a}.", "the {pic} shows at most {n} {a}."],
    "color": ["the {a} is {v}.", "the {hue} of the {a} is {v}.", "the {a} has the {hue} {v}.", "the {a} looks {v}."],
    "size": ["the {a} is {v}.", "the {a} looks {v}.", "the size of the {a} is {v}."],
    "shape": ["the {a} is {v}.", "the {a} has the shape of {v}.", "the {a} looks like {v}."],
    "not": ["the {a} is not {v}.", "the {a} isn't {v}."],
    "relation": ["the {a} is {rel} the {b}.", "the {a} lies {rel} the {b}.", "the {a} is placed {rel} the {b}.",
                 "the {a} can be seen {rel} the {b}."],
    "relation_not": ["the {a} is not {rel} the {b}."],
    "larger": ["the {a} is {more} than the {b}.", "the {a} looks {more} than the {b}."],
    "where": ["the {a} is in the {side} half.", "the {a} is in the {side} half of the {pic}.",
              "the {a} is {at} {side}.", "the {a} is {at} {side} of the {pic}."],
    "more": ["there are more {a} than {b}.", "the {pic} shows more {a} than {b}."],
    "fewer": ["there are fewer {a} than {b}.", "there are less {a} than {b}."],
    "equal": ["there are as many {a} as {b}."],
    "background": ["the background is {v}.", "the {pic} has {vart} {v} background.",
                   "the {hue} of the background is {v}.",
                   "the objects are on {vart} {v} background."],
    "background_not": ["the background is not {v}."],
    "property": ["the {a} is {p}.", "the {a} seems {p}."],
    "property_picture": ["the {pic} is {p}.", "there is {art} {a} behind the {pic}.",
                         "there is {art} {a} outside the {pic}.",
                         "the {pic} was made yesterday.", "someone likes the {a}.", "the artist was happy.",
                         "the {a} was drawn first.", "the {a} was drawn after the {b}.", "the {a} belongs to a friend.",
                         "the {a} will be {v} tomorrow.", "the {a} was {v} yesterday."],
    "prefix": ["it is true that", "i think", "so,", "in this {pic},"],
}


def statement_vocabulary() -> dict[str, int]:
    """All words any statement can contain."""
    texts = [re.sub(r"\{\w+\}", " ", t) for ts in TEMPLATES.values() for t in ts] + PICTURE + BACKGROUND_NAMES
    texts += [re.sub(r"\{\w+\}", " ", p) for p in PROPERTIES] + NUMBERS + [str(i) for i in range(MAX_OBJECTS + 1)]
    texts += list(PLURAL) + list(PLURAL.values()) + ["a an color colour on at the left right top bottom"]
    texts += [w for v in VALUES.values() for w in v] + [w for ws in SIZE_WORDS.values() for w in ws]
    texts += [w for ws in LARGER.values() for w in ws] + [w for _, _, ws in RELATIONS.values() for w in ws]
    return build_vocabulary(texts)


def judged(value: bool) -> str:
    return "yes" if value else "no"


def state_exists(w: Writer) -> Question | None:
    there = bool(w.scene.objects) and w.rng.random() < 0.5
    spec = some_spec(w.rng, w.rng.choice(w.scene.objects)) if there else absent_spec(w.scene, w.rng)
    if spec:
        negated = w.rng.random() < 0.25
        return w.write("exists", "exists_not" if negated else "exists", judged(there != negated), {"a": spec},
                       mask_of(w.scene, spec), nouns="shape object thing")


def state_count(w: Writer) -> Question | None:
    roll = w.rng.random()
    spec: Spec = {} if roll < 0.2 else some_spec(w.rng, w.rng.choice(w.scene.objects)) if w.scene.objects else {}
    if len(spec) > 1 and w.rng.random() < 0.6:
        key = w.rng.choice(list(spec))
        spec = {key: spec[key]}
    truth, form = count_of(w.scene, spec), w.rng.choice(["count", "count", "count_least", "count_most"])
    if form == "count":
        said = truth if w.rng.random() < 0.5 else w.rng.choice([n for n in range(1, MAX_OBJECTS + 1) if n != truth])
    else:
        said = w.rng.randint(1, MAX_OBJECTS)
    answer = {"count": truth == said, "count_least": truth >= said, "count_most": truth <= said}[form]
    number, single = w.rng.choice([NUMBERS[said], str(said)]), form == "count" and said == 1
    return w.write("count", "count_one" if single else form, judged(answer), {"a": spec}, mask_of(w.scene, spec),
                   plural=not single, nouns="shape object thing", n=number)


def said_value(w: Writer, key: str, value: str) -> str:
    return "a " + value if key == "shape" else w.rng.choice(SIZE_WORDS[value]) if key == "size" else value


def state_attribute(w: Writer) -> Question | None:
    key, o = w.rng.choice(["color", "shape", "size"]), w.rng.choice(w.scene.objects)
    spec = unique_spec(w.scene, w.rng, o, without=key)
    if spec:
        truth = getattr(o, key)
        value = truth if w.rng.random() < 0.5 else w.rng.choice([v for v in VALUES[key] if v != truth])
        negated = w.rng.random() < 0.2
        return w.write("attribute", "not" if negated else key, judged((value == truth) != negated), {"a": spec},
                       mask_of(w.scene, spec), v=said_value(w, key, value),
                       nouns="object thing one" if key == "shape" else "shape object thing one")


def state_relation(w: Writer) -> Question | None:
    pair, relation = two_objects(w), w.rng.choice(list(RELATIONS))
    truth = relation_holds(pair[0], pair[1], relation) if pair else None
    if truth is not None:
        negated = w.rng.random() < 0.15
        return w.write("relation", "relation_not" if negated else "relation", judged(truth != negated),
                       {"a": pair[2], "b": pair[3]}, rel=w.rng.choice(RELATIONS[relation][2]))


def state_compare_sizes(w: Writer) -> Question | None:
    pair = two_objects(w, without="size")
    larger = pair[0].is_larger(pair[1]) if pair else None
    if larger is not None:
        size = w.rng.choice(["large", "small"])
        return w.write("compare_sizes", "larger", judged(larger == (size == "large")), {"a": pair[2], "b": pair[3]},
                       more=w.rng.choice(LARGER[size]))


def state_where(w: Writer) -> Question | None:
    o, axis = w.rng.choice(w.scene.objects), w.rng.choice("xy")
    spec, value = unique_spec(w.scene, w.rng, o), getattr(o, axis)
    if spec and abs(value - 0.5) >= OFF_CENTRE:
        sides = ("left", "right") if axis == "x" else ("top", "bottom")
        side = w.rng.choice(sides)
        return w.write("where", "where", judged(side == sides[value > 0.5]), {"a": spec}, mask_of(w.scene, spec),
                       side=side, at="on the" if axis == "x" else "at the")


def state_compare_counts(w: Writer) -> Question | None:
    form, wanted = w.rng.choice(["more", "more", "fewer", "equal"]), w.rng.random() < 0.5
    for _ in range(10):
        key = w.rng.choice(["color", "shape"])
        first, second = [{key: getattr(w.rng.choice(w.scene.objects), key) if w.rng.random() < 0.6
                          else w.rng.choice(VALUES[key])} for _ in range(2)]
        a, b = count_of(w.scene, first), count_of(w.scene, second)
        truth = {"more": a > b, "fewer": a < b, "equal": a == b}[form]
        if first != second and a + b and truth == wanted:
            return w.write("compare_counts", form, judged(truth), {"a": first, "b": second}, plural=True,
                           nouns="shape object thing")
    return None


def state_background(w: Writer) -> Question | None:
    truth = w.scene.background
    if truth is None:
        return None
    value = truth if w.rng.random() < 0.5 else w.rng.choice([b for b in BACKGROUND_NAMES if b != truth])
    negated = w.rng.random() < 0.2
    return w.write("background", "background_not" if negated else "background", judged((value == truth) != negated),
                   v=value, vart="a")


def state_property(w: Writer) -> Question | None:
    """Something no picture tells, of things that are there (or of the picture itself)."""
    o, other = w.rng.choice(w.scene.objects), w.rng.choice(w.scene.objects)
    words = {"p": w.rng.choice(PROPERTIES).replace("{pic}", w.rng.choice(PICTURE)), "v": w.rng.choice(COLOR_NAMES)}
    spec, second = unique_spec(w.scene, w.rng, o) or some_spec(w.rng, o), some_spec(w.rng, other)
    return w.write("property", "property" if w.rng.random() < 0.75 else "property_picture", "maybe",
                   {"a": spec, "b": second}, **words)


def state_unclear(w: Writer) -> Question | None:
    """About "the" thing where there is none, or where there are several of which only some are as said."""
    key = w.rng.choice(["color", "shape", "size", "relation", "where", "larger"])
    if key in VALUES and w.rng.random() < 0.5:
        like = w.rng.choice(w.scene.objects)
        spec = some_spec(w.rng, like, without=key)
        values = {getattr(o, key) for o in w.scene.objects if matches(o, spec)}
        if len(values) < 2:
            return None
        value = w.rng.choice(sorted(values))
    else:
        spec = absent_spec(w.scene, w.rng)
        if spec and key in spec and key in VALUES:
            return None
        value = w.rng.choice(VALUES.get(key, COLOR_NAMES))
    if not spec:
        return None
    nouns = "object thing one" if key == "shape" else "shape object thing one"
    if key in VALUES:
        return w.write("unclear", key, "maybe", {"a": spec}, mask_of(w.scene, spec), nouns=nouns,
                       v=said_value(w, key, value))
    if key == "where":
        side, at = w.rng.choice([("left", "on the"), ("right", "on the"), ("top", "at the"), ("bottom", "at the")])
        return w.write("unclear", "where", "maybe", {"a": spec}, 0, side=side, at=at)
    other = unique_spec(w.scene, w.rng, w.rng.choice(w.scene.objects), without="size" if key == "larger" else "")
    if not other or (key == "larger" and "size" in spec):
        return None
    first, second = (spec, other) if w.rng.random() < 0.5 else (other, spec)
    return w.write("unclear", key, "maybe", {"a": first, "b": second}, more=w.rng.choice(sum(LARGER.values(), [])),
                   rel=w.rng.choice(RELATIONS[w.rng.choice(list(RELATIONS))][2]))


STATE: dict[str, Callable[[Writer], Question | None]] = {
    "exists": state_exists, "count": state_count, "attribute": state_attribute, "relation": state_relation,
    "compare_sizes": state_compare_sizes, "where": state_where, "compare_counts": state_compare_counts,
    "background": state_background, "property": state_property, "unclear": state_unclear,
}
WITHOUT_OBJECTS = ("exists", "count", "background")
EVEN_WEIGHTS = {**{k: 1.0 for k in STATEMENT_KINDS}, "property": 1.5, "unclear": 2.5}
TRAIN_WEIGHTS = {**EVEN_WEIGHTS, "background": 1.2, "count": 1.5, "relation": 2.0, "compare_counts": 1.3,
                 "compare_sizes": 1.2}


def make_statement(scene: Scene, rng: random.Random, weights: dict[str, float] = EVEN_WEIGHTS,
                   noisy: bool = False) -> Question:
    """One statement about the scene; its `answer` is the judgement."""
    writer = Writer(scene, rng, noisy, TEMPLATES)
    kinds = STATEMENT_KINDS if scene.objects else list(WITHOUT_OBJECTS)
    while True:
        kind = rng.choices(kinds, [weights[k] for k in kinds])[0]
        for _ in range(4):
            statement = STATE[kind](writer)
            if statement:
                return statement
