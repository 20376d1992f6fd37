"""INT8 of a graph that is not ours: SqueezeNet in float16, fixed batch 1, BGR 0..255, for the report only."""
from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import machine  # noqa: F401  (before torch)
import numpy as np
import onnx
import torch
from PIL import Image, ImageOps
from torch import Tensor

from feeds import write_feeds
from graph_forms import prepared
from quantize import HERE, quantize

SIDE = 224
PHOTOS = (".jpg", ".jpeg", ".png", ".webp")


def views(path: Path) -> list[Tensor]:
    """The photo, mirrored, and four corners of it: BGR [1,3,SIDE,SIDE]."""
    photo = Image.open(path)
    if photo.mode in ("RGBA", "LA", "P"):
        photo = photo.convert("RGBA")
        photo = Image.alpha_composite(Image.new("RGBA", photo.size, "white"), photo)
    photo = photo.convert("RGB")
    w, h = photo.size
    parts = [photo, ImageOps.mirror(photo)] + [photo.crop((x, y, x + w * 3 // 4, y + h * 3 // 4))
                                               for x in (0, w // 4) for y in (0, h // 4)]
    arrays = [np.asarray(p.resize((SIDE, SIDE), Image.BILINEAR), np.float32)[..., ::-1] for p in parts]
    return [torch.from_numpy(np.ascontiguousarray(a.transpose(2, 0, 1)[None])) for a in arrays]


def best_labels(model: Path, feeds: Path, scratch: Path) -> list[int]:
    out = scratch / "labels.json"
    subprocess.run(["node", HERE / "calibrate.mjs", "labels", model, feeds, out], check=True)
    return json.loads(out.read_text())


def squeezenet(folder: Path, photos: Path, work: Path) -> dict[str, Any]:
    """An entry of the report; accuracy is the share of views that get the label that float32 gives.

    Every other photo gives the ranges, the rest the accuracy.
    """
    source, full, small = folder / "model.onnx", work / "squeezenet.onnx", work / "squeezenet_int8.onnx"
    model = prepared(source)
    onnx.save(model, str(full))
    weights = {t.name for t in model.graph.initializer}
    name = next(i.name for i in model.graph.input if i.name not in weights)
    seen = [views(p) for p in sorted(photos.iterdir()) if p.suffix in PHOTOS]
    for part, groups in (("ranges", seen[::2]), ("labels", seen[1::2])):
        write_feeds(work / "feeds", f"squeezenet_{part}", [{name: v} for group in groups for v in group])
    quantize(full, work / "feeds" / "squeezenet_ranges.json", small, work)
    feeds = work / "feeds" / "squeezenet_labels.json"
    labels = [best_labels(p, feeds, work) for p in (full, small)]
    out = work / "speed.json"
    subprocess.run(["node", HERE / "calibrate.mjs", "speed", out, feeds, full, small], check=True,
                   env={**os.environ, "FIXED_BATCH": "1"})
    times = json.loads(out.read_text())["1"]
    return {"name": "squeezenet (agreement with fp32)", "bytes": [full.stat().st_size, small.stat().st_size],
            "original_bytes": source.stat().st_size,
            "accuracy": [1.0, float(np.mean(np.array(labels[0]) == np.array(labels[1])))], "views": len(labels[0]),
            "items_per_second": [{"1": 1000 / ms} for ms in times]}
