"""Files of weights: three formats that hold one thing, and what is refused."""

import io
import json
import pickle
import struct
import zipfile
from contextlib import suppress

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import read_weights, weights_digest
from gan_jax.errors import Refusal

ARRAYS = {
    "mixed/conv/conv2d_params": np.random.RandomState(0).randn(3, 2, 4, 5).astype(np.float32),
    "conv/batchnorm/beta": np.float32([1.5, -2.0, 0.25]),
    "Sub/y": np.array(128.0, np.float32),
}


def npz(arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def safetensors(arrays, **said):
    """As the format's page has it: the header's length, the header, the arrays."""
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        offsets = [len(body), len(body) + array.nbytes]
        kind = {"f": "F", "i": "I", "u": "U"}[array.dtype.kind] + str(8 * array.itemsize)
        entry = {"dtype": kind, "shape": array.shape, "data_offsets": offsets}
        header[name], body = entry | said, body + array.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def graph(arrays):
    """As protobuf's own implementation writes it, among nodes that are no weights."""
    graphs = pytest.importorskip("tensorboardX.proto.graph_pb2")
    message = graphs.GraphDef(versions={"producer": 8})
    message.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    for name, array in arrays.items():
        constant = message.node.add(name=name, op="Const", device="/cpu:0")
        constant.attr["dtype"].type = constant.attr["value"].tensor.dtype = 1
        tensor = constant.attr["value"].tensor
        for size in array.shape:
            tensor.tensor_shape.dim.add(size=size)
        if array.ndim == 1:
            tensor.float_val.extend(array)
        else:
            tensor.tensor_content = array.tobytes()
    shape = message.node.add(name="shape", op="Const").attr["value"].tensor
    shape.dtype, shape.tensor_content = 3, np.int32([2]).tobytes()
    message.node.add(name="y", op="Sub", input=["x", "Sub/y"])
    return message.SerializeToString()


WRITERS = {".npz": npz, ".safetensors": safetensors, ".pb": graph}
every_format = pytest.mark.parametrize("suffix", WRITERS)


@pytest.fixture
def read(tmp_path):
    """Read these bytes from a file whose name ends so."""

    def read_bytes(suffix, content):
        path = tmp_path / f"some weights{suffix}"
        path.write_bytes(content)
        return read_weights(path)

    return read_bytes


@every_format
def test_every_format_gives_the_arrays_that_were_written(suffix, read):
    found = read(suffix, WRITERS[suffix](ARRAYS))
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    "dtype", ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1"]
)
def test_safetensors_are_read_in_their_own_type(dtype, read):
    array = np.array([[0, 1, 2], [100, 101, 127]], dtype)
    found = read(".safetensors", safetensors({"a": array}))["a"]
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_bfloat16_is_the_upper_half_of_float32(read):
    upper = np.float32([1.0, -3.140625, 2.0**-120]).view(np.uint32) >> 16
    found = read(".safetensors", safetensors({"a": upper.astype(np.uint16)}, dtype="BF16"))["a"]
    assert found.dtype == jnp.bfloat16
    assert found.astype(np.float32).tolist() == [1.0, -3.140625, 2.0**-120]


def test_one_value_stands_for_all_of_a_constant(read):
    graphs = pytest.importorskip("tensorboardX.proto.graph_pb2")
    message = graphs.GraphDef()
    tensor = message.node.add(name="ones", op="Const").attr["value"].tensor
    tensor.dtype = 1
    tensor.float_val.append(1.0)
    for size in (2, 300):
        tensor.tensor_shape.dim.add(size=size)
    np.testing.assert_array_equal(
        read(".pb", message.SerializeToString())["ones"], np.ones((2, 300))
    )


def test_values_need_not_be_packed(read):
    """Number by number they take as many bytes here, and a reader knows both."""
    values = np.float32([1, 2])
    packed, unpacked = b"*\x08" + values.tobytes(), b"".join(b"-" + x.tobytes() for x in values)
    content = graph({"beta": values})
    assert packed in content
    found = read(".pb", content.replace(packed, unpacked))
    assert found["beta"].tolist() == [1.0, 2.0]


def test_fields_that_are_not_known_are_passed_over(read):
    """Of number 99, in 8 bytes and in 4, before the nodes."""
    unknown = b"\x99\x06" + bytes(range(8)) + b"\x9d\x06" + bytes(range(4))
    assert list(read(".pb", unknown + graph(ARRAYS))) == list(ARRAYS)


def test_a_number_of_a_graph_that_does_not_end_is_refused(read):
    with pytest.raises(ValueError, match=r"no whole .pb file of plain arrays \(a number does not"):
        read(".pb", b"\xff" * 12)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".PKL", ".tgz", ""])
def test_what_can_run_code_is_refused_with_the_way_to_convert_it(suffix, read):
    said = (
        r"weights\S* is none of .npz, .safetensors, .pb, .*torch.load\(.*weights_only=True\).* "
        r"'\S*/some weights\S*' '\S*/some weights.npz'$"
    )
    with pytest.raises(ValueError, match=said):
        read(suffix, pickle.dumps(ARRAYS))


class Planted:
    """Calls what it likes where it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("it was unpickled",)


def test_a_pickle_is_never_opened(read):
    objects = npz({"a": np.array([Planted()])})
    for content in (objects, pickle.dumps(Planted()), zipped("archive/data.pkl", Planted())):
        with pytest.raises(ValueError, match=r"some weights.npz is no whole .npz file of plain"):
            read(".npz", content)


def zipped(name, value):
    """As PyTorch writes since 1.6."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, pickle.dumps(value))
    return file.getvalue()


@every_format
def test_a_file_that_ends_early_is_refused(suffix, read):
    """A graph of one node, for one that ends after a node is whole."""
    content = WRITERS[suffix]({"a": ARRAYS["Sub/y"].repeat(40).reshape(5, 8)})
    nodes = content.find(b"\n\x05shape")  # the tail of a graph, without weights
    end = nodes - 2 if suffix == ".pb" else len(content)
    for length in range(0, end, 7):
        with pytest.raises(
            ValueError, match=rf"is no whole {suffix} file of plain arrays \(.+\): "
        ):
            read(suffix, content[:length])


@every_format
def test_damage_is_refused_where_it_is_seen_and_nothing_else_is_raised(suffix, read):
    content, random = WRITERS[suffix](ARRAYS), np.random.RandomState(0)
    for _ in range(150):
        damaged = bytearray(content)
        damaged[random.randint(len(content))] ^= 1 << random.randint(8)
        with suppress(Refusal):
            read(suffix, bytes(damaged))


@pytest.mark.parametrize("content", [npz({}), safetensors({}), b""])
def test_a_file_without_arrays_is_refused(content, read):
    suffix = {b"P": ".npz", b"": ".pb"}.get(content[:1], ".safetensors")
    with pytest.raises(ValueError, match="plain arrays"):
        read(suffix, content)


@pytest.mark.parametrize("said", [{"shape": [4]}, {"dtype": "F8_E5M2"}, {"data_offsets": [0, 8]}])
def test_a_header_that_says_other_than_there_is_is_refused(said, read):
    with pytest.raises(ValueError, match=r"no whole .safetensors file of plain arrays \(.+\)"):
        read(".safetensors", safetensors({"a": np.zeros(3, np.float32)}, **said))


def test_bytes_that_no_header_speaks_of_are_refused(read):
    with pytest.raises(ValueError, match="take other than the 13 bytes that are there"):
        read(".safetensors", safetensors({"a": np.zeros(3, np.float32)}) + b"x")


def test_a_path_that_cannot_be_opened_is_refused(tmp_path):
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(ValueError, match=rf"{path} cannot be read \(.+\): give the path of a"):
            weights_digest(path)
    with pytest.raises(ValueError, match=r"none.npz cannot be read \(No such file"):
        read_weights(tmp_path / "none.npz")


def test_the_digest_is_sha_256(tmp_path):
    """FIPS 180-2, appendix B.1."""
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert weights_digest(path) == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
