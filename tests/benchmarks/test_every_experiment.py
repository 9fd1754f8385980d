"""What all experiments share: help, files, going on after a kill, missing data, a section."""

import base64
import html
import re
import shutil
from pathlib import Path

import pytest

from benchmarks import registry
from benchmarks.__main__ import main, make_parser
from benchmarks._lab import runs as lab_runs
from benchmarks._lab.options import own_options
from benchmarks._lab.outcome import load, to_markdown
from benchmarks._lab.runs import RunTable
from benchmarks.registry import EXPERIMENTS

# At the small scale these are nothing without data that are not on every machine.
NEED_DATA = {
    *("adversarial", "between", "cifar", "corrupted"),
    *("imagenet", "speech", "steps", "vicinities"),
}


@pytest.fixture(params=EXPERIMENTS, scope="module")  # all of one experiment after each other
def name(request) -> str:
    return request.param


def test_it_has_the_common_options(name):
    args = make_parser().parse_args([name, "--scale", "paper", "--seeds", "3", "--jobs", "2"])
    assert (args.scale, args.seeds, args.jobs) == ("paper", 3, 2)
    assert (args.device, args.out) == ("auto", Path("results"))


def test_its_help_says_first_what_it_reproduces(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    experiment = EXPERIMENTS[name]
    first = experiment.doc.partition("\n")[0]
    assert first in capsys.readouterr().out
    if experiment.paper is None:
        assert "ot in [1]" in first or "ot in the paper" in first
    else:
        assert first.startswith(f"{experiment.paper} of [1]: ")


def test_its_smoke_run_leaves_tables_pages_and_their_figures_alone(name, smoke_of):
    out = smoke_of(name)
    pages = sorted(out.glob("*.md"))
    assert pages[0] == out / f"{name}.md"
    files = {f"{name}.csv"}
    for page in pages:
        saved = load(page.with_suffix(".json"))
        assert page.read_text(encoding="utf-8") == to_markdown(saved.outcome)
        assert saved.n_runs > 0
        assert {"device", "sklearn_mixup", "torch", "sklearn", "skorch"} <= saved.versions.keys()
        figures = {figure.file for figure in saved.outcome.figures}
        for figure in figures:
            assert (out / figure).read_bytes().startswith(b"\x89PNG")
        files |= {page.name, f"{page.stem}.json", *figures}
        if (out / f"{page.stem}.csv").exists():
            files.add(f"{page.stem}.csv")
    assert {path.name for path in out.iterdir()} == files


def copy_tables(name, smoke_of, tmp_path) -> Path:
    """Put the tables of runs of a smoke run into a folder of their own."""
    for path in smoke_of(name).glob("*.csv"):
        shutil.copy(path, tmp_path)
    return tmp_path


def run_again(name, out) -> None:
    """Run in a folder, without any data."""
    words = ["--scale", "smoke", "--device", "cpu", "--out", str(out)]
    if "data_home" in own_options(EXPERIMENTS[name].options):
        words += ["--data-home", str(out)]
    main([name, *words])


def test_a_second_run_does_nothing_and_says_the_same(name, smoke_of, tmp_path, monkeypatch):
    out = copy_tables(name, smoke_of, tmp_path)
    monkeypatch.setattr(lab_runs, "_do", lambda tasks: pytest.fail(f"ran again: {tasks[0].key}"))
    run_again(name, out)
    for path in smoke_of(name).iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_killed_run_goes_on_where_it_was(name, smoke_of, tmp_path, monkeypatch):
    out = copy_tables(name, smoke_of, tmp_path)
    table = out / f"{name}.csv"
    lines = table.read_bytes().splitlines(keepends=True)
    kept = b"".join(lines[:-2])  # the heads, and all runs but two
    table.write_bytes(kept + lines[-1][:9])  # killed while it wrote a row
    run_again(name, out)
    assert table.read_bytes().startswith(kept)
    assert len(table.read_bytes().splitlines()) == len(lines)
    monkeypatch.setattr(lab_runs, "_do", lambda tasks: pytest.fail(f"ran again: {tasks[0].key}"))
    run_again(name, out)


def test_the_report_shows_all_that_its_pages_tell(name, smoke_of, tmp_path):
    out = tmp_path / name
    shutil.copytree(smoke_of(name), out)
    main(["report", "--out", str(out)])
    page = (out / "report.html").read_text("utf-8")
    told = re.sub("</?code>", "`", re.sub('base64,[^"]+', "", page))
    texts = {html.unescape(text) for text in re.findall(">([^<]*)", told)}
    told = html.unescape(told)
    for path in smoke_of(name).glob("*.json"):
        outcome = load(path).outcome
        for text in (outcome.title, *outcome.conclusions, *outcome.notes):
            assert text in told
        for frame in outcome.tables:
            assert {*map(str, frame), *frame.to_numpy().ravel()} <= texts
        for figure in outcome.figures:
            assert base64.b64encode((out / figure.file).read_bytes()).decode() in page


class RunsBeginError(Exception):
    """The data are there."""


def test_missing_data_end_it_with_the_way_to_get_them(name, tmp_path, monkeypatch):
    def reach(*args, **kwargs):
        raise RunsBeginError

    monkeypatch.setattr(RunTable, "complete", reach)
    monkeypatch.setenv("SKLEARN_MIXUP_DATA", str(tmp_path / "nothing"))
    with pytest.raises((SystemExit, RunsBeginError)) as stop:
        main([name, "--scale", "small", "--out", str(tmp_path / "out")])
    if name in NEED_DATA:
        assert stop.type is SystemExit
        assert "SKLEARN_MIXUP_DATA" in str(stop.value)
        assert list((tmp_path / "out").iterdir()) == []
    else:
        assert stop.type is RunsBeginError


def test_the_readme_tells_of_those_that_there_are():
    page = Path(registry.__file__).with_name("README.md").read_text(encoding="utf-8")
    assert registry.table() in page, "Put in what `python -m benchmarks.registry` prints."
    assert re.findall(r"^### (\w+)$", page, flags=re.MULTILINE) == [*EXPERIMENTS]
