"""Figure 3: errors after each epoch, honest sentences, the plan, and runs that go on."""

import os
import re
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks import _picture_figures as figures
from benchmarks import _picture_report as report
from benchmarks import cifar
from benchmarks.__main__ import main
from benchmarks._nets import training as picture_runs
from benchmarks._nets.pictures import count_errors, make_network, name_network
from benchmarks._nets.recipes import CIFAR_RECIPES, PictureRecipe
from benchmarks._nets.training import TestErrors
from benchmarks._picture_report import FIGURE_3_ERRORS
from benchmarks._picture_runs import compute_cost
from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import DenseNetBC, PreActResNet18, WideResNet
from tests.picture_rows import read_plan, runs_of

# -- errors ---------------------------------------------------------------------------------------


def test_the_second_best_counts_among_the_two_best_only():
    logits = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [2.0, 1.0, 3.0], [1.0, 3.0, 2.0]])
    y = torch.tensor([0, 1, 1, 0])
    assert [count_errors(logits, y, n_best=n) for n in (1, 2, 3, 5)] == [0.75, 0.5, 0.0, 0.0]


def test_a_row_that_is_not_finite_is_an_error():
    logits = torch.tensor([[torch.nan, 0.0], [torch.inf, 0.0], [1.0, 0.0]])
    assert count_errors(logits, torch.tensor([0, 0, 0]), n_best=5) == pytest.approx(2 / 3)


def fit_digits(digits, callbacks):
    X, y = digits
    X = torch.from_numpy(X[:, None].copy())
    torch.manual_seed(0)  # for the weights of a module that is passed ready-made
    clf = MixupClassifier(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10)),
        alpha=1.0,
        max_epochs=3,
        random_state=0,
        callbacks=callbacks(X, y),
        iterator_train__augment=torch.zeros_like,  # blind while it trains
    )
    return clf.fit(X[:400], y[:400]), X[400:], y[400:]


def test_errors_of_each_epoch_are_on_plain_rows_and_change_nothing(digits):
    blind, X_test, y_test = fit_digits(digits, lambda X, y: None)
    clf, _, _ = fit_digits(digits, lambda X, y: [TestErrors(X[400:], torch.tensor(y[400:]))])
    for ours, theirs in zip(clf.module_.parameters(), blind.module_.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    errors = clf.history[:, "test_error"]
    assert len(errors) == 3
    assert errors[-1] == pytest.approx((clf.predict(X_test) != y_test).mean())
    ranks = (-clf.decision_function(X_test)).argsort(1).argsort(1)[np.arange(len(y_test)), y_test]
    assert clf.history[-1, "test_top5_error"] == pytest.approx((ranks >= 5).mean())


def test_summary_has_the_median_of_the_last_ten_epochs():
    class History:
        def __getitem__(self, key):
            epochs, name = key
            values = np.arange(20.0) ** 2 if name.startswith("test_") else np.ones(20)
            return list(values) if isinstance(epochs, slice) else values[epochs]

    found = picture_runs.summarise(History())
    assert found["test_error"] == 19.0**2
    assert found["test_error_median"] == (14.0**2 + 15.0**2) / 2
    assert found["fit_time_s"] == 20.0


def test_processes_share_the_minibatch_of_the_recipe():
    hf = pytest.importorskip("skorch.hf")
    recipe = CIFAR_RECIPES["preact_resnet18"]
    make = partial(
        picture_runs.make_classifier,
        *(recipe, "preact_resnet18"),
        n_train=1000,
        n_classes=10,
        alpha=1.0,
        seed=3,
    )
    clf = make(accelerator=SimpleNamespace(num_processes=4))
    assert isinstance(clf, hf.AccelerateMixin)
    assert isinstance(clf, MixupClassifier)
    assert (clf.batch_size, make().batch_size) == (32, 128)
    assert (clf.random_state, clf.lr, clf.max_epochs) == (3, 0.1, 200)


# -- reports --------------------------------------------------------------------------------------

TWO = {(0.0, 5): [0.30, 0.40, 0.50], (1.0, 5): [0.20, 0.33, 0.40]}


def test_difference_is_paired_by_seed():
    row = report.compare(runs_of(TWO)).iloc[0]
    assert row.difference_test_error == pytest.approx(-0.09)
    # Differences -0.10, -0.07, -0.10; the errors themselves vary by ten points.
    assert row.difference_test_error_se == pytest.approx(
        np.std([10, 7, 10], ddof=1) / 300**0.5 / 10
    )
    table = report.errors_table(report.compare(runs_of(TWO)))
    assert table.loc[0, "difference"] == "-9.00 ± 1.00"
    assert table.loc[0, "mixup"] == "31.0 ± 5.9"
    assert table.loc[0, "mixup, med."] == "32.0 ± 5.9"
    assert (table.loc[0, "paper ERM"], table.loc[0, "paper mixup"]) == ("5.6", "4.2")


def test_pairs_are_of_one_seed_whatever_the_order():
    runs = runs_of({(0.0, 5): [0.3, 0.4], (1.0, 5): [0.4, 0.3]})
    for rows in (runs, runs.iloc[::-1]):
        row = report.compare(rows).iloc[0]
        assert row.difference_test_error == pytest.approx(0)
        assert row.difference_test_error_se == pytest.approx(0.1)  # +0.1 and -0.1


def test_a_seed_without_its_pair_is_an_error():
    with pytest.raises(ValueError, match="Each seed must have a run with alpha=0"):
        report.compare(runs_of(TWO).iloc[:-1])


def test_sentence_counts_both_ways():
    worse = {place: [1 - error for error in errors] for place, errors in TWO.items()}
    runs = pd.concat(
        [runs_of(TWO), runs_of(worse, network="WideResNet-10-1", family="wide_resnet")]
    )
    (sentence,) = report.conclude(report.compare(runs))
    assert "lower mean test error than ERM for 1 of 2 networks (PreAct ResNet-18)" in sentence
    assert "higher one for 1 (WideResNet-10-1)" in sentence
    assert sentence.endswith("apart: PreAct ResNet-18; WideResNet-10-1.")
    assert sentence.startswith("CIFAR-10 subset, 5 epochs")


@pytest.mark.parametrize(
    ("mixup", "expected"),
    [
        ([0.6, 0.29, 0.1], "lower mean test error from 20 epochs on"),
        ([0.4, 0.35, 0.1], "lower mean test error from 40 epochs on"),  # a win that did not last
        ([0.4, 0.35, 0.4], "did not win"),
        ([0.4, 0.2, 0.1], "from 10 epochs on, by more than two standard errors from 20 epochs on"),
    ],
)
def test_budget_from_which_mixup_wins(mixup, expected):
    erm = (0.41, 0.3, 0.2)
    errors = {}
    for epochs, ours, theirs in zip((10, 20, 40), mixup, erm, strict=True):
        errors[0.0, epochs] = [theirs, theirs, theirs]
        errors[1.0, epochs] = [ours - 0.02, ours, ours + 0.02]
    (sentence,) = report.conclude_budget(report.compare(runs_of(errors)))
    assert expected in sentence


def test_figures_are_drawn_for_every_mixture_of_runs(tmp_path):
    runs = runs_of({**TWO, (0.4, 5): [0.2, 0.3, 0.4]})
    other = runs_of({(0.0, 5): [0.3]}, network="DenseNet-BC-10 (k = 4)", data="cifar100")
    figures.plot_curves(pd.concat([runs, other.assign(network="PreAct ResNet-18")]), tmp_path / "a")
    figures.plot_losses(pd.concat([runs, other]), tmp_path / "b")
    figures.plot_budget(runs, report.compare(runs), tmp_path / "c")
    for name in "abc":
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


# -- the plan -------------------------------------------------------------------------------------


def test_cost_of_one_layer_by_hand():
    recipe = PictureRecipe(1.0, max_epochs=3, batch_size=8, lr=0.1, drops=())

    def make():
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 10), nn.BatchNorm1d(10))

    cost = compute_cost(recipe, make, shape=(3, 4, 4), n_train=17, n_resident=20)
    assert cost.n_parameters == 48 * 10 + 10 + 2 * 10
    # Parameters, gradients, momenta; running mean and variance, and the count of minibatches.
    assert cost.state_bytes == 3 * 4 * cost.n_parameters + 2 * 10 * 4 + 8
    assert cost.data_bytes == 20 * (48 * 4 + 8)
    assert cost.n_steps == 3 * 3
    # Of each row: picture, output of the layer, log-softmax, label. Of all: the statistics of the
    # minibatch, and the sum of weights.
    rows = 8 * (48 * 4 + 10 * 4 + 10 * 4 + 8)
    assert cost.activation_bytes == rows + 2 * 10 * 4 + 4


def test_a_tensor_and_a_view_of_it_count_once():
    recipe = PictureRecipe(1.0, max_epochs=1, batch_size=8, lr=0.1, drops=())

    def make():
        return nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10))

    cost = compute_cost(recipe, make, shape=(3, 4, 4), n_train=8)
    # Picture, rectified maps, log-softmax and label of each row; the sum of weights.
    assert cost.activation_bytes == 8 * (48 * 4 + 32 * 4 + 10 * 4 + 8) + 4


@pytest.mark.parametrize("family", list(CIFAR_RECIPES))
def test_activations_are_what_a_real_forward_pass_keeps(family):
    make = partial(make_network, family, **cifar._SMOKE_SIZES[family])
    recipe = PictureRecipe(1.0, max_epochs=1, batch_size=4, lr=0.1, drops=())
    module, kept = make(), {}
    own = {p.data_ptr() for p in (*module.parameters(), *module.buffers())}

    def keep(tensor):
        if tensor.data_ptr() not in own and tensor.numel():
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        nn.functional.cross_entropy(module(torch.zeros(4, 3, 16, 16)), torch.zeros(4).long())
    expected = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    cost = compute_cost(recipe, make, shape=(3, 16, 16), n_train=4)
    assert cost.activation_bytes == pytest.approx(expected, rel=0.01)


def test_dry_run_of_the_paper_needs_no_data_and_tells_the_truth(tmp_path, capsys):
    arguments = ["cifar", "--scale", "paper", "--dry-run", "--data-home", str(tmp_path)]
    main([*arguments, "--seeds", "3", "--data", "cifar100", "--out", str(tmp_path / "out")])
    told = capsys.readouterr().out
    rows = {row["network"]: row for row in read_plan(told)}
    with torch.device("meta"):
        modules = {
            "PreAct ResNet-18": PreActResNet18(100, 64),
            "WideResNet-28-10": WideResNet(100, 28, 10),
            "DenseNet-BC-190 (k = 40)": DenseNetBC(100, 190, 40),
        }
    assert rows.keys() == modules.keys()
    for name, module in modules.items():
        n_parameters = sum(p.numel() for p in module.parameters())
        assert rows[name]["parameters"] == f"{n_parameters:,}"
        assert rows[name]["steps a run"] == "78,200"  # 200 x ceil(50,000 / 128)
        assert rows[name]["runs"] == "6"
        assert rows[name]["data, MB"] == f"{60_000 * (3 * 32 * 32 * 4 + 8) / 1e6:,.0f}"
    assert "18 runs, 1,407,600 steps" in told
    assert list((tmp_path / "out").iterdir()) == []


def test_names_tell_the_size():
    assert name_network("preact_resnet18", {"width": 64}) == "PreAct ResNet-18"
    assert name_network("densenet_bc", {"depth": 22, "growth_rate": 8}) == "DenseNet-BC-22 (k = 8)"
    assert {family for _, family, _ in FIGURE_3_ERRORS} == set(CIFAR_RECIPES)


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("smoke")
    arguments = ["cifar", "--scale", "smoke", "--device", "cpu", "--out", str(folder)]
    main([*arguments, "--parts", "errors", "budget"])
    return folder, arguments


def test_command_leaves_rows_pages_and_figures(smoke):
    folder, _ = smoke
    names = {path.name for path in folder.iterdir() if path.suffix != ".json"}
    stems = ("cifar", "cifar_budget")
    assert names == {"cifar.csv", *(f"{s}.md" for s in stems), *(f"{s}.png" for s in stems)}
    runs = pd.read_csv(folder / "cifar.csv")
    # Three networks and two methods; of the budgets 1 and 2 the latter is among them.
    assert len(runs) == 3 * 2 + 2
    assert set(runs["method"]) == {"ERM", "mixup"}
    assert (runs["data_name"] == "digits of scikit-learn").all()
    page = (folder / "cifar.md").read_text(encoding="utf-8")
    for part in ("| digits", "cifar.png", "digits of scikit-learn", "Nothing was chosen"):
        assert part in page


def test_a_deleted_row_alone_is_done_again_and_comes_out_the_same(smoke, monkeypatch):
    folder, arguments = smoke
    before = pd.read_csv(folder / "cifar.csv")
    lines = (folder / "cifar.csv").read_text().splitlines(keepends=True)
    (folder / "cifar.csv").write_text("".join(lines[:3] + lines[4:]))
    done, run_one = [], cifar.run_one
    monkeypatch.setattr(
        cifar, "run_one", lambda *args, **kwargs: done.append(args) or run_one(*args, **kwargs)
    )
    main(arguments)
    assert len(done) == 1
    after = pd.read_csv(folder / "cifar.csv")
    key = list(cifar._KEY)
    results = [*key, "test_curve", "loss_curve"]
    pd.testing.assert_frame_equal(
        before[results].sort_values(key, ignore_index=True),
        after[results].sort_values(key, ignore_index=True),
    )


def test_a_killed_run_goes_on_in_its_middle(smoke, tmp_path, monkeypatch):
    folder, _ = smoke
    arguments = ["cifar", "--scale", "smoke", "--networks", "preact_resnet18", "--device", "cpu"]
    arguments += ["--out", str(tmp_path)]
    measure, n_epochs = TestErrors.on_epoch_end, []

    def measure_or_die(self, net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt
        n_epochs.append(len(net.history))
        measure(self, net, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(TestErrors, "on_epoch_end", measure_or_die)
        with pytest.raises(KeyboardInterrupt):
            main(arguments)
    assert len(os.listdir(tmp_path / "cifar_checkpoints")) == 1

    def measure_and_count(self, net, **kwargs):
        n_epochs.append(len(net.history))
        measure(self, net, **kwargs)

    monkeypatch.setattr(TestErrors, "on_epoch_end", measure_and_count)
    main(arguments)
    assert n_epochs == [1, 2, 1, 2]  # ERM's second epoch alone, then mixup
    assert not (tmp_path / "cifar_checkpoints").exists()
    key = ["network", "alpha", "max_epochs"]
    whole, ours = (pd.read_csv(f / "cifar.csv").set_index(key) for f in (folder, tmp_path))
    for place, row in ours.iterrows():
        assert row["test_curve"] == whole.loc[place, "test_curve"]
        assert row["loss_curve"] == whole.loc[place, "loss_curve"]


def test_missing_data_are_named(tmp_path):
    with pytest.raises(SystemExit, match="cifar10") as error:
        main(["cifar", "--data-home", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "--download" in str(error.value)


@pytest.mark.parametrize("option", [["--networks", "vgg"], ["--data", "mnist"], ["--seeds", "0"]])
def test_bad_options_are_refused(option, capsys):
    with pytest.raises(SystemExit):
        main(["cifar", *option])
    assert option[0] in capsys.readouterr().err


# From PAPER.md, as it stands there.
FIGURE_3 = """cifar10 preact_resnet18 5.6 -> 4.2, wide_resnet 3.8 -> 2.7, densenet_bc 3.7 -> 2.7;
cifar100 preact_resnet18 25.6 -> 21.1, wide_resnet 19.4 -> 17.5, densenet_bc 19.0 -> 16.8"""


def test_published_errors_are_those_of_figure_3():
    data, found = "", {}
    for entry in re.findall(r"(cifar\d+ )?(\w+) ([\d.]+) -> ([\d.]+)", FIGURE_3):
        data = entry[0].strip() or data
        for alpha, error in zip((0.0, 1.0), entry[2:], strict=True):
            found[data, entry[1], alpha] = float(error) / 100
    assert len(found) == 12
    for place, error in FIGURE_3_ERRORS.items():
        assert error == pytest.approx(found[place]), place
