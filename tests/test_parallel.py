"""Many devices give what one gives; arrays lie where rules say; programs send what they must and no more."""

import functools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jdl
from jdl import checkpoint, functional, losses, models, parallel, train
from jdl import layers as L
from jdl.loop._digest import digest
from jdl.parallel import _explain

P = jax.P
SHARDED, TENSOR = parallel.fully_sharded("data"), parallel.tensor_parallel("model")
SAMPLES, BATCH, STEPS = 100, 24, 20


def devices(text):
    """A mesh on as many of the eight devices as it needs."""
    size = np.prod([int(part.split("=")[1]) for part in text.split(",")])
    return parallel.mesh(text, devices=jax.devices()[:size])


# The same losses


def mlp(rng):
    data = rng.normal(size=(SAMPLES, 8)).astype("float32"), rng.normal(size=(SAMPLES, 8)).astype("float32")
    model = L.chain(mlp=L.mlp([32, 8], activation=jax.nn.gelu), drop=L.dropout(0.1))
    return train.objective(model, losses.mean_squared_error), data


def cnn(rng):
    model = L.chain(L.conv(8, 3), L.batch_norm(), jax.nn.relu, L.max_pool(2), L.flatten, L.dropout(0.3), head=L.dense(8))
    data = rng.normal(size=(SAMPLES, 8, 8, 1)).astype("float32"), rng.integers(0, 8, SAMPLES)
    return train.objective(model, losses.cross_entropy), data


def transformer(rng):
    block = L.transformer_block(L.attention(4, causal=True), L.mlp([32, 16], activation=jax.nn.gelu), rate=0.1)
    model = models.transformer_decoder(2, block, embedding=L.embedding(32, 16), positions=L.embedding(8, 16))
    tokens = rng.integers(0, 32, (SAMPLES, 9))
    return train.objective(model, lambda out, labels: losses.cross_entropy(out[0], labels)), (tokens[:, :-1], tokens[:, 1:])


def mixture(rng, capacity_factor=None):
    mixture = L.mixture_of_experts(L.swiglu(16), 8, capacity_factor=capacity_factor)
    block = L.transformer_block(L.attention(4, causal=True), mixture)
    tokens = rng.integers(0, 32, (SAMPLES, 9))

    def loss(out, labels):
        return losses.cross_entropy(out[0], labels) + 0.01 * out[2]["load_balance"].mean()

    return train.objective(models.transformer_decoder(2, block, embedding=L.embedding(32, 16)), loss), (
        tokens[:, :-1],
        tokens[:, 1:],
    )


def capped(rng):
    return mixture(rng, 1.25)


def routed(rng):
    """Experts alone, which are compiled in a third of the time of a transformer."""

    def loss(out, labels):
        return losses.cross_entropy(out[0], labels) + 0.01 * out[1]["load_balance"].mean()

    model = L.chain(experts=L.mixture_of_experts(L.swiglu(16), 8, capacity_factor=1.25))
    return train.objective(model, loss), (rng.normal(size=(SAMPLES, 8, 16)).astype("float32"), rng.integers(0, 16, (SAMPLES, 8)))


EXPERTS = [parallel.expert_parallel("expert"), SHARDED]
LAYOUTS = {
    "data1": ("data=1", P()),
    "data2": ("data=2", P()),
    "data4": ("data=4", P()),
    "data8": ("data=8", P()),
    "sharded2": ("data=2", SHARDED),
    "sharded8": ("data=8", SHARDED),
    "tensor": ("data=1,model=4", TENSOR),
    "mixed": ("data=4,model=2", parallel.fully_sharded("data", beneath=TENSOR)),
    "experts": ("data=2,expert=4", EXPERTS),
    "all": ("data=2,model=2,expert=2", [parallel.expert_parallel("expert"), parallel.fully_sharded("data", beneath=TENSOR)]),
}
OFTEN = {("mlp", "data4"), ("mlp", "mixed"), ("cnn", "sharded8"), ("routed", "all")}
CASES = [(model, layout) for model in (mlp, cnn, transformer, mixture, capped) for layout in LAYOUTS]
CASES = [(model, layout) for model, layout in CASES if layout not in ("experts", "all") or model in (mixture, capped)]
CASES.append((routed, "all"))


@functools.cache
def alone(model):
    """An objective, data, a step, and the losses of its run on one device."""
    objective, data = model(np.random.default_rng(1))
    step = train.step(objective, optax.adam(1e-2))
    step = step._replace(init=jax.jit(step.init))
    batch_size = 30 if model is mlp else BATCH  # 30 are not as many on each of 4 or 8 devices
    return data, batch_size, step, advanced(step, data, batch_size)[1]


def advanced(step, data, batch_size):
    run = train.run(step, batch_size=batch_size)
    train_state, measured = jax.jit(run.advance, static_argnums=2)(run.init(jax.random.key(7), data), data, STEPS)
    return train_state, np.asarray(measured["loss"])


@pytest.mark.parametrize(
    "model, layout",
    [pytest.param(model, layout, marks=[] if (model.__name__, layout) in OFTEN else pytest.mark.slow) for model, layout in CASES],
)
def test_many_devices_give_the_losses_of_one(model, layout):
    """Within 1e-6, for twenty steps of Adam in single precision, dropout, batch norm and batches that don't divide included."""
    data, batch_size, step, expected = alone(model)
    axes, rules = LAYOUTS[layout]
    if model is cnn and "model" in axes:
        rules = [{"head/kernel": P("model")}, SHARDED]  # a network without products that `tensor_parallel` knows
    train_state, found = advanced(parallel.over(step, devices(axes), rules), data, batch_size)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert len(jax.tree.leaves(train_state.params)[0].sharding.device_set) == devices(axes).size and expected[-1] < expected[0]


def test_order_and_masks_are_those_of_one_device(key):
    """To the bit, whatever holds the samples."""
    rows = np.arange(40, dtype="float32").reshape(40, 1)

    def update(train_state, batch):
        mask = functional.dropout(jax.random.fold_in(train_state.key, train_state.step), jnp.ones((16, 5)), 0.5)
        return train_state.replace(step=train_state.step + 1), {"rows": batch, "mask": mask}

    init = lambda key, batch: train.TrainState(
        {"w": np.ones(8, "float32")}, {}, (), key, *(np.zeros((), "int32") for _ in range(3))
    )
    found = []
    for step, data in (
        (train.Step(init, update), rows),
        (parallel.over(train.Step(init, update), devices("data=8"), SHARDED), parallel.place(rows, devices("data=8"), P("data"))),
    ):
        run = train.run(step, batch_size=16)
        found.append(jax.jit(run.advance, static_argnums=2)(run.init(jax.random.clone(key), data), data, 6)[1])
    np.testing.assert_array_equal(found[0]["rows"], found[1]["rows"])
    np.testing.assert_array_equal(found[0]["mask"], found[1]["mask"])
    assert 0 < (np.asarray(found[0]["mask"]) == 0).mean() < 1 and len(np.unique(np.asarray(found[0]["rows"])[:2])) == 32


def right(logits, labels):
    return ((logits.argmax(-1) == labels) & (labels >= 0)).sum().astype(jnp.float32)


def test_an_evaluation_counts_every_sample_once(rng):
    """Over 8 devices, with a last batch of 13 samples."""
    held = rng.normal(size=(85, 8)).astype("float32"), rng.integers(0, 8, 85)
    held[1][rng.random(85) < 0.3] = -1  # labels that don't count
    where = lambda metric: lambda logits, labels: metric(logits, jnp.maximum(labels, 0), where=labels >= 0, reduction="sum")
    objective, mesh = train.objective(L.dense(8), where(losses.cross_entropy), metrics={"right": right}), devices("data=8")
    weights = jax.jit(train.step(objective, optax.sgd(0.1)).init)(jax.random.key(0), held)
    measure = [jax.jit(train.evaluate(one, held, batch_size=24)) for one in (objective, parallel.split(objective, mesh, SHARDED))]
    once, many = measure[0](weights), measure[1](parallel.place(weights, mesh, SHARDED))
    np.testing.assert_allclose(many["loss"], once["loss"], rtol=1e-6)
    assert many["right"] == once["right"] > 0  # counts are exact


# Where arrays lie


def first(model, optimizer, **named):
    objective, data = model(np.random.default_rng(1))
    batch = jax.tree.map(lambda a: a[:BATCH], data)
    return train.step(objective, optimizer, **named), batch


@pytest.mark.parametrize("model", [mlp, pytest.param(transformer, marks=pytest.mark.slow)])
def test_fully_sharded_keeps_an_eighth(model):
    """Of parameters and optimizer state, by the arrays, and by XLA's analysis of the step."""
    step, batch = first(model, optax.adam(1e-3))
    step = parallel.over(step, devices("data=8"), SHARDED)
    train_state = step.init(jax.random.key(0), batch)
    kept = train_state.params, train_state.optimizer_state
    whole = sum(a.nbytes for a in jax.tree.leaves(kept))
    for device in jax.devices():
        shards = [shard.data.nbytes for a in jax.tree.leaves(kept) for shard in a.addressable_shards if shard.device == device]
        assert sum(shards) <= whole / 8 * 1.05
    compiled = jax.jit(step.update, donate_argnums=0).lower(train_state, batch).compile()
    others = sum(a.nbytes for a in jax.tree.leaves(batch)) + 64
    assert compiled.memory_analysis().argument_size_in_bytes <= whole / 8 * 1.05 + others
    assert parallel.explain(kept).bytes <= whole / 8 * 1.05 and parallel.explain(kept).whole == whole

    sent = {row.kind: row for row in parallel.collectives(compiled).rows}  # parameters once, gradients once for each use
    size = sum(a.nbytes for a in jax.tree.leaves(train_state.params))
    tied = train_state.params["embedding"]["embedding"].nbytes if model is transformer else 0  # which decodes, too
    assert 0.9 * size <= sent["all-gather"].bytes <= size
    assert set(sent) <= {"all-gather", "all-reduce", "reduce-scatter"}
    assert sum(row.bytes for row in parallel.collectives(compiled).rows) <= 2 * size + tied + 16
    assert all(row.devices == 8 for row in sent.values())


def test_tensor_parallel_gathers_no_weights():
    """One device's part of the products, and sums of activations."""
    step, batch = first(mlp, optax.sgd(1e-3))
    step = parallel.over(step, devices("data=1,model=8"), TENSOR)
    train_state = step.init(jax.random.key(0), batch)
    assert train_state.params["mlp"]["0"]["kernel"].sharding.spec == P(None, "model")
    assert train_state.params["mlp"]["1"]["kernel"].sharding.spec == P("model", None)
    compiled = jax.jit(step.update).lower(train_state, batch).compile()
    assert {row.kind for row in parallel.collectives(compiled).rows} == {"all-reduce"}
    whole = jax.jit(first(mlp, optax.sgd(1e-3))[0].update).lower(jax.device_get(train_state), batch).compile()
    assert compiled.cost_analysis()["flops"] < 0.3 * whole.cost_analysis()["flops"]


@pytest.mark.parametrize("optimizer", [optax.adam(0.1), optax.adafactor(0.1, min_dim_size_to_factor=8), optax.lbfgs()])
def test_optimizer_state_and_averages_follow_parameters(optimizer):
    step, batch = first(transformer, optimizer)
    step = train.swag(train.average(step, 0.9), start=1, rank=3)
    train_state = jax.eval_shape(step.init, jax.random.key(0), batch)
    placed = parallel.place(train_state, devices("data=2,model=4"), parallel.fully_sharded("data", beneath=TENSOR))
    by_path = {jax.tree_util.keystr(path, simple=True, separator="/"): a for path, a in jax.tree_util.tree_leaves_with_path(placed)}
    owners = {path.removeprefix("params/"): a for path, a in by_path.items() if path.startswith("params/")}
    assert owners["blocks/mlp/0/kernel"].sharding.spec == P(None, "data", "model")
    assert owners["embedding/embedding"].sharding.spec == P("model", "data")
    followers = 0
    for path, a in by_path.items():
        for name, owner in owners.items():
            if path.endswith(f"/{name}") and a.shape[a.ndim - owner.ndim :] == owner.shape:
                assert tuple(a.sharding.spec)[a.ndim - owner.ndim :] == tuple(owner.sharding.spec), path
                followers += 1
    assert followers >= 3 * len(owners)
    deviations = by_path["averages/swag/deviations/blocks/mlp/0/kernel"]
    assert deviations.sharding.spec == P(None, None, "data", "model") and deviations.shape[0] == 3
    assert by_path["key"].sharding.spec == by_path["step"].sharding.spec == P()


def test_the_first_rule_counts(rng):
    params = {
        "a": {"kernel": np.ones((8, 16), "float32"), "bias": np.ones(16, "float32")},
        "b": {"kernel": np.ones((6, 4), "float32"), "odd": np.ones(3, "float32")},
    }
    mesh = devices("data=2,model=4")
    placed = parallel.place(params, mesh, [{"a/kernel": P("model"), "**/kernel": P(None, "model")}, SHARDED])
    specs = jax.tree.map(lambda a: a.sharding.spec, placed)
    assert specs["a"] == {"kernel": P("model"), "bias": P("data")} and specs["b"] == {"kernel": P(None, "model"), "odd": P()}
    assert parallel.place(params, mesh, parallel.fully_sharded(("data", "model")))["a"]["kernel"].sharding.spec == P(
        None, ("data", "model")
    )
    rows = {row.path: row for row in parallel.explain(placed).rows}
    assert rows["a/bias"] == ("a/bias", "float32[16]", "'data'", 32) and rows["b/odd"].sharding == "replicated"
    assert "replicated" in str(parallel.explain(placed)) and parallel.explain(params).rows[0].sharding == "one device"


def test_an_array_that_an_earlier_glob_decides_need_not_fit_a_later_one():
    params = {"a": {"kernel": np.ones((8, 3), "float32")}, "b": {"kernel": np.ones((3, 3), "float32")}}
    placed = parallel.place(params, devices("data=8"), {"b/kernel": P(), "**/kernel": P("data")})
    assert placed["a"]["kernel"].sharding.spec == P("data") and placed["b"]["kernel"].sharding.spec == P()
    with pytest.raises(ValueError, match=r"b/kernel, .*but 8 parts don't divide axis 0; split another axis, or leave it whole"):
        parallel.place(params, devices("data=8"), {"**/kernel": P("data")})


def test_fully_sharded_uses_the_mesh_axes_that_are_free():
    params = {
        "mlp": {"0": {"kernel": np.ones((8, 16), "float32")}, "1": {"kernel": np.ones((16, 8), "float32")}},
        "rest": np.ones((8, 3), "float32"),
    }
    rule = parallel.fully_sharded(("data", "model"), beneath=TENSOR)
    placed = parallel.place(params, devices("data=2,model=4"), rule)
    assert placed["mlp"]["0"]["kernel"].sharding.spec == P("data", "model")
    assert placed["mlp"]["1"]["kernel"].sharding.spec == P("model", "data")
    assert placed["rest"].sharding.spec == P(("data", "model"), None)
    both = parallel.fully_sharded("model", beneath=TENSOR)
    assert parallel.place(params, devices("data=2,model=4"), both)["mlp"]["1"]["kernel"].sharding.spec == P("model", None)


@pytest.mark.parametrize("rules, message", [
    ("data", r"place: rules must be a jax\.P, a dict .* got 'data'"),
    (["data"], r"place: rules must be a jax\.P, a dict .* got 'data'"),
    (None, r"place: rules must be .* got None"),
    (parallel.fully_sharded, "place: fully_sharded makes a rule: call it"),
])  # fmt: skip
def test_what_is_no_rule_is_refused(rules, message):
    with pytest.raises(TypeError, match=message):
        parallel.place(jnp.ones(8), devices("data=8"), rules)


def test_what_is_no_mesh_is_refused():
    with pytest.raises(
        TypeError, match=r"place: mesh must be a jax\.sharding\.Mesh, such as parallel\.mesh\('data=4'\), got 'data=8'"
    ):
        parallel.place(jnp.ones(8), "data=8", P("data"))
    with pytest.raises(TypeError, match="over: mesh must be"):
        parallel.over(first(mlp, optax.sgd(0.1))[0], "data=8")


def test_members_of_a_population_lie_on_different_devices():
    objective, (_, data) = train.objective(L.mlp([32, 8]), losses.mean_squared_error), mlp(np.random.default_rng(1))
    run = train.population(train.run(train.step(objective, optax.sgd(1e-2)), batch_size=BATCH))
    keys = jax.random.split(jax.random.key(0), 8)
    advance, start = jax.jit(run.advance, static_argnums=2), jax.jit(run.init)(keys, data)
    _, expected = advance(start, data, 5)
    placed = parallel.place(start, devices("members=8"), P("members"))
    compiled = advance.lower(placed, data, 5).compile()
    final, found = compiled(placed, data)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-6)
    assert final.params["0"]["kernel"].sharding.shard_shape((8, 8, 32)) == (1, 8, 32)
    said = parallel.collectives(compiled).rows
    assert sum(row.bytes for row in said) <= 5  # whether all have drawn their order, in each step


@pytest.mark.parametrize("rules, error, message", [
    ({"**/mlp/2/kernel": P(None, "data")}, ValueError, r"matches none of the paths: .*mlp/1/kernel"),
    ({"**/kernel": P("model")}, ValueError, "the mesh has axes data, not 'model'"),
    ({"mlp/0/*": P(None, "data")}, ValueError, r"splits mlp/0/bias, float32\[32\].*mesh has data=8.*has fewer axes than the spec"),
    ({"mlp/0/kernel": P("data", "data")}, ValueError, r"'mlp/0/kernel' for mlp/0/kernel: .* has a mesh axis twice"),
    (P("data", "data"), ValueError, r"has a mesh axis twice"),
    ({"mlp/0/kernel": (None, "data")}, TypeError, r"must have a spec such as jax.P\(None, 'model'\), got \(None, 'data'\)"),
    (parallel.expert_parallel("data"), ValueError, "expert_parallel: there is none of"),
    (parallel.fully_sharded("rows"), ValueError, "fully_sharded: the mesh has axes data, not 'rows'"),
])  # fmt: skip
def test_rules_that_do_not_fit_are_refused(rules, error, message):
    step, batch = first(mlp, optax.adam(1e-3))
    with pytest.raises(error, match=message):
        parallel.over(step, devices("data=8"), rules).init(jax.random.key(0), batch)


def test_meshes():
    assert dict(parallel.mesh("data=4, model=2").shape) == {"data": 4, "model": 2}
    assert dict(parallel.mesh({"data": -1, "model": 2}).shape) == {"data": 4, "model": 2}
    assert parallel.mesh("data=2", devices=jax.devices()[6:]).devices.tolist() == jax.devices()[6:]


@pytest.mark.parametrize("axes, message", [
    ("data=3", "'data=3' doesn't fit 8 devices"),
    ("data=-1,model=3", "doesn't fit 8 devices"),
    ("data=-1,model=-1", "one of them at most may have size -1"),
    ("data:8", "must be like 'data=4,model=2'"),
    ("data=4,data=2", "each name once"),
    ("", "must be like"),
    ({"data": 0}, "the size of data must be a positive integer"),
    ({}, "there must be axes"),
])  # fmt: skip
def test_meshes_that_are_refused(axes, message):
    with pytest.raises(ValueError, match=f"mesh: .*{message}"):
        parallel.mesh(axes)


def test_an_axis_that_the_mesh_lacks_is_an_error():
    step, _ = first(mlp, optax.adam(1e-3))
    with pytest.raises(ValueError, match="over: the mesh has axes model, not 'data'"):
        parallel.over(step, devices("model=8"))
    parallel.over(step, devices("model=8"), axis=None)


def test_collectives_are_counted():
    """Kinds, groups of devices and bytes as XLA writes them, of asynchronous ones and in nested loops too."""
    text = """HloModule jit_f, is_scheduled=true, entry_computation_layout={(f32[8]{0})->f32[8]{0}}, num_partitions=8

%turn.1 (x: f32[8]) -> f32[8] {
  ROOT %moved = f32[8]{0} collective-permute(%x), source_target_pairs={{0,1},{1,2},{2,3},{3,4},{4,0}}
}

%within (x: (s32[], f32[8])) -> (s32[], f32[8]) {
  %inner = f32[8]{0} while(%x), condition=%until, body=%turn.1, backend_config={"known_trip_count":{"n":"3"}}
  %ag3 = bf16[8] all-gather(%x), replica_groups={{0,1,2,3,4,5}}, dimensions={0}
}

%open (x: f32[8]) -> f32[8] {
  ROOT %far = s8[2]{0} all-to-all(%x), replica_groups={{0,1}}
}

ENTRY %main.3_spmd (a: f32[8], b: f32[8]) -> f32[8] {
  %all-reduce.5 = (f32[32]{0}, bf16[8,32]{1,0}) all-reduce(%a, %b), channel_id=5, replica_groups=[2,4]<=[8], to_apply=%add
  %ag = f32[24,4]{1,0} all-gather(%all-reduce.5), replica_groups=mesh['axis_0'=4,'axis_1'=2] {'axis_0'}, dimensions={0}
  %ag2 = f32[8] all-gather(%x), channel_id=3, replica_groups=mesh['axis_0'=8] {'axis_0':(1)4}, dimensions={0}
  %start = (s8[2,3]{1,0}, s8[16,3]{1,0}) all-gather-start(%x), replica_groups={{0,1,2,3,4,5,6,7}}, dimensions={0}
  %done = s8[16,3]{1,0} all-gather-done(%start)
  %moved = (f32[1024]{0}, f32[1024]{0}, u32[], u32[]) collective-permute-start(%x), source_target_pairs={{0,1},{1,2},{2,0}}
  %both = ((f32[4,2]{1,0}, s8[3]{0}), (f32[32,2]{1,0}, s8[24]{0})) all-gather-start(%x, %y), replica_groups={}, dimensions={0}
  %everywhere = f32[5]{0} all-reduce(%x), replica_groups={}, to_apply=%add
  %loop = (s32[], f32[8]{0}) while(%t), condition=%until, body=%within, backend_config={"known_trip_count":{"n":"10"},"x":[]}
  %again = f32[8]{0} call(%x), to_apply=%turn.1
  %search = f32[8]{0} while(%x), condition=%until.2, body=%open
  ROOT %cp = pred[10]{0} collective-permute(%x), source_target_pairs={{0,1},{1,0}}
}
"""
    found = _explain._collectives(text)
    assert found.rows == (
        ("collective-permute", 3, 1, 4096),
        ("collective-permute", 5, 31, 31 * 32),
        ("all-reduce", 4, 1, 4 * 32 + 2 * 256),
        ("all-gather", 4, 2, 4 * 96 + 4 * 8),
        ("all-gather", 8, 2, 48 + 4 * 64 + 24),
        ("all-gather", 6, 10, 160),
        ("all-reduce", 8, 1, 20),
        ("collective-permute", 2, 1, 10),
        ("all-to-all", 2, 1, 2),
    )
    assert found.unknown == 1 and "all-reduce" in str(found) and "1 in loops of a length that" in " ".join(str(found).split())
    with pytest.raises(
        TypeError, match=r"collectives: compiled must be a jax\.stages\.Compiled, got Lowered; call its \.compile\(\)"
    ):
        parallel.collectives(jax.jit(jnp.sin).lower(1.0))


# Other devices than before


def normed():
    """A step with running statistics, masks and state of an optimizer."""
    rng = np.random.default_rng(1)
    model = L.chain(L.dense(16), L.batch_norm(), jax.nn.relu, L.dropout(0.3), head=L.dense(8))
    data = rng.normal(size=(SAMPLES, 8)).astype("float32"), rng.integers(0, 8, SAMPLES)
    return train.step(train.objective(model, losses.cross_entropy), optax.sgd(0.1, momentum=0.9)), data


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint of step 5, written from eight devices, and the losses that follow on these."""
    folder = tmp_path_factory.mktemp("saved")
    step, data = normed()
    run = train.run(parallel.over(step, devices("data=8"), SHARDED), batch_size=BATCH)
    advance = jax.jit(run.advance, static_argnums=2)
    train_state, _ = advance(run.init(jax.random.key(7), data), data, 5)
    checkpoint.save(folder, 5, train_state)
    _, measured = advance(train_state, data, 5)
    return folder, jax.device_get(train_state.replace(key=jax.random.key_data(train_state.key))), measured["loss"]


@pytest.mark.parametrize(
    "layout", ["data1", *(pytest.param(name, marks=pytest.mark.slow) for name in ("data2", "data4", "data8", "sharded2", "mixed"))]
)
def test_a_checkpoint_goes_on_on_other_devices(saved, layout):
    """Arrays to the bit, and the next losses within 1e-6."""
    folder, expected, following = saved
    step, data = normed()
    axes, rules = LAYOUTS[layout]
    rules = [{"head/kernel": P("model")}, SHARDED] if "model" in axes else rules
    mesh = devices(axes)
    run = train.run(parallel.over(step, mesh, rules), batch_size=BATCH)
    template = parallel.place(jax.eval_shape(run.init, jax.random.key(7), data), mesh, rules)
    train_state = checkpoint.restore(folder, template).tree
    for a, b in zip(jax.tree.leaves(train_state), jax.tree.leaves(template)):
        assert a.sharding == b.sharding
    numbers = jax.device_get(train_state.replace(key=jax.random.key_data(jax.random.clone(train_state.key))))
    for a, b in zip(jax.tree.leaves(numbers), jax.tree.leaves(expected)):
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes()
    _, measured = jax.jit(run.advance, static_argnums=2)(train_state, data, 5)
    np.testing.assert_allclose(measured["loss"], following, rtol=1e-6)


def fitted(layout, folder, epochs, batch_size=BATCH, rate=1e-2):
    """Where a run on one device comes to, if there is no layout, or one on several."""
    objective, data = mlp(np.random.default_rng(1))
    step, measured = train.step(objective, optax.sgd(rate, momentum=0.9)), objective
    step = step._replace(init=jax.jit(step.init))
    if layout is not None:
        axes, rules = LAYOUTS[layout]
        step, measured = parallel.over(step, devices(axes), rules), parallel.split(objective, devices(axes), rules)
    run, measure = train.run(step, batch_size=batch_size), train.evaluate(measured, data, batch_size=30)
    return jdl.fit(run, data, jax.random.key(3), epochs=epochs, evaluate=measure, folder=folder, progress=False)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder after the first epoch on eight devices, and all of a run that nothing happened to."""
    tmp = tmp_path_factory.mktemp("begun")
    fitted("sharded8", tmp / "begun", 1)
    return tmp / "begun", fitted("sharded8", None, 3)


def test_fit_goes_on_over_a_mesh(begun, tmp_path):
    """`jdl.fit` takes the run as it is; in two calls it gives the bits of one."""
    shutil.copytree(begun[0], tmp_path / "again")
    whole, history = begun[1]
    parts, again = fitted("sharded8", tmp_path / "again", 3)
    assert parts.params["mlp"]["0"]["kernel"].sharding.spec == P(None, "data")
    for a, b in zip(
        jax.tree.leaves((whole.params, history["evaluate/loss"])), jax.tree.leaves((parts.params, again["evaluate/loss"]))
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "layout", [None, "mixed", *(pytest.param(name, marks=pytest.mark.slow) for name in ("data1", "data2", "sharded2", "tensor"))]
)
def test_fit_goes_on_on_other_devices(begun, layout, tmp_path):
    """Within 1e-6 of the run that stays where it is."""
    shutil.copytree(begun[0], tmp_path / "other")
    train_state, history = fitted(layout, tmp_path / "other", 3)
    for name in ("train/loss", "evaluate/loss"):
        np.testing.assert_allclose(history[name], begun[1][1][name], rtol=1e-6)
    many = devices(LAYOUTS[layout][0]).size if layout else 1
    assert len(train_state.params["mlp"]["0"]["kernel"].sharding.device_set) == many


@pytest.mark.parametrize("change", [{"batch_size": 8}, {"rate": 2e-2}])
def test_another_run_on_other_devices_is_refused(begun, change):
    with pytest.raises(FileExistsError, match="its program differs"):
        fitted(None, begun[0], 3, **change)


def test_programs_are_told_apart_by_what_they_compute():
    """Not by names, nor by where it is done; values that a program closes over count."""
    of = lambda function: digest(jax.make_jaxpr(function)(np.ones((8, 2), "float32")))
    split = jax.NamedSharding(devices("data=8"), P("data"))
    kernel = np.arange(4, dtype="float32").reshape(2, 2)
    base = lambda x: jnp.tanh(x @ kernel).sum(0)
    same = [
        lambda y: jnp.tanh(jax.lax.with_sharding_constraint(y, split) @ kernel.copy()).sum(0),
        lambda x: jax.lax.with_sharding_constraint(jnp.tanh(x @ kernel), split).sum(0),
    ]
    others = [
        lambda x: jnp.tanh(x @ (2 * kernel)).sum(0),
        lambda x: jnp.tanh(x @ kernel).sum(1),
        lambda x: jnp.sin(x @ kernel).sum(0),
        lambda x: jnp.tanh(x @ kernel).sum(0) * 0.5,
        lambda x: jnp.tanh(x @ kernel).sum(0) * 0.25,
        lambda x: (jnp.tanh(x @ kernel) - x).sum(0),
        lambda x: (x - jnp.tanh(x @ kernel)).sum(0),
        lambda x: jax.lax.fori_loop(0, 2, lambda i, x: jnp.tanh(x @ kernel), x).sum(0),
        lambda x: jax.lax.fori_loop(0, 2, lambda i, x: jnp.sin(x @ kernel), x).sum(0),
    ]
    assert all(of(one) == of(base) for one in same) and len({of(base), *map(of, others)}) == 1 + len(others)


# A named axis


def by_vmap(update, train_state, parts):
    return jax.jit(jax.vmap(update, (None, 0), axis_name="data"))(train_state, parts)


def by_pmap(update, train_state, parts):
    return jax.pmap(update, axis_name="data", in_axes=(None, 0), devices=jax.devices()[:4])(train_state, parts)


def by_shard_map(update, train_state, parts):
    def block(train_state, parts):
        return jax.tree.map(lambda a: a[None], update(train_state, jax.tree.map(lambda a: a[0], parts)))

    return jax.jit(jax.shard_map(block, mesh=devices("data=4"), in_specs=(P(), P("data")), out_specs=P("data")))(train_state, parts)


def net_step(axis_name, **named):
    net = L.chain(L.batch_norm(axis_name=axis_name), jnp.tanh, L.dense(1))
    return train.step(train.objective(net, losses.mean_squared_error), optax.sgd(0.1, momentum=0.9), **named)


@functools.cache
def of_the_whole_batch():
    """`init` and `update` on one device, compiled."""
    step = net_step(None)
    return jax.jit(step.init), jax.jit(step.update)


@pytest.mark.parametrize("spread", [by_vmap, by_pmap, by_shard_map])
def test_a_step_over_a_named_axis_is_that_of_the_whole_batch(spread, rng):
    """Batch norm included; every device has the same result, and by `shard_map` JAX knows it."""
    batch = rng.normal(size=(32, 5)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")
    init, update = of_the_whole_batch()
    before = init(jax.random.key(0), batch)
    expected = update(before, batch)
    each = net_step("data", gradient=train.mean_over("data"))
    found = spread(each.update, before, jax.tree.map(lambda a: a.reshape(4, 8, *a.shape[1:]), batch))
    numbers = lambda result: (result[0].params, result[0].state, result[0].optimizer_state, result[1])
    for many, one in zip(jax.tree.leaves(numbers(found)), jax.tree.leaves(numbers(expected))):
        for i in range(4):
            np.testing.assert_array_equal(many[i], many[0])
        np.testing.assert_allclose(many[0], one, rtol=1e-5, atol=1e-6)


def test_every_device_draws_its_own_masks_and_statistics_are_averaged():
    """Dropout of ones, and batch norms that each see a part."""
    objective = train.objective(
        L.chain(L.dropout(0.5), L.batch_norm(momentum=0)),
        lambda y, x: 0.0 * y.sum(),
        metrics={"first": lambda y, x: (y[:, 0] > 0).mean(dtype=jnp.float32)},
    )
    masks = []

    def seen(apply):
        def gradient(params, state, batch, key):
            masks.append(functional.dropout(jax.random.clone(key), jnp.ones(64), 0.5))
            return jax.value_and_grad(apply, has_aux=True)(params, state, batch, key)

        return gradient

    def update(train_state, part):
        step = train.step(objective, optax.sgd(0.1), gradient=train.mean_over("data", seen))
        return *step.update(train_state, part), masks.pop()

    parts = np.ones((4, 64, 3), "float32"), np.ones((4, 64, 3), "float32")
    train_state = jax.jit(train.step(objective, optax.sgd(0.1)).init)(jax.random.key(0), (parts[0][0], parts[1][0]))
    for spread in (by_vmap, by_shard_map):
        after, _, drawn = spread(update, train_state, parts)
        assert len({mask.tobytes() for mask in np.asarray(drawn)}) == 4
        mean = np.asarray(after.state["1"]["mean"])
        np.testing.assert_array_equal(mean, np.broadcast_to(mean[0], mean.shape))
        assert (np.abs(mean - 1) < 0.5).all()


def test_integer_metrics_are_means_over_the_axis_too():
    objective = train.objective(
        L.dense(1),
        losses.mean_squared_error,
        metrics={"positive": lambda y, targets: (targets > 0).sum(), "any": lambda y, t: t.any()},
    )
    step = train.step(objective, optax.sgd(0.1), gradient=train.mean_over("data"))
    parts = np.ones((2, 4, 3), "float32"), np.array([[1, 1, 1, -1], [0, 0, 0, 0]], "float32")[..., None]
    _, metrics = by_vmap(step.update, jax.jit(step.init)(jax.random.key(0), (parts[0][0], parts[1][0])), parts)
    np.testing.assert_array_equal(metrics["positive"], [1.5, 1.5])
    np.testing.assert_array_equal(metrics["any"], [0.5, 0.5])
