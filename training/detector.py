"""The detector on top of the picture encoder: what each cell's object is, and where its box lies.

    picture -> trunk -> detail [N, 56, 16, 16]
            -> PictureEncoder -> memory [N, CELLS, WIDTH]
    memory + detail -> CellLayers -> logits [N, CELLS, shapes], pred_boxes [N, CELLS, 4]

One cell answers for one object, and looks at its neighbours so that no other does: nothing has to be
thrown away after it. The detail is the encoder's own, one stage before its cells, where small things
are still apart.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from caption_network import CellLayer
from network import CELLS, GRID, WIDTH, PictureEncoder, coordinates
from scenes import SHAPES

LAYERS = 2
#: the trunk's stages up to the 16 x 16 cells, and what they give
DETAIL_STAGES, DETAIL_WIDTH = 11, 56
#: how far from its cell's centre the centre of an object may be, as a share of the picture
REACH = 0.25


class DetectionHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(DETAIL_WIDTH, WIDTH, 4, 2, 1)
        self.place = nn.Parameter((coordinates() @ torch.randn(6, WIDTH) * 0.35)[None])
        self.layers = nn.ModuleList([CellLayer() for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(WIDTH)
        self.shape, self.box = nn.Linear(WIDTH, len(SHAPES)), nn.Linear(WIDTH, 4)
        nn.init.constant_(self.shape.bias, -4.0)  # most cells have no object
        nn.init.constant_(self.box.bias, 0.0)
        with torch.no_grad():
            self.box.bias[2:] = -1.4
        self.register_buffer("centres", (coordinates()[None, :, :2] + 1) / 2)

    def forward(self, memory: Tensor, detail: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the shapes, and boxes as centre and size in shares of the picture."""
        x = memory + self.place + self.look(detail).flatten(2).transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x)
        box = torch.sigmoid(self.box(x))
        return self.shape(x), torch.cat([self.centres + (2 * box[..., :2] - 1) * REACH, box[..., 2:]], -1)


class Detector(nn.Module):
    """Encoder and head as one model: what is exported."""

    def __init__(self, encoder: PictureEncoder, head: DetectionHead):
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        return self.head(*look_at(self.encoder, pixel_values))


def look_at(encoder: PictureEncoder, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
    """Memory and detail of pictures, with the trunk gone through once."""
    detail = encoder.trunk[:DETAIL_STAGES](pixel_values)
    return encoder.among_cells(encoder.trunk[DETAIL_STAGES:](detail)), detail


def cells_of(centres: list[tuple[float, float]]) -> list[int]:
    """The cell that answers for each object: the nearest one that no other object has."""
    taken: list[int] = []
    for x, y in centres:
        free = [c for c in range(CELLS) if c not in taken]
        taken.append(min(free, key=lambda c: ((c % GRID + 0.5) / GRID - x) ** 2 + ((c // GRID + 0.5) / GRID - y) ** 2))
    return taken


def corners(boxes: Tensor) -> Tensor:
    """Centre and size to left, top, right, bottom."""
    half = boxes[..., 2:] / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1)
