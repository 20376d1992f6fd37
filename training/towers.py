"""Networks on top of the picture encoder for the other tasks: a classifier, and two towers for matching."""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from network import WIDTH, Attention, FeedForward, PictureEncoder
from phrases import MAX_PHRASE

EMBED = 192
CELL_WIDTH = 256
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
    """Each cell says what it shows and how much it counts; the sum is a bag of the picture's objects."""

    def __init__(self) -> None:
        super().__init__()
        self.what, self.gate = nn.Linear(WIDTH, CELL_WIDTH), nn.Linear(WIDTH, 1)
        self.wide, self.narrow = nn.Linear(CELL_WIDTH + WIDTH, HIDDEN), nn.Linear(HIDDEN, EMBED)
        self.straight = nn.Linear(CELL_WIDTH + WIDTH, EMBED)

    def forward(self, memory: Tensor) -> Tensor:
        counted = torch.sigmoid(self.gate(memory)).transpose(1, 2)
        bag = torch.matmul(counted, F.relu(self.what(memory)))[:, 0]
        x = torch.cat([bag, memory.mean(1)], 1)
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
        self.layers = nn.ModuleList([TextLayer(), TextLayer()])
        self.norm, self.out = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, EMBED)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        x = self.embed(input_ids) + self.position[:, :input_ids.shape[1]]
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
