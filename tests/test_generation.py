"""Generation: filters against NumPy, loops against full passes, samples against probabilities, beams against all sequences."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from test_layer_properties import compilations
from tolerances import assert_close, assert_equal

from jdl import functional, generation, models
from jdl import layers as L

SIZE, END, STEPS = 4, 1, 3
PROMPT = np.array([[2, 0], [3, 2]], np.int32)
BUCKET, MANY = 7, 64


def softmax(x):
    parts = np.exp(x - x.max(-1, keepdims=True))
    return parts / parts.sum(-1, keepdims=True)


@functools.cache
def rnn_weights():
    draw = np.random.default_rng(0).normal
    return tuple(draw(size=shape).astype("float32") for shape in ((5, 5), (SIZE, 5), (5, SIZE)))


def rnn(tokens, carry, lengths=None):
    """A step whose logits depend on all tokens so far."""
    inner, table, outer = rnn_weights()

    def one(carry, own):
        token, i = own
        new = jnp.tanh(carry @ inner + jnp.asarray(table)[token])
        new = new if lengths is None else jnp.where((i < lengths).reshape(-1, 1), new, carry)
        return new, new @ outer

    carry, logits = jax.lax.scan(one, carry, (tokens.T, jnp.arange(tokens.shape[1])))
    return jnp.swapaxes(logits, 0, 1), carry


def rnn_log_probabilities(tokens):
    """Of the next token, after tokens."""
    inner, table, outer = rnn_weights()
    carry = np.zeros(5)
    for token in tokens:
        carry = np.tanh(carry @ inner + table[token])
    return np.log(softmax(carry @ outer))


def empty(batch):
    return np.zeros((batch, 5), np.float32)


@functools.cache
def transformer():
    attention = L.attention(4, kv_heads=2, causal=True, rope=functional.rope)
    model = models.transformer_decoder(2, L.transformer_block(attention, L.mlp([12, 8])), embedding=L.embedding(11, 8))
    params, _ = jax.eval_shape(model.init, jax.random.key(0), PROMPT)
    draw = np.random.default_rng(1).normal
    params = jax.tree.map(lambda a: draw(size=a.shape, scale=1.5 * a.shape[-1] ** -0.5).astype(a.dtype), params)
    whole = jax.jit(lambda ids: jax.nn.log_softmax(model.apply(params, {}, ids)[0][0]))

    def step(tokens, cache, lengths=None):
        return model.apply(params, {}, tokens, cache=cache, lengths=lengths, last=True)[0]

    return step, whole


def caches(batch, capacity):
    return models.decoder_cache(2, batch, capacity, heads=2, width=2)


def by_full_passes(whole, prompt, steps, end=None):
    """Greedy choice without a cache: tokens, and the logarithms of their probabilities."""
    ids, found, scores = np.zeros((1, BUCKET + MANY), np.int32), [], []
    ids[0, : len(prompt)] = prompt
    for i in range(len(prompt), len(prompt) + steps):
        row = np.asarray(whole(ids))[0, i - 1]
        ids[0, i] = row.argmax()
        found.append(int(ids[0, i]))
        scores.append(row.max())
        if found[-1] == end:
            break
    return found, scores


def test_filters_keep_what_numpy_says(rng):
    logits = rng.normal(size=(50, 9), scale=2).astype("float32")
    logits[:, 3] = logits[:, 5]  # equal ones are kept together
    falling = np.sort(logits, -1)[:, ::-1]

    def nucleus(row, p):
        kept, total = -np.inf, 0.0
        for value, probability in zip(np.sort(row)[::-1], np.sort(softmax(row.astype(np.float64)))[::-1]):
            kept, total = value, total + probability
            if total >= p:
                break
        return kept

    traced = {
        name: jax.jit(getattr(generation, name)) for name in ("temperature", "top_k", "top_p", "min_p")
    }  # settings are values of the program
    for k in (1, 4, 9):
        assert_equal(traced["top_k"](logits, k), np.where(logits >= falling[:, k - 1 : k], logits, -np.inf))
    assert_equal(generation.top_k(logits, 4), traced["top_k"](logits, 4))
    for out, nearest in ((0, 1), (-3, 1), (10, 9)):  # which a program can't refuse
        assert_equal(traced["top_k"](logits, out), traced["top_k"](logits, nearest))
    for p in (0.0, 0.3, 0.9, 1.0):
        least = np.array([nucleus(row, p) for row in logits]).reshape(-1, 1) if p < 1 else -np.inf
        assert_equal(traced["top_p"](logits, p), np.where(logits >= least, logits, -np.inf).astype("float32"))
        kept = softmax(logits) >= p * softmax(logits).max(-1, keepdims=True) * (1 - 1e-6)
        assert_equal(traced["min_p"](logits, p), np.where(kept, logits, -np.inf).astype("float32"))
    each = rng.random(50).astype("float32")
    assert_equal(traced["top_p"](logits, each)[7], traced["top_p"](logits, each[7])[7])
    for value in (0.5, 2.0):
        assert_close(softmax(np.asarray(traced["temperature"](logits, value))), softmax(logits / np.float32(value)))
    half = logits.astype("bfloat16")
    for name, setting in (("temperature", 0.7), ("top_k", 3), ("top_p", 0.5), ("min_p", 0.5)):
        assert jax.eval_shape(getattr(generation, name), half, setting).dtype == "bfloat16"


def test_temperature_zero_is_greedy():
    logits = np.array([[0.0, 3.0, 3.0], [1.0, -np.inf, 0.0]], np.float32)
    cooled = jax.jit(generation.temperature)
    for value in (0.0, 1e-42):
        assert_equal(cooled(logits, value), np.array([[-np.inf, 0, -np.inf], [0, -np.inf, -np.inf]], np.float32))
    assert_equal(cooled(logits, np.array([0.0, 1.0]))[1], np.array([0, -np.inf, -1], np.float32))


def test_samples_have_their_probabilities(key):
    """Of two tokens in a row, from the nucleus at a temperature; the same prompt in every row."""
    batch = 40_000
    warmed = lambda logits: generation.top_p(generation.temperature(logits, 1.5), 0.8)
    prompt = np.broadcast_to(PROMPT[:1], (batch, 2))
    run = jax.jit(lambda key: generation.generate(rnn, empty(batch), prompt, steps=2, key=key, transform=warmed))
    found = run(key)

    def probabilities(tokens):
        p = softmax(rnn_log_probabilities(tokens) / 1.5)
        order = np.argsort(-p)
        kept = order[: np.searchsorted(np.cumsum(p[order]), 0.8) + 1]
        return np.where(np.isin(np.arange(SIZE), kept), p, 0) / p[kept].sum()

    first = probabilities(PROMPT[0])
    joint = np.stack([first[i] * probabilities([*PROMPT[0], i]) for i in range(SIZE)])
    tokens = np.asarray(found.tokens)
    counted = np.bincount(SIZE * tokens[:, 0] + tokens[:, 1], minlength=SIZE**2).reshape(SIZE, SIZE) / batch
    assert (joint == 0).any() and (np.abs(counted - joint) <= 6 * np.sqrt(joint * (1 - joint) / batch)).all()
    model = np.array([rnn_log_probabilities([*PROMPT[0], i]) for i in range(SIZE)])
    expected = np.stack([rnn_log_probabilities(PROMPT[0])[tokens[:, 0]], model[tokens[:, 0], tokens[:, 1]]], 1)
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)


def test_a_sample_depends_on_no_other(key):
    """But on its own key, or on the key of all and its place."""
    prompt = np.array([[0], [2], [3]], np.int32)
    run = jax.jit(lambda key, prompt, carry: generation.generate(rnn, carry, prompt, steps=8, key=key, end=END))
    together = run(key, prompt, empty(3))
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.clone(key), np.array([2, 0]))
    assert_close(run(keys, prompt[[2, 0]], empty(2)), jax.tree.map(lambda a: np.asarray(a)[[2, 0]], together))


def counted(steps):
    """Greedy choice by a transformer, and a list of the shapes of tokens that its step was traced for."""
    step, _ = transformer()
    calls = []

    def seen(tokens, cache, lengths=None):
        calls.append(tokens.shape)
        return step(tokens, cache, lengths)

    cache, options = caches(3, BUCKET + steps - 1), {"steps": steps, "padding": 10}
    return lambda prompt, lengths, end: generation.generate(seen, cache, prompt, lengths=lengths, end=end, **options), calls


@pytest.fixture(scope="module")
def greedy():
    """The compiled program for `MANY` tokens, and how often its step was traced."""
    run, calls = counted(MANY)
    return jax.jit(run), calls


def bucketed(prompts):
    return generation.pad_prompts(prompts, multiple=BUCKET, padding=9)


def test_greedy_choice_is_that_of_full_passes(greedy, rng):
    """For prompts of different lengths, padded, until the end token."""
    run, whole = greedy[0], transformer()[1]
    prompts = [rng.integers(11, size=n).tolist() for n in (2, 7, 4)]
    end = by_full_passes(whole, prompts[0], 3)[0][2]
    alone = [by_full_passes(whole, prompt, MANY, end) for prompt in prompts]
    found = run(*bucketed(prompts), end)
    assert found.lengths.tolist() == [len(tokens) for tokens, _ in alone] and found.lengths[0] <= 3
    for row, scores, (tokens, expected) in zip(found.tokens.tolist(), found.scores, alone):
        assert row == tokens + [10] * (MANY - len(tokens))
        np.testing.assert_allclose(scores, expected + [0] * (MANY - len(tokens)), atol=1e-4)


def test_one_program_for_all_prompts_of_a_bucket(greedy, rng):
    """Compiled once for prompts of all lengths up to the bucket's."""
    run, calls = greedy
    run(*bucketed([[1], [2], [3]]), 5)
    traced = len(calls)
    with compilations() as seen:
        every = [bucketed([rng.integers(11, size=n).tolist() for n in sizes]) for sizes in ((7, 1, 2), (3, 6, 4), (5, 5, 7))]
        found = [run(*prompts, -1) for prompts in every]
    assert not seen and len(calls) == traced
    for one in found:
        assert one.tokens.shape == (3, MANY) and one.lengths.tolist() == [MANY] * 3


def test_no_python_for_each_token():
    """The step is traced for the check, the prompt and the loop, for few tokens as for many, and nothing calls the host."""
    args, times = (*bucketed([[1], [2, 5], [3]]), 5), []
    for steps in (4, MANY):
        run, calls = counted(steps)
        program = str(jax.make_jaxpr(run)(*args))
        times.append(len(calls))
        assert "while" in program and "callback" not in program
        assert set(calls) == {(3, BUCKET + steps - 1), (3, BUCKET), (3, 1)}
    assert times[0] == times[1] <= 4


@pytest.mark.parametrize("search", [generation.generate, functools.partial(generation.beam_search, beams=2)])
def test_the_loop_stops_when_all_have_ended(search):
    calls = []

    def step(tokens, cache):
        jax.debug.callback(lambda: calls.append(None))
        return 20 * jax.nn.one_hot((tokens + 1) % 8, 8), cache

    found = jax.jit(lambda prompt: search(step, (), prompt, steps=50, end=7))(np.array([[1], [4]], np.int32))
    jax.effects_barrier()
    assert np.asarray(found.lengths).reshape(2, -1)[:, 0].tolist() == [6, 3] and len(calls) < 20


def hypotheses(prompt, penalty):
    """All sequences that end, or are as long as they may be, the best first: score and tokens."""
    found = []

    def grow(tokens, score):
        if len(tokens) == STEPS or (tokens and tokens[-1] == END):
            found.append((score / ((5 + len(tokens)) / 6) ** penalty, tokens))
            return
        for token, more in enumerate(rnn_log_probabilities([*prompt, *tokens])):
            grow([*tokens, token], score + more)

    grow([], 0.0)
    return sorted(found, reverse=True)


@functools.cache
def beam_program(beams):
    return jax.jit(lambda penalty: generation.beam_search(
        rnn, empty(2), PROMPT, beams=beams, steps=STEPS, end=END, padding=9, length_penalty=penalty
    ))  # fmt: skip


@pytest.mark.parametrize("penalty", [0.0, 0.8, -1.0])
def test_a_wide_beam_finds_all_sequences(penalty):
    found = beam_program(48)(penalty)
    for i, prompt in enumerate(PROMPT):
        expected = hypotheses(prompt, penalty)
        assert len(expected) == 40 and (found.scores[i, 40:] == -np.inf).all() and (found.lengths[i, 40:] == 0).all()
        np.testing.assert_allclose(found.scores[i, :40], [score for score, _ in expected], atol=1e-5)
        assert found.tokens[i, :40].tolist() == [tokens + [9] * (STEPS - len(tokens)) for _, tokens in expected]
        assert found.lengths[i, :40].tolist() == [len(tokens) for _, tokens in expected]


def narrow(prompt, beams, penalty):
    """Beams by lists in Python, without early stopping, which must change nothing: scores and padded tokens."""
    lp = lambda length: ((5 + length) / 6) ** penalty
    live, ended = [(0.0, [])], []
    for _ in range(STEPS):
        grown = [(s + more, [*t, token]) for s, t in live for token, more in enumerate(rnn_log_probabilities([*prompt, *t]))]
        grown = sorted(grown, reverse=True)[: 2 * beams]
        ended += [(s / lp(len(t)), t) for s, t in grown if t[-1] == END]
        live = [(s, t) for s, t in grown if t[-1] != END][:beams]
        ended = sorted(ended, reverse=True)[:beams]
    best = sorted(ended + [(s / lp(STEPS), t) for s, t in live], reverse=True)[:beams]
    return [score for score, _ in best], [t + [9] * (STEPS - len(t)) for _, t in best]


def greedily(prompt):
    """Tokens, and their scores."""
    tokens, scores = [], []
    while len(tokens) < STEPS and END not in tokens:
        more = rnn_log_probabilities([*prompt, *tokens])
        tokens, scores = [*tokens, int(more.argmax())], [*scores, more.max()]
    rest = STEPS - len(tokens)
    return tokens + [9] * rest, scores + [0] * rest


def test_a_narrow_beam_keeps_what_a_loop_keeps():
    found = beam_program(3)(0.6)
    for i, prompt in enumerate(PROMPT):
        scores, tokens = narrow(prompt, 3, 0.6)
        np.testing.assert_allclose(found.scores[i], scores, atol=1e-5)
        assert found.tokens[i].tolist() == tokens


def test_one_beam_is_greedy():
    found = beam_program(1)(0.0)
    for i, prompt in enumerate(PROMPT):
        tokens, scores = greedily(prompt)
        assert found.tokens[i, 0].tolist() == tokens
        np.testing.assert_allclose(found.scores[i, 0], sum(scores), atol=1e-5)


def test_beams_take_their_caches_with_them():
    """Scores of a transformer's beams, from caches re-ordered at every step, are those of full passes."""
    step, whole = transformer()
    prompts, lengths = generation.pad_prompts([[3, 1, 2], [5]], multiple=3)
    found = jax.jit(lambda prompt, lengths: generation.beam_search(
        step, caches(2, 9), prompt, lengths=lengths, steps=6, cache_axis=1
    ))(prompts, lengths)  # fmt: skip
    assert (np.diff(found.scores) <= 0).all() and len({tuple(t) for t in found.tokens[0].tolist()}) == 4
    for i, j in itertools.product(range(2), range(4)):
        tokens = [*prompts[i, : lengths[i]].tolist(), *found.tokens[i, j].tolist()]
        ids = np.zeros((1, BUCKET + MANY), np.int32)
        ids[0, : len(tokens)] = tokens
        rows = np.asarray(whole(ids))[0, lengths[i] - 1 : len(tokens) - 1]
        np.testing.assert_allclose(found.scores[i, j], rows[np.arange(6), tokens[lengths[i] :]].sum(), atol=1e-4)


def test_every_transform_works(key):
    """Mapped over temperatures and penalties, with the batch split over devices."""
    prompts = np.array([[0], [2], [3], [0]], np.int32)
    options = {"steps": STEPS, "end": END, "padding": 9}

    def run(prompt, carry, keys, setting):
        cool = functools.partial(generation.temperature, value=setting)
        drawn = generation.generate(rnn, carry, prompt, key=keys, transform=cool, **options)
        return drawn, generation.beam_search(rnn, carry, prompt, beams=2, length_penalty=setting, **options)

    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4])
    mapped = jax.vmap(run, (None, None, None, 0))
    sharded = jax.shard_map(mapped, mesh=mesh, in_specs=(*(P("data") for _ in range(3)), P()), out_specs=P(None, "data"))
    drawn, beams = jax.jit(sharded)(prompts, empty(4), jax.random.split(key, 4), np.array([0.0, 1.0], np.float32))
    for i, prompt in enumerate(prompts):
        tokens, scores = greedily(prompt)
        assert drawn.tokens[0, i].tolist() == tokens
        np.testing.assert_allclose(drawn.scores[0, i], scores, atol=1e-5)
        for j, penalty in enumerate((0.0, 1.0)):
            scores, tokens = narrow(prompt, 2, penalty)
            np.testing.assert_allclose(beams.scores[j, i], scores, atol=1e-5)
            assert beams.tokens[j, i].tolist() == tokens


def test_prompts_are_padded_to_a_multiple():
    tokens, lengths = generation.pad_prompts([[1, 2, 3], [4]], multiple=2, padding=7)
    assert tokens.tolist() == [[1, 2, 3, 7], [4, 7, 7, 7]] and lengths.tolist() == [3, 1]


@pytest.mark.parametrize("search", [generation.generate, functools.partial(generation.beam_search, beams=2)])
def test_prompts_may_be_lists(search):
    step = lambda tokens, cache, lengths=None: (20 * jax.nn.one_hot(tokens + 1, SIZE), cache)
    assert search(step, (), [[1, 0], [1, 2]], lengths=[1, 2], steps=1).tokens.reshape(2, -1)[:, 0].tolist() == [2, 3]


LOGITS = np.zeros((2, SIZE), np.float32)
GENERATE = functools.partial(generation.generate, rnn, empty(2), PROMPT)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: generation.temperature(LOGITS, -1.0), ValueError, "temperature: value must be at least 0, got -1.0"),
        (lambda: generation.temperature(LOGITS, np.ones(3)), ValueError, r"one for each row of float32\[2, 4\]"),
        (lambda: generation.top_k(LOGITS, 5), ValueError, r"top_k: k must be in \[1, 4\], got 5"),
        (lambda: generation.top_k(LOGITS, 0), ValueError, r"top_k: k must be in \[1, 4\], got 0"),
        (lambda: generation.top_p(LOGITS, 1.5), ValueError, r"top_p: p must be in \[0, 1\], got 1.5"),
        (lambda: generation.min_p(LOGITS, -0.5), ValueError, r"min_p: p must be in \[0, 1\], got -0.5"),
        (lambda: generation.top_p(PROMPT, 0.5), TypeError, "top_p: logits must be a floating-point array, got int32"),
        (lambda: generation.min_p(LOGITS[0, 0], 0.5), ValueError, r"logits must be \(..., vocabulary\), got float32\[\]"),
        (lambda: generation.sample(jax.random.split(jax.random.key(0), 3), LOGITS), ValueError, "one for each row of"),
        (lambda: generation.pad_prompts([[1], []]), ValueError, r"a token each, their lengths are \[1, 0\]"),
        (lambda: GENERATE(steps=0), ValueError, "generate: steps must be a positive integer"),
        (lambda: GENERATE(lengths=np.array([1, 3])), ValueError, r"lengths must lie in 0..2, found 3 at index \[1\]"),
        (lambda: GENERATE(lengths=np.array([1, 0])), ValueError, r"lengths must be at least 1, found 0 at index \[1\]"),
        (lambda: GENERATE(lengths=np.array([1, 1, 1])), ValueError, r"lengths must be \[2\], got int64\[3\]"),
        (lambda: GENERATE(key=np.zeros(2, "uint32")), TypeError, "key must be a typed key"),
        (lambda: GENERATE(key=jax.random.split(jax.random.key(0), 3)), ValueError, "one for each of 2 samples"),
        (lambda: generation.generate(rnn, empty(2), LOGITS), TypeError, r"prompt must be integers, got float32\[2, 4\]"),
        (lambda: generation.generate(rnn, empty(2), PROMPT[0]), ValueError, r"prompt must be \(batch, time\), got int32\[2\]"),
        (lambda: generation.generate(lambda x, c: (x, c), (), PROMPT), ValueError, r"step must give logits \[2, 2, vocabulary\]"),
        (lambda: generation.beam_search(rnn, empty(2), PROMPT, beams=0), ValueError, "beam_search: beams must be a positive"),
        (lambda: generation.beam_search(lambda x, c: (x[..., None] * 1.0, c), (), PROMPT), ValueError, "two tokens to choose from"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("search", [generation.generate, generation.beam_search])
def test_a_cache_too_small_is_found_before_anything_runs(search):
    step, _ = transformer()
    with pytest.raises(ValueError, match="the cache holds 9 positions, keys are float32") as caught:
        search(step, caches(2, 9), PROMPT, steps=9)
    assert f"{search.__name__}: a prompt of 2 and 9 steps take 10 positions" in caught.value.__notes__


def carried(params, x, carry):
    """A linear decoder that is easy to follow: it says a mix of its input and what it kept."""
    carry = params["keep"] * carry + x[:, 0] @ params["kernel"]
    return jnp.expand_dims(jnp.tanh(carry), 1), carry


def unrolled(params, x, targets=None, **named):
    return generation.unroll(functools.partial(carried, params), np.zeros((3, 2), np.float32), x, targets=targets, **named)


@pytest.fixture
def decoder(rng):
    normal = lambda *shape: rng.normal(size=shape).astype("float32")
    return {"keep": normal(1, 2), "kernel": normal(2, 2)}, normal(3, 1, 2), normal(3, 4, 2)


def test_unrolled_freely_a_decoder_hears_itself(decoder):
    params, x, _ = decoder
    y, carry = jax.jit(functools.partial(unrolled, steps=4))(params, x)
    own, kept = x, np.zeros((3, 2))
    for i in range(4):
        own, kept = carried(params, own, kept)
        np.testing.assert_allclose(y[:, i], own[:, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(carry, kept, rtol=1e-5, atol=1e-6)


def test_with_teacher_forcing_it_hears_targets(decoder):
    """As the layer does on a sequence; and gradients are those of the layer."""
    layer, (_, x, targets) = L.recurrent(L.gru_cell(2)), decoder
    params, state = layer.init(jax.random.key(0), x)
    heard = np.concatenate([x, targets[:, :-1]], 1)

    def whole(params):
        return layer.apply(params, state, heard)[0][0]

    def stepwise(params):
        step = lambda x, carry: layer.apply(params, state, x, carry=carry)[0]
        return generation.unroll(step, jnp.zeros((3, 2)), x, targets=targets)[0]

    (y, back), (reference, back_of_reference) = (jax.vjp(function, params) for function in (stepwise, whole))
    assert_close((y, back(jnp.sin(y))), (reference, back_of_reference(jnp.sin(y))))


def test_between_the_two_each_step_of_each_sample_is_drawn(decoder, key):
    params, x, targets = decoder
    keys, rates = jax.random.split(key, 300), jnp.full(300, 0.25).at[:2].set(jnp.array([0.0, 1.0]))
    y = jax.jit(jax.vmap(lambda key, forcing: unrolled(params, x, targets, key=key, forcing=forcing)[0]))(keys, rates)
    free, forced = unrolled(params, x, steps=4)[0], unrolled(params, x, targets)[0]
    assert_close((y[0], y[1]), (free, forced))
    heard = np.isclose(y[2:, :, 1], forced[:, 1], atol=1e-6).all(-1)  # the second output tells what was heard after the first
    np.testing.assert_array_equal(heard, ~np.isclose(y[2:, :, 1], free[:, 1], atol=1e-6).all(-1))
    np.testing.assert_allclose(heard.mean(), 0.25, atol=5 * np.sqrt(0.25 * 0.75 / heard.size))
    assert 0 < heard.all(1).mean() < 0.1  # samples differ


def test_tokens_are_fed_by_what_is_likeliest():
    step = lambda tokens, cache: (jax.nn.one_hot(tokens + 1, 10), cache)
    y, _ = generation.unroll(step, (), jnp.array([[2], [5]]), steps=3, feed=lambda y: y.argmax(-1))
    assert y.argmax(-1).tolist() == [[3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, ValueError, "needs steps, or targets"),
        ({"steps": 0}, ValueError, "steps must be a positive integer"),
        ({"x": np.ones((3, 2))}, ValueError, r"x must be \(batch, 1, ...\), got float32\[3, 2\]"),
        ({"targets": np.ones((3, 4, 1))}, ValueError, r"targets must be \[3, steps, 2\], got float64\[3, 4, 1\]"),
        ({"targets": np.ones((3, 4, 2)), "steps": 5}, ValueError, r"targets must be \[3, 5, 2\], got float64\[3, 4, 2\]"),
        ({"targets": np.ones((3, 4, 2)), "forcing": 0.5}, ValueError, "needs a key"),
        ({"targets": np.ones((3, 4, 2)), "forcing": 1.5}, ValueError, r"forcing must be in \[0, 1\], got 1.5"),
        ({"targets": np.ones((3, 4, 2)), "forcing": 0.5, "key": 3}, TypeError, "key must be a typed key"),
        ({"steps": 2, "feed": lambda y: y[..., 0]}, ValueError, r"feed must make float32\[3, 1, 2\] of float32\[3, 1, 2\], got"),
    ],
)
def test_what_unroll_refuses(given, error, message):
    params = {"keep": np.ones((1, 2), np.float32), "kernel": np.ones((2, 2), np.float32)}
    with pytest.raises(error, match=message):
        unrolled(params, **{"x": np.ones((3, 1, 2), np.float32)} | given)
