"""Figure 5: the toy sets, what is measured on them, and the command."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import _gan_toys as toys
from benchmarks.__main__ import main
from benchmarks._nets import gans as recipes
from benchmarks._runs import RunTable


def runs_of(name, *, alpha=0.5, setting="steady", **columns):
    """Make rows of finished runs, one for each entry of the columns."""
    n_runs = len(next(iter(columns.values())))
    fixed = {
        "diverged_at": np.nan,
        "data": name,
        "setting": setting,
        "method": "mixup",
        "alpha": alpha,
    }
    spread = {"late_high_quality_sd": [0.01] * n_runs, "late_modes_least": [8] * n_runs}
    base = {"energy_distance": [0.1] * n_runs, "fit_time_s": [60.0] * n_runs}
    base |= {"reverse_kl": [0.01] * n_runs, "seed": list(range(n_runs))}
    return pd.DataFrame({**spread, **base, **columns}).assign(**fixed)


# -- data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "n_modes"), [("ring", 8), ("grid", 25)])
def test_modes_are_distinct_and_fill_the_square(name, n_modes):
    centres = toys.modes_of(name)
    assert len(np.unique(centres.round(6), axis=0)) == n_modes
    np.testing.assert_allclose([centres.min(), centres.max()], [-1, 1])
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 9 * np.eye(n_modes)
    # Far enough apart that a sample is close to one mode only.
    assert distances.min() > 6 * toys.STANDARD_DEVIATION


def test_every_mode_of_the_ring_has_two_neighbours_at_one_distance():
    centres = toys.modes_of("ring")
    steps = np.linalg.norm(centres - np.roll(centres, 1, axis=0), axis=1)
    np.testing.assert_allclose(steps, 2 * np.sin(np.pi / 8))


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_rows_are_gaussian_about_the_modes(name):
    rows, centres = toys.draw(name, 20_000, seed=0), toys.modes_of(name)
    offsets = (rows[:, None] - centres[None])[np.arange(len(rows)), nearest(rows, centres)]
    # The standard error of a standard deviation of 40,000 numbers is 0.35 %: five of them.
    assert offsets.std() == pytest.approx(toys.STANDARD_DEVIATION, rel=0.018)
    counts = np.bincount(nearest(rows, centres), minlength=len(centres))
    expected = len(rows) / len(centres)
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def nearest(rows, centres):
    return np.linalg.norm(rows[:, None] - centres[None], axis=2).argmin(axis=1)


def test_the_roll_lies_in_the_square_and_seeds_differ():
    rows = toys.draw("swiss_roll", 2000, seed=0)
    assert rows.shape == (2000, 2)
    assert 0.8 < np.abs(rows).max() < 1.2
    assert not np.array_equal(rows, toys.draw("swiss_roll", 2000, seed=1))
    assert np.array_equal(rows, toys.draw("swiss_roll", 2000, seed=0))


# -- measures -------------------------------------------------------------------------------------


def test_samples_on_all_modes_evenly_are_perfect():
    centres = toys.modes_of("grid")
    found = toys.measure_coverage(np.repeat(centres, 4, axis=0), centres)
    assert (found.modes, found.high_quality) == (25, 1.0)
    assert found.reverse_kl == pytest.approx(0, abs=1e-12)


def test_samples_on_one_mode_have_the_reverse_kl_of_one_of_all():
    centres = toys.modes_of("ring")
    found = toys.measure_coverage(centres[[3, 3, 3, 3]], centres)
    assert (found.modes, found.high_quality) == (1, 1.0)
    assert found.reverse_kl == pytest.approx(np.log(8))


def test_a_sample_counts_within_three_standard_deviations_and_not_beyond():
    centres = toys.modes_of("ring")
    inside = centres[0] + [0, 2.9 * toys.STANDARD_DEVIATION]
    outside = centres[1] + [0, 3.1 * toys.STANDARD_DEVIATION]
    found = toys.measure_coverage(np.array([inside, outside]), centres)
    assert (found.modes, found.high_quality) == (1, 0.5)


def test_reverse_kl_is_nan_where_no_sample_is_near_a_mode():
    found = toys.measure_coverage(np.zeros((5, 2)), toys.modes_of("ring"))
    assert (found.modes, found.high_quality) == (0, 0.0)
    assert np.isnan(found.reverse_kl)


def test_the_data_themselves_are_of_high_quality():
    found = toys.measure_coverage(toys.draw("grid", 5000, seed=0), toys.modes_of("grid"))
    # Within 3 standard deviations in two dimensions: 1 - exp(-9 / 2) = 98.9 %, five errors wide.
    assert found.high_quality == pytest.approx(1 - np.exp(-4.5), abs=5 * 0.0015)


def test_samples_survive_being_text():
    samples = toys.draw("ring", 50, seed=0)
    np.testing.assert_allclose(toys.unpack(toys.pack(samples)), samples, atol=1e-3)


# -- the variant of the authors' demo -------------------------------------------------------------


def test_joined_pairs_mix_real_and_generated_rows_with_lam_below_alpha():
    class Seen(toys.JoinedGAN):
        def infer(self, x):
            self.inputs_ = x
            return x.flatten()

        def get_loss(self, y_pred, y_true):
            self.targets_ = y_true
            return y_pred.mean()

    gan = Seen(alpha=0.3)
    torch.manual_seed(0)
    ones = torch.ones(400, 1)
    gan.discriminator_loss(ones, 0 * ones, torch.zeros(400))
    # Rows of ones are data and of zeros samples, so a mixture is its own target.
    torch.testing.assert_close(gan.inputs_.flatten(), gan.targets_)
    own = gan.targets_[:400]
    # A row of data keeps lam < alpha of itself: 1 beside data, lam beside samples.
    assert ((own == 1) | (own < 0.3)).all()
    assert 0.4 < (own == 1).float().mean() < 0.6


# -- reports --------------------------------------------------------------------------------------


def test_table_counts_the_runs_that_found_all_modes():
    runs = runs_of("ring", modes=[8, 8, 7], high_quality=[0.95, 0.91, 0.99])
    row = toys.toy_table(runs, "ring").iloc[0]
    assert row["all modes in"] == "2 of 3"
    assert row["least, %"] == "91.0"
    assert row["modes of 8"].startswith("7.7 ±")


def test_table_has_what_others_published_and_says_that_it_is_theirs():
    table = toys.toy_table(runs_of("grid", modes=[25], high_quality=[0.95]), "grid")
    theirs = table[table.GAN.str.contains("PacGAN paper")]
    assert theirs["modes of 25"].tolist() == ["17.3", "24.8"]
    assert "other networks" in toys.notes()


def test_verdict_asks_for_all_modes_and_for_quality():
    ring = runs_of("ring", modes=[8, 8, 7], high_quality=[0.95, 0.89, 0.99])
    grid = runs_of("grid", modes=[25, 25], high_quality=[0.9, 0.95])
    assert "ring 1 of 3, grid 2 of 2" in toys.verdict(pd.concat([ring, grid]))


def test_every_setting_is_one_that_the_estimator_takes():
    for recipe in recipes.GAN_RECIPES.values():
        gan = toys.MixupGAN(**recipe.params())
        assert gan.max_iter == recipe.max_iter


def test_ours_sees_as_many_rows_as_the_papers():
    def n_rows(recipe):
        return recipe.max_iter * (recipe.n_discriminator_steps + 1) * recipe.batch_size

    assert n_rows(recipes.GAN_PAPER) == 120_000 * 128  # "120,000 minibatches in all"
    assert n_rows(recipes.GAN_STEADY) == n_rows(recipes.GAN_PAPER)


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def smoke(tmp_path):
    arguments = ["gan", "--scale", "smoke", "--parts", "toys", "--device", "cpu"]
    main([*arguments, "--out", str(tmp_path)])
    return tmp_path, [*arguments, "--out", str(tmp_path)]


def test_command_leaves_rows_page_and_figures_and_does_nothing_twice(smoke, capsys):
    folder, arguments = smoke
    names = {path.name for path in folder.iterdir() if path.suffix != ".json"}
    assert names == {"gan.csv", "gan.md", "gan.png", "gan_measures.png"}
    rows = RunTable(folder / "gan.csv", ["seed"]).rows
    assert {row["method"] for row in rows} == {"ERM", "mixup"}
    snapshots = json.loads(rows[0]["snapshots"])
    assert sorted(map(int, snapshots)) == [10, 100]
    assert all(toys.unpack(text).shape == (500, 2) for text in snapshots.values())
    page = (folder / "gan.md").read_text()
    assert "Ring of 8" in page
    assert "gan.png" in page
    before = (folder / "gan.csv").read_bytes()
    main(arguments)
    assert (folder / "gan.csv").read_bytes() == before
    assert "all modes" in capsys.readouterr().out
