"""One experiment on one device, on several, and on several machines: how it is called differs, and nothing in it.

python experiments/devices.py                                                          (about half a minute on 2 cores)
XLA_FLAGS=--xla_force_host_platform_device_count=8 python experiments/devices.py       eight fake devices
python experiments/devices.py --address 10.0.0.1:1234 --count 2 --index 0              on the first of two machines
python experiments/devices.py --address 10.0.0.1:1234 --count 2 --index 1              on the second
"""

import dataclasses

import jax
import optax
import tyro
from digits import load, network

import jdl
from jdl import losses, metrics, parallel, train


@dataclasses.dataclass(frozen=True)
class Config:
    """Trains a small convolutional network on scikit-learn's digits, on all devices that there are."""

    epochs: int = 5
    """Passes over the training half."""
    address: str | None = None
    """Of the first process, host:port; where a launcher tells JAX (Slurm, Open MPI), nothing needs to be given."""
    count: int | None = None
    """How many processes there are."""
    index: int | None = None
    """Of this process."""


def main(config: Config) -> None:
    job = parallel.start(config.address, config.count, config.index)
    data, _ = load()
    objective = train.objective(network(0.5), losses.cross_entropy, metrics={"accuracy": metrics.accuracy})
    step = train.step(objective, optax.adam(3e-3))
    step = parallel.over(step, parallel.mesh("data=-1"))
    run = train.run(step, batch_size=64)
    _, history = jdl.fit(run, data, jax.random.key(0), epochs=config.epochs, progress=False)
    if job.index == 0:
        print(f"{len(jax.devices())} x {jax.devices()[0].device_kind}, in {job.count} processes")
        for epoch, loss in enumerate(history["train/loss"], 1):
            print(f"epoch {epoch}: loss {loss:.7f}")


if __name__ == "__main__":
    main(tyro.cli(Config))
