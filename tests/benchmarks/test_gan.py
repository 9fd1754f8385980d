"""Figure 5: the toy sets, what is measured on them, and the runs of all parts."""

import inspect
import json
import pickle
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from benchmarks.__main__ import make_parser
from benchmarks._lab.experiment import Request
from benchmarks._nets.gans import GAN_DEFAULT, GAN_PAPER, GAN_RECIPES, GAN_STEADY
from benchmarks.gan import EXPERIMENT, budgets, numbers, toys
from benchmarks.gan.runs import KEY, fit
from benchmarks.gan.toys_report import conclude, notes, table, tell
from sklearn_mixup._gan.parts import BETAS
from sklearn_mixup.exceptions import DivergedError
from tests.small_gans import make_rows, quick


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
    centres = toys.MODES[name]
    assert len(np.unique(centres.round(6), axis=0)) == n_modes
    np.testing.assert_allclose([centres.min(), centres.max()], [-1, 1])
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 9 * np.eye(n_modes)
    # Far enough apart that a sample is close to one mode only.
    assert distances.min() > 6 * toys.STANDARD_DEVIATION


def test_every_mode_of_the_ring_has_two_neighbours_at_one_distance():
    centres = toys.MODES["ring"]
    steps = np.linalg.norm(centres - np.roll(centres, 1, axis=0), axis=1)
    np.testing.assert_allclose(steps, 2 * np.sin(np.pi / 8))


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_rows_are_gaussian_about_the_modes(name):
    rows, centres = toys.draw(name, 20_000, seed=0), toys.MODES[name]
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
    centres = toys.MODES["grid"]
    found = toys.measure_coverage(np.repeat(centres, 4, axis=0), centres)
    assert (found.modes, found.high_quality) == (25, 1.0)
    assert found.reverse_kl == pytest.approx(0, abs=1e-12)


def test_samples_on_one_mode_have_the_reverse_kl_of_one_of_all():
    centres = toys.MODES["ring"]
    found = toys.measure_coverage(centres[[3, 3, 3, 3]], centres)
    assert (found.modes, found.high_quality) == (1, 1.0)
    assert found.reverse_kl == pytest.approx(np.log(8))


def test_a_sample_counts_within_three_standard_deviations_and_not_beyond():
    centres = toys.MODES["ring"]
    inside = centres[0] + [0, 2.9 * toys.STANDARD_DEVIATION]
    outside = centres[1] + [0, 3.1 * toys.STANDARD_DEVIATION]
    found = toys.measure_coverage(np.array([inside, outside]), centres)
    assert (found.modes, found.high_quality) == (1, 0.5)


def test_reverse_kl_is_nan_where_no_sample_is_near_a_mode():
    found = toys.measure_coverage(np.zeros((5, 2)), toys.MODES["ring"])
    assert (found.modes, found.high_quality) == (0, 0.0)
    assert np.isnan(found.reverse_kl)


def test_the_data_themselves_are_of_high_quality():
    found = toys.measure_coverage(toys.draw("grid", 5000, seed=0), toys.MODES["grid"])
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
    row = table(runs, "ring").iloc[0]
    assert row["all modes in"] == "2 of 3"
    assert row["least, %"] == "91.0"
    assert row["modes of 8"].startswith("7.7 ±")


def test_samples_are_measured_without_rejection_too():
    recipe = replace(GAN_DEFAULT, hidden_sizes=(16, 16), max_iter=40, rejection=3.0)
    run = toys.run_toy("two_moons", recipe, 0.2, 0, device="cpu", draws=False)
    assert run["energy_distance"] < 0.9 * run["energy_distance_of_all"]
    runs = runs_of("two_moons", **{name: [value] for name, value in run.items()})
    (told, *_) = table(runs, "two_moons")["without rejection"]
    assert told == f"{run['energy_distance_of_all']:.4f}"
    runs = pd.concat([runs, runs.assign(seed=1, energy_distance_of_all=np.nan)])
    row = table(runs, "two_moons").iloc[0]
    assert row["judged in"] == "1 of 2"
    both = np.mean([run["energy_distance_of_all"], run["energy_distance"]])
    assert row["without rejection"].startswith(f"{both:.4f} ±")


def test_table_has_what_others_published_and_says_that_it_is_theirs():
    told = table(runs_of("grid", modes=[25], high_quality=[0.95]), "grid")
    theirs = told[told.GAN.str.contains("PacGAN paper")]
    assert theirs["modes of 25"].tolist() == ["17.3", "24.8"]
    assert "other networks" in notes()


def test_verdict_asks_for_all_modes_and_for_quality():
    ring = runs_of("ring", modes=[8, 8, 7], high_quality=[0.95, 0.89, 0.99])
    grid = runs_of("grid", modes=[25, 25], high_quality=[0.9, 0.95])
    assert "ring 1 of 3, grid 2 of 2" in conclude(pd.concat([ring, grid]))[0]


def test_every_setting_is_one_that_the_estimator_takes():
    for recipe in GAN_RECIPES.values():
        gan = toys.MixupGAN(**recipe.params())
        assert gan.max_iter == recipe.max_iter


def test_recipes_are_those_that_the_estimator_has_by_name():
    assert GAN_PAPER.params() == toys.MixupGAN.PAPER
    defaults = toys.MixupGAN().get_params(deep=False)
    told = GAN_DEFAULT.params()
    own = inspect.signature(defaults["generator"]).parameters
    for name in ("gain", "n_cuts"):
        assert told.pop(f"generator__{name}") == own[name].default
    for network in ("generator", "discriminator"):
        sizes = inspect.signature(defaults[network]).parameters["hidden_sizes"].default
        assert told.pop(f"{network}__hidden_sizes") == sizes
        assert told.pop(f"optimizer_{network}__betas") == BETAS
    assert told.pop("latent_dim") == 2  # as many as the columns of a toy
    assert told == {name: defaults[name] for name in told}


def test_ours_sees_as_many_rows_as_the_papers():
    def n_rows(recipe):
        return recipe.max_iter * (recipe.n_discriminator_steps + 1) * recipe.batch_size

    assert n_rows(GAN_PAPER) == 120_000 * 128  # "120,000 minibatches in all"
    assert n_rows(GAN_STEADY) == n_rows(GAN_PAPER)


# -- runs -----------------------------------------------------------------------------------------


def plan(*words):
    """Plan all parts, or those of the words of a command line."""
    args = make_parser().parse_args(["gan", *words])
    scale = EXPERIMENT.scale(args.scale)
    return EXPERIMENT.plan(Request(args, scale, "cpu", {}, ExitStack()))


@pytest.mark.parametrize("scale", ["smoke", "small", "paper"])
def test_a_plan_names_every_run_once(scale, tmp_path):
    for part in plan("--scale", scale, "--seeds", "3", "--data-home", str(tmp_path)):
        keys = [tuple(task.key.items()) for task in part.tasks[""]]
        assert len(set(keys)) == len(keys)
        for task in part.tasks[""]:
            assert part.key == tuple(task.key) == KEY
            assert (task.key["alpha"] > 0) == (task.key["method"] == "mixup")
            json.dumps(task.settings)
            assert pickle.loads(pickle.dumps(task)).fingerprint == task.fingerprint


def test_fewer_seeds_are_the_first_of_more():
    for few, many in zip(
        *(plan("--scale", "smoke", "--seeds", seeds) for seeds in "12"), strict=True
    ):
        names = [[(it.key, it.fingerprint) for it in part.tasks[""]] for part in (few, many)]
        assert names[0] == names[1][: len(names[0])]
        assert len(names[1]) == 2 * len(names[0])


def test_options_choose_parts_settings_sets_and_alphas():
    words = "--parts toys --settings joined --data swiss_roll grid --alphas 0.3 --seeds 1"
    (part,) = plan(*words.split())
    assert part.stem == "gan"
    keys = [task.key for task in part.tasks[""]]
    assert [key["data"] for key in keys] == ["swiss_roll", "grid"]
    assert {(key["setting"], key["method"], key["alpha"]) for key in keys} == {
        ("joined", "mixup", 0.3)
    }


def test_a_run_keeps_its_samples_by_iteration(smoke_of):
    runs = pd.read_csv(smoke_of("gan") / "gan.csv")
    assert set(runs["method"]) == {"ERM", "mixup"}
    snapshots = json.loads(runs["snapshots"][0])
    assert sorted(map(int, snapshots)) == [10, 100]
    assert all(toys.unpack(text).shape == (500, 2) for text in snapshots.values())


def test_steady_gans_are_the_first_figure_and_others_have_their_own(smoke_of):
    runs = pd.read_csv(smoke_of("gan") / "gan.csv")
    both = pd.concat([runs, runs.assign(setting="paper")])
    assert [figure.file for figure in tell(both, versions={}).figures] == [
        "gan.png",
        "gan_paper.png",
        "gan_measures.png",
    ]
    without = runs.drop(columns="snapshots")
    assert [figure.file for figure in tell(without, versions={}).figures] == ["gan_measures.png"]


def test_a_gan_that_diverges_is_a_result_of_its_iteration():
    gan = quick(lr=1e30)
    with pytest.raises(DivergedError) as caught:
        clone(gan).fit(make_rows())
    assert fit(gan, make_rows())[0] == caught.value.n_iter
    with pytest.raises(ValueError, match="alpha"):
        fit(quick(alpha=-1), make_rows())


# -- budgets --------------------------------------------------------------------------------------


def budgets_of(modes):
    """Make runs of the budgets: (betas, iterations, alpha) and the modes of each seed."""
    return pd.concat(
        runs_of(
            "grid",
            alpha=alpha,
            setting=budgets.name_setting(betas, n_iter),
            seed=range(len(found)),
            modes=found,
            high_quality=[0.9] * len(found),
        )
        for (betas, n_iter, alpha), found in modes.items()
    )


def test_budgets_are_told_by_betas_iterations_and_gan():
    runs = budgets_of({((0.0, 0.99), 20, 0.0): [25, 24], ((0.9, 0.999), 4000, 0.2): [25, 25]})
    told = budgets.table(runs)
    assert told["betas"].tolist() == ["(0, 0.99)", "(0.9, 0.999)"]
    assert told["iterations"].tolist() == ["20", "4,000"]
    assert told["GAN"].tolist() == ["ERM", "mixup 0.2"]
    assert told["all modes in"].tolist() == ["1 of 2", "2 of 2"]


def test_pairs_of_budgets_differ_in_alpha_alone():
    betas = (0.5, 0.99)
    runs = budgets_of(
        {
            (betas, 20, 0.0): [20, 25, 22],
            (betas, 20, 0.2): [25, 25, 21],
            (betas, 40, 0.2): [3, 4, 5],  # without a partner
        }
    )
    runs["reverse_kl"] = np.where(runs.alpha == 0, 0.2, [0.1] * 3 + [0.3, 0.1, 0.2] + [0.0] * 3)
    (told,) = budgets.conclude(runs)
    assert "Of 3 pairs" in told
    assert "more modes in 1, the ordinary GAN in 1, and 1 have as many" in told
    assert "lower with mixup in 1." in told


def test_pair_of_budgets_counts_where_a_gan_has_nothing_near_a_mode():
    runs = budgets_of({((0.5, 0.99), 20, 0.0): [0], ((0.5, 0.99), 20, 0.2): [17]})
    runs["reverse_kl"] = [np.nan, 0.8]
    (told,) = budgets.conclude(runs)
    assert "Of 1 pairs" in told
    assert "mixup has more modes in 1," in told
    assert "lower with mixup in 1." in told


def test_budgets_run_every_pair_of_betas_with_and_without_mixup():
    (part,) = plan("--parts", "budgets", "--seeds", "1")
    keys = [(task.key["setting"], task.key["alpha"]) for task in part.tasks[""]]
    assert len(keys) == len(set(keys)) == 12
    assert {setting.rsplit(", ", 1)[0] for setting, _ in keys} == {
        "(0, 0.99)",
        "(0.5, 0.99)",
        "(0.9, 0.999)",
    }


# -- tables of numbers ----------------------------------------------------------------------------


def test_halves_of_a_table_share_no_row_and_are_standardised_by_the_first():
    X = np.add(np.arange(40.0).reshape(20, 2), [0, 1000])
    learned, fresh = numbers.split_rows(X, seed=0)
    assert learned.shape == fresh.shape == (10, 2)
    np.testing.assert_allclose(learned.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(learned.std(axis=0), 1)
    assert not {*map(tuple, learned.round(9))} & {*map(tuple, fresh.round(9))}


def test_samples_of_a_table_are_told_beside_the_data_themselves():
    runs = pd.DataFrame(
        {
            "data": ["magic"] * 4,
            "alpha": [0.0, 0.0, 0.2, 0.2],
            "seed": [0, 1, 0, 1],
            "n_rows": 2000,
            "n_features": 10,
            "energy": [0.9, 0.7, 0.5, 0.3],
            "energy_data": [0.1, 0.3, 0.1, 0.3],
            "fit_time_s": [30.0] * 4,
        }
    )
    (row,) = numbers.table(runs).to_dict("records")
    assert row["ordinary GAN"].startswith("0.800 ±")
    assert row["mixup GAN, alpha 0.2"].startswith("0.400 ±")
    assert row["the data themselves"].startswith("0.200 ±")
    assert row["seeds"] == "2"
