"""The report: one file with all in it, whatever the folder holds; and the command that fills it."""

import base64
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure as Drawing

from benchmarks import all as run_all
from benchmarks.__main__ import main
from benchmarks._lab.options import REFUSED
from benchmarks._lab.outcome import Conclusions, Figure, Heading, Note, Outcome, Table, write
from benchmarks.registry import EXPERIMENTS, QUICK_FIRST

ROOT = Path(__file__).parents[2]
VOID = {"meta", "link", "br", "img", "hr"}
# What a browser would fetch or run.
FETCHING = {"script", "iframe", "object", "embed", "video", "audio", "source", "base", "form"}


class Reader(HTMLParser):
    """Reads a page: its elements with the stack of those around them, and their words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.stack: list[tuple[str, dict]] = []
        self.elements: list[tuple[str, dict, list]] = []
        self.words: list[tuple[str, list]] = []
        self.feed(page)
        assert not self.stack, "an element is not closed"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), list(self.stack)))
        if tag not in VOID:
            self.stack.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.stack.pop()[0] == tag

    def handle_data(self, data):
        self.words.append((data, list(self.stack)))

    def of(self, *tags):
        """Attributes of the elements of some tags."""
        return [attrs for tag, attrs, _ in self.elements if tag in tags]

    def text(self, tag=None, within=None) -> list[str]:
        """Words in elements of a tag, within the element of an id."""
        return [
            words
            for words, stack in self.words
            if (tag is None or (stack and stack[-1][0] == tag))
            and (within is None or any(attrs.get("id") == within for _, attrs in stack))
        ]


def make_figure(path: Path, width: float = 2) -> bytes:
    """Save a small PNG file; give its bytes."""
    figure = Drawing(figsize=(width, 1))
    figure.subplots().plot([0, width])
    figure.savefig(path)
    return path.read_bytes()


def report(folder: Path) -> Reader:
    """Build the report of a folder and read it."""
    main(["report", "--out", str(folder)])
    return Reader((folder / "report.html").read_text(encoding="utf-8"))


def leave(folder: Path, stem: str, title: str, *blocks, runs: pd.DataFrame | None = None) -> None:
    """Leave what a run leaves, with small figures."""
    runs = pd.DataFrame({"seed": [0]}) if runs is None else runs
    write(Outcome(title, blocks), folder, stem, [runs], [name for name in runs if name != "seed"])
    for block in blocks:
        if isinstance(block, Figure):
            make_figure(folder / block.file, width=1 + len(block.file) / 4)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two experiments that ran, one of them in two parts."""
    results = pd.DataFrame({"table": ["Iris", "<Wine>"], "ERM": ["1.0 ± 0.1", "2.0 ± 0.2"]})
    others = pd.DataFrame({"lam": ["0.0", "1.0"], "misses": ["0.3", "0.4"]})
    leave(
        tmp_path,
        "tabular",
        "Table 4: <UCI>",
        Note("Settings of sklearn_mixup: more than 16 rows. ERM and `mixup` have the same splits."),
        Figure("tabular.png", "Errors"),
        Table(results),
        Conclusions(["Here mixup was ahead in 1 of 2 tables.", "More follows."], listed=True),
        Note("Beside them:"),
        Table(others),
        Heading("Others"),
        Table(others),
    )
    runs = pd.DataFrame({"seed": [0, 1], "device": ["cpu (x)", "cuda (y)"], "torch": "2.9"})
    toys = Figure("gan.png", "toys"), Conclusions(["mixup kept 8 modes."])
    leave(tmp_path, "gan", "Figure 5", *toys, runs=runs)
    leave(tmp_path, "gan_digits", "Digits", Figure("gan_digits.png", "digits"))
    return tmp_path


# -- one file that needs no other ---------------------------------------------------------------


def test_the_page_fetches_and_runs_nothing(folder):
    page = report(folder)
    assert not {tag for tag, *_ in page.elements} & FETCHING
    for attrs in page.of("img", "link"):
        assert attrs.get("src", attrs.get("href")).startswith("data:")
    assert not [name for _, attrs, _ in page.elements for name in attrs if name.startswith("on")]
    style = "".join(page.text("style"))
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style
    assert "url(" not in style
    assert "@import" not in style


def test_every_figure_is_inside_byte_by_byte_with_words_for_it(folder):
    page = report(folder)
    inside = [base64.b64decode(attrs["src"].split(",")[1]) for attrs in page.of("img")]
    names = ["tabular", "gan", "gan_digits"]
    files = {name: (folder / f"{name}.png").read_bytes() for name in names}
    assert sorted(inside) == sorted(files.values())
    told = {attrs["src"]: attrs["alt"] for attrs in page.of("img")}
    assert len(set(told.values())) == 3
    assert "Errors. Table 4: <UCI>" in told.values()
    sizes = {(attrs["width"], attrs["height"]) for attrs in page.of("img")}
    assert ("375", "100") in sizes  # tabular.png: 3.75 x 1 inches at 100 dpi


def test_a_phone_can_hold_it(folder):
    page = report(folder)
    assert page.of("meta")[1] == {
        "name": "viewport",
        "content": "width=device-width, initial-scale=1",
    }
    wide = [(tag, stack) for tag, _, stack in page.elements if tag in ("table", "img")]
    assert len(wide) == 1 + 3 + 3
    for _, stack in wide:
        assert any("scroll" in attrs.get("class", "") for _, attrs in stack)
        assert any(attrs.get("tabindex") == "0" for _, attrs in stack)  # by keyboard too


# -- what it tells ------------------------------------------------------------------------------


def test_every_table_of_a_page_is_there_with_its_cells(folder):
    page = report(folder)
    text = page.text(within="tabular")
    for cell in ("Iris", "<Wine>", "1.0 ± 0.1", "2.0 ± 0.2", "0.3", "0.4", "misses"):
        assert cell in text
    heads = [attrs.get("scope") for attrs in page.of("th")]
    assert None not in heads
    tables = [index for index, (tag, *_) in enumerate(page.elements) if tag == "table"]
    assert all(page.elements[index + 1][0] == "caption" for index in tables)
    captions = [words for words, stack in page.words if "caption" in [tag for tag, _ in stack[:-1]]]
    assert captions[1:] == ["Table 4: <UCI>", "Beside them", "Others"]


def test_sections_come_in_the_papers_order_and_parts_in_their_experiment(folder):
    page = report(folder)
    order = [attrs["id"] for attrs in page.of("section") if "id" in attrs]
    assert order == list(EXPERIMENTS)
    assert page.text("h3", within="gan") == ["Figure 5", "Digits"]
    assert page.text("h3", within="tabular") == ["Table 4: <UCI>"]
    assert page.text("h4", within="tabular") == ["Others"]
    links = [attrs["href"] for attrs in page.of("a")]
    ids = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert "#page-gan_digits" in links


def test_the_summary_quotes_what_a_page_concludes_first(folder):
    report(folder)
    summary = pd.read_csv(folder / "report.csv", keep_default_na=False).set_index("experiment")
    assert list(summary.index) == list(EXPERIMENTS)
    said = summary["conclusion"]
    assert said["tabular"] == "Here mixup was ahead in 1 of 2 tables."
    assert said["gan"] == "mixup kept 8 modes."
    assert summary.loc["gan", ["n_runs", "device", "pages"]].tolist() == [
        3,
        "cpu (x) and cuda (y)",
        "gan.md gan_digits.md",
    ]
    for ending in ("md", "png"):
        assert (folder / f"report.{ending}").stat().st_size


def test_what_has_not_run_is_named_with_its_command(tmp_path):
    page = report(tmp_path)
    for experiment in EXPERIMENTS.values():
        told = "".join(page.text(within=experiment.name))
        assert "has not run yet" in told
        command = f"python -m benchmarks {experiment.name} --scale small --out {tmp_path}"
        assert page.text("code").count(command) == 2  # in the summary and in its section
    assert f"0 of {len(EXPERIMENTS)}" in "".join(page.text("p"))


def test_a_second_report_is_the_same(folder):
    report(folder)
    before = {path.name: path.read_bytes() for path in folder.glob("report.*")}
    report(folder)
    assert before == {path.name: path.read_bytes() for path in folder.glob("report.*")}
    assert len(before) == 4


# -- whatever the folder holds ------------------------------------------------------------------


def test_what_pages_say_is_text_and_not_html(tmp_path):
    attack = "<script>alert(1)</script>"
    frame = pd.DataFrame({attack: [attack]})
    leave(
        tmp_path,
        "cifar",
        attack,
        Note(f"mixup `{attack}` [link](javascript:alert(1))"),
        Conclusions([attack]),
        Heading(attack),
        Table(frame),
        runs=pd.DataFrame({"seed": [0], "device": attack}),
    )
    blocks = Figure("cifar.png", f'{attack}" onload="x')
    leave(tmp_path, "cifar_budget", "Budget", blocks)
    page = report(tmp_path)
    assert not page.of("script")
    assert not [attrs for _, attrs, _ in page.elements if "onload" in attrs]
    assert not [attrs for attrs in page.of("a") if "javascript" in attrs["href"]]
    assert page.text("h3", within="cifar") == [attack, "Budget"]
    for tag in ("code", "p", "h4", "dd", "th"):
        assert attack in page.text(tag, within="cifar")


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_missing_or_damaged_figure_is_named(tmp_path, content):
    leave(tmp_path, "toy", "Toy", Figure("toy.png", "Regions"))
    (tmp_path / "toy.png").unlink()
    if content is not None:
        (tmp_path / "toy.png").write_bytes(content)
    page = report(tmp_path)
    assert not page.of("img")
    assert "No picture in the file toy.png." in page.text("p", within="toy")


@pytest.mark.parametrize("file", ["../secret.png", "%2e%2e/secret.png", "/secret.png"])
def test_figures_elsewhere_are_not_taken(tmp_path, file):
    make_figure(tmp_path / "secret.png")
    results = tmp_path / "results"
    results.mkdir()
    leave(results, "toy", "Toy")
    text = (results / "toy.json").read_text()
    figure = f'"blocks": [{{"kind": "figure", "file": "{file}", "alt": "it"}}]'
    (results / "toy.json").write_text(text.replace('"blocks": []', figure))
    page = report(results)
    assert not page.of("img")
    assert "No picture in the file secret.png." in page.text("p", within="toy")


def test_results_that_cannot_be_read_are_told_of_with_what_to_do(tmp_path):
    (tmp_path / "toy.md").write_text("# Figure 1b\n")  # of a version that left no JSON
    (tmp_path / "cifar.json").write_bytes(b"\xff\xfe broken")
    (tmp_path / "speech.json").mkdir()
    page = report(tmp_path)
    assert page.text("p", within="toy")[-1].startswith("toy.md is of an earlier version. Run it")
    assert page.text("p", within="cifar")[-1].startswith("cifar.json cannot be read. Run it again")
    assert page.text("p", within="speech")[-1].startswith("speech.json cannot be read. Run it")
    summary = pd.read_csv(tmp_path / "report.csv", keep_default_na=False).set_index("experiment")
    assert summary.loc["toy", "finished"] == "not yet"


# -- all of them --------------------------------------------------------------------------------


def test_the_quick_ones_first_leave_out_none():
    assert sorted(QUICK_FIRST) == sorted(EXPERIMENTS)


def test_make_benchmarks_runs_all_of_them():
    command = ["make", "-n", "benchmarks", "JOBS=3", "ARGS=--skip gan"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "-m benchmarks all --scale small --jobs 3 --out results --skip gan" in told


@pytest.fixture
def ends(monkeypatch):
    """What each benchmark gets, with the status that it is to end with in place of a run."""
    calls, statuses = {}, {}

    def run_apart(words):
        calls[words[0]] = words[1:]
        return statuses.get(words[0], 0)

    monkeypatch.setattr(run_all, "_run_apart", run_apart)
    return calls, statuses


def test_options_are_handed_on_to_those_that_have_them(ends, tmp_path, monkeypatch):
    monkeypatch.delenv("SKLEARN_MIXUP_DATA", raising=False)
    calls, _ = ends
    words = "all --jobs 2 --seeds 3 --device cpu --download --fresh --data-home data --skip gan"
    main([*words.split(), "--out", str(tmp_path)])
    assert list(calls) == [name for name in QUICK_FIRST if name != "gan"]
    common = f"--scale small --seeds 3 --jobs 2 --device cpu --out {tmp_path}"
    assert calls["cifar"] == [*common.split(), "--data-home", "data", "--fresh", "--download"]
    assert calls["speed"] == [*common.split(), "--data-home", "data", "--fresh"]


def test_one_that_fails_does_not_stop_the_others_but_the_status_tells(ends, tmp_path, capsys):
    calls, statuses = ends
    statuses |= {"tabular": 1, "cifar": -9, "speech": REFUSED}
    with pytest.raises(SystemExit) as stop:
        main(["all", "--out", str(tmp_path)])
    assert stop.value.code == 1
    assert set(calls) == set(EXPERIMENTS)
    told, failed = capsys.readouterr()
    assert "Failed: tabular, cifar" in failed
    assert "cifar: failed: killed by signal 9" in told
    assert "speech: skipped" in told
    assert (tmp_path / "report.html").exists()


def test_it_tells_first_what_it_will_run_and_how_long_that_took(ends, tmp_path, capsys):
    main(["all", "--out", str(tmp_path), "--skip", "gan"])
    plan = capsys.readouterr().out.partition("==")[0]
    for experiment in EXPERIMENTS.values():
        line = rf"{experiment.name} +{experiment.small_takes}"
        assert bool(re.search(line, plan)) == (experiment.name != "gan")


def test_one_whose_data_are_missing_is_skipped_with_a_message(tmp_path, capfd):
    words = ["between", "--scale", "small", "--out", str(tmp_path), "--data-home", str(tmp_path)]
    status = run_all._run_apart(words)  # a process of its own, as in earnest
    assert "cifar10" in capfd.readouterr().err
    assert status == REFUSED
    assert run_all._tell_end(status) == "skipped"
