"""The speed benchmark runs and computes its ratios right; how fast anything is, is not tested."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.__main__ import main
from benchmarks._speed_gan import SETTINGS, gan_table
from benchmarks.speed import compute_ratios, load_rows, memory_table, time_table


def make_rounds(**seconds: list[float]) -> pd.DataFrame:
    names = {"bare_loop": "bare loop", "scikit_learn": "scikit-learn"}
    return pd.DataFrame({f"fit_time_s {names.get(k, k)}": v for k, v in seconds.items()})


def test_smoke_leaves_a_table_a_page_and_a_figure(tmp_path, capsys):
    main(["speed", "--scale", "smoke", "--data-home", str(tmp_path), "--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"speed.{ext}" for ext in ("csv", "md", "png")
    ]
    runs = pd.read_csv(tmp_path / "speed.csv").set_index("measure")
    names = ("mixup", "ERM", "bare loop", "skorch", "scikit-learn")
    assert (runs.loc["time", [f"fit_time_s {name}" for name in names]] > 0).all()
    assert runs.loc["memory", "data_mib"] == 16
    assert runs.loc["memory", "peak_mib"] > 0
    told = capsys.readouterr().out
    assert "random numbers in the shape of Abalone" in told
    assert told.count("<= ") == 6  # three ratios, those of two GANs, and the memory
    gans = [f"fit_time_s {name} {who}" for name in SETTINGS for who in ("MixupGAN", "bare loop")]
    assert (runs.loc["GAN", gans] > 0).all()
    assert "bare loop" in (tmp_path / "speed.md").read_text(encoding="utf-8")


def test_ratio_is_the_median_of_the_ratios_within_a_round():
    # The second round was slow for all; the ratio of the medians would be 0.5 as well for skorch,
    # but 2 for scikit-learn.
    rounds = make_rounds(
        mixup=[1.0, 10.0, 2.0],
        ERM=[1.0, 10.0, 2.0],
        bare_loop=[2.0, 10.0, 2.0],
        skorch=[2.0, 20.0, 4.0],
        scikit_learn=[1.0, 40.0, 1.0],
    )
    ratios = compute_ratios(rounds).set_index("other")
    assert ratios["ratio"].to_dict() == {
        "ERM": 1.0,
        "bare loop": 1.0,
        "skorch": 0.5,
        "scikit-learn": 1.0,
    }
    assert ratios["passes"].to_dict() == {
        "ERM": True,
        "bare loop": False,
        "skorch": True,
        "scikit-learn": True,
    }
    table = time_table(rounds, compute_ratios(rounds), max_epochs=10).set_index("fit")
    assert table["met"].to_dict() == {
        "mixup": "",
        "ERM": "pass",
        "bare loop": "FAIL",
        "skorch": "pass",
        "scikit-learn": "",
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
