"""A page as a value: its Markdown, its words in a terminal, and the file that the report reads."""

import pandas as pd
import pytest
from matplotlib.figure import Figure as Drawing

from benchmarks._lab.outcome import (
    Conclusions,
    Figure,
    Heading,
    Note,
    Outcome,
    Saved,
    Table,
    load,
    markdown_table,
    print_outcome,
    save,
    to_markdown,
    write,
)
from benchmarks._lab.tell import p_value, percent, points

FRAME = pd.DataFrame({"table": ["Iris", "<Wine>"], "ERM": ["1.0 ± 0.1", ""]})
OUTCOME = Outcome(
    "Title",
    [
        Note("Before ± 1."),
        Figure("a.png", "All errors", lambda: Drawing(figsize=(1, 1))),
        Conclusions(["mixup errs less.", "And surely."], listed=True),
        Heading("Results"),
        Table(FRAME),
        Conclusions(["Once more."]),
    ],
)


def test_markdown_table_keeps_the_texts_as_they_are():
    table = pd.DataFrame({"table": ["Iris", "HTRU2"], "ERM": ["2.0", "10.50"], "p": ["", "<0.001"]})
    lines = [
        [field.strip() for field in line.strip("|").split("|")]
        for line in markdown_table(table).splitlines()
    ]
    assert lines[0] == ["table", "ERM", "p"]
    assert lines[2:] == [["Iris", "2.0", ""], ["HTRU2", "10.50", "<0.001"]]
    assert lines[1][0].startswith(":")
    assert lines[1][1].endswith(":")


def test_markdown_page_has_its_blocks_in_order():
    head, table, last = to_markdown(OUTCOME).partition(markdown_table(FRAME))
    assert head == (
        "# Title\n\nBefore ± 1.\n\n![All errors](a.png)\n\n- mixup errs less.\n- And surely.\n\n"
        "## Results\n\n"
    )
    assert table
    assert last == "\n\nOnce more.\n"


def test_a_terminal_shows_all_but_figures_and_ends_with_the_conclusions(capsys):
    print_outcome(OUTCOME)
    told = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert told[:2] == ["Before ± 1.", "Results"]
    assert told[-4:] == ["<Wine>", "mixup errs less.", "And surely.", "Once more."]


def test_what_is_saved_is_read_again(tmp_path):
    save(Saved(OUTCOME, 3, {"torch": ["2.9", "3.0"]}), tmp_path / "a.json")
    read = load(tmp_path / "a.json")
    assert (read.n_runs, read.versions) == (3, {"torch": ["2.9", "3.0"]})
    assert to_markdown(read.outcome) == to_markdown(OUTCOME)
    assert read.outcome.conclusions == ["mixup errs less.", "And surely.", "Once more."]
    assert read.outcome.figures == OUTCOME.figures
    assert read.outcome.notes == ["Before ± 1."]
    pd.testing.assert_frame_equal(read.outcome.tables[0], FRAME)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"title": "a", "blocks": [{"kind": "b"}], "n_runs": 1}']
)
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"a\.json' must be an outcome"):
        load(tmp_path / "a.json")


def test_writing_leaves_a_page_its_figures_and_a_file_for_the_report(tmp_path):
    runs = [pd.DataFrame({"device": ["cpu", "cuda"]}), pd.DataFrame({"device": ["cpu"]})]
    files = write(OUTCOME, tmp_path, "a", runs, ["device"])
    assert files == [tmp_path / "a.md", tmp_path / "a.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.md", "a.png"]
    saved = load(tmp_path / "a.json")
    assert (saved.n_runs, saved.versions) == (3, {"device": ["cpu", "cuda"]})


def test_numbers_are_spelled_with_their_error_and_none_where_there_is_none():
    assert (percent(0.125, 0.01), percent(0.125), percent(None)) == ("12.5 ± 1.0", "12.5", "")
    assert (points(0.01, 0.002), points(-0.00001), points(float("nan"))) == (
        "+1.00 ± 0.20",
        "+0.00",  # never -0.00
        "",
    )
    assert (p_value(0.0004), p_value(0.0123), p_value(float("nan"))) == ("<0.001", "0.012", "")
