"""Figure 4: splits by speaker, what is mixed, and honest sentences."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks.__main__ import main
from benchmarks._data.spoken import Source, load_speech, split_clips
from benchmarks._nets.spectrograms import to_waveforms
from benchmarks._nets.speech import SPEECH_RECIPE, SPEECH_SIZES
from benchmarks.speech.figures import plot_errors
from benchmarks.speech.recipes import FIGURE_4_ERRORS
from benchmarks.speech.report import (
    compare,
    compare_mixes,
    conclude,
    conclude_mixes,
    errors_table,
)
from benchmarks.speech.runs import MIXES, Scale, list_tasks, train
from sklearn_mixup import MixupClassifier
from tests.real_data import DATA_HOME, find_or_skip

TONES = Source("tones")

# -- data -----------------------------------------------------------------------------------------


def test_random_split_is_by_speaker():
    tones = load_speech(TONES)
    seen = []
    for seed in (0, 0, 1):
        rows = split_clips(tones, seed)
        assert sorted(np.concatenate(list(rows.values()))) == list(range(200))
        speakers = [set(tones.speakers[row]) for row in rows.values()]
        assert [len(group) for group in speakers] == [14, 3, 3]
        assert set.union(*speakers) == set(tones.speakers)
        seen.append(rows["testing"].tolist())
    assert seen[0] == seen[1] != seen[2]


def test_published_split_is_taken_as_it_is():
    split = np.array(["testing", "training", "validation", "training"])
    data = SimpleNamespace(split=split, has_parts=True, name="four clips")
    for seed in (0, 1):
        rows = split_clips(data, seed)
        assert {part: row.tolist() for part, row in rows.items()} == {
            "training": [1, 3],
            "validation": [2],
            "testing": [0],
        }
    data.split = split[:2]
    with pytest.raises(ValueError, match="of four clips none are for validation"):
        split_clips(data, 0)


def test_small_scale_prefers_the_subset():
    find_or_skip("speech/speech_subset.npz")
    found = load_speech(Source("speech_commands", str(DATA_HOME), n_clips=90))
    assert found.name.endswith("159 speakers, 90 clips of them")
    assert not found.has_parts
    assert found.waveforms.shape == (90, 16_000)
    assert len(set(found.target)) == 10
    assert to_waveforms(torch.from_numpy(found.waveforms)).abs().max() <= 1


# -- training -------------------------------------------------------------------------------------


def test_recipe_is_the_papers(digits):
    assert SPEECH_SIZES == {"lenet": {"width": 20}, "vgg11": {"width": 64}}
    X, y = (part[:300] for part in digits)
    params = SPEECH_RECIPE.params()
    clf = MixupClassifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), **params).fit(X, y)
    rates = [*[3e-3] * 10, *[3e-4] * 10, *[3e-5] * 10]
    assert clf.history[:, "event_lr"] == pytest.approx(rates)
    assert clf.history[:, "train_batch_count"] == [3] * 30
    assert clf.erm_epochs == 5
    short = SPEECH_RECIPE.shortened(15)
    assert (short.drop_every, short.erm_epochs, short.lr) == (5, 2, 3e-3)


def run_tones(mix, alpha, **changes):
    recipe = replace(SPEECH_RECIPE, max_epochs=3, batch_size=30, erm_epochs=0, **changes)
    source = replace(TONES, n_clips=60)
    return train(source, "lenet", {"width": 2}, recipe, mix, alpha, 0, device="cpu")


def losses(row):
    return np.array(json.loads(row["loss_curve"]))


def test_erm_is_the_same_on_waveforms_and_on_spectrograms_and_mixup_is_not():
    plain, *ways = (run_tones(mix, 0.0) for mix in ("nothing", "spectrograms", "waveforms"))
    for row in ways:
        assert losses(row) == pytest.approx(losses(plain), rel=1e-4)
        assert row["testing_error"] == plain["testing_error"]
    spectrograms, waveforms = (run_tones(mix, 1.0) for mix in ("spectrograms", "waveforms"))
    assert abs(losses(spectrograms) - losses(waveforms)).max() > 0.01
    assert abs(losses(spectrograms) - losses(plain)).max() > 0.01


def test_an_interrupted_fit_is_no_finished_run(monkeypatch):
    def stop(self, *args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(MixupClassifier, "validation_step", stop)
    with pytest.raises(KeyboardInterrupt):
        run_tones("nothing", 0.0)


def test_the_network_learns_tones_of_other_speakers():
    recipe = replace(SPEECH_RECIPE.shortened(6), batch_size=20)
    row = train(TONES, "lenet", {"width": 4}, recipe, "waveforms", 0.2, 0, device="cpu")
    assert row["testing_error"] < 0.3  # by chance 0.9
    assert row["validation_error"] == pytest.approx(
        json.loads(row["validation_curve"])[-1], abs=1e-6
    )


# -- reports --------------------------------------------------------------------------------------


def runs_of(errors, *, split="random", family="vgg11", network="VGG-11 (width 8)"):
    """Make rows of finished runs: ``errors[mix, alpha]`` has a test error for each seed."""
    return pd.DataFrame(
        [
            {
                "data_name": "Speech Commands subset",
                "network": network,
                "family": family,
                "max_epochs": 30,
                "split": split,
                "mix": mix,
                "alpha": alpha,
                "seed": seed,
                "testing_error": error,
                "validation_error": error + 0.01,
                "n_training": 700,
                "n_validation": 150,
                "n_testing": 150,
                "fit_time_s": 60.0,
            }
            for (mix, alpha), by_seed in errors.items()
            for seed, error in enumerate(by_seed)
        ]
    )


ERRORS = {
    ("nothing", 0.0): [0.30, 0.40, 0.50],
    ("spectrograms", 0.1): [0.28, 0.37, 0.48],
    ("spectrograms", 0.2): [0.35, 0.41, 0.50],
    ("waveforms", 0.2): [0.30, 0.37, 0.47],
}


def test_differences_are_paired_by_seed_and_allow_for_shared_clips():
    runs = runs_of(ERRORS)
    for rows in (runs, runs.iloc[::-1], runs.sample(frac=1, random_state=0)):
        by_way = compare(rows).set_index(["mix", "alpha"])
        row = by_way.loc[("spectrograms", 0.1)]
        assert row.difference == pytest.approx(-0.07 / 3)
        spread = np.std([2, 3, 2], ddof=1) / 100
        assert row.difference_se == pytest.approx(spread / 3**0.5)
        assert row.testing_error == pytest.approx(1.13 / 3)
        assert row.testing_error_se == pytest.approx(np.std([28, 37, 48], ddof=1) / 100 / 3**0.5)
        assert row.validation_error == pytest.approx(1.13 / 3 + 0.01)
        # Nadeau and Bengio: 1 / n + n_test / n_train in the place of 1 / n. With two degrees of
        # freedom Student's t has p = 1 - |t| / sqrt(2 + t^2).
        for split, share in (("random", 1 / 3 + 150 / 700), ("published", 1 / 3)):
            t = row.difference / (spread * share**0.5)
            found = compare(runs_of(ERRORS, split=split)).set_index(["mix", "alpha"])
            expected = 1 - abs(t) / (2 + t**2) ** 0.5
            assert found.loc[("spectrograms", 0.1), "p_value"] == pytest.approx(expected)
        assert np.isnan(by_way.loc[("nothing", 0.0), "difference"])


def test_a_seed_without_its_pair_is_an_error():
    with pytest.raises(ValueError, match="Each seed must have a run for each method, ERM"):
        compare(runs_of(ERRORS).iloc[:-1])


def test_sentences_say_both_ways_and_what_the_paper_has():
    on_spectrograms, on_waveforms = conclude(compare(runs_of(ERRORS)))
    assert "alpha = 0.1: mixup ahead (-2.33 ± 0.33 points, p = " in on_spectrograms
    assert "alpha = 0.2: mixup behind (+2.00 ± 1.53 points, p = " in on_spectrograms
    assert "The paper has alpha = 0.1: mixup ahead; alpha = 0.2: mixup ahead." in on_spectrograms
    assert on_spectrograms.endswith("goes against it: 0.2.")
    assert on_waveforms.startswith("VGG-11 (width 8), mixed on waveforms, 30 epochs.")
    assert "The paper" not in on_waveforms
    lenet = conclude(compare(runs_of(ERRORS, family="lenet", network="LeNet")))
    assert lenet[0].endswith("goes against it: 0.1.")  # where the paper has mixup behind
    (mixes,) = conclude_mixes(compare_mixes(runs_of(ERRORS)))
    assert "VGG-11 (width 8), alpha = 0.2: ahead (-4.00 ± 0.58 points, p = " in mixes
    assert "Of 1 differences" in mixes


def test_tables_stand_beside_the_papers():
    table = errors_table(compare(runs_of(ERRORS)))
    assert table["method"].tolist() == [
        "ERM",
        "mixup 0.1, spectrograms",
        "mixup 0.2, spectrograms",
        "mixup 0.2, waveforms",
    ]
    assert table["paper test"].tolist() == ["4.6", "3.8", "3.4", ""]
    assert table["paper validation"].tolist() == ["5.0", "4.0", "3.9", ""]
    assert table.loc[0, "test"] == "40.0 ± 5.8"
    assert table.loc[0, "test - ERM's"] == table.loc[0, "p"] == ""
    assert {family for family, _ in FIGURE_4_ERRORS} == set(SPEECH_SIZES)


def test_every_way_to_train_is_drawn_on_a_line_of_its_own():
    (ax,) = plot_errors(compare(runs_of(ERRORS))).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "ERM",
        "mixup 0.1\nspectrograms",
        "mixup 0.2\nspectrograms",
        "mixup 0.2\nwaveforms",
    ]


# -- the plan and the smoke run ------------------------------------------------------------------


def test_plan_has_erm_once_for_both_ways_to_mix():
    scale = Scale(2, SPEECH_SIZES, MIXES)
    tasks = list_tasks(TONES, scale, alphas=(0.1, 0.2), device="cpu", versions={})
    assert len(tasks) == 2 * 2 * (1 + 2 * 2)
    ways = [(task.key["mix"], task.key["alpha"]) for task in tasks[:5]]
    assert ways == [("nothing", 0.0), *((mix, alpha) for mix in MIXES for alpha in (0.1, 0.2))]
    assert [task.key["seed"] for task in tasks] == [0] * 10 + [1] * 10
    assert {task.key["max_epochs"] for task in tasks} == {30}


def test_smoke_run_without_speech_is_of_tones_and_says_so(smoke_of):
    runs = pd.read_csv(smoke_of("speech") / "speech.csv")
    assert len(runs) == 2 * 5
    assert set(runs["data_name"]) == {"200 generated tones (no speech), 120 clips of them"}
    assert runs["testing_error"].between(0, 1).all()
    # As many losses as epochs, and another training for each way to mix. The two that are mixed at
    # alpha 0.1 may differ by less than is written down: lam is next to 0 or 1 then.
    assert runs["loss_curve"].map(json.loads).map(len).eq(2).all()
    assert runs.loc[runs["alpha"] != 0.1, "loss_curve"].nunique() == 6
    page = (smoke_of("speech") / "speech.md").read_text()
    for text in ("no speech", "LeNet (width 2)", "mixup 0.2, waveforms", "paper test"):
        assert text in page


def test_options_choose_among_runs_that_are_there(smoke_of, tmp_path, monkeypatch, capsys):
    shutil.copy(smoke_of("speech") / "speech.csv", tmp_path)
    monkeypatch.setattr(MixupClassifier, "fit", lambda *args: pytest.fail("done again"))
    words = ["--scale", "smoke", "--device", "cpu", "--out", str(tmp_path)]
    words += ["--data-home", str(tmp_path)]
    main(["speech", *words, "--networks", "lenet", "--mix", "waveforms"])
    told = capsys.readouterr().out
    assert "mixed on waveforms" in told
    assert "mixed on spectrograms" not in told


def test_missing_data_are_named(tmp_path):
    with pytest.raises(SystemExit, match="speech_commands_v0") as error:
        main(["speech", "--data-home", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "--download" in str(error.value)
