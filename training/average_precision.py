"""Mean average precision of found objects, as PASCAL VOC has measured it since 2010: the area under the curve
of precision over recall, where precision is the best at that recall or beyond.

Written a second time in tests/evaluate/average-precision.ts, for what the running system finds.
"""
from __future__ import annotations

from typing import Any, Iterable, NamedTuple, Sequence

Box = Sequence[float]  # left, top, right, bottom


class Found(NamedTuple):
    label: str
    score: float
    box: Box


class Truth(NamedTuple):
    label: str
    box: Box


Judged = tuple[list[Found], list[Truth]]


def judged(pictures: Iterable[dict[str, Any]]) -> list[Judged]:
    """What evaluate_tasks.mjs writes of each picture."""
    def corners(box: dict[str, float]) -> Box:
        return box["xmin"], box["ymin"], box["xmax"], box["ymax"]
    return [([Found(f["label"], f["score"], corners(f["box"])) for f in picture["found"]],
             [Truth(t["label"], corners(t["box"])) for t in picture["truth"]]) for picture in pictures]


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    both = across * down
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def average_precision(pictures: Sequence[Judged], label: str, least: float) -> float | None:
    """Of one label; a find is right where it overlaps by `least` an object that no surer one has. None: no object."""
    finds = sorted(((f, i) for i, (found, _) in enumerate(pictures) for f in found if f.label == label),
                   key=lambda pair: -pair[0].score)
    truths = [[t.box for t in truth if t.label == label] for _, truth in pictures]
    count, used = sum(map(len, truths)), set()
    if not count:
        return None
    curve: list[tuple[float, float]] = []  # recall, precision
    for number, (find, i) in enumerate(finds, 1):
        best = max(((overlap(find.box, box), j) for j, box in enumerate(truths[i])), default=(0.0, -1))
        if best[0] >= least and (i, best[1]) not in used:
            used.add((i, best[1]))
        curve.append((len(used) / count, len(used) / number))
    area, precision, after = 0.0, 0.0, curve[-1][0] if curve else 0.0
    for at, (recall, here) in reversed(list(enumerate(curve))):
        precision = max(precision, here)
        before = curve[at - 1][0] if at else 0.0
        area += (after - before) * precision
        after = before
    return area


def mean_average_precision(pictures: Sequence[Judged], labels: Sequence[str], least: float = 0.5) -> dict[str, float]:
    """By label, and their mean as "all"."""
    table = {label: average_precision(pictures, label, least) for label in labels}
    there = {label: value for label, value in table.items() if value is not None}
    return {"all": sum(there.values()) / len(there), **there}


def complete(pictures: Sequence[Judged], threshold: float, least: float = 0.5) -> float:
    """In what share of the pictures the finds of at least that score are the objects, each once, and nothing else."""
    def whole(found: list[Found], truth: list[Truth]) -> bool:
        sure = [f for f in found if f.score >= threshold]
        left = list(truth)
        for find in sure:
            match = next((t for t in left if t.label == find.label and overlap(find.box, t.box) >= least), None)
            if match is None:
                return False
            left.remove(match)
        return not left
    return sum(whole(found, truth) for found, truth in pictures) / len(pictures)
