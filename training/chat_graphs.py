"""shapes-chat's decoder as ONNX, written node by node, since torch cannot write GroupQueryAttention.

Twice the same weights: `plain_graph` in float32 with MatMul and Softmax, which takes mask and positions;
`grouped_graph` with com.microsoft's GroupQueryAttention over float16 keys and values, the weights in float16 too,
whose lengths come from the mask as in public exports.
"""
from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from chat_network import CHAT_WIDTH, GROUP, HEADS, HEAD_WIDTH, KEY_HEADS, LAYERS, ROPE_BASE

OPSET = 17
BATCH, LENGTH, PAST, ALL = "batch_size", "sequence_length", "past_sequence_length", "total_sequence_length"
HIDDEN = -1e4  # a score that leaves nothing after softmax


class GraphWriter:
    """Nodes in order, each with one output that is named after what it is."""

    def __init__(self, half: bool):
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self.half = half

    def add(self, op: str, inputs: list[str], name: str, domain: str = "", **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(value, name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant("of_" + "_".join(str(v).replace("-", "m") for v in values), np.array(values, np.int64))

    def number(self, name: str, value: float) -> str:
        return self.constant(name, np.array(value, np.float32))

    def weight(self, name: str, value: np.ndarray) -> str:
        """A float32 tensor, kept as float16 where the graph is."""
        if not self.half:
            return self.constant(name, value.astype(np.float32))
        if name not in self.constants:
            self.constant(name, value.astype(np.float16))
            self.add("Cast", [name], name + "_f32", to=TensorProto.FLOAT)
        return name + "_f32"

    def linear(self, x: str, state: dict[str, Tensor], name: str, scale: float = 1) -> str:
        weight, bias = (state[f"{name}.{part}"].numpy() * scale for part in ("weight", "bias"))
        product = self.add("MatMul", [x, self.weight(name + ".weight", weight.T.copy())], name + "/product")
        return self.add("Add", [product, self.weight(name + ".bias", bias)], name)

    def norm(self, x: str, state: dict[str, Tensor], name: str) -> str:
        return self.add("LayerNormalization", [x, *(self.weight(f"{name}.{p}", state[f"{name}.{p}"].numpy())
                                                    for p in ("weight", "bias"))], name, axis=-1, epsilon=1e-5)

    def reshaped(self, x: str, name: str, *dims: int) -> str:
        return self.add("Reshape", [x, self.integers(*dims)], name)


def turned(g: GraphWriter, x: str, name: str) -> str:
    """Rotary positions on [batch, heads, length, HEAD_WIDTH]; `cos` and `sin` are [batch, 1, length, HEAD_WIDTH]."""
    half = HEAD_WIDTH // 2
    first = g.add("Slice", [x, g.integers(0), g.integers(half), g.integers(3)], name + "/first")
    second = g.add("Slice", [x, g.integers(half), g.integers(HEAD_WIDTH), g.integers(3)], name + "/second")
    other = g.add("Concat", [g.add("Neg", [second], name + "/negative"), first], name + "/other", axis=-1)
    return g.add("Add", [g.add("Mul", [x, "cos"], name + "/cos"), g.add("Mul", [other, "sin"], name + "/sin")], name)


def angles(g: GraphWriter) -> None:
    """`cos` and `sin` of position_ids."""
    speed = 1 / ROPE_BASE ** (np.arange(0, HEAD_WIDTH, 2) / HEAD_WIDTH)
    at = g.add("Cast", [g.add("Unsqueeze", ["position_ids", g.integers(1, 3)], "positions")], "positions_f32",
               to=TensorProto.FLOAT)
    turn = g.add("Mul", [at, g.constant("speed", np.tile(speed, 2).astype(np.float32))], "angles")
    g.add("Cos", [turn], "cos")
    g.add("Sin", [turn], "sin")


def hidden(g: GraphWriter) -> None:
    """`mask` [batch, 1, length, total]: nothing looks at padding or ahead."""
    total = g.add("Gather", [g.add("Shape", ["attention_mask"], "mask_shape"), g.constant("one", np.array(1))], "total")
    length = g.add("Gather", [g.add("Shape", ["inputs_embeds"], "embeds_shape"), "one"], "length")
    zero = g.constant("zero", np.array(0))
    every = g.add("Range", [zero, total, "one"], "every")
    asking = g.add("Unsqueeze", [g.add("Range", [g.add("Sub", [total, length], "past"), total, "one"], "asking"),
                                 g.integers(1)], "asking_column")
    seen = g.add("LessOrEqual", [every, asking], "not_ahead")
    real = g.add("Cast", [g.add("Unsqueeze", ["attention_mask", g.integers(1, 2)], "mask_4d")], "is_real",
                 to=TensorProto.BOOL)
    g.add("Where", [g.add("And", [seen, real], "visible"), g.number("nothing", 0.0), g.number("hidden", HIDDEN)], "mask")


def split(g: GraphWriter, x: str, name: str, heads: int) -> str:
    return g.add("Transpose", [g.reshaped(x, name + "/split", 0, 0, heads, HEAD_WIDTH)], name, perm=[0, 2, 1, 3])


def plain_attention(g: GraphWriter, i: int, q: str, k: str, v: str) -> str:
    """`q` is scaled; queries of one group of heads queue up behind each other before their keys."""
    at = f"layers.{i}"
    q = turned(g, split(g, q, at + "/q_heads", HEADS), at + "/q")
    k = turned(g, split(g, k, at + "/k_heads", KEY_HEADS), at + "/k")
    v = split(g, v, at + "/v", KEY_HEADS)
    k, v = (g.add("Concat", [f"past_key_values.{i}.{part}", new], f"present.{i}.{part}", axis=2)
            for part, new in (("key", k), ("value", v)))
    grouped = g.add("Reshape", [q, g.integers(0, KEY_HEADS, GROUP, -1, HEAD_WIDTH)], at + "/q_groups")
    k5 = g.add("Transpose", [g.add("Unsqueeze", [k, g.integers(2)], at + "/k_groups")], at + "/k_turned",
               perm=[0, 1, 2, 4, 3])
    scores = g.add("Add", [g.add("MatMul", [grouped, k5], at + "/scores"),
                           g.add("Unsqueeze", ["mask", g.integers(1)], at + "/mask")], at + "/masked")
    weights = g.add("Softmax", [scores], at + "/weights", axis=-1)
    seen = g.add("MatMul", [weights, g.add("Unsqueeze", [v, g.integers(2)], at + "/v_groups")], at + "/seen")
    merged = g.add("Transpose", [seen], at + "/merged", perm=[0, 3, 1, 2, 4])
    return g.reshaped(merged, at + "/attended", 0, 0, HEADS * HEAD_WIDTH)


def grouped_attention(g: GraphWriter, i: int, q: str, k: str, v: str) -> str:
    at = f"layers.{i}"
    q, k, v = (g.add("Cast", [x], f"{at}/{n}_f16", to=TensorProto.FLOAT16) for n, x in (("q", q), ("k", k), ("v", v)))
    out, key, value = at + "/attended_f16", f"present.{i}.key", f"present.{i}.value"
    g.nodes.append(helper.make_node(
        "GroupQueryAttention", [q, k, v, f"past_key_values.{i}.key", f"past_key_values.{i}.value", "seqlens_k", "total_i32",
                                "cos_cache", "sin_cache"], [out, key, value], name=at + "/GroupQueryAttention",
        domain="com.microsoft", num_heads=HEADS, kv_num_heads=KEY_HEADS, do_rotary=1, scale=1.0))
    return g.add("Cast", [out], at + "/attended", to=TensorProto.FLOAT)


def lengths(g: GraphWriter, longest: int) -> None:
    summed = g.add("ReduceSum", ["attention_mask", g.integers(1)], "mask_sum", keepdims=0)
    g.add("Cast", [g.add("Sub", [summed, g.integers(1)], "last")], "seqlens_k", to=TensorProto.INT32)
    total = g.add("Gather", [g.add("Shape", ["attention_mask"], "mask_shape"), g.constant("one", np.array(1))], "total")
    g.add("Cast", [total], "total_i32", to=TensorProto.INT32)
    speed = 1 / ROPE_BASE ** (np.arange(0, HEAD_WIDTH, 2) / HEAD_WIDTH)
    turn = np.arange(longest)[:, None] * speed
    g.constant("cos_cache", np.cos(turn).astype(np.float16))
    g.constant("sin_cache", np.sin(turn).astype(np.float16))


def decoder_graph(state: dict[str, Tensor], words: int, grouped: bool, longest: int) -> ModelProto:
    g = GraphWriter(half=grouped)
    kind = TensorProto.FLOAT16 if grouped else TensorProto.FLOAT
    if grouped:
        lengths(g, longest)
    else:
        angles(g)
        hidden(g)
    x = "inputs_embeds"
    for i in range(LAYERS):
        at = f"layers.{i}"
        h = g.norm(x, state, at + ".norm1")
        q = g.linear(h, state, at + ".query", 1 / math.sqrt(HEAD_WIDTH))
        k, v = g.linear(h, state, at + ".key"), g.linear(h, state, at + ".value")
        attended = (grouped_attention if grouped else plain_attention)(g, i, q, k, v)
        x = g.add("Add", [x, g.linear(attended, state, at + ".out")], at + "/looked")
        wide = g.add("Relu", [g.linear(g.norm(x, state, at + ".norm2"), state, at + ".wide")], at + "/wide")
        x = g.add("Add", [x, g.linear(wide, state, at + ".narrow")], at + "/done")
    g.add("Identity", [g.linear(g.norm(x, state, "norm"), state, "head")], "logits")
    past = [helper.make_tensor_value_info(f"past_key_values.{i}.{p}", kind, [BATCH, KEY_HEADS, PAST, HEAD_WIDTH])
            for i in range(LAYERS) for p in ("key", "value")]
    present = [helper.make_tensor_value_info(f"present.{i}.{p}", kind, [BATCH, KEY_HEADS, ALL, HEAD_WIDTH])
               for i in range(LAYERS) for p in ("key", "value")]
    positions = [] if grouped else [helper.make_tensor_value_info("position_ids", TensorProto.INT64, [BATCH, LENGTH])]
    inputs = [helper.make_tensor_value_info("inputs_embeds", TensorProto.FLOAT, [BATCH, LENGTH, CHAT_WIDTH]),
              helper.make_tensor_value_info("attention_mask", TensorProto.INT64, [BATCH, ALL]), *positions, *past]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [BATCH, LENGTH, words]), *present]
    graph = helper.make_graph(g.nodes, "shapes-chat", inputs, outputs, list(g.constants.values()))
    opsets = [helper.make_opsetid("", OPSET)] + ([helper.make_opsetid("com.microsoft", 1)] if grouped else [])
    model = helper.make_model(graph, opset_imports=opsets, producer_name="vision-queue training")
    model.ir_version = 8
    if not grouped:
        onnx.checker.check_model(model)
    return model


def embed_graph(table: np.ndarray) -> ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Gather", ["embed.weight", "input_ids"], ["inputs_embeds"], name="embed")], "embed_tokens",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [BATCH, LENGTH])],
        [helper.make_tensor_value_info("inputs_embeds", TensorProto.FLOAT, [BATCH, LENGTH, CHAT_WIDTH])],
        [numpy_helper.from_array(table.astype(np.float32), "embed.weight")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="vision-queue training")
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model
