"""What a GAN tells of its training, and when."""

import re

import pytest

from sklearn_mixup._gan import progress
from tests.small_gans import make_rows, quick

X = make_rows()
LINE = r"\s*{percent}%\|.{{6}}\| {done}/{total}, \S+ left, losses: discriminator {d}, generator {g}"


class Clock:
    """A clock that `step` seconds pass on at each look."""

    def __init__(self, step):
        self.step, self.now = step, 0.0

    def perf_counter(self):
        """Look at the clock."""
        self.now += self.step
        return self.now


@pytest.fixture
def told(capsys):
    """Fit a quick GAN; return the lines that it printed, and the GAN."""

    def tell(*, how="fit", **params):
        gan = quick(**params)
        getattr(gan, how)(X)
        return capsys.readouterr().out, gan

    return tell


def line(gan, i, done, total):
    """Compose the line of an epoch."""
    epoch = gan.history[i]
    losses = {part[0]: f"{epoch[part + '_loss']:.3f}" for part in ("discriminator", "generator")}
    return LINE.format(percent=100 * done // total, done=done, total=total, **losses)


def test_nothing_is_printed_by_default(told):
    assert told()[0] == ""


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_a_line_an_epoch_tells_iterations_and_both_losses(told, how):
    out, gan = told(how=how, verbose=1, max_iter=5, iter_per_epoch=2)
    lines = out.splitlines()
    assert len(lines) == 3
    for i, done in enumerate([2, 4, 5]):
        assert re.fullmatch(line(gan, i, done, 5), lines[i]), lines[i]


def test_more_epochs_than_ten_have_a_line_for_each_tenth_in_a_file(told):
    out, _ = told(verbose=1, max_iter=40, iter_per_epoch=1)
    assert re.findall(r"(\d+)%", out) == [f"{10 * i}" for i in range(1, 11)]


def test_the_line_is_written_anew_in_a_terminal(told, monkeypatch):
    monkeypatch.setattr(progress, "_is_live", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    out, _ = told(verbose=1, max_iter=40, iter_per_epoch=1)
    assert out.count("\r") == 40
    assert out.count("\n") == 1
    assert out.endswith("\n")
    assert max(map(len, re.split("[\r\n]", out))) <= 60


def test_time_left_counts_from_the_first_epoch_on(told, monkeypatch):
    monkeypatch.setattr(progress, "time", Clock(10.0))
    out, _ = told(verbose=1, max_iter=8, iter_per_epoch=2)
    assert re.findall(r"(\S+) left", out) == ["?", "00:20", "00:10", "00:00"]


@pytest.mark.parametrize(("seconds", "minutes"), [(2.0, None), (60.0, "5")])
def test_a_fit_of_minutes_says_so_once_and_what_to_do(told, monkeypatch, seconds, minutes):
    monkeypatch.setattr(progress, "time", Clock(seconds))
    out, _ = told(verbose=1, max_iter=10, iter_per_epoch=2, device="cpu")
    warned = re.findall(r"This will take about (\d+) minutes on cpu: 10 iterations\.", out)
    assert warned == ([minutes] if minutes else [])
    assert ("`max_iter`" in out) == bool(minutes)


def test_a_second_fit_begins_anew(told, capsys):
    _, gan = told(verbose=1, max_iter=4, iter_per_epoch=2)
    gan.partial_fit(X)
    assert re.findall(r"\d+/4", capsys.readouterr().out) == ["2/4", "4/4"]


def test_verbose_2_prints_a_row_an_epoch(told):
    out, _ = told(verbose=2)
    assert "discriminator_loss" in out
    assert "generator_loss" in out
    assert "left" not in out


def test_the_log_can_be_switched_off(told):
    assert told(verbose=1, callbacks__print_log=None)[0] == ""
