"""Weights of shipped graphs, to go on from instead of from nothing (`--start MODELS` of the training scripts).

Exporters fold batch norm into convolutions and turn linear layers into products; the names of the nodes
still say which module they come from.
"""
from __future__ import annotations

import re
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from colors import NEUTRALS
from network import CellLabels, PictureEncoder

Weights = dict[str, Tensor]


def graph_of(models: Path, model: str, graph: str = "model") -> Path:
    return models / f"shapes-{model}" / "1" / "onnx" / f"{graph}.onnx"


def weights_of(path: Path) -> Weights:
    """Every weight and bias by the name that torch has for it."""
    graph = onnx.load(str(path)).graph
    constants = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    found = {k: v for k, v in constants.items() if "::" not in k}
    biases = {n.input[1]: [i for i in n.input if i.endswith(".bias")] for n in graph.node if n.op_type == "Add"}
    biases |= {n.input[0]: [i for i in n.input if i.endswith(".bias")] for n in graph.node if n.op_type == "Add"}
    for node in graph.node:
        if node.op_type not in ("Conv", "MatMul", "Gemm") or node.input[1] not in constants:
            continue
        path = node.name.strip("/").split("/")[:-1]
        # A sequence calls its members by its own name: trunk/trunk.6 is trunk.6.
        name = ".".join(p.removeprefix(before + ".") for before, p in zip(["", *path], path))
        for bias in biases.get(node.output[0], []):
            name = bias.removesuffix(".bias")
        weight = constants[node.input[1]]
        found[name + ".weight"] = weight.T.contiguous() if node.op_type == "MatMul" else weight
        if len(node.input) > 2:
            found[name + ".bias"] = constants[node.input[2]]
    return found


def under(weights: Weights, prefix: str) -> Weights:
    return {k[len(prefix):]: v for k, v in weights.items() if k.startswith(prefix)}


def load_known(module: nn.Module, weights: Weights) -> list[str]:
    """Loads what fits by name and form; returns the names of what stays as it was."""
    own = module.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    module.load_state_dict({**own, **fitting})
    return [k for k in own if k not in fitting and not k.endswith(("num_batches_tracked", "running_mean", "running_var"))]


@torch.no_grad()
def restore_norms(encoder: PictureEncoder, weights: Weights, pixels: Tensor) -> None:
    """Convolutions whose batch norm was folded in get one again that changes nothing on `pixels`."""
    pairs = {}
    for name, module in encoder.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            before = re.sub(r"\d+$", lambda m: str(int(m[0]) - 1), name)
            if before + ".bias" not in weights:
                continue
            module.running_mean.zero_()
            module.running_var.fill_(1 - module.eps)
            module.weight.fill_(1)
            module.bias.copy_(weights[before + ".bias"])
            pairs[name] = module
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [m.register_forward_pre_hook(lambda _, given, name=n: seen.__setitem__(
        name, (given[0].mean((0, 2, 3)), given[0].var((0, 2, 3))))) for n, m in pairs.items()]
    encoder.eval()(pixels)
    for hook in hooks:
        hook.remove()
    for name, module in pairs.items():
        mean, var = seen[name]
        module.running_mean.copy_(mean)
        module.running_var.copy_(var)
        module.weight.copy_((var + module.eps).sqrt())
        module.bias.add_(mean)
    encoder.train()


def known_labels(labels: CellLabels, weights: Weights) -> None:
    """The head of stage 1 from shapes-clip's picture tower, which has had fewer outputs."""
    with torch.no_grad():
        for kind in ("weight", "bias"):
            cell, background = weights[f"cell.{kind}"], weights[f"background.{kind}"]
            getattr(labels.cell, kind)[:len(cell)] = cell
            rows = len(background) if len(background) == len(getattr(labels.background, kind)) else len(NEUTRALS)
            getattr(labels.background, kind)[:rows] = background[:rows]


def widened(weights: Weights, module: nn.Module) -> Weights:
    """Weights over fewer inputs than the module has (a background was added last): nothing comes from the new ones."""
    own = module.state_dict()
    return {k: F.pad(v, (0, own[k].shape[1] - v.shape[1])) if v.ndim == 2 and k in own and v.shape[1] < own[k].shape[1] else v
            for k, v in weights.items()}


def start_with(module: nn.Module, weights: Weights) -> None:
    """Loads the weights and says what begins from nothing."""
    print("from nothing:", ", ".join(load_known(module, weights)) or "no part", flush=True)
