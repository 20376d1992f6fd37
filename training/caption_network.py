"""The captioner: the picture encoder, layers that put its objects in order, and a decoder that names them.

    picture -> PictureEncoder -> memory -> Arranger -> last_hidden_state [N, CELLS, WIDTH]
    tokens so far + last_hidden_state -> CaptionDecoder -> logits of the next token

The arranger lets every cell look at all others, so that a cell with an object can know
which one it is from the left and how it stands to the one before. The decoder only has to
point at the next one and read. Keys and values of past tokens are handed in and out.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from captions import MAX_CAPTION, RELATION_WORDS
from network import WIDTH, Attention, FeedForward, PictureEncoder, coordinates
from scenes import MAX_OBJECTS

ARRANGER_LAYERS, DECODER_LAYERS = 3, 2
KeyValue = tuple[Tensor, Tensor]


class CellLayer(nn.Module):
    """Cells look at cells, with ordinary and pointer heads."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attend = nn.LayerNorm(WIDTH), Attention(pointers=True)
        self.norm2, self.feed = nn.LayerNorm(WIDTH), FeedForward()

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm1(x)
        x = x + self.attend(h, h)[0]
        return x + self.feed(self.norm2(x))


class Arranger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter((coordinates() @ torch.randn(6, WIDTH) * 0.35)[None])
        self.layers = nn.ModuleList([CellLayer() for _ in range(ARRANGER_LAYERS)])
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, memory: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns the arranged cells and the state after each layer."""
        x, states = memory + self.place, []
        for layer in self.layers:
            x = layer(x)
            states.append(x)
        return self.norm(x), states


class OrderLabels(nn.Module):
    """What training asks of a cell with an object: its exact place, its rank, its relation to the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Linear(WIDTH, 2)
        self.early_rank = nn.Linear(WIDTH, MAX_OBJECTS)
        self.rank, self.relation = nn.Linear(WIDTH, MAX_OBJECTS), nn.Linear(WIDTH, len(RELATION_WORDS))


class DecoderLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attend = nn.LayerNorm(WIDTH), Attention()
        self.norm2, self.look = nn.LayerNorm(WIDTH), Attention(pointers=True)
        self.norm3, self.feed = nn.LayerNorm(WIDTH), FeedForward()

    def forward(self, x: Tensor, picture: KeyValue, past: KeyValue | None,
                mask: Tensor | None) -> tuple[Tensor, KeyValue, Tensor | None]:
        h = self.norm1(x)
        key, value = self.attend.keep(h)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        x = x + self.attend.read(h, key, value, mask)[0]
        seen, pointed = self.look.read(self.norm2(x), *picture)
        x = x + seen
        return x + self.feed(self.norm3(x)), (key, value), pointed


class CaptionDecoder(nn.Module):
    def __init__(self, words: int):
        super().__init__()
        self.embed = nn.Embedding(words, WIDTH)
        self.position = nn.Parameter(torch.randn(1, MAX_CAPTION, WIDTH) * 0.1)
        self.layers = nn.ModuleList([DecoderLayer() for _ in range(DECODER_LAYERS)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, words)

    def look_ahead(self, cells: Tensor) -> list[KeyValue]:
        """Each layer's keys and values of the picture, the same for all tokens."""
        return [layer.look.keep(cells) for layer in self.layers]

    def forward(self, input_ids: Tensor, pictures: list[KeyValue],
                pasts: list[KeyValue] | None = None) -> tuple[Tensor, list[KeyValue], Tensor]:
        """Logits, the keys and values of all tokens so far, and where the last layer points."""
        start = pasts[0][0].shape[2] if pasts else 0
        length = input_ids.shape[1]
        x = self.embed(input_ids) + self.position[:, start:start + length]
        mask = None if pasts else torch.triu(torch.full((MAX_CAPTION, MAX_CAPTION), -1e4), 1)[:length, :length]
        present, pointed = [], x
        for i, layer in enumerate(self.layers):
            x, kept, pointed = layer(x, pictures[i], pasts[i] if pasts else None, mask)
            present.append(kept)
        return self.head(self.norm(x)), present, pointed


class Captioner(nn.Module):
    def __init__(self, words: int):
        super().__init__()
        self.encoder, self.arranger, self.decoder = PictureEncoder(), Arranger(), CaptionDecoder(words)

    def cells(self, pixel_values: Tensor) -> Tensor:
        return self.arranger(self.encoder(pixel_values))[0]


@torch.no_grad()
def greedy(decoder: CaptionDecoder, cells: Tensor, prompt: list[int], stop: int) -> list[list[int]]:
    """The tokens after the prompt for each picture, up to `stop`."""
    pictures, ids = decoder.look_ahead(cells), torch.tensor([prompt]).expand(len(cells), -1)
    logits, pasts, _ = decoder(ids, pictures)
    out = []
    while True:
        following = logits[:, -1].argmax(-1, keepdim=True)
        out.append(following)
        done = torch.cat(out, 1)
        if len(prompt) + len(out) >= MAX_CAPTION or bool((done == stop).any(1).all()):
            return [row[:row.index(stop)] if stop in row else row for row in done.tolist()]
        logits, pasts, _ = decoder(following, pictures, pasts)
