"""What shapes-chat begins with: the encoder and arranger of shapes-caption as they ship, or its own weights as they do.

What its encoder has more than theirs (`network.FineEncoder`) changes nothing until it is trained.
"""
from __future__ import annotations

import math
import re
from pathlib import Path

import machine  # noqa: F401  (before torch)
from torch import Tensor, nn

from chat_network import Eyes, HEAD_WIDTH, ShapesChat
from earlier import Weights, graph_of, known_labels, load_known, restore_norms, under, weights_of
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


def split_first(weights: Weights) -> Weights:
    """`FineEncoder.join` undone: the two convolutions that were exported as one."""
    weights = dict(weights)
    joined = weights.pop("joined.weight")
    return {**weights, "trunk.0.weight": joined[:, :3], "beside.weight": joined[:, 3:], "trunk.0.bias": weights.pop("joined.bias")}


def shipped_chat(models: Path, model: ShapesChat, pixels: Tensor) -> None:
    """Gives it the weights of shapes-chat as it ships, all of them."""
    eyes = weights_of(graph_of(models, "chat", "vision_encoder"))
    decoder = {**weights_of(graph_of(models, "chat", "decoder_model_merged")), **weights_of(graph_of(models, "chat", "embed_tokens"))}
    for name in decoder:
        if ".query." in name:
            decoder[name] = decoder[name] * math.sqrt(HEAD_WIDTH)  # the graph has them scaled
    for part, known in ((model.eyes.arranger, under(eyes, "eyes.arranger.")), (model.features, under(eyes, "features.")), (model.decoder, decoder)):
        left = load_known(part, known)
        if left:
            raise ValueError(f"{models} has no weights for {left}")
    encoder = split_first(under(eyes, "eyes.encoder."))
    load_known(model.eyes.encoder, encoder)
    restore_norms(model.eyes.encoder, encoder, pixels)
