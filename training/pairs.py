"""What is asked of shapes-chat about two pictures. Objects of the second have the bits above those of the first."""
from __future__ import annotations

import random

from chats import IN_A_SENTENCE, Turn, article, ask_sentence, ask_short
from questions import Spec, count_of, mask_of, some_spec, wording
from scenes import MAX_OBJECTS, Scene

WHICH = ["Which {pic} has {art}?", "Which {pic} shows {art}?", "Which {pic} contains {art}?",
         "In which {pic} is there {art}?", "Which of the {pics} has {art}?", "Where is there {art}, in the first or the second {pic}?",
         "Which one has {art}?"]
MORE = ["Which {pic} has more {a}?", "Which {pic} shows more {a}?", "In which {pic} are there more {a}?",
        "Which one has more {a}?"]
IN_ONE = ["In the {nth} {pic}, ", "In the {nth} {pic}: ", "{Nth} {pic}: ", "Look at the {nth} {pic}: ",
          "About the {nth} {pic}: ", "In {pic} {n}, "]
PICTURES = ["picture", "image", "photo"]


def pair_texts() -> list[str]:
    texts = [t.replace("{", " ").replace("}", " ") for t in [*WHICH, *MORE, *IN_ONE]]
    return [t.lower() for t in texts] + ["The first image the second image both neither has have a more Both images Neither"]


def two_mask(scenes: tuple[Scene, Scene], spec: Spec) -> int:
    return mask_of(scenes[0], spec) | mask_of(scenes[1], spec) << MAX_OBJECTS


def mixed_spec(scenes: tuple[Scene, Scene], rng: random.Random) -> Spec:
    """Of an object in one of the pictures, or of none."""
    things = [o for s in scenes for o in s.objects]
    if not things or rng.random() < 0.12:
        return some_spec(rng)
    spec = some_spec(rng, rng.choice(things))
    keep = rng.choice(list(spec))
    return {keep: spec[keep]} if rng.random() < 0.5 else spec


def ask_which(scenes: tuple[Scene, Scene], rng: random.Random) -> Turn:
    spec = mixed_spec(scenes, rng)
    phrase = wording(rng, spec, nouns="shape object thing")
    pic = rng.choice(PICTURES)
    form = rng.choice(WHICH).replace("{pics}", PLURALS[pic]).replace("{pic}", pic)
    before, after = form.split("{art}")
    before += article(phrase)
    first, second = count_of(scenes[0], spec) > 0, count_of(scenes[1], spec) > 0
    mask = two_mask(scenes, spec)
    turn = Turn("which", before + after, [(which(first, second), mask)], [(len(before), mask)])
    if rng.random() < 0.2:
        turn.ask += " " + rng.choice(IN_A_SENTENCE)
        has = "Both images have" if first and second else "Neither image has" if not first and not second else \
            f"The {'first' if first else 'second'} image has"
        turn.answer = [(f"{has} {article(phrase)}.", mask)]
    return turn


def which(first: bool, second: bool) -> str:
    return "both" if first and second else "neither" if not first and not second else \
        "the first" if first else "the second"


def ask_more(scenes: tuple[Scene, Scene], rng: random.Random) -> Turn | None:
    spec = {} if rng.random() < 0.2 else mixed_spec(scenes, rng)
    a, b = count_of(scenes[0], spec), count_of(scenes[1], spec)
    if a == b:
        return None
    before, after = rng.choice(MORE).replace("{pic}", rng.choice(PICTURES)).split("{a}")
    before += wording(rng, spec, plural=True, nouns="shape object thing")
    mask = two_mask(scenes, spec)
    return Turn("more", before + after, [("the first" if a > b else "the second", mask)], [(len(before), mask)])


def ask_in_one(scenes: tuple[Scene, Scene], rng: random.Random, noisy: bool, weights: dict[str, float]) -> Turn:
    at = rng.randrange(2)
    ask = ask_sentence if rng.random() < 0.2 else ask_short
    turn = ask(scenes[at], rng, noisy, weights)
    nth = ["first", "second"][at]
    before = rng.choice(IN_ONE).replace("{nth}", nth).replace("{Nth}", nth).replace("{n}", str(at + 1))
    before = before.replace("{pic}", rng.choice(PICTURES))
    shift = MAX_OBJECTS * at
    return Turn("in_one", before + turn.ask, [(t, None if m is None else m << shift) for t, m in turn.answer],
                [(len(before) + end, mask << shift) for end, mask in turn.phrases])


PLURALS = {p: p + "s" for p in PICTURES}


def ask_pair(scenes: tuple[Scene, Scene], rng: random.Random, noisy: bool, weights: dict[str, float]) -> Turn:
    while True:
        roll = rng.random()
        turn = ask_which(scenes, rng) if roll < 0.4 else ask_more(scenes, rng) if roll < 0.6 else \
            ask_in_one(scenes, rng, noisy, weights)
        if turn:
            return turn
