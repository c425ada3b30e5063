"""The weights in a frozen graph of TensorFlow, by the wire format of protocol buffers alone.

A message is a row of fields, each a number and a value: an integer (varint), 4 or 8 bytes, or bytes
of a length that stands before them: text, packed numbers, or a message again. The numbers are those
of TensorFlow's graph.proto, node_def.proto, attr_value.proto, tensor.proto, tensor_shape.proto.

https://protobuf.dev/programming-guides/encoding
"""

import io
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

FLOAT32 = 1
"""DT_FLOAT in types.proto."""

Message = Mapping[int, list[Any]]
"""Number of a field -> its values in order, integers or bytes."""


def read_graph(file: io.BufferedReader) -> dict[str, np.ndarray]:
    """Read the float32 constants of a GraphDef, by the names of their nodes.

    Whatever can go wrong with bytes is raised where these are no GraphDef.
    """
    nodes = map(_message, _message(memoryview(file.read()))[1])
    tensors = {bytes(node[1][0]): _tensor(node) for node in nodes if node[2] == [b"Const"]}
    return {
        name.decode(): _array(tensor) for name, tensor in tensors.items() if tensor[1] == [FLOAT32]
    }


def _tensor(node: Message) -> Message:
    """The TensorProto that is the attribute `value` of a NodeDef."""
    entries = map(_message, node[5])
    (value,) = (entry[2][0] for entry in entries if entry[1] == [b"value"])
    return _message(_message(value)[8][0])


def _array(tensor: Message) -> np.ndarray:
    """Of `tensor_content` or `float_val`; one value alone stands for all."""
    shapes = [_message(shape)[2] for shape in tensor[2]]
    shape = [sum(_message(dim)[1]) for dims in shapes for dim in dims]
    values = np.frombuffer(b"".join(tensor[4] or tensor[5]), "<f4")
    return np.broadcast_to(values[0], shape) if values.size == 1 else values.reshape(shape)


def _message(data: memoryview) -> Message:
    fields, at = defaultdict(list), 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(data, at)
        else:
            size, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            value, at = data[at : at + size], at + size
        if at > len(data):
            raise ValueError(f"field {number} ends after the file")
        fields[number].append(value)
    return fields


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first, until a byte below 128: the number, and what follows."""
    value = 0
    for place, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise ValueError("a number does not end")
