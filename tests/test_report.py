"""`report.html`: one page that is right, whole, and needs no network."""

import functools
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

import jdl
from jdl import layers as L
from jdl import losses, report, search, train
from jdl.report import __main__ as command
from jdl.report import _charts, _found, _page, _sections, _svg, _sweep_charts

DATA = np.linspace(-1, 1, 24).reshape(-1, 1).astype("float32"), np.linspace(1, 3, 24).reshape(-1, 1).astype("float32")
OBJECTIVE = train.objective(L.dense(1), losses.mean_squared_error)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def make_run(learning_rate, batch_size=8):
    step = train.step(OBJECTIVE, optax.sgd(learning_rate))

    def update(train_state, batch):
        new, metrics = step.update(train_state, batch)
        norm = jnp.linalg.norm(new.params["kernel"])
        return new, metrics | {"weight_norm/kernel": norm, "update_ratio/kernel": norm / 1000}

    return train.run(train.Step(step.init, update), batch_size=batch_size)


def evaluate(train_state):
    return {"error": jnp.abs(train_state.params["bias"][0] - 2), "confusion": jnp.array([[5.0, 1.0], [0.0, 4.0]])}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of three members, with different learning rates."""
    folder = tmp_path_factory.mktemp("runs")
    for name, rate in {"slow & low": 0.0625, "fast": 0.5}.items():
        keys = jax.random.split(jax.random.key(0), 3)
        jdl.fit(make_run(rate), DATA, keys, epochs=4, evaluate=evaluate, folder=folder / name, progress=False)
    return folder


SETTINGS = search.grid(learning_rate=[0.5, 0.125, 1e30], batch_size=[8, 12])


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep in two groups with two blocks each, the last one filled up; some members diverge."""
    folder = tmp_path_factory.mktemp("swept")
    options = {"epochs": 2, "seeds": 2, "block": 4, "progress": False}
    return folder, jdl.sweep(make_run, DATA, hyperparameters=SETTINGS, folder=folder, **options)


class Page(HTMLParser):
    """What a page refers to, and its words."""

    def __init__(self, text):
        super().__init__()
        self.links, self.words, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]

    def handle_data(self, data):
        self.words.append(data)


def drawings(text):
    """Every drawing, as XML."""
    return [ET.fromstring(drawing) for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def test_a_page_says_what_the_runs_were(runs):
    page = Page(report.html(runs / "slow & low", runs / "fast").read_text())
    words = " ".join(page.words)
    lines = [json.loads(line) for line in (runs / "fast" / "metrics.jsonl").read_text().splitlines()]
    last = np.array(lines[-1]["evaluate/error"])
    low, high = stats.t.interval(0.95, 2, last.mean(), stats.sem(last))
    ends = f"{low:.4g} to {high:.4g}".replace("e-0", "e-")
    for part in (f"{last.mean():.4g}", ends, "slow & low", "fast", "8 x cpu", jax.__version__):
        assert part in words, part
    assert "run/step/optimizer/update_fns/1/tx/step_size -0.0625 -0.5" in words  # what differs
    assert {"loss", "error", "weight_norm", "update_ratio"} <= set(page.words)
    drawn = drawings((runs / "slow & low" / "report.html").read_text())
    assert [one.get("aria-label") for one in drawn[:4]] == ["loss", "update_ratio", "weight_norm", "error"] and len(drawn) == 6
    assert [text.text for text in drawn[-1].iter("text")][1:3] == ["5", "1"]  # of the confusion matrix


def test_a_page_needs_no_network(runs, swept):
    """No link but within itself, no script, nothing imported by a style."""
    for folder in (runs / "fast", swept[0]):
        text = report.html(folder).read_text()
        page = Page(text)
        assert set(page.links) == {"data:,"} and not {"script", "iframe", "img", "object"} & set(page.tags)
        assert "@import" not in text and "url(" not in text and "http" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)


def test_a_folder_of_a_sweep_is_read_as_it_was(swept):
    """Groups, blocks and the members that only fill them are put together as `sweep` does."""
    folder, sweep = swept
    read, given = _found.found(folder), _found.found(sweep)
    assert read.settings == given.settings == SETTINGS
    for name, values in read.history.items():
        if name != "seconds":
            wanted = given.history[name]
            np.testing.assert_allclose(values, np.where(np.isfinite(wanted), wanted, np.nan), err_msg=name)
    words = Page(report.html(sweep, path=folder / "other.html").read_text()).words
    assert words.count("not finite") == 2 and "Sweep sweep" in words  # of two settings


@pytest.mark.parametrize("lost", ["group-0/members-4", "group-1/members-0", "group-1/members-4/metrics.jsonl"])
def test_a_sweep_that_is_not_so_far_yet_says_so(swept, tmp_path, lost):
    shutil.copytree(swept[0], tmp_path / "sweep")
    place = tmp_path / "sweep" / lost
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    with pytest.raises(ValueError, match="has blocks without an epoch; wait until each has one"):
        report.html(tmp_path / "sweep")


def folder_of(place, *records, **files):
    """A run's folder, written by hand."""
    place.mkdir()
    common = lambda i: {"epoch": i + 1, "step": i + 1, "seconds": 1.0}
    lines = [json.dumps(common(i) | record) + "\n" for i, record in enumerate(records)]
    (place / "metrics.jsonl").write_text("".join(lines))
    for name, content in files.items():
        (place / f"{name}.json").write_text(content)
    return place


def test_vectors_are_no_members_and_no_matrices(tmp_path):
    """Of a population of as many members as a vector has entries, of one run, and next to a true matrix."""
    square = [[1.0, 2.0], [3.0, 4.0]]
    several = {"train/loss": [1.0, 2.0], "evaluate/per_class": square, "evaluate/confusion": [square, square]}
    found = _found.found(folder_of(tmp_path / "several", several, several))
    assert found.metrics == ["train/loss"] and found.history["evaluate/confusion"].shape == (2, 2, 2, 2)
    found = _found.found(
        folder_of(tmp_path / "one", {"train/loss": 1.0, "evaluate/per_class": [1.0, 2.0], "evaluate/confusion": square})
    )
    assert found.metrics == ["train/loss"] and found.history["evaluate/confusion"].shape == (1, 1, 2, 2)
    assert report.html(tmp_path / "several", tmp_path / "one").read_text().count('aria-label="true class by predicted"') == 2


def test_broken_folders(tmp_path, capsys):
    """What is half written is not there yet, what is damaged is named, and what nobody needs is left out."""
    cut = folder_of(tmp_path / "cut", {"train/loss": 2.0}, {"train/loss": 1.0})
    (cut / "metrics.jsonl").write_text((cut / "metrics.jsonl").read_text()[:-5])
    assert _found.found(cut).history["train/loss"].tolist() == [[2.0]]
    damaged = folder_of(tmp_path / "damaged", {"train/loss": 2.0}, {"train/error": 1.0})
    with pytest.raises(ValueError, match=r"html: .*damaged/metrics\.jsonl is damaged"):
        report.html(damaged)
    odd = folder_of(tmp_path / "odd", {"train/loss": 2.0}, config="[1]", environment="{cut")
    left_out = [pytest.warns(UserWarning, match=rf"{name}\.json .*; it is left out") for name in ("config", "environment")]
    with left_out[0], left_out[1]:
        assert _found.found(odd).config == {}
    for content, message in {"{}": "is not what jdl.sweep writes", "[": "is damaged"}.items():
        (odd / "sweep.json").write_text(content)
        with pytest.raises(ValueError, match=rf"html: .*odd/sweep\.json {message}"):
            report.html(odd)
    (cut / "environment.json").write_text('{"starts": "mine"}')
    assert report.html(cut, path=tmp_path / "new" / "page.html") == tmp_path / "new" / "page.html"
    assert report.html(cut, path=tmp_path / "new") == tmp_path / "new" / "report.html"
    with pytest.raises(SystemExit):
        command.main([str(cut), "--path", str(damaged / "metrics.jsonl" / "page.html")])
    assert "File exists" in capsys.readouterr().err


def test_what_differs_is_of_runs_that_say_what_they_are(swept, tmp_path):
    """Not of a sweep, of one that is not in a folder, or of a run that only tells its epochs."""
    told = {
        "a": {"epochs": 2, "run": {"rate": 0.1, "size": 8}},
        "b": {"epochs": 2, "run": {"rate": 0.2, "size": 8}},
        "c": {"epochs": 3},
    }
    places = [
        folder_of(tmp_path / name, {"train/loss": 1.0}, config=json.dumps({"called with": one})) for name, one in told.items()
    ]
    runs = [_found.found(run) for run in (*places, folder_of(tmp_path / "d", {"train/loss": 1.0}), *swept)]
    words = Page(_sections.differences(runs)).words
    assert words == ["What differs", "setting", "a", "b", "run/rate", "0.1", "0.2"]
    mine = [run._replace(config={"mine": name}) for run, name in zip(runs, "xy")]
    assert Page(_sections.differences(mine)).words[-3:] == ["mine", "x", "y"]


def test_settings_that_are_functions_have_short_labels():
    """Each its own, whatever made them; the details say what they stand for."""
    made = [{"made by": "optax._src.alias.sgd", "learning_rate": rate, "schedule": "constant"} for rate in (0.1, 0.2, 0.1)]
    settings, labels = _found._labelled({"optimizer": made, "activation": ["relu", "x" * 40, 3.5]})
    assert settings == {"optimizer": ["sgd", "sgd 2", "sgd"], "activation": ["relu", "x" * 23 + "…", 3.5]}
    assert json.loads(labels["sgd 2"]) == made[1] and labels["x" * 23 + "…"] == "x" * 40
    history = {"epoch": np.ones(1), "step": np.ones(1), "seconds": np.ones(1), "train/loss": np.array([[[1.0], [2.0], [3.0]]])}
    text = _page.page([_found.found(jdl.Sweep({"f": [jax.nn.relu, jnp.tanh, jnp.sin]}, history, []))], None)
    assert "relu" in text and "settings in full" in text and " at 0x" not in text.partition("settings in full")[0]


def test_settings_are_ranked(swept):
    """By the mean over seeds of the metric that was asked for; what is not finite comes last."""
    folder, sweep = swept
    page = Page(report.html(folder, metric="train/loss").read_text())
    means = sweep.history["train/loss"][-1].mean(1)
    order = np.argsort(np.where(np.isfinite(means), means, np.inf))
    rows = re.findall(r"<tr><td>(\d+)</td><td>(\S+?)</td><td>(\d+)</td>", (folder / "report.html").read_text())
    wanted = [(str(i + 1), _svg.number(SETTINGS["learning_rate"][k]), str(SETTINGS["batch_size"][k])) for i, k in enumerate(order)]
    assert rows[:4] == wanted[:4] and {row[1] for row in rows[4:]} == {"1e30"}
    assert "6 settings with 2 seeds each, ranked by train/loss (low is good). Means over seeds, and 95% intervals." in page.words


def points(drawing, style):
    """The pixels of each line of a kind."""
    paths = [path.get("d") for path in drawing.iter("path") if style in (path.get("class") or "").split()]
    return [np.array(re.findall(r"([\d.]+) ([\d.]+)", path), float) for path in paths]


def test_curves_are_where_the_numbers_are():
    """Pixels, read back by the labels of the axis; a band from the lowest to the highest member; gaps where nothing is finite."""
    values = np.array([[1.0, 3.0], [2.0, np.nan], [np.nan, np.nan], [4.0, 8.0], [3.0, 5.0]])
    curve = _charts.Curve("a", np.arange(1.0, 6), values, "red")
    (drawing,) = drawings(_charts.curves("loss", [curve]))
    labels = {float(text.text): float(text.get("y")) - 4 for text in drawing.iter("text") if text.get("text-anchor") == "end"}
    slope, zero = np.polyfit(list(labels.values()), list(labels.keys()), 1)
    (line,), (band,) = points(drawing, "line"), points(drawing, "band")
    np.testing.assert_allclose(slope * line[:, 1] + zero, [2, 2, 6, 4], atol=0.02)
    np.testing.assert_allclose(slope * band[:, 1] + zero, [3, 2, 8, 5, 3, 4, 2, 1], atol=0.02)
    assert next(path.get("d") for path in drawing.iter("path") if path.get("class") == "line ").count("M") == 2


def test_a_metric_that_is_never_finite_has_no_axes():
    curve = _charts.Curve("a", np.arange(1.0, 3), np.full((2, 1), np.nan), "red")
    (drawing,) = drawings(_charts.curves("loss", [curve]))
    assert [text.text for text in drawing.iter("text")] == ["not finite"]


def test_scales_have_round_ticks():
    assert _svg.Scale(0.0, 1.04, 0, 1).ticks() == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert _svg.Scale(0.8e-4, 2, 0, 1, log=True).ticks() == [1e-4, 1e-3, 1e-2, 0.1, 1]
    for low, high in [(0, 1e-9), (-3e7, 5e8), (0.97, 0.98), (12, 13.5)]:
        assert 3 <= len(_svg.Scale(low, high, 0, 1).ticks()) <= 12
    assert _svg.Scale(0, 3.1e-14, 0, 1).ticks() == [0, 5e-15, 1e-14, 1.5e-14, 2e-14, 2.5e-14, 3e-14]
    for low, high in [(12345.1, 12345.9), (1 - 3e-9, 1 + 3e-9), (99990, 100010)]:
        labels = _svg.Scale(low, high, 0, 1).labels()
        assert len(set(labels)) == len(labels) >= 3 and all(low <= float(label) <= high for label in labels)
    assert _svg.Scale(12344, 12368, 0, 1).labels() == ["12345", "12350", "12355", "12360", "12365"]
    assert _svg.Scale(0.9, 3.1, 0, 1, whole=True).labels() == ["1", "2", "3"]
    for values in ([], [np.nan], [0.0], [5.0, 5.0], [-1.0]):
        scale = _svg.fitted([values], 0, 100)
        assert scale.low < scale.high and scale.ticks()


def test_a_heat_map_has_the_means():
    settings = {"a": [1, 1, 2, 2, 1], "b": ["x", "y", "x", "y", "x"]}
    (drawing,) = drawings(_sweep_charts.heat_map(settings, ("a", "b"), np.array([1.0, 2.0, 3.0, np.nan, 2.0]), lower=True))
    titles = [title.text for title in drawing.iter("title")]
    assert titles == ["a 1, b x: 1.5", "a 1, b y: 2", "a 2, b x: 3"]
    fills = [rect.get("style") for rect in drawing.iter("rect")]
    assert fills[0] == f"fill:{_svg.shade(1)}" and fills[2] == f"fill:{_svg.shade(0)}" and fills[3] is None


def test_parallel_coordinates_have_a_line_for_each_setting():
    settings = {"rate": np.geomspace(1e-4, 1, 20).tolist(), "kind": ["a", "b"] * 10}
    values = np.arange(20.0)
    (drawing,) = drawings(_sweep_charts.parallel(settings, "loss", values, lower=True))
    lines = points(drawing, "setting")
    assert len(lines) == 20 and all(line.shape == (3, 2) for line in lines)
    np.testing.assert_allclose(
        np.diff([line[0, 1] for line in lines]), 212 / 1.08 / 19, atol=0.2
    )  # worst first, evenly by logarithm
    assert "100%" in ET.tostring(drawing).decode().split("</path>")[19]  # the best is on top


def test_effects_have_means_and_intervals(rng):
    """Of settings with one value, of ranges of many values, and over seeds where a value has one setting."""
    values = rng.normal(size=(6, 4))
    titles = lambda column, values: [title.text for title in drawings(_sweep_charts.effect("a", column, values))[0].iter("title")]
    found = titles([1, 2, 1, 2, 1, 2], values)
    assert found[:6] == [_svg.number(mean) for mean in values.mean(1)]
    assert found[-2:] == [_svg.number(values.mean(1)[i::2].mean()) for i in (0, 1)]
    (drawing,) = drawings(_sweep_charts.effect("a", ["x", "y"], values[:2]))
    whisker = next(path.get("d") for path in drawing.iter("path") if path.get("class") == "whisker")
    top, middle = float(re.findall(r"V([\d.]+)", whisker)[0]), float(list(drawing.iter("circle"))[-2].get("cy"))
    labels = {float(text.text): float(text.get("y")) - 4 for text in drawing.iter("text") if text.get("text-anchor") == "end"}
    slope, zero = np.polyfit(list(labels.values()), list(labels.keys()), 1)
    high = stats.t.interval(0.95, 3, values[0].mean(), stats.sem(values[0]))[1]
    np.testing.assert_allclose([slope * top + zero, slope * middle + zero], [high, values[0].mean()], atol=0.03)
    assert len(titles(rng.uniform(size=40).tolist(), rng.normal(size=(40, 2)))) == 40 + 1 + 6  # dots, the line, six ranges


def test_bad_input(runs, tmp_path):
    (tmp_path / "report.html").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "metrics.jsonl").write_text("")
    html = functools.partial(report.html, path=tmp_path / "page.html")
    with pytest.raises(ValueError, match="html: give at least one folder of a run"):
        html()
    with pytest.raises(FileNotFoundError, match=r"holds neither metrics\.jsonl, of jdl\.fit, nor sweep\.json"):
        html(tmp_path)
    with pytest.raises(ValueError, match="html: empty has no epochs yet"):
        html(tmp_path / "empty")
    with pytest.raises(ValueError, match="has no metric 'test/loss', only train/loss, "):
        html(runs / "fast", metric="test/loss")
    with pytest.raises(FileExistsError, match="exists and is no report; give another path, nothing was overwritten"):
        report.html(runs / "fast", path=tmp_path / "report.html")
    with pytest.raises(ValueError, match="html: give the path of the page"):
        report.html(jdl.Sweep({}, {}, []))
    assert (tmp_path / "report.html").read_text() == "mine" and not (tmp_path / "page.html").exists()


def test_the_command(runs, tmp_path, capsys):
    command.main([str(runs / "fast"), "--path", str(tmp_path / "page.html")])
    assert capsys.readouterr().out.strip() == str(tmp_path / "page.html") and (tmp_path / "page.html").exists()
    with pytest.raises(SystemExit):
        command.main([str(tmp_path)])
    assert "holds neither" in capsys.readouterr().err
    done = subprocess.run([sys.executable, "-m", "jdl.report", "--help"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "jdl.fit or jdl.sweep" in done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_shows_it(runs, swept, tmp_path):
    """Headless: no request but for the page, nothing in the console, and the curves are in the picture, in light and dark."""
    from matplotlib.image import imread

    pages = {"runs": report.html(runs / "fast", runs / "slow & low", path=tmp_path / "runs.html"), "sweep": report.html(swept[0])}
    for name, page in pages.items():
        for dark, back in ((False, (247, 248, 250)), (True, (18, 20, 23))):
            picture, log = tmp_path / f"{name}-{dark}.png", tmp_path / f"{name}-{dark}.json"
            options = (
                "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
            )
            options += " --no-first-run --hide-scrollbars --window-size=1200,1600 --enable-logging=stderr --v=0"
            shade = ["--blink-settings=preferredColorScheme=0"] if dark else []
            shade.append("--host-resolver-rules=MAP * ~NOTFOUND")  # nothing leaves the machine
            places = [f"--screenshot={picture}", f"--log-net-log={log}", f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
            done = subprocess.run([CHROMIUM, *options.split(), *shade, *places], capture_output=True, text=True, timeout=120)
            assert done.returncode == 0 and "CONSOLE" not in done.stderr, done.stderr
            asked = re.findall(r'"url":"([^"]+)"', log.read_text())
            own = re.compile(
                r"file:|data:|chrome|https?://[\w.-]+\.(google|googleapis)\.com/"
            )  # Chromium's accounts, clock and updates
            assert not [url for url in asked if not own.match(url)], asked
            pixels = (255 * imread(picture)[..., :3]).round().astype(int)
            assert (pixels[5, 5] == back).all()
            colour = (142, 167, 255) if dark else (51, 88, 212)
            assert (np.abs(pixels - colour).max(-1) < 8).sum() > 300  # the first curve
