"""Networks on top of the picture encoder for the other tasks: a classifier, and two towers for matching."""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from network import WIDTH, Attention, CellLabels, FeedForward, PictureEncoder
from phrases import MAX_PHRASE
from scenes import BACKGROUND_NAMES, COLOR_NAMES, SHAPES, SIZES

EMBED = 192
HIDDEN = 256


def unit(x: Tensor) -> Tensor:
    return x / x.square().sum(-1, keepdim=True).sqrt()


class Classifier(nn.Module):
    """Looks at the cells that matter most (a learned question to the cells), then names what is there."""

    def __init__(self, labels: int):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(WIDTH, 48), nn.ReLU(), nn.Linear(48, 1))
        self.wide, self.head = nn.Linear(2 * WIDTH, 128), nn.Linear(128, labels)

    def forward(self, memory: Tensor) -> Tensor:
        weights = torch.softmax(self.score(memory).transpose(1, 2), -1)
        seen = torch.cat([torch.matmul(weights, memory)[:, 0], memory.mean(1)], 1)
        return self.head(F.relu(self.wide(seen)))


class PictureTower(nn.Module):
    """Counts the objects of each colour, shape and size, softly, and embeds the counts and the background.

    What is on a cell, and how much of an object's centre, is read as stage 1 learned it. The product of the
    three keeps together what belongs to one object; a sum of the attributes would mix up several objects.
    """

    def __init__(self) -> None:
        super().__init__()
        self.labels = CellLabels(len(COLOR_NAMES), len(SHAPES), len(SIZES), len(BACKGROUND_NAMES))
        for parameter in self.labels.parameters():
            parameter.requires_grad_(False)
        facts = len(COLOR_NAMES) * len(SHAPES) * len(SIZES) + len(BACKGROUND_NAMES) + 1
        self.wide, self.narrow = nn.Linear(facts, HIDDEN), nn.Linear(HIDDEN, EMBED)
        self.straight = nn.Linear(facts, EMBED)

    def forward(self, memory: Tensor) -> Tensor:
        (color, shape, size, centre, _), background = self.labels(memory)
        # The first of each is "nothing here".
        color, shape, size = [torch.softmax(part, -1)[..., 1:] for part in (color, shape, size)]
        kinds = (color.unsqueeze(-1) * shape.unsqueeze(-2)).flatten(2)             # [N, CELLS, colours * shapes]
        counts = torch.matmul(kinds.transpose(1, 2), size * torch.sigmoid(centre)).flatten(1)
        x = torch.cat([counts, torch.softmax(background, -1)], 1)
        return unit(self.straight(x) + self.narrow(F.relu(self.wide(x))))


class TextLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attend = nn.LayerNorm(WIDTH), Attention()
        self.norm2, self.feed = nn.LayerNorm(WIDTH), FeedForward()

    def forward(self, x: Tensor, mask: Tensor, first_only: bool) -> Tensor:
        source = asking = self.norm1(x)
        if first_only:
            x, asking = x[:, :1], source[:, :1]
        x = x + self.attend(asking, source, mask)[0]
        return x + self.feed(self.norm2(x))


class TextTower(nn.Module):
    def __init__(self, words: int):
        super().__init__()
        self.embed = nn.Embedding(words, WIDTH)
        self.position = nn.Parameter(torch.randn(1, MAX_PHRASE, WIDTH) * 0.1)
        self.near, self.narrow = nn.Linear(3 * WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.layers = nn.ModuleList([TextLayer(), TextLayer()])
        self.norm, self.out = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, EMBED)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        words = self.embed(input_ids)
        # Each word sees the two before it: "two red circles" is read on its noun.
        near = torch.cat([words, F.pad(words, (0, 0, 1, 0))[:, :-1], F.pad(words, (0, 0, 2, 0))[:, :-2]], -1)
        x = words + self.narrow(F.relu(self.near(near))) + self.position[:, :input_ids.shape[1]]
        mask = ((1.0 - attention_mask.to(x.dtype)) * -1e4)[:, None, None, :]
        for i, layer in enumerate(self.layers):
            x = layer(x, mask, first_only=i == len(self.layers) - 1)
        return unit(self.out(self.norm(x[:, 0])))


class OnPictures(nn.Module):
    """The picture encoder and one of the above as one model: what is exported."""

    def __init__(self, encoder: PictureEncoder, top: nn.Module):
        super().__init__()
        self.encoder, self.top = encoder, top

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.top(self.encoder(pixel_values))
