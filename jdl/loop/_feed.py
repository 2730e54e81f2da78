"""Where `fit` gets the data of its next steps from: the device, which has all of them, or the host, which reads ahead."""

import concurrent.futures
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check
from jdl.loop._journey import Journey
from jdl.train._order import of_epoch, placed
from jdl.train._run import rows
from jdl.train._window import Window

_ANY = np.iinfo(np.int32).max
_SAMPLES = 16  # that tell data from others


class HostData(NamedTuple):
    """Data that stay on the host, for `jdl.fit` in place of arrays: more than the device can hold, or made as they are read.

    A thread reads the next batches while the device works on the last. Which samples those are depends on the key and the epoch
    alone, so that a run is, to the bit, the one over the same arrays on the device, and goes on where it was after an interruption.

    Attributes:
      read: from the indices of samples, int32 `(samples,)` in 0 to `size - 1`, to a tree of NumPy arrays with that first axis: the
        same for the same indices. It is called in one thread, and may use more of its own.
      size: how many samples there are.
      batch_size: as in `train.run`.
      ahead: batches that are read, sent and trained on in one call; two times as many lie on the device.

    Example:
      >>> import jax, numpy as np, optax, jdl
      >>> from jdl import layers as L, losses, train
      >>> x = np.linspace(-1, 1, 64, dtype=np.float32).reshape(-1, 1)  # or np.load("x.npy", mmap_mode="r")
      >>> data = jdl.HostData(lambda indices: (x[indices], 2 - x[indices]), size=64, batch_size=16)
      >>> step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.adam(0.1))
      >>> run = train.run(step, batch_size=16)
      >>> train_state, history = jdl.fit(run, data, jax.random.key(0), epochs=50, progress=False)
      >>> bool(history["train/loss"][-1] < 1e-3)
      True
    """

    read: Callable[[np.ndarray], Any]
    size: int
    batch_size: int
    ahead: int = 8


class _Place(NamedTuple):
    epoch: int
    position: int


class Feed:
    """Data on the device.

    Attributes:
      size: samples in an epoch.
      sample: what a first train state is made from.
      identity: a tree of arrays that tells these data from others.
    """

    def __init__(self, data: Any):
        self.size = rows(data)
        self.sample = self.identity = jax.tree.map(jnp.asarray, data)

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def at(self, journey: Journey) -> tuple[Any, int]:
        """What the program takes that goes on from here, and for how many steps at most."""
        return self.sample, _ANY


class HostFeed(Feed):
    """Data on the host; the window after the last is being read, up to the last of these epochs."""

    def __init__(self, data: HostData, epochs: int):
        _check.positive("fit", **{f"data.{name}": getattr(data, name) for name in ("size", "batch_size", "ahead")})
        if data.batch_size > data.size:
            raise ValueError(f"fit: data.batch_size {data.batch_size} is larger than data.size {data.size}")
        self._data, self._epochs, self.size = data, epochs, data.size
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="jdl data")
        self._window: Window | None = None
        self._begin, self._end = _Place(0, 0), 0
        self._ahead: dict[_Place, concurrent.futures.Future[Window]] = {}
        first = self._read(np.arange(data.batch_size, dtype=np.int32))
        self.sample = Window(jax.tree.map(lambda a: jnp.asarray(a[None]), first), jnp.int32(0), jnp.int32(data.size))
        spread = np.linspace(0, data.size - 1, min(_SAMPLES, data.size)).astype(np.int32)
        self.identity = {"size": np.int32(data.size), "samples": self._read(spread)}

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def at(self, journey: Journey) -> tuple[Window, int]:
        """The window that the next batch is in, and the steps that are left in it. If it is a new one, the one after it is read."""
        here = _Place(len(journey.records), journey.position)
        if self._window is None or self._begin.epoch != here.epoch or not self._begin.position <= here.position < self._end:
            self._begin, self._end = here, self._end_of(here.position)
            self._window = (self._ahead.pop(here, None) or self._reading(here, journey)).result()
            more = self._end + self._data.batch_size <= self.size
            after = _Place(here.epoch, self._end) if more else _Place(here.epoch + 1, 0)
            self._ahead = {after: self._reading(after, journey)} if after.epoch < self._epochs else {}
        return self._window, (self._end - here.position) // self._data.batch_size

    def _end_of(self, position: int) -> int:
        batch = self._data.batch_size
        return position + batch * min(self._data.ahead, (self.size - position) // batch)

    def _reading(self, place: _Place, journey: Journey) -> concurrent.futures.Future[Window]:
        positions = np.arange(place.position, place.position + self._data.ahead * self._data.batch_size)
        key = jax.random.clone(journey.train_state.key)
        indices = _ordered(key, place.epoch, np.minimum(positions, self.size - 1), self.size)
        return self._thread.submit(self._made, indices, place.position)

    def _made(self, indices: jax.Array, position: int) -> Window:
        """Reads a window. Where the epoch ends in it, it is filled up with what no step takes, as programs have one shape."""
        shape = self._data.ahead, self._data.batch_size
        found = self._read(np.asarray(indices)[: self._end_of(position) - position])
        fill = lambda a: jnp.asarray(np.resize(a, (shape[0] * shape[1], *a.shape[1:])).reshape(*shape, *a.shape[1:]))
        return Window(jax.tree.map(fill, found), jnp.int32(position), jnp.int32(self.size))

    def _read(self, indices: np.ndarray) -> Any:
        try:
            found = jax.tree.map(np.asarray, self._data.read(indices))
        except Exception as error:
            error.add_note(f"fit: raised by data.read for {len(indices)} indices from {indices[0]} on")
            raise
        if rows(found) != len(indices):
            raise ValueError(f"fit: data.read was given {len(indices)} indices, and gave {_check.describe(found)}")
        kind = _kind(found)
        self._kind = getattr(self, "_kind", kind)
        if kind != self._kind:
            raise ValueError(f"fit: data.read gave samples {kind}, and before that {self._kind}")
        return found


def fed(data: Any, epochs: int) -> Feed:
    """The feed of what `fit` was given."""
    return HostFeed(data, epochs) if isinstance(data, HostData) else Feed(data)


@functools.partial(jax.jit, static_argnums=3)
def _ordered(key: jax.Array, epoch: int, positions: jax.Array, size: int) -> jax.Array:
    return placed(of_epoch(key, epoch), positions, size)


def _kind(tree: Any) -> str:
    """What is the same for any number of samples."""
    one = lambda a: jax.ShapeDtypeStruct(a.shape[1:], jax.dtypes.canonicalize_dtype(a.dtype))
    return _check.describe(jax.tree.map(one, tree))
