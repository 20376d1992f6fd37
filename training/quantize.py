"""INT8 by rewriting the graph: static quantisation with QuantizeLinear / DequantizeLinear pairs.

    python3 quantize.py --model FP32.onnx --feeds FEEDS.json --out INT8.onnx --scratch FOLDER

Weights of convolutions and matrix products become int8, one scale per output channel; their
inputs become uint8 by the ranges that calibrate.mjs (onnxruntime-node) sees on FEEDS. What ONNX
Runtime needs to run the pairs as integer kernels: the bias is int32 with scale sx * sw, the
output of a convolution is quantised after its Relu, activations are uint8 with a zero point.
Everything else (attention among activations, norms, softmax, embeddings) stays float32.
A float16 graph is turned to float32 first.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from graph_forms import prepared

HERE = Path(__file__).parent
PASS_ON = ("MaxPool",)  # the output has the scale of the input


@dataclass(frozen=True)
class Scale:
    """real = (stored - zero) * step"""
    step: np.float32
    zero: int


class Graph:
    """The parts of a model that are looked up again and again."""

    def __init__(self, model: ModelProto):
        self.model, self.graph = model, model.graph
        self.constants = {t.name: t for t in self.graph.initializer}
        self.maker = {o: n for n in self.graph.node for o in n.output}
        self.users: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.graph.node:
            for name in node.input:
                self.users[name].append(node)

    def weighted(self) -> list[NodeProto]:
        """Convolutions and matrix products with constant weights."""
        return [n for n in self.graph.node if n.op_type in ("Conv", "MatMul") and n.input[1] in self.constants
                and len(self.constants[n.input[1]].dims) >= 2]

    def after_relu(self, name: str) -> str:
        """The tensor after the Relu, where that is all the tensor is used for."""
        users = self.users[name]
        return users[0].output[0] if len(users) == 1 and users[0].op_type == "Relu" else name

    def activations(self) -> list[str]:
        """The tensors to quantise."""
        found = []
        for node in self.weighted():
            found.append(node.input[0])
            if node.op_type == "Conv":
                out = self.after_relu(node.output[0])
                found.append(out)
                for user in self.users[out]:
                    if user.op_type == "Add" and self.is_residual(user):
                        found.append(self.after_relu(user.output[0]))
        for node in self.graph.node:
            if node.op_type in (*PASS_ON, "Concat") and all(i in found for i in node.input):
                found.append(node.output[0])
        return list(dict.fromkeys(found))

    def is_residual(self, add: NodeProto) -> bool:
        """An addition whose both sides come from convolutions or other activations, not from constants."""
        return all(i not in self.constants and self.maker.get(i) is not None
                   and self.maker[i].op_type in ("Conv", "Relu", "Add") for i in add.input)


def ranges_of(model: ModelProto, feeds: Path, scratch: Path) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of every activation over the feeds, by ONNX Runtime."""
    graph, watched = Graph(model), ModelProto()
    watched.CopyFrom(model)
    have = {v.name for v in [*model.graph.input, *model.graph.output]}
    watched.graph.output.extend(helper.make_tensor_value_info(a, TensorProto.FLOAT, None)
                                for a in graph.activations() if a not in have)
    path, out = scratch / "watched.onnx", scratch / "ranges.json"
    onnx.save(watched, str(path))
    subprocess.run(["node", HERE / "calibrate.mjs", "ranges", path, feeds, out], check=True)
    path.unlink()
    return {k: (v[0], v[1]) for k, v in json.loads(out.read_text()).items()}


class Quantizer:
    def __init__(self, model: ModelProto, ranges: dict[str, tuple[float, float]]):
        self.graph, self.model, self.scales = Graph(model), model, {}
        self.added: dict[str, TensorProto] = {}
        self.wanted = [a for a in self.graph.activations() if a in ranges]
        for name in self.wanted:
            maker = self.graph.maker.get(name)
            low, high = ranges[maker.input[0] if maker is not None and maker.op_type in PASS_ON else name]
            low, high = min(0.0, low), max(0.0, high)
            step = max((high - low) / 255, 1e-8)
            self.scales[name] = Scale(np.float32(step), int(round(-low / step)))

    def keep(self, name: str, values: np.ndarray) -> str:
        self.added.setdefault(name, numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def pair(self, name: str) -> list[NodeProto]:
        """To uint8 and back."""
        step, zero = self.keep(name + "_step", np.array(self.scales[name].step)), \
            self.keep(name + "_zero", np.array(self.scales[name].zero, np.uint8))
        return [helper.make_node("QuantizeLinear", [name, step, zero], [name + "_q"]),
                helper.make_node("DequantizeLinear", [name + "_q", step, zero], [name + "_dq"])]

    def weight(self, node: NodeProto, nodes: list[NodeProto]) -> np.ndarray:
        """Gives the node int8 weights; returns their scales."""
        name, axis = node.input[1], 0 if node.op_type == "Conv" else 1
        values = numpy_helper.to_array(self.graph.constants[name])
        steps = np.maximum(np.abs(values).max(tuple(i for i in range(values.ndim) if i != axis)), 1e-8) / 127
        steps = steps.astype(np.float32)
        if name + "_q" not in self.added:
            shape = [-1 if i == axis else 1 for i in range(values.ndim)]
            stored = np.clip(np.round(values / steps.reshape(shape)), -127, 127).astype(np.int8)
            parts = [self.keep(name + "_q", stored), self.keep(name + "_step", steps),
                     self.keep(f"zeros_int8_{len(steps)}", np.zeros(steps.shape, np.int8))]
            nodes.append(helper.make_node("DequantizeLinear", parts, [name + "_dq"], axis=axis))
        node.input[1] = name + "_dq"
        return steps

    def bias(self, node: NodeProto, steps: np.ndarray, nodes: list[NodeProto]) -> None:
        scale = (self.scales[node.input[0]].step * steps).astype(np.float32)
        values, key = numpy_helper.to_array(self.graph.constants[node.input[2]]), node.output[0] + "_bias"
        parts = [self.keep(key + "_q", np.round(values / scale).astype(np.int32)), self.keep(key + "_step", scale),
                 self.keep(f"zeros_int32_{len(scale)}", np.zeros(scale.shape, np.int32))]
        nodes.append(helper.make_node("DequantizeLinear", parts, [key], axis=0))
        node.input[2] = key

    def run(self) -> None:
        chosen = {n.output[0] for n in self.graph.weighted() if n.input[0] in self.scales}
        nodes: list[NodeProto] = []
        for value in self.model.graph.input:
            if value.name in self.scales:
                nodes += self.pair(value.name)
        for node in self.model.graph.node:
            if node.output[0] in chosen:
                steps = self.weight(node, nodes)
                if node.op_type == "Conv" and len(node.input) > 2:
                    self.bias(node, steps, nodes)
            for i, name in enumerate(node.input):
                if name in self.scales:
                    node.input[i] = name + "_dq"
            nodes.append(node)
            for name in node.output:
                if name in self.scales:
                    nodes += self.pair(name)
        finished = [NodeProto.FromString(n.SerializeToString()) for n in nodes]
        del self.model.graph.node[:]
        self.model.graph.node.extend(finished)
        used = {i for n in finished for i in n.input}
        kept = [t for t in [*self.model.graph.initializer, *self.added.values()] if t.name in used]
        tensors = [TensorProto.FromString(t.SerializeToString()) for t in kept]
        del self.model.graph.initializer[:]
        self.model.graph.initializer.extend(tensors)
        del self.model.graph.value_info[:]


def shorten_names(model: ModelProto) -> None:
    """Short names for everything inside: exporters' names take a tenth of a small file."""
    outside = {v.name for v in [*model.graph.input, *model.graph.output]}
    short: dict[str, str] = {"": ""}

    def renamed(name: str) -> str:
        return name if name in outside else short.setdefault(name, f"_{len(short)}")

    for node in model.graph.node:
        node.name = node.doc_string = ""
        node.input[:], node.output[:] = [[renamed(n) for n in names] for names in (node.input, node.output)]
    for tensor in model.graph.initializer:
        tensor.name = renamed(tensor.name)


def quantize(source: Path, feeds: Path, out: Path, scratch: Path) -> None:
    model = prepared(source)
    Quantizer(model, ranges_of(model, feeds, scratch)).run()
    shorten_names(model)
    onnx.checker.check_model(model)
    temporary = out.with_name(f".{out.name}.tmp")
    temporary.write_bytes(model.SerializeToString())
    os.replace(temporary, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--feeds", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    args = parser.parse_args()
    quantize(args.model, args.feeds, args.out, args.scratch)
    print(f"{args.out.name}: {args.model.stat().st_size} -> {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
