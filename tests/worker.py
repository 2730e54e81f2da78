"""One process of a job that trains the digits; `test_processes.py` starts several.

    python tests/worker.py '{"place": ["127.0.0.1:1234", 2, 0], "runs": [{"folder": "runs/x"}], "cache": "...", ...}'

It trains each of the runs, and prints a line of JSON for each: losses, and digests of all that a run decides. A run with `own`
gets its data from all processes, each of which has only some; one with `host` reads them as it goes; one with `watchdog` ends if it
stalls for that many seconds; one with `sweep` is a sweep.
At step `at` of the first one, something may happen to it: `number`, that signal; `error`, that message of an exception.
"""

import functools
import json
import os
import sys


def problem(mesh, part=slice(None), own=False, host=False):
    """A run, and its data."""
    import jax
    import numpy as np
    import optax
    from sklearn.datasets import load_digits

    import jdl
    from jdl import layers as L
    from jdl import losses, parallel, train

    images, labels = load_digits(return_X_y=True)
    data = (images[:400] / 16).astype(np.float32), labels[:400].astype(np.int32)
    if host:
        images, labels = data
        data = jdl.HostData(lambda indices: (images[indices], labels[indices]), size=400, batch_size=40, ahead=3)
    else:
        data = parallel.from_processes(jax.tree.map(lambda a: a[part], data), mesh) if own else parallel.place(data, mesh)
    model = L.chain(L.dropout(0.2), L.dense(12))
    step = train.step(train.objective(model, losses.cross_entropy), optax.sgd(0.1, momentum=0.9))
    return train.run(parallel.over(step, mesh, parallel.fully_sharded("data")), batch_size=40), data


def fit(run, data, folder, epochs=2, watchdog=None):
    """Trains, saving every fourth step; gives the final train state, the history, and how often a callback was called."""
    import jax

    import jdl
    from jdl import checkpoint

    events, plan = [], checkpoint.every(steps=4)
    options = {"epochs": epochs, "folder": folder, "checkpoint": plan, "callbacks": [events.append], "watchdog": watchdog}
    return *jdl.fit(run, data, jax.random.key(0), **options, progress=False), len(events)


def sweep(folder, epochs=2):
    """Eight members, with their bits and losses."""
    import numpy as np
    import optax
    from trainer import digests

    import jdl
    from jdl import checkpoint, losses, train
    from jdl import layers as L

    def make_run(learning_rate):
        objective = train.objective(L.chain(L.dropout(0.2), L.dense(3)), losses.mean_squared_error)
        return train.run(train.step(objective, optax.sgd(learning_rate, momentum=0.9)), batch_size=8)

    x = np.linspace(-1, 1, 120).reshape(40, 3).astype(np.float32)
    options = {"epochs": epochs, "seeds": 2, "folder": folder, "checkpoint": checkpoint.every(epochs=1), "progress": False}
    found = jdl.sweep(make_run, (x, 2 * x), hyperparameters={"learning_rate": [0.1, 0.05, 0.02, 0.01]}, **options)
    return {"losses": found.history["train/loss"].tolist(), "digests": digests(found.groups[0][1], {})}


def main(arguments: dict) -> None:
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_compilation_cache_dir", arguments["cache"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

    from jdl import parallel

    start = functools.partial(parallel.start, *arguments["place"], heartbeat=arguments["heartbeat"], timeout=60)
    job = start()
    assert start() == job == (arguments["place"][2], arguments["place"][1]), "the same call again changes nothing"

    from trainer import digests

    from jdl.loop import _drive

    _drive._CHUNK = 0  # the host looks after every step
    disturb(arguments)
    mesh = parallel.mesh("data=-1")
    samples = 400 // job.count
    part = slice(samples * job.index, samples * (job.index + 1))
    for settings in arguments["runs"]:
        if settings.get("sweep"):
            print(json.dumps(sweep(settings["folder"])), flush=True)
            continue
        run, data = problem(mesh, part, settings.get("own", False), settings.get("host", False))
        train_state, history, events = fit(run, data, settings["folder"], watchdog=settings.get("watchdog"))
        found = digests(parallel.place(train_state, mesh), history)
        print(json.dumps({"losses": history["train/loss"].tolist(), "events": events, "digests": found}), flush=True)


def disturb(arguments: dict) -> None:
    from jdl.loop import _drive

    chunk = _drive._chunk

    def watched(advance, journey, *rest):
        found = chunk(advance, journey, *rest)
        if journey.step == arguments.get("at"):
            if "error" in arguments:
                raise RuntimeError(arguments["error"])
            os.kill(os.getpid(), arguments["number"])
        return found

    _drive._chunk = watched


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
