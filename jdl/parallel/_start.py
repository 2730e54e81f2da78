"""Several processes as one job."""

import functools
import os
import sys
import time
from types import TracebackType
from typing import NamedTuple

import jax

from jdl.functional import _check


class Job(NamedTuple):
    """A job of processes.

    Attributes:
      index: of this process, from 0.
      count: how many there are.
    """

    index: int
    count: int


def start(
    address: str | None = None,
    count: int | None = None,
    index: int | None = None,
    *,
    heartbeat: int = 100,
    timeout: int = 300,
) -> Job:
    """Joins this process with the others of its job, so that `jax.devices()` are those of all; a script's first line.

    Without an address, JAX finds the others by what Slurm, Open MPI, Kubernetes or Cloud TPU say; where there is none of these, the
    process stays alone, and the script runs as it is. The same call again changes nothing.

    A process that dies, or is stopped, ends all others within `heartbeat` seconds: they abort with a message that has its index.
    One that ends by an exception ends at once, with code 1, rather than wait at the exit for the others, which wait for it.

    Args:
      address: of process 0, `host:port`; any free port.
      count: how many processes there are.
      index: of this one, 0 to `count - 1`.
      heartbeat: seconds without a sign of life after which a process is taken for dead.
      timeout: seconds to wait for all to come.

    Returns:
      A Job.

    Raises:
      ValueError: if only some of `address`, `count` and `index` are given, or one is out of range.
      RuntimeError: if JAX has used its devices already; or, once `timeout` is over, if processes didn't come.

    Example:
      >>> from jdl import parallel
      >>> def main():
      ...     job = parallel.start()
      ...     print(f"process {job.index} of {job.count}")
    """
    _check.positive("start", heartbeat=heartbeat, timeout=timeout)
    given = {"address": address, "count": count, "index": index}
    if missing := [name for name, value in given.items() if value is None]:
        if len(missing) < len(given):
            raise ValueError(f"start: give address, count and index, or none of them where a launcher tells; {missing} are missing")
    else:
        _explicit(str(address), count, index)
    _joined(address, count, index, heartbeat, timeout)
    return Job(jax.process_index(), jax.process_count())


def _explicit(address: str, count: int | None, index: int | None) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"start: address must be 'host:port', such as '10.0.0.1:1234', got {address!r}")
    _check.positive("start", count=count)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < (count or 0):
        raise ValueError(f"start: index must be an integer from 0 to count - 1 = {(count or 0) - 1}, got {index!r}")


@functools.cache  # so that asking again, where the process stays alone, is no error once devices are in use
def _joined(address: str | None, count: int | None, index: int | None, heartbeat: int, timeout: int) -> None:
    if jax.distributed.is_initialized():
        return
    alone = address is None
    try:
        jax.distributed.initialize(
            address,
            count,
            index,
            cluster_detection_method=None if alone else "deactivate",
            initialization_timeout=timeout,
            heartbeat_timeout_seconds=heartbeat,
        )
    except ValueError as error:
        if alone and "coordinator_address" in str(error):  # no launcher that JAX knows
            return
        raise
    _end_at_once(heartbeat)


def _end_at_once(heartbeat: int) -> None:
    """Has an exception end this process as soon as it is printed."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        before(kind, error, traceback)
        if not isinstance(error, Exception):
            return
        lost = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error)
        which = f"; if another one died, JAX says which within {heartbeat} s" if lost else ""
        print(f"start: process {jax.process_index()} of {jax.process_count()} ends{which}", file=sys.stderr)
        sys.stderr.flush()
        sys.stdout.flush()
        if lost:
            time.sleep(heartbeat + 2)  # JAX aborts the process when it knows
        os._exit(1)

    sys.excepthook = hook
