"""The networks: a picture encoder and a question reader that points into its cells.

    picture [N,3,128,128] -> PictureEncoder -> memory [N, 64 cells, WIDTH]
    memory + question   -> QuestionReader -> state  [N, WIDTH] -> linear -> answers

Cross-attention has ordinary heads (softmax: "look at the best cells") and
pointer heads (sigmoid: "look at every cell that fits, at none if none does").
Pointers are what counting, existence and relations are read from; the last
pointer head is trained to point at what a phrase means. Everything is plain
convolution, matrix product, softmax, sigmoid and layer norm, so that the
exported graph stays easy to quantise.
"""
from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 96
HEADS = 4
HEAD_WIDTH = WIDTH // HEADS
SOFT_HEADS = 2  # the other heads are pointers
HIDDEN = 192
GRID = 8
CELLS = GRID * GRID


def normalise(images: Tensor) -> Tensor:
    """uint8 [N,H,W,3] to what the encoder takes, as preprocessor_config.json says."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def split_heads(x: Tensor) -> Tensor:
    return x.reshape(x.shape[0], -1, HEADS, HEAD_WIDTH).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    return x.transpose(1, 2).reshape(x.shape[0], -1, WIDTH)


class Attention(nn.Module):
    def __init__(self, pointers: bool = False):
        super().__init__()
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.value, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.threshold = nn.Parameter(torch.full((1, HEADS - SOFT_HEADS, 1, 1), -3.0)) if pointers else None

    def keep(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """The source's keys and values, [N, HEADS, length, HEAD_WIDTH]: what a decoder caches."""
        return split_heads(self.key(source)), split_heads(self.value(source))

    def read(self, x: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Returns the attended values and, with pointers, the last head's logits over the source."""
        query = split_heads(self.query(x)) * (1 / math.sqrt(HEAD_WIDTH))
        scores = torch.matmul(query, key.transpose(-1, -2))
        if mask is not None:
            scores = scores + mask
        pointed = None
        if self.threshold is None:
            weights = torch.softmax(scores, -1)
        else:
            points = scores[:, SOFT_HEADS:] + self.threshold
            weights = torch.cat([torch.softmax(scores[:, :SOFT_HEADS], -1), torch.sigmoid(points)], 1)
            pointed = points[:, -1]
        return self.out(merge_heads(torch.matmul(weights, value))), pointed

    def forward(self, x: Tensor, source: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return self.read(x, *self.keep(source), mask)


class FeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.narrow(F.relu(self.wide(x)))


def conv(inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(*conv(channels, channels, 3, 1), nn.ReLU(), *conv(channels, channels, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class Deeper(Residual):
    """A residual block with another one behind it, which changes nothing until it is trained."""

    def __init__(self, channels: int):
        super().__init__(channels)
        self.more = Residual(channels)
        nn.init.zeros_(self.more.body[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.more(super().forward(x))


class PictureEncoder(nn.Module):
    """Convolutions down to 8 x 8 cells, then one self-attention layer among the cells."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *conv(3, 16, 3, 2), nn.ReLU(), *conv(16, 32, 3, 2), nn.ReLU(), Deeper(32),
            *conv(32, 56, 3, 2), nn.ReLU(), Deeper(56),
            *conv(56, WIDTH, 3, 2), nn.ReLU(), Residual(WIDTH), nn.Conv2d(WIDTH, WIDTH, 1))
        self.position = nn.Parameter(torch.randn(1, CELLS, WIDTH) * 0.3)
        self.norm1, self.attend = nn.LayerNorm(WIDTH), Attention()
        self.norm2, self.feed = nn.LayerNorm(WIDTH), FeedForward()
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.among_cells(self.trunk(pixel_values))

    def among_cells(self, cells: Tensor) -> Tensor:
        x = cells.flatten(2).transpose(1, 2) + self.position
        h = self.norm1(x)
        x = x + self.attend(h, h)[0]
        return self.norm(x + self.feed(self.norm2(x)))


class FineEncoder(PictureEncoder):
    """For pictures twice as high and wide; it takes the weights of a PictureEncoder, and gives the same with them.

    That one sees the means of 2 x 2 pixels. What they leave out comes in beside its first convolution, and a block more
    looks at it before it is small; both change nothing until they are trained.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.beside = nn.Sequential(*conv(3, 13, 3, 2), nn.ReLU()), nn.Conv2d(13, 16, 3, 2, 1, bias=False)
        self.near, self.joined = Residual(16), None
        nn.init.zeros_(self.beside.weight)
        nn.init.zeros_(self.near.body[-1].weight)

    def forward(self, pixel_values: Tensor) -> Tensor:
        means, fine = F.avg_pool2d(pixel_values, 2), self.fine(pixel_values)
        first = self.joined(torch.cat([means, fine], 1)) if self.joined else self.trunk[0](means) + self.beside(fine)
        return self.among_cells(self.trunk[3:](self.near(self.trunk[1:3](first))))

    def join(self) -> None:
        """Makes both first convolutions one, so that an exporter can fold what follows into it."""
        self.joined = nn.Conv2d(16, 16, 3, 2, 1, bias=False)
        self.joined.weight = nn.Parameter(torch.cat([self.trunk[0].weight, self.beside.weight], 1))


def encoder_of(work: Path) -> PictureEncoder:
    """The trained encoder from WORK/encoder.pt."""
    encoder = PictureEncoder()
    encoder.load_state_dict(torch.load(work / "encoder.pt")["encoder"])
    return encoder.eval()


class CellLabels(nn.Module):
    """What stage 1 asks of every cell: colour, shape, size, centre, log of the radius; and the background of all."""

    def __init__(self, colors: int, shapes: int, sizes: int, backgrounds: int):
        super().__init__()
        self.parts = [colors + 1, shapes + 1, sizes + 1, 1, 1]
        self.cell, self.background = nn.Linear(WIDTH, sum(self.parts)), nn.Linear(WIDTH, backgrounds + 1)  # or one of many colours

    def forward(self, memory: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        return self.cell(memory).split(self.parts, -1), self.background(memory.mean(1))


def coordinates() -> Tensor:
    """[CELLS, 6]: x and y of the cell centres in -1..1, and smooth functions of them."""
    at = (torch.arange(GRID) + 0.5) * 2 / GRID - 1
    y, x = [t.reshape(-1) for t in torch.meshgrid(at, at, indexing="ij")]
    return torch.stack([x, y, torch.sin(math.pi * x), torch.sin(math.pi * y),
                        torch.cos(math.pi * x), torch.cos(math.pi * y)], 1)


class ReaderLayer(nn.Module):
    """Self-attention among the words, then (optionally) a look at the picture, then the feed-forward."""

    def __init__(self, looks: bool):
        super().__init__()
        self.norm1, self.attend = nn.LayerNorm(WIDTH), Attention()
        self.norm2, self.look = (nn.LayerNorm(WIDTH), Attention(pointers=True)) if looks else (None, None)
        self.norm3, self.feed = nn.LayerNorm(WIDTH), FeedForward()

    def forward(self, x: Tensor, mask: Tensor, memory: Tensor, first_only: bool) -> tuple[Tensor, Tensor | None]:
        source = asking = self.norm1(x)
        if first_only:
            x, asking = x[:, :1], source[:, :1]
        x = x + self.attend(asking, source, mask)[0]
        pointed = None
        if self.look is not None:
            # Several questions may share one picture: then they queue up as words of one long text.
            h = self.norm2(x).reshape(memory.shape[0], -1, WIDTH)
            seen, pointed = self.look(h, memory)
            x = x + seen.reshape(x.shape)
            pointed = pointed.reshape(x.shape[0], -1, CELLS)
        return x + self.feed(self.norm3(x)), pointed


class QuestionReader(nn.Module):
    """Reads a question against a picture's memory; layer 0 only reads, the last one only for [CLS]."""

    LOOKS = (False, True, True, True)

    def __init__(self, words: int, max_tokens: int = 32):
        super().__init__()
        self.embed = nn.Embedding(words, WIDTH)
        self.position = nn.Parameter(torch.randn(1, max_tokens, WIDTH) * 0.1)
        self.place = nn.Parameter((coordinates() @ torch.randn(6, WIDTH) * 0.35)[None])
        self.layers = nn.ModuleList([ReaderLayer(looks) for looks in self.LOOKS])
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, memory: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """Returns the [CLS] state, the pointer logits of each looking layer, and the words after layer 1."""
        memory = memory + self.place
        x = self.embed(input_ids) + self.position[:, :input_ids.shape[1]]
        mask = ((1.0 - attention_mask.to(x.dtype)) * -1e4)[:, None, None, :]
        pointers, words = [], x
        for i, layer in enumerate(self.layers):
            x, pointed = layer(x, mask, memory, first_only=i == len(self.layers) - 1)
            if pointed is not None:
                pointers.append(pointed)
            if i == 1:
                words = x
        return self.norm(x[:, 0]), pointers, words


class VisualQuestionAnswering(nn.Module):
    """Encoder, reader and answer head as one model: what is exported."""

    def __init__(self, encoder: PictureEncoder, reader: QuestionReader, head: nn.Linear):
        super().__init__()
        self.encoder, self.reader, self.head = encoder, reader, head

    def forward(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.head(self.reader(input_ids, attention_mask, self.encoder(pixel_values))[0])


def parameter_count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
