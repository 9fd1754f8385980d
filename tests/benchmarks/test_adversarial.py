"""Table 3: who attacks whom, nets trained once, honest sentences, and the paper's own settings."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks import adversarial
from benchmarks.__main__ import main
from benchmarks._data.imagenet import write_digits
from benchmarks._data.pictures import PictureSet, find_in_memory
from benchmarks._lab import pictures as pictures_as_runs
from benchmarks._lab.runs import environment
from benchmarks._nets import recipes
from benchmarks.adversarial import EXPERIMENT, digits, pictures, report
from benchmarks.adversarial.attacks import (
    ATTACKS,
    BOXES,
    column,
    measure_attacks,
    unit_of,
)
from benchmarks.adversarial.recipes import TABLE_3_ERRORS
from sklearn_mixup.robustness import fgsm, iterative_fgsm
from tests.picture_rows import read_plan

SMOKE = ["adversarial", "--scale", "smoke", "--device", "cpu", "--parts", "pictures", "--out"]


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """Run pictures at the smoke scale, with a kill between training and attacks; give the folder.

    networks_copy.csv tells of the networks that were trained.
    """
    out = tmp_path_factory.mktemp("killed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "measure_attacks", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            main([*SMOKE, str(out)])
    (path,) = out.glob("adversarial_checkpoints/*/networks.csv")
    (out / "networks_copy.csv").write_bytes(path.read_bytes())
    main([*SMOKE, str(out), "--dry-run"])  # leaves all as it is
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures_as_runs, "fit_resumable", _train_again)
        main([*SMOKE, str(out)])
    return out


def _train_again(*args, **kwargs):
    pytest.fail("trained again")


def _interrupt(*args, **kwargs):
    raise KeyboardInterrupt


# -- the command line ---------------------------------------------------------------------------


def test_networks_are_trained_once_kept_over_a_kill_and_attacked_as_trained(killed):
    trained = pd.read_csv(killed / "networks_copy.csv")
    pairs = list(zip(trained["alpha"], trained["seed"], strict=True))
    assert pairs == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]  # ERM of seed 2 only attacks
    attacked = pd.read_csv(killed / "adversarial.csv")
    assert list(zip(attacked["alpha"], attacked["seed"], strict=True)) == pairs[:-1]
    assert (attacked["source_seed"] == attacked["seed"] + 1).all()
    # Read from its checkpoint, each errs as it did when it was trained.
    both = attacked.merge(trained, on=["alpha", "seed"])
    np.testing.assert_allclose(both["clean_top1"], both["test_error"], atol=1e-9)
    np.testing.assert_allclose(both["clean_top5"], both["test_top5_error"], atol=1e-9)
    assert not (killed / "adversarial_checkpoints").exists()


def test_a_fresh_run_trains_again(tmp_path, monkeypatch):
    folder = tmp_path / "adversarial_checkpoints" / "digits-2"
    folder.mkdir(parents=True)
    (folder / "stale").touch()
    monkeypatch.setattr(pictures_as_runs, "fit_resumable", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        main([*SMOKE, str(tmp_path), "--fresh"])
    assert not (folder / "stale").exists()


def test_both_parts_are_told_on_one_page(smoke_of):
    page = (smoke_of("adversarial") / "adversarial.md").read_text(encoding="utf-8")
    assert page.count("In the paper mixup is ahead in all four") == 2
    runs = pd.read_csv(smoke_of("adversarial") / "adversarial.csv")
    assert runs.groupby("network", sort=False).size().tolist() == [4, 4]
    assert runs.filter(like="top1").notna().any().all()


@pytest.mark.skipif(find_spec("timm") is None, reason="needs the extra `vision`")
def test_dry_run_of_the_paper_needs_no_data(tmp_path, capsys):
    arguments = ["adversarial", "--scale", "paper", "--dry-run", "--data-home", str(tmp_path)]
    main([*arguments, "--out", str(tmp_path / "out")])
    told = capsys.readouterr().out
    (row,) = read_plan(told)
    assert (row["network"], row["epochs"], row["runs"]) == ("ResNet-101", "90", "3")
    assert row["parameters"] == "44,549,160"
    assert "132 passes forward and backward" in told  # 3 networks, 4 eps, 1 + 10 steps
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("alpha", ["0", "-1", "nan", "inf"])
def test_mixup_has_to_mix(alpha, capsys):
    with pytest.raises(SystemExit):
        main(["adversarial", "--alpha", alpha])
    assert "must be > 0" in capsys.readouterr().err


# -- plans -----------------------------------------------------------------------------------------


def _networks(scale, of):
    """List the networks of a scale, on some pictures, and how they are trained."""
    training = pictures.choose_training(scale, of)
    options = {"device": "cpu", "versions": environment("cpu")}
    return training, pictures.list_networks(scale, training, alpha=None, **options)


def _attacks(n_seeds=2):
    """List the attacks on pictures at the smoke scale."""
    scale = replace(EXPERIMENT.scales["smoke"], n_seeds=n_seeds)
    planned = _networks(scale, find_in_memory("digits"))
    return pictures.list_attacks(scale, *planned, Path("nowhere"), device="cpu")


def test_more_seeds_keep_the_runs_that_there_are():
    few, many = _attacks(2), _attacks(5)
    known = {(tuple(task.key.values()), task.fingerprint) for task in many}
    assert {(tuple(task.key.values()), task.fingerprint) for task in few} < known
    assert len(many) == 10


def test_other_levels_are_other_runs(monkeypatch):
    before = {task.fingerprint for task in _attacks()}
    monkeypatch.setattr(pictures, "LEVELS", (4.0,))
    assert before.isdisjoint({task.fingerprint for task in _attacks()})


def test_networks_of_the_paper_are_its_own():
    imagenet = PictureSet("imagenet", "ImageNet", (3, 224, 224), 1_281_167, 50_000, 1000, None)
    _, tasks = _networks(EXPERIMENT.scales["paper"], imagenet)
    assert [(t.key["alpha"], t.key["seed"]) for t in tasks] == [(0.0, 0), (0.2, 0), (0.0, 1)]
    for task in tasks:
        assert task.key["network"] == "ResNet-101"
        assert task.settings["recipe"]["drops"] == [30, 60, 80]
        assert task.settings["pixels"] == 224
    assert pictures.LEVELS[2] == unit_of("ResNet-101")[0] == 4


@pytest.mark.skipif(find_spec("timm") is None, reason="needs the extra `vision`")
def test_folders_of_pictures_are_attacked_too(tmp_path, monkeypatch):
    # The paper's path, with a smaller network, smaller pictures, and 60 digits for ImageNet.
    recipe = recipes.IMAGENET_RECIPES["resnet50", 90].shortened(1)
    monkeypatch.setitem(recipes.IMAGENET_RECIPES, ("resnet18", 90), recipe)
    monkeypatch.setattr(pictures, "_IMAGENET_FAMILY", "resnet18")
    monkeypatch.setattr(recipes, "IMAGENET_PIXELS", 32)
    monkeypatch.setattr(pictures, "LEVELS", (4.0,))
    folders = write_digits(tmp_path / "digits", pixels=32, n_workers=0)
    monkeypatch.setattr(adversarial, "find_folders", lambda *args, **options: folders)
    arguments = ["--scale", "paper", "--epochs", "1", "--workers", "0", "--device", "cpu"]
    main(["adversarial", *arguments, "--out", str(tmp_path)])
    runs = pd.read_csv(tmp_path / "adversarial.csv")
    assert runs["alpha"].tolist() == [0.0, 0.2]
    assert (runs["n_test"] == 20).all()
    measured = runs.filter(regex=r"_top[15](@4)?$")
    assert measured.shape[1] == 10
    assert ((20 * measured) % 1 < 1e-9).all(axis=None)  # shares of 20 pictures


# -- what is measured ---------------------------------------------------------------------------


def _linear(seed):
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 6))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module.eval()


def test_errors_are_those_of_attacks_by_hand():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(100, 3, 2, 2, generator=generator)
    victims, source = {"a": _linear(1), "b": _linear(2)}, _linear(3)
    y = victims["a"](X).argmax(1)
    bounds = {4.0: (0.3, (-2.0, 2.0)), 8.0: (0.6, (-2.0, 2.0))}
    minibatches = zip(X.split(64), y.split(64), strict=True)  # the last one is short
    found = measure_attacks(victims, source, minibatches, bounds=bounds, n_bests=(1, 5))

    def error(victim, X, n_best=1):
        best = victim(X).argsort(dim=1, descending=True)[:, :n_best]
        return 1 - float((best == y[:, None]).any(1).double().mean())

    for name, victim in victims.items():
        assert found[name][column()] == pytest.approx(error(victim, X))
        for level, (eps, clip) in bounds.items():
            for attack, make in (("fgsm", fgsm), ("ifgsm", iterative_fgsm)):
                for box, maker in (("white", victim), ("black", source)):
                    made = make(maker, X, y, eps=eps, clip=clip)
                    for n_best in (1, 5):
                        told = found[name][column(box, attack, level, n_best)]
                        assert told == pytest.approx(error(victim, made, n_best))
    assert found["a"][column()] == 0 < found["a"]["black_fgsm_top1@4"]
    assert found["a"]["black_fgsm_top1@4"] < found["a"]["white_fgsm_top1@4"]


def assert_pixels_are_whole(loaded, n_levels):
    """Check that mean and std lead back to pixel values of 0 to n_levels."""
    mean, std = (np.reshape(part, (-1, 1, 1)) for part in (loaded.mean, loaded.std))
    pixels = n_levels * (std * loaded.test[0].numpy() + mean)
    np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-3)
    assert (pixels.min(), pixels.max()) == pytest.approx((0, n_levels), abs=1e-3)


def test_pictures_tell_what_they_were_standardised_with():
    assert_pixels_are_whole(find_in_memory("digits").load("cpu"), 16)
    try:
        loaded = find_in_memory("cifar10").load("cpu")
    except OSError:
        pytest.skip("CIFAR-10 is not here: let SKLEARN_MIXUP_DATA name its folder")
    assert_pixels_are_whole(loaded, 255)


def test_a_network_without_checkpoint_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="checkpoint of a finished training"):
        pictures.read_network(tmp_path, lambda: _linear(0), "cpu")


def test_digits_do_not_hang_on_what_is_left_to_do():
    scale = replace(EXPERIMENT.scales["smoke"], digits_epochs=2)
    tasks = digits.list_digits(scale, device="cpu", versions={})
    keys = [task.key for task in tasks]
    together = tasks[0].work(keys)
    alone = tasks[0].work(keys[3:])
    for name, value in together[3].items():
        if "top" in name:  # fused nets are equal to rounding, which may move a picture or two
            assert alone[0][name] == pytest.approx(value, abs=2 / 360), name
    assert together[3]["white_fgsm_top1@4"] > together[3]["clean_top1"] + 0.3
    assert together[3]["white_fgsm_top1@1"] != together[3]["black_fgsm_top1@1"]


# -- the report -----------------------------------------------------------------------------------


def make_runs(shift=0.0, noise=0.0, network="PreAct ResNet-18", top5=True) -> pd.DataFrame:
    """Runs of three seeds; under attack mixup differs from ERM by the shift."""
    rows = []
    levels = (1.0, 4.0) if network.startswith("PreAct") else (0.5, 1.0)
    for seed in (2, 0, 1):
        for alpha in (1.0, 0.0):
            row = {"data": "digits", "data_name": "D", "network": network, "max_epochs": 5}
            row |= {"seed": seed, "alpha": alpha, "n_train": 80, "n_test": 20}
            for n_best in (1, 5) if top5 else (1,):
                row[column(n_best=n_best)] = 0.1 * (seed + 1) / n_best
                for box in BOXES:
                    for attack in ATTACKS:
                        for level in levels:
                            extra = (shift + noise * (seed - 1)) * bool(alpha)
                            row[column(box, attack, level, n_best)] = (
                                0.1 * level / n_best + 0.1 * seed + extra
                            )
            rows.append(row)
    return pd.DataFrame(rows)


def test_comparison_is_paired_by_seed_whatever_the_order():
    rows = report.compare(make_runs(-0.05))
    cell = rows.query("box == 'white' and attack == 'ifgsm' and n_best == 1 and level == 4").iloc[0]
    assert (cell.erm, cell.mixup, cell.difference) == pytest.approx((0.5, 0.45, -0.05))
    # Seeds differ by 0.1, and the difference not at all: it is that of pairs.
    assert cell.erm_se == pytest.approx(0.1 / np.sqrt(3))
    assert cell.difference_se == pytest.approx(0, abs=1e-12)
    assert (cell.n_lower, cell.n_seeds, cell.p_corrected) == (3, 3, 0.0)
    assert len(rows) == 2 + 2 * 2 * 2 * 2  # none; box, attack, n_best, level


def test_random_splits_are_held_for_less_sure_than_seeds():
    seeds, splits = (
        report.compare(make_runs(-0.05, 0.02, network)).query("level == 1 and n_best == 1")
        for network in ("PreAct ResNet-18", "MLP 2 x 128")
    )
    assert (splits["p_corrected"].to_numpy() > 1.2 * seeds["p_corrected"].to_numpy()).all()


def test_a_seed_without_its_partner_is_an_error():
    with pytest.raises(ValueError, match="Each seed must have a run for each alpha, 0, 1 among"):
        report.compare(make_runs().iloc[:-1])


def test_result_is_told_whichever_way_it_falls():
    (ahead,) = report.conclude(report.compare(make_runs(-0.05)))
    assert "is ahead of ERM in FGSM white box (-5.00" in ahead
    assert "behind" not in ahead
    (behind,) = report.conclude(report.compare(make_runs(0.05)))
    assert "is behind ERM in FGSM white box (+5.00" in behind
    assert "ahead of ERM in" not in behind
    (unclear,) = report.conclude(report.compare(make_runs(-0.01, 0.05)))
    assert "is not told apart from it (p >= 0.05) in FGSM white box (-1.00" in unclear
    assert "at eps = 4 of 255" in ahead


def test_table_has_the_papers_numbers_beside_ours():
    table = report.table_3(report.compare(make_runs(-0.05)))
    head = table.query("box == 'white' and attack == 'I-FGSM' and error == 'top-5'").iloc[0]
    assert (head["paper ERM"], head["paper mixup"], head["eps"]) == ("93.4", "95.8", "4/255")
    assert table.query("box == 'black' and attack == 'FGSM'")["paper mixup"].tolist() == [
        "46.0",
        "17.4",
    ]
    assert table["attack"].tolist()[:2] == ["none", "none"]
    assert (table.query("box == ''")["paper ERM"] == "").all()
    digits = report.table_3(report.compare(make_runs(network="MLP 2 x 128", top5=False)))
    assert (digits["paper ERM"] == "").all()
    assert set(digits["error"]) == {"top-1"}
    assert set(digits["eps"]) == {"0", "1/16"}


def test_paper_has_mixup_ahead_but_for_one_cell():
    behind = [cell for cell, (erm, mixup) in TABLE_3_ERRORS.items() if mixup > erm]
    assert behind == [("white", "ifgsm", 5)]
    assert len(TABLE_3_ERRORS) == 8


def test_curves_have_each_level_of_their_own_network():
    runs = pd.concat([make_runs(), make_runs(network="MLP 2 x 128", top5=False)])
    table = report.curves_table(report.compare(runs))
    assert table["eps"].drop_duplicates().tolist() == ["1/255", "4/255", "0.5/16", "1/16"]
    assert len(table) == 2 * 4 * 2
