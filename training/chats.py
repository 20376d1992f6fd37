"""What is asked of shapes-chat about one picture, and the true answers.

A turn knows what its words refer to: where a phrase of the question ends and which objects it means, and which object
each piece of the answer is about. That is what teaches the decoder where to look (see README.md, "How it learns relations").
"""
from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

import statements
from captions import MARGIN, describe
from question_kinds import ask_question
from questions import (CLEAR, PLURAL, RELATIONS, TEMPLATES, VALUES, Question, Writer, absent_spec, mask_of, some_spec,
                       unique_spec, wording)
from scenes import COLOR_NAMES, Scene, SceneObject

UNSEEN = "I can't see that."
Piece = tuple[str, "int | None"]  # of an answer, and the bit mask of the objects it is about


@dataclass
class Turn:
    kind: str
    ask: str
    answer: list[Piece]
    #: (where in `ask` a phrase ends, bit mask of the objects it means)
    phrases: list[tuple[int, int]] = field(default_factory=list)
    #: number of the one object that "it" would be in the next question
    it: int | None = None

    @property
    def said(self) -> str:
        return "".join(text for text, _ in self.answer)


BRIEFLY = ["Answer in one word.", "Answer with one word.", "One word, please.", "Answer briefly.", "Be brief."]
IN_A_SENTENCE = ["Answer in a sentence.", "Answer in a full sentence.", "Answer with a sentence.",
                 "Please answer in a complete sentence.", "Use a whole sentence.", "In a sentence, please.",
                 "Answer in full sentences."]
DESCRIBE = ["Describe the {pic}.", "Describe this {pic}.", "What do you see?", "What is in the {pic}?",
            "What is in this {pic}?", "Write a caption for the {pic}.", "Caption this {pic}.", "Give a caption.",
            "What does the {pic} show?", "Describe the {pic} in a sentence.", "What can you see in the {pic}?",
            "Tell me what you see.", "Describe what you see."]
JUDGE = ["{s} Is that true? Answer yes, no or maybe.", "Is it true? {s}", "True or not: {s}", "Is this true: {s}",
         "Statement: {s} Yes, no or maybe?", "Yes, no or maybe: {s}", "{s} Yes, no or maybe?", "{s} True?",
         "Judge the statement: {s}", "{s} Is that so?"]
LIST = ["List the {a} as JSON{order}.", "List the {a}{order} as JSON.", "List all {a} as JSON{order}.",
        "Give me the {a} as a JSON list{order}.", "Return all {a} as JSON{order}.", "JSON list of the {a}{order}.",
        "Name the shape and color of all {a} as JSON{order}.", "Which {a} are there? Answer as JSON{order}."]
ORDERS = {"x": ["", " from left to right", ", left to right", ", from the left to the right", " in order from left to right"],
          "y": [" from top to bottom", ", top to bottom", ", from the top to the bottom", " in order from top to bottom"]}
OF_IT = {
    "color": ["What {hue} is it?", "And its {hue}?", "What is its {hue}?", "Which {hue} does it have?", "Its {hue}?"],
    "shape": ["What shape is it?", "And its shape?", "What is its shape?", "Which shape does it have?", "Its shape?"],
    "size": ["What size is it?", "How big is it?", "Is it small or large?", "And its size?", "Is it large or small?"],
    "side": ["Is it on the left or on the right?", "Where is it, left or right?", "Is it left or right?"],
}
PROPERTY = ["is the {a} {p}?", "would you say the {a} is {p}?", "do you think the {a} is {p}?"]


def chat_texts() -> list[str]:
    """Texts that hold every word that is said or asked."""
    asked = [*TEMPLATES.values(), *statements.TEMPLATES.values(), BRIEFLY, IN_A_SENTENCE, DESCRIBE, JUDGE, LIST,
             *ORDERS.values(), *OF_IT.values(), PROPERTY, *(v[2] for v in RELATIONS.values())]
    texts = [re.sub(r"\{\w+\}", " ", t).lower() for ts in asked for t in ts]
    texts += [re.sub(r"\{\w+\}", " ", p) for p in statements.PROPERTIES]
    texts += [*PLURAL, *PLURAL.values(), *statements.NUMBERS, *statements.BACKGROUND_NAMES, "user assistant system"]
    texts += ["small little large big larger bigger smaller more fewer color colour 0 1 2 3 4 5 6 7 8 json picture image photo"]
    texts += ["scene pictures images photos yes no maybe first second both neither it its an exactly than as many", UNSEEN]
    texts += ["The A An Yes No There It I Nothing Both Neither red", *(v for vs in VALUES.values() for v in vs)]
    return texts


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def singular(phrase: str) -> str:
    one = {v: k for k, v in PLURAL.items()}
    *before, last = phrase.split(" ")
    return " ".join([*before, one[last]])


def count_sentence(question: Question, a: str) -> str:
    if question.answer == "0":
        return f"There are no {a}."
    return f"There is 1 {singular(a)}." if question.answer == "1" else f"There are {question.answer} {a}."


def yes_no_sentence(question: Question, w: dict[str, str]) -> str:
    yes, a, b = question.answer == "yes", w["a"], w.get("b", "")
    if question.template == "exists":
        return f"Yes, there is {article(a)}." if yes else f"No, there is no {a}."
    if question.template == "exists_any":
        return f"Yes, there are {a}." if yes else f"No, there are no {a}."
    if question.template.startswith("compare"):
        more = {"compare": f"more {a} than", "compare_fewer": f"fewer {a} than", "compare_equal": f"as many {a} as"}
        return f"{'Yes, there are' if yes else 'No, there are not'} {more[question.template]} {b}."
    rest = {"attribute": w.get("v"), "relation_yes_no": f"{w.get('rel')} the {b}",
            "larger_yes_no": f"{w.get('more')} than the {b}", "where_yes_no": f"in the {w.get('side')} half"}
    return f"{'Yes' if yes else 'No'}, the {a} is {'' if yes else 'not '}{rest[question.template]}."


def sentence(question: Question) -> str:
    w, answer, a = question.words, question.answer, question.words.get("a", "")
    if answer in ("yes", "no"):
        return yes_no_sentence(question, w)
    if question.kind == "count":
        return count_sentence(question, a)
    return {
        "color": f"The {a} is {answer}.", "size": f"The {a} is {answer}.", "shape": f"The {a} is a {answer}.",
        "relation_shape": f"There is a {answer} {w.get('rel')} the {a}.",
        "relation_color": f"The {w.get('thing')} {w.get('rel')} the {a} is {answer}.",
        "larger": f"The {answer}{' one' if answer in COLOR_NAMES else ''} is {w.get('more')}.", "where_x": f"The {a} is on the {answer}.",
        "where_y": f"The {a} is at the {answer}.", "background": f"The background is {answer}.",
    }[question.template]


def phrase_ends(question: Question) -> list[tuple[int, int]]:
    """Phrases by letters instead of by words."""
    words = [m.end() for m in re.finditer(r"\w+|[^\w\s]+", question.text)]
    return [(words[end - 1], mask) for end, mask in question.phrases]


def cased(rng: random.Random, text: str) -> str:
    return capital(text) if rng.random() < 0.7 else text


def single(mask: int | None) -> int | None:
    return mask.bit_length() - 1 if mask and mask.bit_count() == 1 else None


def as_turn(question: Question, rng: random.Random, kind: str, answer: str) -> Turn:
    it = single(question.focus) if question.kind in ("color", "shape", "size", "where", "relation_object") else None
    return Turn(kind, question.text, [(answer, question.focus)], phrase_ends(question), it)


def ask_short(scene: Scene, rng: random.Random, noisy: bool, weights: dict[str, float]) -> Turn:
    question = ask_question(scene, rng, weights, noisy)
    turn = as_turn(question, rng, question.kind, question.answer)
    if rng.random() < 0.15:
        turn.ask += " " + rng.choice(BRIEFLY)
    return turn


def ask_sentence(scene: Scene, rng: random.Random, noisy: bool, weights: dict[str, float]) -> Turn:
    question = ask_question(scene, rng, weights, noisy)
    turn = as_turn(question, rng, "sentence", sentence(question))
    turn.ask += " " + rng.choice(IN_A_SENTENCE)
    return turn


def ask_caption(scene: Scene, rng: random.Random) -> Turn | None:
    caption = describe(scene)
    if not caption.clear:
        return None
    ask = rng.choice(DESCRIBE).replace("{pic}", rng.choice(["picture", "image", "photo", "scene"]))
    words, pieces = caption.text.split(" "), []
    for i, (word, rank) in enumerate(zip(words, caption.ranks)):
        pieces.append(((" " if i else "") + (word if i else capital(word)), 1 << caption.order[rank] if rank >= 0 else 0))
    return Turn("caption", ask, [*pieces, (".", None)])


def ask_judgement(scene: Scene, rng: random.Random, noisy: bool, weights: dict[str, float]) -> Turn:
    said = statements.make_statement(scene, rng, weights, noisy)
    before, after = rng.choice(JUDGE).split("{s}")
    ends = [(len(before) + end, mask) for end, mask in phrase_ends(said)]
    return Turn("entailment", before + said.text + after, [(said.answer, None)], ends)


def ask_list(scene: Scene, rng: random.Random) -> Turn | None:
    axis = "x" if rng.random() < 0.7 else "y"
    spec = {}
    if scene.objects and rng.random() < 0.3:
        key = rng.choice(["color", "shape"])
        spec = {key: getattr(rng.choice(scene.objects), key) if rng.random() < 0.8 else rng.choice(VALUES[key])}
    mask = mask_of(scene, spec)
    order = sorted((i for i in range(len(scene.objects)) if mask >> i & 1), key=lambda i: getattr(scene.objects[i], axis))
    if any(getattr(scene.objects[b], axis) - getattr(scene.objects[a], axis) < MARGIN for a, b in zip(order, order[1:])):
        return None
    phrase = wording(rng, spec, plural=True, nouns="shape object thing")
    before, after = rng.choice(LIST).split("{a}")
    ask = before + phrase + after.replace("{order}", rng.choice(ORDERS[axis]))
    pieces: list[Piece] = []
    for i, number in enumerate(order):
        o = scene.objects[number]
        pieces.append((('"},{"' if i else '[{"') + f'shape":"{o.shape}","color":"{o.color}', 1 << number))
    return Turn("list", ask, [*pieces, ('"}]' if order else "[]", 0)], [(len(before + phrase), mask)])


def ask_unseen(scene: Scene, rng: random.Random, noisy: bool) -> Turn | None:
    """About what is not there, or what no picture tells."""
    writer = Writer(scene, rng, noisy)
    if scene.objects and rng.random() < 0.25:
        spec = unique_spec(scene, rng, rng.choice(scene.objects))
        writer.templates = {**TEMPLATES, "property": PROPERTY}
        what = rng.choice([p for p in statements.PROPERTIES if "{" not in p])
        question = writer.write("unseen", "property", "", {"a": spec}, p=what) if spec else None
    else:
        spec, key = absent_spec(scene, rng), rng.choice(["color", "shape", "size", "where", "relation", "attribute"])
        if not spec or key in spec:
            return None
        nouns = "object thing one" if key == "shape" else "shape object thing one"
        if key in VALUES:
            question = writer.write("unseen", key, "", {"a": spec}, nouns=nouns)
        elif key == "where":
            question = writer.write("unseen", rng.choice(["where_x", "where_y"]), "", {"a": spec})
        elif key == "attribute":
            other = rng.choice([k for k in ("color", "size") if k not in spec] or [""])
            question = writer.write("unseen", "attribute", "", {"a": spec}, v=rng.choice(VALUES[other])) if other else None
        else:
            rel = rng.choice(RELATIONS[rng.choice(list(RELATIONS))][2])
            there = unique_spec(scene, rng, rng.choice(scene.objects)) if scene.objects else None
            form = rng.choice(["relation_yes_no", "relation_shape", "relation_color"])
            question = None
            if form != "relation_yes_no":
                question = writer.write("unseen", form, "", {"a": spec}, rel=rel)
            elif there:
                pair = (spec, there) if rng.random() < 0.5 else (there, spec)
                question = writer.write("unseen", form, "", {"a": pair[0], "b": pair[1]}, rel=rel)
    if not question:
        return None
    turn = Turn("unseen", question.text, [(UNSEEN, None)], phrase_ends(question))
    if rng.random() < 0.3:
        turn.ask += " " + rng.choice([*BRIEFLY, *IN_A_SENTENCE])
    return turn


def ask_of_it(scene: Scene, rng: random.Random, before: Turn) -> Turn | None:
    """Once more about the object of the turn before."""
    if before.it is None:
        return None
    o: SceneObject = scene.objects[before.it]
    key = rng.choice([k for k in OF_IT if k != before.kind])
    if key == "side" and abs(o.x - 0.5) < CLEAR:
        return None
    ask = rng.choice(OF_IT[key]).replace("{hue}", rng.choice(["color", "colour"]))
    at = re.search(r"\bits?\b", ask, re.IGNORECASE)
    answer = ("left" if o.x < 0.5 else "right") if key == "side" else getattr(o, key)
    mask = 1 << before.it
    return Turn("follow_up", ask, [(answer, mask)], [(at.end(), mask)] if at else [], before.it)
