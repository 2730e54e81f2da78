"""One process of a job that trains the digits; `test_processes.py` starts them.

    python tests/worker.py '{"address": "127.0.0.1:1234", "count": 2, "index": 0, "devices": 2, "folder": "runs/x", "epochs": 2}'

It prints a line of JSON at the end: losses, and digests of all that the run decides.

- `kill_step`: SIGKILL to itself at the first look at the device at this step or later; `raise_step`: an error.
- `stop_step`: SIGTERM to itself then.
- `own`: whether each process gives only its own samples.
"""

import functools
import json
import os
import signal
import sys


def main(arguments: dict) -> None:
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={arguments['devices']}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    jax.config.update("jax_compilation_cache_dir", arguments["cache"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_numpy_rank_promotion", "raise")

    from jdl import parallel

    place = [arguments[name] for name in ("address", "count", "index")] if "address" in arguments else []
    start = functools.partial(parallel.start, *place, heartbeat=arguments.get("heartbeat", 10), timeout=60)
    job = start()
    assert start() == job, "the same call again changes nothing"

    import numpy as np
    import optax
    from sklearn.datasets import load_digits

    import jdl
    from jdl import checkpoint, losses, train
    from jdl import layers as L
    from jdl.loop import _drive

    _drive._CHUNK = 0  # the host looks after every step
    images, labels = load_digits(return_X_y=True)
    data = (images[:400] / 16).astype(np.float32), labels[:400].astype(np.int32)
    mesh = parallel.mesh("data=-1")
    if arguments.get("own"):
        part = 400 // job.count
        data = parallel.from_processes(jax.tree.map(lambda a: a[part * job.index : part * (job.index + 1)], data), mesh)
    else:
        data = parallel.place(data, mesh)
    model = L.chain(L.dropout(0.2), L.dense(10))
    step = train.step(train.objective(model, losses.cross_entropy), optax.adam(0.01))
    rules = parallel.fully_sharded("data")
    run = train.run(parallel.over(step, mesh, rules), batch_size=40)
    disturb(arguments)
    events = []
    train_state, history = jdl.fit(
        run,
        data,
        jax.random.key(0),
        epochs=arguments.get("epochs", 2),
        folder=arguments.get("folder"),
        checkpoint=checkpoint.every(steps=4),
        callbacks=[lambda event: events.append(event.kind)],
        progress=True,
    )
    from trainer import digests

    whole = parallel.place(train_state, mesh)
    print(json.dumps({"losses": history["train/loss"].tolist(), "events": len(events)} | digests(whole, history)), flush=True)


def disturb(arguments: dict) -> None:
    from jdl.loop import _drive

    chunk = _drive._chunk

    def watched(advance, journey, *rest):
        found = chunk(advance, journey, *rest)
        if journey.step >= arguments.get("kill_step", float("inf")):
            os.kill(os.getpid(), signal.SIGKILL)
        if journey.step >= arguments.get("raise_step", float("inf")):
            raise ZeroDivisionError("of this worker")
        if journey.step == arguments.get("stop_step"):
            os.kill(os.getpid(), signal.SIGTERM)
        return found

    _drive._chunk = watched


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
