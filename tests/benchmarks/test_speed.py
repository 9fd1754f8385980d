"""The speed benchmark runs and computes its ratios right; how fast anything is, is not tested."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks._lab.outcome import load
from benchmarks.speed import augmentation, ensembles, pictures, search, throughput
from benchmarks.speed.counts import count_seconds, count_table
from benchmarks.speed.fits import NUMBA as FIT_NUMBA
from benchmarks.speed.fits import compute_ratios, load_rows, time_table
from benchmarks.speed.gan import SETTINGS, gan_table
from benchmarks.speed.memory import memory_table
from benchmarks.speed.nets import make_skorch
from benchmarks.speed.scale import SCALES
from benchmarks.speed.search import (
    FUSED,
    FUSED_ALONE,
    GRID,
    GRID_ALONE,
    NUMBA,
    NUMBA_ALONE,
    SKORCH,
    search_tables,
    time_search_round,
)
from sklearn_mixup import FusedGridSearchCV


def make_rounds(**seconds: list[float]) -> pd.DataFrame:
    names = {"numba": FIT_NUMBA, "bare_loop": "bare loop", "scikit_learn": "scikit-learn"}
    return pd.DataFrame({f"fit_time_s {names.get(k, k)}": v for k, v in seconds.items()})


def test_every_contender_is_timed(smoke_of):
    out = smoke_of("speed")
    runs = pd.read_csv(out / "speed.csv").set_index("measure")
    names = ("mixup", FIT_NUMBA, "ERM", "bare loop", "skorch", "scikit-learn")
    assert (runs.loc["time", [f"fit_time_s {name}" for name in names]] > 0).all()
    small = ("mixup", FIT_NUMBA, "scikit-learn")
    assert (runs.loc["iris", [f"fit_time_s {name}" for name in small]] > 0).all()
    assert runs.loc["memory", "data_mib"] == 16
    assert runs.loc["memory", "peak_mib"] > 0
    page = (out / "speed.md").read_text(encoding="utf-8")
    assert "random numbers in the shape of Abalone" in page
    mixers = ["mix", "copy", *(name for name in ("timm", "torchvision") if find_spec(name))]
    # Four ratios, that of iris, those of two GANs, the memory, an ensemble's fit and prediction,
    # four of answers, those of two fits of pictures, of two precisions and of mixing.
    assert page.count("<= ") == 8 + 2 + 4 + 2 + 2 + len(mixers) - 1
    answers = runs.loc["serving"].filter(regex="^(row|rows|picture) ")
    assert (answers > 0).sum() == 2 * (6 if find_spec("onnxruntime") else 5) + 2
    fits = [
        f"fit_time_s {pictures} {who}"
        for pictures in ("as they are", "cropped and flipped")
        for who in ("MixupClassifier", "bare loop")
    ]
    assert (runs.loc["pictures", fits] > 0).all()
    trained = runs.loc["throughput"].filter(like="epoch_time_s ")
    assert (trained > 0).sum() == 4
    if find_spec("torchvision"):
        speeds = runs.loc["augmentation"].filter(like="pictures_per_s ")
        assert (speeds > 0).sum() == 3
    assert (runs.loc["mixing", [f"mix_time_s {name}" for name in mixers]] > 0).all()
    gans = [f"fit_time_s {name} {who}" for name in SETTINGS for who in ("MixupGAN", "bare loop")]
    assert (runs.loc["GAN", gans] > 0).all()
    searches = (FUSED, FUSED_ALONE, NUMBA, NUMBA_ALONE, GRID, GRID_ALONE, SKORCH)
    contenders = [f"fit_time_s {name}" for name in searches]
    assert (runs.loc["search iris", contenders] > 0).all()
    counts = [f"fit_time_s fused {n}" for n in (1, 2, 5)]
    assert (runs.loc["nets iris", [*counts, "fit_time_s one by one 2"]] > 0).all()
    shares = runs.loc["profile iris"].filter(like="share ").astype(float)
    assert shares.sum() == pytest.approx(1)
    used = shares.drop("share dropout masks")  # There is no dropout.
    assert used.between(0, 1, inclusive="neither").all()
    for part in ("bare loop", "geometric mean", "share of the time", "cropped and flipped"):
        assert part in page


def test_page_says_what_a_fit_takes_first_and_counts_the_targets_last(smoke_of):
    outcome = load(smoke_of("speed") / "speed.json").outcome
    ratios = outcome.tables[0].set_index("fit")["mixup / it"]
    first, second, *_, last = outcome.conclusions
    others = ratios.index.drop(["mixup", FIT_NUMBA])
    assert all(f" {ratios[name]} ({name})" in first for name in others)
    compiled = outcome.tables[0].set_index("fit")["numba / it"]
    assert compiled["mixup"] in second
    met = [cell for table in outcome.tables if "met" in table for cell in table["met"] if cell]
    assert last == f"{met.count('pass')} of {len(met)} targets are met."


def test_ratio_is_the_median_of_the_ratios_within_a_round():
    # The second round was slow for all; the ratio of the medians would be 0.1 as well for skorch,
    # but 2 for scikit-learn.
    rounds = make_rounds(
        mixup=[1.0, 10.0, 2.0],
        numba=[0.5, 5.0, 4.0],
        ERM=[1.0, 10.0, 2.0],
        bare_loop=[2.0, 10.0, 2.0],
        skorch=[10.0, 100.0, 20.0],
        scikit_learn=[1.0, 40.0, 1.0],
    )
    ratios = compute_ratios(rounds)
    assert {other: ratio.median for other, ratio in ratios.items()} == {
        "ERM": 1.0,
        "bare loop": 1.0,
        "skorch": 0.1,
        "scikit-learn": 1.0,
    }
    table = time_table(rounds, ratios, max_epochs=10).set_index("fit")
    assert table["numba / it"].to_dict() == {
        "mixup": "0.50",
        FIT_NUMBA: "1.00",
        "ERM": "0.50",
        "bare loop": "0.50",
        "skorch": "0.05",
        "scikit-learn": "0.50",
    }
    assert table["met"].to_dict() == {
        "mixup": "",
        FIT_NUMBA: "",
        "ERM": "pass",
        "bare loop": "FAIL",
        "skorch": "pass",
        "scikit-learn": "FAIL",
    }
    assert table.loc["mixup", "ms an epoch"] == "200.0"


@pytest.mark.parametrize(("peak_mib", "met"), [(320.0, "pass"), (321.0, "FAIL")])
def test_memory_may_be_the_data_once_and_a_chunk(peak_mib, met):
    (row,) = memory_table({"data_mib": 256, "chunk_mib": 64, "peak_mib": peak_mib}).to_dict(
        "records"
    )
    assert (row["target"], row["met"]) == ("<= 320", met)


def test_stand_in_has_the_shape_and_classes_of_abalone(tmp_path):
    X, y, name = load_rows(None, str(tmp_path))
    assert (X.shape, X.dtype, y.dtype) == ((4177, 10), np.float32, np.int64)
    assert np.array_equal(np.unique(y), np.arange(28))
    assert name.startswith("random")


def test_a_gan_that_takes_longer_than_its_loop_allows_fails():
    rounds = pd.DataFrame(
        {
            "fit_time_s paper MixupGAN": [1.0, 1.2, 1.4],
            "fit_time_s paper bare loop": [1.0, 1.0, 1.0],
            "fit_time_s steady MixupGAN": [1.0, 1.0, 5.0],
            "fit_time_s steady bare loop": [1.0, 1.0, 1.0],
        }
    )
    table = gan_table(rounds, n_iter=100).set_index("GAN")
    assert table.ratio.to_dict() == {"paper": "1.20", "steady": "1.00"}
    assert table.met.to_dict() == {"paper": "FAIL", "steady": "pass"}
    assert table.loc["paper", "ms an iteration"] == "12.0"


# -- pictures -------------------------------------------------------------------------------------


def test_pictures_are_judged_by_the_median_of_the_ratios_within_a_round():
    rounds = pd.DataFrame(
        {
            "fit_time_s as they are MixupClassifier": [1.0, 10.5, 4.0],
            "fit_time_s as they are bare loop": [1.0, 10.0, 2.0],
            "fit_time_s cropped and flipped MixupClassifier": [1.06, 1.06, 1.0],
            "fit_time_s cropped and flipped bare loop": [1.0, 1.0, 1.0],
        }
    )
    table = pictures.fit_table(rounds, n_pictures=100).set_index("pictures")
    assert table["ratio"].tolist() == ["1.05", "1.06"]
    assert table["met"].tolist() == ["pass", "FAIL"]
    assert table["MixupClassifier, a second"].tolist() == ["25", "94"]
    assert table["bare loop, a second"].tolist() == ["50", "100"]


def test_trainings_are_told_by_precision_in_pictures_a_second():
    rounds = pd.DataFrame(
        {
            "epoch_time_s float32 MixupClassifier": [1.02, 10.2, 4.0],
            "epoch_time_s float32 bare loop": [1.0, 10.0, 2.0],
            "epoch_time_s bfloat16 MixupClassifier": [1.1, 1.1, 0.5],
            "epoch_time_s bfloat16 bare loop": [1.0, 1.0, 1.0],
        }
    )
    table = throughput.throughput_table(rounds, 1000).set_index("precision")
    assert table["MixupClassifier, a second"].to_dict() == {"float32": "250", "bfloat16": "909"}
    assert table["bare loop, a second"].to_dict() == {"float32": "500", "bfloat16": "1000"}
    assert table["met"].tolist() == ["pass", "FAIL"]


@pytest.mark.parametrize("name", throughput._TRAININGS)
@pytest.mark.parametrize("precision", throughput._HALF)
def test_trainings_compute_in_that_precision_on_as_many_pictures(precision, name, monkeypatch):
    seen = []

    class Spy(throughput.PreActResNet18):
        def forward(self, X):
            logits = super().forward(X)
            if len(X) > 2:  # not the rows that an order of memory is tried with
                is_last = X.is_contiguous(memory_format=torch.channels_last)
                seen.append((len(X), is_last, str(logits.dtype)))
            return logits

    monkeypatch.setattr(throughput, "PreActResNet18", Spy)
    X, y = pictures._make_pictures((150, 3, 8, 8), 10, "cpu")
    seconds = throughput._TRAININGS[name](precision, X, y, 1, "cpu")
    steps = [(128, True, f"torch.{precision}"), (22, True, f"torch.{precision}")]
    assert seen == steps * len(seconds)
    assert min(seconds) > 0


def test_mixing_may_take_as_long_as_others_and_not_much_longer_than_a_copy():
    rounds = pd.DataFrame(
        {
            "mix_time_s mix": [0.013, 0.14, 0.013],
            "mix_time_s copy": [0.010, 0.10, 0.010],
            "mix_time_s timm": [0.013, 0.14, 0.012],
            "mix_time_s torchvision": [0.012, 0.10, 0.020],
        }
    )
    table = pictures.mix_table(rounds).set_index("a minibatch")
    assert table["ratio"].to_dict() == {
        "mix": "",
        "timm": "1.00",
        "torchvision": "1.08",
        "copy": "1.30",
    }
    assert table["met"].tolist() == ["", "pass", "FAIL", "pass"]
    assert table["ms"].tolist() == ["13.0", "13.0", "20.0", "10.0"]
    few = pictures.mix_table(rounds[["mix_time_s mix", "mix_time_s copy"]])
    assert few["a minibatch"].tolist() == ["mix", "copy"]


def test_augmentation_tells_how_many_times_as_many_the_device_has():
    rounds = pd.DataFrame(
        {
            "pictures_per_s on the device": [10.0, 40.0, 30.0],
            "pictures_per_s torchvision, 0 workers": [5.0, 8.0, 10.0],
        }
    )
    table = augmentation.augmentation_table(rounds)
    assert table["ours / it"].tolist() == ["", "3.0"]
    assert table["pictures a second"].tolist() == ["30", "8"]


def test_ensembles_are_judged_by_the_median_of_the_ratios_within_a_round():
    rounds = pd.DataFrame(
        {
            "table": "digits",
            "fit_s one": [1.0, 2.0, 4.0],
            "fit_s eight": [2.0, 7.0, 10.0],  # 2, 3.5, 2.5 times as long
            "predict_s one": [0.001, 0.002, 0.001],
            "predict_s eight": [0.0021, 0.002, 0.0022],
        }
    )
    table = ensembles.ensemble_table(rounds).set_index("")
    assert table.loc["fit", ["ratio", "target", "met"]].tolist() == ["2.50", "<= 3.00", "pass"]
    assert table.loc["predict", ["ratio", "target", "met"]].tolist() == ["2.10", "<= 2.00", "FAIL"]
    assert table.loc["fit", ["one net, ms", "eight, ms"]].tolist() == ["2000.0", "7000.0"]


@pytest.mark.parametrize("augment", pictures._AUGMENTS.values())
def test_fit_and_loop_take_as_many_steps_on_as_many_mixed_pictures(augment, monkeypatch):
    seen = []

    class Spy(pictures.PreActResNet18):
        def forward(self, X):
            if len(X) > 2:  # not the rows that an order of memory is tried with
                seen.append(tuple(X.shape))
            return super().forward(X)

    monkeypatch.setattr(pictures, "PreActResNet18", Spy)
    X, y = pictures._make_pictures((300, 3, 8, 8), 10, "cpu")
    before = X.clone()
    for fit in (pictures._fit_ours, pictures._fit_bare_loop):
        seen.clear()
        fit(X, y, 1, augment, "cpu")
        assert seen == [(128, 3, 8, 8), (128, 3, 8, 8), (44, 3, 8, 8)]
    assert torch.equal(X, before)


def test_each_mixer_mixes_pictures_and_labels_alike():
    X, y = pictures._make_pictures((6, 3, 4, 4), 5, "cpu")
    # A picture of class k is k everywhere, so what it turns into tells its labels.
    X = y.float()[:, None, None, None].expand_as(X).clone()
    classes = torch.arange(5.0)
    for name, mixer in pictures._find_mixers(X, y, 5, "cpu"):
        if name == "copy":
            assert torch.equal(mixer(), X)
        else:
            X_mixed, y_mixed = mixer()
            torch.testing.assert_close(X_mixed[:, 0, 0, 0], y_mixed @ classes)
            assert not torch.equal(X_mixed, X)


# -- many nets at once ----------------------------------------------------------------------------


def make_searches(name: str, fused: list[float], grid: list[float], skorch: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "measure": f"search {name}",
            f"fit_time_s {FUSED}": fused,
            f"fit_time_s {FUSED_ALONE}": 1.0,
            f"fit_time_s {NUMBA}": 0.5,
            f"fit_time_s {NUMBA_ALONE}": 0.75,
            f"fit_time_s {GRID}": grid,
            f"fit_time_s {GRID_ALONE}": 3.0,
            f"fit_time_s {SKORCH}": skorch,
            "largest_difference": 0.001,
            "n_rows": 150,
            "n_features": 4,
        }
    )


@pytest.mark.parametrize(("grid", "mean", "met"), [(6.3, "5.0", "pass"), (6.0, "4.9", "FAIL")])
def test_searches_are_judged_by_the_geometric_mean_of_the_tables(grid, mean, met):
    # Within the rounds of Iris: 4, 4, 40.
    iris = make_searches("iris", [1.0, 10.0, 1.0], [4.0, 40.0, 40.0], skorch=8.0)
    abalone = make_searches("abalone", [1.0], [grid], skorch=2.0)
    times, ratios = search_tables(pd.concat([iris, abalone]))
    assert times["rounds"].tolist() == ["3", "1"]
    assert times[f"{GRID} (s)"].tolist() == ["40.00", f"{grid:.2f}"]
    ratios = ratios.set_index("search")
    measured = ratios.iloc[:3]
    assert measured[f"over {GRID}"].tolist()[::2] == ["4.0", mean]
    assert measured[f"over {GRID_ALONE}"].tolist() == ["3.0"] * 3
    assert measured[f"over {SKORCH}"].tolist() == ["8.0", "2.0", "4.0"]
    assert measured["numba over skorch, 2 jobs"].tolist() == ["16.0", "4.0", "8.0"]
    assert measured["numba, 2 jobs over 1"].tolist() == ["1.5"] * 3
    assert ratios["met"].tolist() == ["", "", "", met, "pass"]


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_search_with_other_scores_is_an_error_only_without_dropout(monkeypatch, dropout):
    def pretend(search, X, y):
        (dropouts,) = (values for name, values in search.param_grid.items() if "dropout" in name)
        scores = np.full(len(dropouts), 0.5)
        if isinstance(search, FusedGridSearchCV):
            scores[np.equal(dropouts, dropout)] -= 0.1
        search.cv_results_ = {
            "param_net__dropout": np.ma.array(dropouts, dtype=object),
            "mean_test_score": scores,
        }
        return 1.0

    monkeypatch.setattr(search, "_time", pretend)

    def time_it():
        return time_search_round("iris", SCALES["small"], turn=1, device="cpu", data_home=None)

    if dropout:
        assert time_it()["largest_difference"] == 0
    else:
        with pytest.raises(RuntimeError, match=r"iris differ by up to 0\.1000"):
            time_it()


def test_nets_that_were_not_timed_one_by_one_leave_a_gap():
    runs = [
        {"measure": "nets iris", "fit_time_s fused 1": 1.0, "fit_time_s fused 2": 1.0}
        | {"fit_time_s fused 5": fused, "fit_time_s one by one 1": 1.0}
        | {"fit_time_s one by one 2": 2.0}
        for fused in (1.0, 2.0)
    ]
    seconds = count_seconds(pd.DataFrame(runs), SCALES["smoke"])
    assert seconds["iris"]["fused"].tolist() == [1.0, 1.0, 1.5]
    table = count_table(seconds).set_index("nets")
    assert table["Iris, one by one (s)"].tolist() == ["1.00", "2.00", ""]
    assert table["Iris, ratio"].tolist() == ["1.0", "2.0", ""]


def test_skorchs_net_has_alpha_for_a_parameter(monkeypatch):
    drawn = []
    monkeypatch.setattr(np.random, "beta", lambda a, b: drawn.append((a, b)) or 0.5)
    X, y = np.zeros((32, 3), np.float32), np.arange(32) % 2
    net = make_skorch(X, y, max_epochs=1, device="cpu", alpha=0.7)
    assert net.get_params()["alpha"] == 0.7
    net.fit(X, y)
    assert drawn == [(0.7, 0.7)] * 2
    net.set_params(alpha=0.0).fit(X, y)
    assert len(drawn) == 2
