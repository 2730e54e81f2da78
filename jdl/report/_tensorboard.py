"""Metrics in TensorBoard's event files, written by hand: a few fields of one message, so that nothing need be installed."""

import struct
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from jdl.checkpoint import _files
from jdl.report._event import Event
from jdl.report._logs import Add, Record, by_member, log, members


def tensorboard_log(folder: str | Path) -> Callable[[Event], None]:
    """Makes a callback that writes the metrics of every epoch for TensorBoard; each member of a population is a run of its own.

    A run that goes on writes new files with all epochs, and removes the old ones: none is there twice, and none is missing.

    Args:
      folder: for the files, relative to the run's folder if it has one; elsewhere, it must not exist yet. Members have folders
        in it, by their number; elsewhere, all blocks of a sweep are in it, with members numbered through.

    Returns:
      A callback.

    Raises:
      FileExistsError: when a run starts, if the folder exists and is not in its folder; nothing is overwritten.

    Example:
      >>> from jdl import report
      >>> callbacks = [report.tensorboard_log("tensorboard")]  # for jdl.fit; then: tensorboard --logdir runs

    Source: `Event` in https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto, in records as in
    https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.
    """

    def begin(folder: Path, records: Sequence[Record]) -> Add:
        zero = time.time() - (records[-1]["seconds"] if records else 0)
        name = f"events.out.tfevents.{time.time_ns()}.jdl"
        writers: dict[int, Callable[[bytes], None]] = {}

        def add(record: Record, first: int) -> None:
            for member, own in enumerate(by_member(record), first):
                if member not in writers:
                    place = folder / str(member) if members(record) or member else folder
                    writers[member] = _files.grow(place / name, beginning(zero))
                metrics = {name: value for name, value in own.items() if "/" in name}
                writers[member](scalars(zero + own["seconds"], own["step"], metrics))

        for record in records:
            add(record, 0)
        for old in folder.rglob("events.out.tfevents.*.jdl"):
            if old.name != name:
                old.unlink()
        return add

    return log(folder, begin)


def beginning(now: float) -> bytes:
    """The format's version, and that a session starts at step 0: a TensorBoard that has read an older file forgets what it read."""
    return _framed(_event(now, 0) + _field(3, b"brain.Event:2")) + _framed(_event(now, 0) + _field(7, _integer(1, 1)))


def scalars(now: float, step: int, values: Mapping[str, float]) -> bytes:
    """Named numbers of a step."""
    with np.errstate(over="ignore"):  # what float32 can't hold is infinite
        fields = [_field(1, name.encode()) + b"\x15" + np.array(value, "<f4").tobytes() for name, value in values.items()]
    return _framed(_event(now, step) + _field(5, b"".join(_field(1, field) for field in fields)))


def _event(now: float, step: int) -> bytes:
    return b"\x09" + struct.pack("<d", now) + _integer(2, step)


def _integer(number: int, value: int) -> bytes:
    return bytes([number << 3]) + _varint(value)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _varint(value >> 7)


def _framed(content: bytes) -> bytes:
    """A record: its length, the length's checksum, content, its checksum."""
    length = struct.pack("<Q", len(content))
    return length + _masked(length) + content + _masked(content)


def _masked(content: bytes) -> bytes:
    crc = crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def crc32c(content: bytes) -> int:
    """The Castagnoli checksum."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = [_entry(byte) for byte in range(256)]
