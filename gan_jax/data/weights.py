"""Weights of networks that others have trained, out of files that are read and never run."""

import hashlib
import io
import json
import os
import shlex
import struct
import zipfile

import jax.numpy as jnp
import numpy as np

from gan_jax.data.frozen_graphs import read_graph
from gan_jax.errors import Refusal

CONVERT = (
    "python -c 'import sys, numpy, torch; numpy.savez(sys.argv[2], **{name: array.numpy() for "
    'name, array in torch.load(sys.argv[1], "cpu", weights_only=True).items()})\''
)
"""Turns a state dict of PyTorch into .npz, and runs nothing that the file says."""

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": jnp.bfloat16,
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
}


def read_weights(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the arrays of a file by their names; nothing that the file says is run.

    By the end of its name the file is

    * `.npz`, NumPy's archive;
    * `.safetensors`, https://github.com/huggingface/safetensors#format;
    * `.pb`, a graph of TensorFlow whose variables were frozen: the float32 constants among its
      nodes, under the graph's names and with TensorFlow's axes.

    Raises:
        ValueError: the file cannot be opened, is of another kind, or is damaged. Pickles (`.pth`,
            `.pt`) and TorchScript are of another kind: to read them can run code.
    """
    path = os.fspath(path)
    root, suffix = os.path.splitext(path)
    read = _READERS.get(suffix)
    if read is None:
        raise Refusal(
            f"{path} is none of {', '.join(_READERS)}, which are read without running anything, "
            "as a pickle or TorchScript is not: unpack an archive, and convert a state dict of "
            "PyTorch once, where PyTorch is installed, with: "
            f"{CONVERT} {shlex.quote(path)} {shlex.quote(f'{root}.npz')}"
        )
    with _opened(path) as file:
        try:
            return _filled(read(file))
        except Exception as error:
            why = str(error) or type(error).__name__
            raise Refusal(
                f"{path} is no whole {suffix} file of plain arrays ({why}): copy or download it "
                "again, or name it as what it is."
            ) from error


def weights_digest(path: str | os.PathLike[str]) -> str:
    """Compute a file's SHA-256, in hexadecimal: store it with every number that it yields.

    Raises:
        ValueError: the file cannot be opened.
    """
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _opened(path: str | os.PathLike[str]) -> io.BufferedReader:
    try:
        return open(path, "rb")
    except OSError as error:
        raise Refusal(
            f"{path} cannot be read ({error.strerror}): give the path of a file of weights."
        ) from None


def _filled(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not arrays:
        raise ValueError("it holds none")
    return arrays


def _read_npz(file: io.BufferedReader) -> dict[str, np.ndarray]:
    arrays = {}
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                array = np.lib.format.read_array(member, allow_pickle=False)
                arrays[name.removesuffix(".npy")] = array
    return arrays


def _read_safetensors(file: io.BufferedReader) -> dict[str, np.ndarray]:
    """Eight bytes say how long the header is, and the header where in the rest each array lies."""
    (length,) = struct.unpack("<Q", file.read(8))
    data = memoryview(file.read())
    header, body = json.loads(bytes(data[:length])), data[length:]
    header.pop("__metadata__", None)
    if len(body) != max((entry["data_offsets"][1] for entry in header.values()), default=0):
        raise ValueError(f"its arrays take other than the {len(body)} bytes that are there")
    return {name: _tensor(body, **entry) for name, entry in header.items()}


def _tensor(
    body: memoryview, *, dtype: str, shape: list[int], data_offsets: list[int]
) -> np.ndarray:
    start, stop = data_offsets
    return np.frombuffer(body[start:stop], _DTYPES[dtype]).reshape(shape)


_READERS = {".npz": _read_npz, ".safetensors": _read_safetensors, ".pb": read_graph}
