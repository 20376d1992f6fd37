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


def load_eyes(eyes: Eyes, encoder: Weights, arranger: Weights, pixels: Tensor, may_lack: str = r"$^") -> None:
    """`pixels` are some pictures as training has them: batch norms were folded into the convolutions before them."""
    left = [*load_known(eyes.encoder, encoder), *load_known(eyes.arranger, arranger)]
    norms = {name for name, module in eyes.encoder.named_modules() if isinstance(module, nn.BatchNorm2d)}
    missing = [name for name in left if name.rpartition(".")[0] not in norms and not re.match(may_lack, name)]
    if missing:
        raise ValueError(f"the models have no weights for {missing}")
    restore_norms(eyes.encoder, encoder, pixels)


def shipped_eyes(models: Path, pixels: Tensor) -> Eyes:
    weights, eyes = weights_of(graph_of(models, "caption", "encoder_model")), Eyes()
    # Convolutions are named without the "model." that all else begins with.
    encoder = {**under(weights, "model.encoder."), **under(weights, "encoder.")}
    load_eyes(eyes, encoder, under(weights, "model.arranger."), pixels, r"fine|beside|near|.*\.more\.")
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
    load_eyes(model.eyes, split_first(under(eyes, "eyes.encoder.")), under(eyes, "eyes.arranger."), pixels)
    decoder = weights_of(graph_of(models, "chat", "decoder_model_merged")) | weights_of(graph_of(models, "chat", "embed_tokens"))
    for name in decoder:
        if ".query." in name:
            decoder[name] = decoder[name] * math.sqrt(HEAD_WIDTH)  # the graph has them scaled
    left = [*load_known(model.features, under(eyes, "features.")), *load_known(model.decoder, decoder)]
    if left:
        raise ValueError(f"the models have no weights for {left}")
