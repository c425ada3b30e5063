"""TensorBoard's events: the numbers of the log, and the pictures in samples/."""

import struct
import time
from pathlib import Path
from typing import Any

from gan_jax.errors import require_extra

EVENTS_FILES = "events.out.tfevents.*.gan_jax"
PNG = b"\x89PNG\r\n\x1a\n"


class Events:
    """Write the events of a run anew.

    Raises:
        MissingPackage: tensorboardX is not installed.
    """

    def __init__(self, directory: Path):
        writer = require_extra("tensorboardX").SummaryWriter
        self._summary = require_extra("tensorboardX.proto.summary_pb2").Summary
        for old in directory.glob(EVENTS_FILES):
            old.unlink()
        # tensorboardX names files by the second, and TensorBoard takes one name for one file.
        suffix = f".{time.time_ns()}.gan_jax"
        self._writer = writer(str(directory), purge_step=0, flush_secs=5, filename_suffix=suffix)

    def close(self) -> None:
        """Write what is still held back."""
        self._writer.close()

    def numbers(self, record: dict[str, Any]) -> None:
        """Write a line of the log."""
        for name, value in record.items():
            if value is not None and name not in ("step", "time"):
                self._writer.add_scalar(name, value, record["step"], walltime=record["time"])

    def picture(self, name: str, path: Path, record: dict[str, Any]) -> None:
        """Write a picture that belongs to a line of the log, as the PNG that it is.

        What is no PNG is left out: no picture is a reason to stop a run.
        """
        data = path.read_bytes()
        if not data.startswith(PNG) or len(data) < 24:
            return
        width, height = struct.unpack(">II", data[16:24])
        image = self._summary.Image(height=height, width=width, encoded_image_string=data)
        summary = self._summary(value=[self._summary.Value(tag=name, image=image)])
        self._writer.file_writer.add_summary(summary, record["step"], walltime=record["time"])
