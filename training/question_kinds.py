"""One function per kind of question; each returns None where the scene does not allow it."""
from __future__ import annotations

import random
from typing import Callable

from questions import (CLEAR, CLEAR_NOT, KINDS, LARGER, OFF_CENTRE, RELATIONS, VALUES, Question, Spec, Writer,
                       absent_spec, count_of, mask_of, some_spec, unique_spec)
from scenes import Scene, SceneObject


def relation_holds(a: SceneObject, b: SceneObject, relation: str) -> bool | None:
    """Whether `a` is left of (right of, above, below) `b`; None where a person might hesitate."""
    axis, sign, _ = RELATIONS[relation]
    distance = (getattr(a, axis) - getattr(b, axis)) * sign
    return True if distance > CLEAR else False if distance < -CLEAR_NOT else None


def yes_no(value: bool) -> str:
    return "yes" if value else "no"


def ask_attribute_of(key: str) -> Callable[[Writer], Question | None]:
    nouns = "object thing one" if key == "shape" else "shape object thing one"

    def ask(w: Writer) -> Question | None:
        o = w.rng.choice(w.scene.objects)
        spec = unique_spec(w.scene, w.rng, o, without=key)
        if spec and getattr(o, key):
            return w.write(key, key, getattr(o, key), {"a": spec}, mask_of(w.scene, spec), nouns=nouns)
    return ask


def ask_count(w: Writer) -> Question | None:
    roll = w.rng.random()
    if roll < 0.15 or not w.scene.objects and roll < 0.6:
        spec: Spec = {}
    elif roll < 0.8 and w.scene.objects:
        spec = some_spec(w.rng, w.rng.choice(w.scene.objects))
        if len(spec) > 1 and w.rng.random() < 0.5:
            key = w.rng.choice(list(spec))
            spec = {key: spec[key]}
    else:
        spec = absent_spec(w.scene, w.rng) or {}
    return w.write("count", "count", str(count_of(w.scene, spec)), {"a": spec}, mask_of(w.scene, spec), plural=True,
                   nouns="shape object thing")


def ask_exists(w: Writer) -> Question | None:
    wanted = bool(w.scene.objects) and w.rng.random() < 0.5
    spec = some_spec(w.rng, w.rng.choice(w.scene.objects)) if wanted else absent_spec(w.scene, w.rng)
    if spec:
        many = w.rng.random() < 0.2
        return w.write("exists", "exists_any" if many else "exists", yes_no(wanted), {"a": spec},
                       mask_of(w.scene, spec), plural=many, nouns="shape object thing")


def ask_attribute(w: Writer) -> Question | None:
    key, o = w.rng.choice(["color", "color", "shape", "size"]), w.rng.choice(w.scene.objects)
    spec = unique_spec(w.scene, w.rng, o, without=key)
    if spec:
        truth = getattr(o, key)
        value = truth if w.rng.random() < 0.5 else w.rng.choice([v for v in VALUES[key] if v != truth])
        if not value or key == "color" and value in o.almost:
            return None
        said = "a " + value if key == "shape" else value
        return w.write("attribute", "attribute", yes_no(value == truth), {"a": spec}, mask_of(w.scene, spec), v=said,
                       nouns="object thing one" if key == "shape" else "shape object thing one")


def two_objects(w: Writer, without: str = "") -> tuple[SceneObject, SceneObject, Spec, Spec] | None:
    if len(w.scene.objects) < 2:
        return None
    a, b = w.rng.sample(w.scene.objects, 2)
    first, second = unique_spec(w.scene, w.rng, a, without), unique_spec(w.scene, w.rng, b, without)
    return (a, b, first, second) if first and second else None


def ask_relation_yes_no(w: Writer) -> Question | None:
    pair = two_objects(w)
    if not pair:
        return None
    a, b, first, second = pair
    relation = w.rng.choice(list(RELATIONS))
    truth = relation_holds(a, b, relation)
    if truth is not None:
        return w.write("relation_yes_no", "relation_yes_no", yes_no(truth), {"a": first, "b": second},
                       rel=w.rng.choice(RELATIONS[relation][2]))


def ask_relation_object(w: Writer) -> Question | None:
    """What is left of X? Asked where exactly one other object is, and clearly."""
    if len(w.scene.objects) < 2:
        return None
    anchor, relation = w.rng.choice(w.scene.objects), w.rng.choice(list(RELATIONS))
    others = [o for o in w.scene.objects if o is not anchor]
    truths = [relation_holds(o, anchor, relation) for o in others]
    spec = unique_spec(w.scene, w.rng, anchor)
    if None in truths or sum(truths) != 1 or not spec:
        return None
    found, key = others[truths.index(True)], w.rng.choice(["shape", "color"])
    if not getattr(found, key):
        return None
    focus = 1 << next(i for i, o in enumerate(w.scene.objects) if o is found)
    return w.write("relation_object", "relation_" + key, getattr(found, key), {"a": spec}, focus,
                   rel=w.rng.choice(RELATIONS[relation][2]))


def ask_compare_sizes(w: Writer) -> Question | None:
    """Which is larger, A or B? Answered by the shape where the shapes differ, else by the colour."""
    pair = two_objects(w, without="size")
    if not pair or pair[0].is_larger(pair[1]) is None:
        return None
    a, b, first, second = pair
    size = w.rng.choice(["large", "small"])
    more, winner = w.rng.choice(LARGER[size]), (a if a.is_larger(b) == (size == "large") else b)
    if w.rng.random() < 0.35:
        return w.write("compare_sizes", "larger_yes_no", yes_no(winner is a), {"a": first, "b": second}, more=more)
    for key in ("shape", "color"):
        if key in first and key in second and first[key] != second[key]:
            spec = first if winner is a else second
            return w.write("compare_sizes", "larger", getattr(winner, key), {"a": first, "b": second},
                           mask_of(w.scene, spec), more=more)
    return None


def ask_where(w: Writer) -> Question | None:
    o = w.rng.choice(w.scene.objects)
    spec, axis = unique_spec(w.scene, w.rng, o), w.rng.choice("xy")
    value = getattr(o, axis)
    if not spec or abs(value - 0.5) < OFF_CENTRE:
        return None
    sides = ("left", "right") if axis == "x" else ("top", "bottom")
    truth, focus = sides[value > 0.5], mask_of(w.scene, spec)
    if w.rng.random() < 0.25:
        side = w.rng.choice(sides)
        return w.write("where", "where_yes_no", yes_no(side == truth), {"a": spec}, focus, side=side)
    return w.write("where", "where_" + axis, truth, {"a": spec}, focus)


def ask_compare_counts(w: Writer) -> Question | None:
    form, wanted = w.rng.choice(["", "", "_fewer", "_equal"]), w.rng.random() < 0.5
    for _ in range(10):
        key = w.rng.choice(["color", "shape"])
        first, second = [{key: (w.rng.random() < 0.6 and getattr(w.rng.choice(w.scene.objects), key))
                          or w.rng.choice(VALUES[key])} for _ in range(2)]
        a, b = count_of(w.scene, first), count_of(w.scene, second)
        truth = {"": a > b, "_fewer": a < b, "_equal": a == b}[form]
        if first != second and a + b and truth == wanted:
            return w.write("compare_counts", "compare" + form, yes_no(truth), {"a": first, "b": second}, plural=True,
                           nouns="shape object thing")
    return None


def ask_background(w: Writer) -> Question | None:
    if w.scene.background is not None:
        return w.write("background", "background", w.scene.background)


ASK: dict[str, Callable[[Writer], Question | None]] = {
    "color": ask_attribute_of("color"), "shape": ask_attribute_of("shape"), "size": ask_attribute_of("size"),
    "count": ask_count, "exists": ask_exists, "attribute": ask_attribute, "relation_yes_no": ask_relation_yes_no,
    "relation_object": ask_relation_object, "compare_sizes": ask_compare_sizes, "where": ask_where,
    "compare_counts": ask_compare_counts, "background": ask_background,
}
WITHOUT_OBJECTS = ("count", "exists", "background")
EVEN_WEIGHTS = {k: 1.0 for k in KINDS}
# Harder kinds are asked more often in training.
TRAIN_WEIGHTS = {**EVEN_WEIGHTS, "color": 0.6, "shape": 0.6, "size": 0.5, "background": 0.2, "attribute": 0.8,
                 "exists": 0.8, "where": 0.8, "count": 1.3, "relation_yes_no": 2.0, "relation_object": 2.0,
                 "compare_sizes": 1.4, "compare_counts": 1.3}


def ask_question(scene: Scene, rng: random.Random, weights: dict[str, float] = EVEN_WEIGHTS,
                 noisy: bool = False) -> Question:
    """One question about the scene. `noisy` adds unknown words and drops more punctuation, for training."""
    writer = Writer(scene, rng, noisy)
    kinds = KINDS if scene.objects else WITHOUT_OBJECTS
    while True:
        kind = rng.choices(kinds, [weights[k] for k in kinds])[0]
        for _ in range(3):
            question = ASK[kind](writer)
            if question:
                return question
