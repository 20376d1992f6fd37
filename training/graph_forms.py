"""Brings a foreign ONNX graph into the form that quantize.py rewrites: float32, opset 13, products as MatMul."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper, version_converter

OPSET = 13


def to_float32(model: ModelProto) -> None:
    """Turns every float16 tensor and every conversion to float16 into float32, in place."""
    for i, tensor in enumerate(model.graph.initializer):
        if tensor.data_type == TensorProto.FLOAT16:
            model.graph.initializer[i].CopyFrom(
                numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
            if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type == TensorProto.FLOAT16:
                attribute.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attribute.t).astype(np.float32)))


def split_gemm(model: ModelProto) -> None:
    """Gemm with constant weights as MatMul and Add, in place."""
    constants = {t.name: t for t in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        weight = constants.get(node.input[1]) if node.op_type == "Gemm" else None
        if weight is None or options.get("transA") or options.get("alpha", 1) != 1 or options.get("beta", 1) != 1:
            nodes.append(node)
            continue
        values, name = numpy_helper.to_array(weight), node.output[0]
        values = np.ascontiguousarray(values.T if options.get("transB") else values)
        model.graph.initializer.append(numpy_helper.from_array(values, name + "_weight"))
        product = name + "_product" if len(node.input) > 2 else name
        nodes.append(helper.make_node("MatMul", [node.input[0], name + "_weight"], [product], node.name))
        if len(node.input) > 2:
            nodes.append(helper.make_node("Add", [product, node.input[2]], [name]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {i for n in model.graph.node for i in n.input}
    kept = [t for t in model.graph.initializer if t.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def modernise(model: ModelProto) -> ModelProto:
    """Scales per channel need opset 13; and constants that are also inputs could be overridden, which fusions shun."""
    constants = {t.name for t in model.graph.initializer}
    inputs = [v for v in model.graph.input if v.name not in constants]
    if next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")) < OPSET:
        model = version_converter.convert_version(model, OPSET)
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 7)
    return model


def prepared(path: Path) -> ModelProto:
    """The model in float32 with every product as MatMul."""
    model = onnx.load(str(path))
    to_float32(model)
    model = modernise(model)
    split_gemm(model)
    return model
