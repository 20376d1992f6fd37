"""shapes-chat: a small decoder-only language model that reads a picture's cells as if they were words.

    picture -> FineEncoder -> Arranger -> ImageFeatures [N, CELLS, CHAT_WIDTH]
    words and image features -> ChatDecoder -> logits of the next token

The decoder is what public chat models are: causal attention with rotary positions, fewer heads of keys than of
queries. All rows of a scene begin with the same picture, so training computes that part once (`Prefix`).
The head `POINTER` of two layers is taught where to look: softmax cannot say "nowhere", and a mean over what fits
does not say how much it was. So the first token counts as one more object that always fits: the share it
gets, 1 / (1 + n), says how many there are, and nothing of n = 0 is lost.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from caption_network import Arranger
from network import CELLS, WIDTH, FineEncoder, coordinates

CHAT_WIDTH, HEADS, KEY_HEADS, HEAD_WIDTH, WIDE = 128, 4, 2, 32, 320
LAYERS, PHRASE_LAYER, ABOUT_LAYER = 6, 1, 4
ROPE_BASE = 10000.0
GROUP = HEADS // KEY_HEADS
KeyValue = tuple[Tensor, Tensor]


class Eyes(nn.Module):
    """Pictures to cells: what was seen on each, beside what the arranger made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.arranger = FineEncoder(), Arranger()

    def forward(self, pixel_values: Tensor) -> Tensor:
        memory = self.encoder(pixel_values)
        return torch.cat([memory, self.arranger(memory)[0]], -1)


class ImageFeatures(nn.Module):
    """From what encoder and arranger say of each cell to the decoder's width."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(2 * WIDTH, CHAT_WIDTH)
        self.place = nn.Parameter((coordinates() @ torch.randn(6, CHAT_WIDTH) * 0.3)[None])
        self.norm = nn.LayerNorm(CHAT_WIDTH)

    def forward(self, seen: Tensor) -> Tensor:
        """[N, CELLS, 2 * WIDTH], the encoder's and the arranger's output."""
        return self.norm(self.project(seen) + self.place)


def rotations(start: int, length: int, device: torch.device) -> KeyValue:
    """Cosines and sines for the positions from `start`, [length, HEAD_WIDTH]."""
    speed = 1 / ROPE_BASE ** (torch.arange(0, HEAD_WIDTH, 2, device=device) / HEAD_WIDTH)
    angles = (torch.arange(start, start + length, device=device)[:, None] * speed).repeat(1, 2)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, turn: KeyValue) -> Tensor:
    """The last axis holds first halves, then second halves, as Llama has them; the one before is the position."""
    first, second = x.chunk(2, -1)
    return x * turn[0] + torch.cat([-second, first], -1) * turn[1]


class ChatLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(CHAT_WIDTH), nn.LayerNorm(CHAT_WIDTH)
        self.query = nn.Linear(CHAT_WIDTH, HEADS * HEAD_WIDTH)
        self.key, self.value = (nn.Linear(CHAT_WIDTH, KEY_HEADS * HEAD_WIDTH) for _ in range(2))
        self.out = nn.Linear(HEADS * HEAD_WIDTH, CHAT_WIDTH)
        self.wide, self.narrow = nn.Linear(CHAT_WIDTH, WIDE), nn.Linear(WIDE, CHAT_WIDTH)

    def heads(self, x: Tensor, turn: KeyValue) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [N, KEY_HEADS, GROUP, T, HEAD_WIDTH], scaled; keys and values [N, KEY_HEADS, T, HEAD_WIDTH]."""
        n, length, _ = x.shape
        h = self.norm1(x)
        q = self.query(h).reshape(n, length, KEY_HEADS, GROUP, HEAD_WIDTH).permute(0, 2, 3, 1, 4)
        k, v = (part(h).reshape(n, length, KEY_HEADS, HEAD_WIDTH).transpose(1, 2) for part in (self.key, self.value))
        return rotate(q, turn) * (1 / math.sqrt(HEAD_WIDTH)), rotate(k, turn), v

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.out(attended.permute(0, 3, 1, 2, 4).reshape(*x.shape[:2], -1))
        return x + self.narrow(F.relu(self.wide(self.norm2(x))))

    def prefix(self, x: Tensor, turn: KeyValue, mask: Tensor) -> tuple[Tensor, KeyValue]:
        """What all rows of a scene begin with, [scenes, P, width]."""
        q, k, v = self.heads(x, turn)
        weights = (torch.matmul(q, k.unsqueeze(2).transpose(-1, -2)) + mask).softmax(-1)
        return self.finish(x, torch.matmul(weights, v.unsqueeze(2))), (k, v)

    def forward(self, x: Tensor, before: KeyValue, turn: KeyValue, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [scenes * rows, T, width] after their prefixes; also the scores of all heads."""
        rows, length, _ = x.shape
        scenes, start = len(before[0]), before[0].shape[2]
        each = rows // scenes
        q, k, v = self.heads(x, turn)
        # All rows of a scene ask its prefix as if they were one long text.
        asked = q.reshape(scenes, each, KEY_HEADS, GROUP, length, HEAD_WIDTH).permute(0, 2, 1, 3, 4, 5)
        asked = asked.reshape(scenes, KEY_HEADS, each * GROUP * length, HEAD_WIDTH)
        far = torch.matmul(asked, before[0].transpose(-1, -2))
        far = far.reshape(scenes, KEY_HEADS, each, GROUP, length, start).transpose(1, 2)
        far = far.reshape(rows, KEY_HEADS, GROUP, length, start)
        scores = torch.cat([far, torch.matmul(q, k.unsqueeze(2).transpose(-1, -2)) + mask], -1)
        far, near = scores.softmax(-1).split([start, length], -1)
        far = far.reshape(scenes, each, KEY_HEADS, GROUP, length, start).transpose(1, 2)
        far = torch.matmul(far.reshape(scenes, KEY_HEADS, each * GROUP * length, start), before[1])
        far = far.reshape(scenes, KEY_HEADS, each, GROUP, length, HEAD_WIDTH).transpose(1, 2)
        attended = far.reshape(q.shape) + torch.matmul(near, v.unsqueeze(2))
        return self.finish(x, attended), scores


def causal(length: int, device: torch.device) -> Tensor:
    return torch.triu(torch.full((length, length), -1e4, device=device), 1)


@dataclass
class Seen:
    """What the decoder makes of a group of rows."""
    state: Tensor
    turn: KeyValue
    mask: Tensor
    #: by layer, [rows, KEY_HEADS, GROUP, T, P + T]; the first head is the one that points
    scores: list[Tensor] = field(default_factory=list)
    middle: Tensor | None = None  # the state after PHRASE_LAYER


class ChatDecoder(nn.Module):
    def __init__(self, words: int):
        super().__init__()
        self.embed = nn.Embedding(words, CHAT_WIDTH)
        nn.init.normal_(self.embed.weight, std=1.0)
        self.layers = nn.ModuleList([ChatLayer() for _ in range(LAYERS)])
        self.norm, self.head = nn.LayerNorm(CHAT_WIDTH), nn.Linear(CHAT_WIDTH, words)

    def forward(self, prefix: Tensor, groups: list[Tensor]) -> list[Seen]:
        """For rows of several lengths: each group holds rows of all scenes, equally many of each."""
        start, device = prefix.shape[1], prefix.device
        first, mask = rotations(0, start, device), causal(start, device)
        seen = [Seen(self.embed(tokens), rotations(start, tokens.shape[1], device), causal(tokens.shape[1], device))
                for tokens in groups]
        for i, layer in enumerate(self.layers):
            prefix, before = layer.prefix(prefix, first, mask)
            for group in seen:
                group.state, scores = layer(group.state, before, group.turn, group.mask)
                group.scores.append(scores)
                if i == PHRASE_LAYER:
                    group.middle = group.state
        for group in seen:
            group.state = self.norm(group.state)
        return seen


class ShapesChat(nn.Module):
    def __init__(self, words: int):
        super().__init__()
        self.eyes, self.features, self.decoder = Eyes(), ImageFeatures(), ChatDecoder(words)
