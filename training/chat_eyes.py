"""The encoder and arranger of shapes-caption as they ship, for shapes-chat to begin with.

What its encoder has more than theirs (`network.FineEncoder`) changes nothing until it is trained.
"""
from __future__ import annotations

import re
from pathlib import Path

import machine  # noqa: F401  (before torch)
from torch import Tensor, nn

from chat_network import Eyes
from earlier import graph_of, known_labels, load_known, restore_norms, under, weights_of
from network import CellLabels


def shipped_eyes(models: Path, pixels: Tensor) -> Eyes:
    """`pixels` are some pictures as training has them: batch norms were folded into the convolutions before them."""
    weights, eyes = weights_of(graph_of(models, "caption", "encoder_model")), Eyes()
    # Convolutions are named without the "model." that all else begins with.
    encoder = {**under(weights, "model.encoder."), **under(weights, "encoder.")}
    left = [*load_known(eyes.encoder, encoder), *load_known(eyes.arranger, under(weights, "model.arranger."))]
    norms = {name for name, module in eyes.encoder.named_modules() if isinstance(module, nn.BatchNorm2d)}
    missing = [name for name in left if name.rpartition(".")[0] not in norms and not re.match(r"fine|beside|near|.*\.more\.", name)]
    if missing:
        raise ValueError(f"{models} has no weights for {missing}")
    restore_norms(eyes.encoder, encoder, pixels)
    return eyes


def shipped_labels(models: Path, labels: CellLabels) -> None:
    """What says of every cell what is on it, from shapes-clip."""
    known_labels(labels, under(weights_of(graph_of(models, "clip", "vision_model")), "top.labels."))
