"""A fit that is killed and started again ends as if nobody had killed it."""

import copy
import json
import os
import pickle
import random
import re
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, EpochScoring, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn
from torch.optim import SGD, lr_scheduler
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from sklearn_mixup import MixupGAN
from sklearn_mixup._checkpoint import load_checkpoint, save_checkpoint
from sklearn_mixup.callbacks import LRDecay, Resume
from sklearn_mixup.modules import PreActResNet18
from sklearn_mixup.vicinities import mixup
from tests.recording import HostReads
from tests.resumed_fit import POINTS, REMADE, Epochs, Kill, Killed, build, build_remade, digits

N_EPOCHS = 12  # of the fits that are killed for real


def lasting(history):
    """Get what a history holds but for the seconds that epochs took."""
    return [{name: value for name, value in row.items() if name != "dur"} for row in history]


def assert_same_parts(a, b, where):
    """Compare what may be made of dicts, lists and tensors, to the bit."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, where
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same_parts(a[key], b[key], f"{where}, {key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (first, second) in enumerate(zip(a, b, strict=True)):
            assert_same_parts(first, second, f"{where}, {i}")
    elif a is not None:
        np.testing.assert_array_equal(a, b, err_msg=where)


def assert_same_net(a, b):
    """Compare all that a training leaves in a net."""
    for part in ("module_", "criterion_", "optimizer_"):
        assert_same_parts(getattr(a, part).state_dict(), getattr(b, part).state_dict(), part)
    assert_same_parts(lasting(a.history), lasting(b.history), "history")


def fit_in_pieces(make, folder, X, y, kills, every_n_epochs=1, first=False, **fit_params):
    """Fit, be killed in some epochs, start again; return the net that came to an end."""
    last = 0
    for kill in [*kills, None]:
        epochs, resume = Epochs(), Resume(folder, every_n_epochs)
        stops = [] if kill is None else [kill if isinstance(kill, Kill) else Kill(kill)]
        clf = make(epochs, *stops)
        clf.callbacks = [resume, *clf.callbacks] if first else [*clf.callbacks, resume]
        if kill is None:
            clf.fit(X, y, **fit_params)
        else:
            with pytest.raises(Killed):
                clf.fit(X, y, **fit_params)
        if last and epochs.begun:
            assert epochs.begun[0] == (last - 1) // every_n_epochs * every_n_epochs + 1
        last = epochs.begun[-1] if epochs.begun else last
    return clf


def assert_goes_on(make, folder, X, y=None, kills=(1, 3, 5), goes_on=True, **how):
    """Compare a fit that is killed and one that is not, and what they learn afterwards."""
    fit_params = {key: how.pop(key) for key in ("sample_weight",) if key in how}
    whole = make(Epochs()).fit(X, y, **fit_params)
    pieces = fit_in_pieces(make, folder, X, y, kills, **how, **fit_params)
    assert_same_net(pieces, whole)
    if isinstance(X, np.ndarray):
        np.testing.assert_array_equal(pieces.predict_proba(X), whole.predict_proba(X))
    if goes_on:
        assert_same_net(*(clf.partial_fit(X, y, **fit_params) for clf in (pieces, whole)))
    return pieces


def states_of_globals():
    numpy_state = np.random.get_state()  # noqa: NPY002
    return random.getstate(), numpy_state[1].tolist(), numpy_state[2], torch.get_rng_state()


# -- the end is the same, to the bit ---------------------------------------------------------------


def shifted(X, partner, *, lam, place):
    """Mix, and move each row by a number that is drawn."""
    X_mixed, lam = mixup(X, partner, lam=lam, place=place)
    return X_mixed + place[0].to(X_mixed).unsqueeze(1), lam


class Normed(nn.Sequential):
    """A module with numbers of its own that no optimizer moves."""

    def __init__(self):
        super().__init__(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
        )


class Lazy(nn.Sequential):
    """A module that has no weights before the first minibatch."""

    def __init__(self):
        super().__init__(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3))


class Double(Normed):
    def __init__(self):
        super().__init__()
        self.double()

    def forward(self, X):
        return super().forward(X.double())


def jitter(X):
    return X + 0.1 * torch.randn_like(X)


PARAMS = {
    "default": dict,
    "one lam a row": lambda: {"lam_per": "sample", "alpha": 0.7},
    "without mixing at the end": lambda: {"erm_epochs": 2},
    "near pairs, plain rows beside": lambda: {"pairs": "nearest", "erm_weight": 0.3},
    "layers that mix": lambda: {"mix_at": ["input", "hidden.0"], "pairs": "same_class"},
    "a vicinity with places": lambda: {"vicinity": shifted, "lam_per": "sample"},
    "without mixing": lambda: {"alpha": 0},
    "batch norm": lambda: {"module": Normed},
    "float64": lambda: {"module": Double},
    "class weights": lambda: {"class_weight": {0: 1.0, 1: 2.5, 2: 0.7}},
    "augmentation": lambda: {"iterator_train__augment": jitter},
    "a DataLoader": lambda: {"iterator_train": DataLoader, "iterator_train__shuffle": True},
    "a generator of its own": lambda: {
        "iterator_train": DataLoader,
        "iterator_train__shuffle": True,
        "iterator_train__generator": torch.Generator().manual_seed(7),
    },
    "a module that learns its shape": lambda: {"module": Lazy},
    "groups of parameters": lambda: {
        "optimizer__param_groups": [("hidden.*", {"lr": 0.003})],
        "optimizer": SGD,
    },
    "no decay": lambda: {"callbacks__lr_decay": None},
    "AdamW, amsgrad": lambda: {"optimizer": torch.optim.AdamW, "optimizer__amsgrad": True},
    "LBFGS": lambda: {"optimizer": torch.optim.LBFGS, "alpha": 0, "max_epochs": 5},
    "validation": lambda: {"train_split": ValidSplit(4, stratified=True)},
    "validation on rows that are drawn": lambda: {"train_split": ValidSplit(0.3)},
}


@pytest.mark.machines
@pytest.mark.parametrize("params", PARAMS.values(), ids=PARAMS)
def test_a_killed_fit_ends_with_the_bits_of_a_whole_one(iris, tmp_path, params):
    assert_goes_on(lambda *callbacks: build(*callbacks, **params()), tmp_path, *iris)


@pytest.mark.parametrize("every", [1, 2, 3, 10])
def test_epochs_since_the_last_checkpoint_are_trained_again(iris, tmp_path, every):
    assert_goes_on(build, tmp_path, *iris, kills=(2, 4, 5), every_n_epochs=every)
    assert len(torch.load(tmp_path / "checkpoint.pt", weights_only=False)["history"]) == 6


@pytest.mark.parametrize("n_minibatches", [0, 1, 5])
def test_it_does_not_matter_where_in_an_epoch_the_kill_comes(iris, tmp_path, n_minibatches):
    assert_goes_on(
        build, tmp_path, *iris, kills=[Kill(epoch, n_minibatches) for epoch in (1, 2, 2, 6)]
    )


@pytest.mark.machines
@pytest.mark.parametrize("weights", ["whole", "broken"])
def test_weights_of_rows_go_on(iris, tmp_path, weights):
    weight = np.random.default_rng(0).integers(0, 3, 150) * (1.0 if weights == "whole" else 0.7)
    assert_goes_on(build, tmp_path, *iris, sample_weight=weight)


def test_labels_that_are_strings_go_on(iris, iris_names, tmp_path):
    clf = assert_goes_on(build, tmp_path, iris[0], iris_names)
    assert set(clf.predict(iris[0])) == set(iris_names)


SCHEDULES = {
    "MultiStepLR": lambda: LRScheduler(lr_scheduler.MultiStepLR, milestones=[2, 4], gamma=0.1),
    "LambdaLR": lambda: LRScheduler(
        lr_scheduler.LambdaLR, lr_lambda=lambda step: 1 / (1 + step), step_every="batch"
    ),
    "ReduceLROnPlateau": lambda: LRScheduler(
        lr_scheduler.ReduceLROnPlateau, monitor="train_loss", patience=0, threshold=0.3
    ),
    "OneCycleLR": lambda: LRScheduler(
        lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=30, step_every="batch"
    ),
    "CyclicLR": lambda: LRScheduler(
        lr_scheduler.CyclicLR, base_lr=0.01, max_lr=0.1, step_size_up=7, step_every="batch"
    ),
    "CosineAnnealingWarmRestarts": lambda: LRScheduler(
        lr_scheduler.CosineAnnealingWarmRestarts, T_0=2, event_name="rate"
    ),
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_of_skorch_goes_on(iris, tmp_path, schedule, first):
    def make(*callbacks):
        return build(
            *callbacks, ("rate", schedule()), lr=0.1, optimizer=SGD, optimizer__momentum=0.9
        )

    # Epoch 2 ends at a milestone: a kill in it, and one right after it, and so on.
    kills = [Kill(epoch, n) for epoch, n in ((2, 2), (3, 0), (3, 2), (4, 2), (5, 0), (6, 4))]
    clf = assert_goes_on(make, tmp_path, *iris, kills=kills, first=first, goes_on=False)
    rates = {row.get("event_lr", row.get("rate")) for row in clf.history}
    assert len(rates) > 1 or "event_lr" in clf.history[-1]["batches"][-1]


class Warming(lr_scheduler.LRScheduler):
    """A schedule that holds what cannot be pickled."""

    def __init__(self, optimizer, last_epoch=-1):
        self.factor = lambda epoch: 0.1 * (1 + epoch)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return [lr * self.factor(self.last_epoch) for lr in self.base_lrs]


def test_a_schedule_that_cannot_be_pickled_whole_goes_on(iris, tmp_path):
    def make(*callbacks):
        return build(LRScheduler(Warming), *callbacks)

    assert_goes_on(make, tmp_path, *iris)


class Average(Callback):
    """Keep the mean of the weights of all epochs, in a module that only this callback has."""

    def on_train_begin(self, net, **kwargs):
        self.averaged_ = torch.optim.swa_utils.AveragedModel(net.module_)

    def on_epoch_end(self, net, **kwargs):
        self.averaged_.update_parameters(net.module_)


def test_what_a_callback_keeps_in_a_module_goes_on(iris, tmp_path):
    whole = build(Average).fit(*iris)
    pieces = fit_in_pieces(lambda *callbacks: build(Average, *callbacks), tmp_path, *iris, (2, 4))
    a, b = (dict(clf.callbacks_)["Average"].averaged_.state_dict() for clf in (pieces, whole))
    assert_same_parts(a, b, "average")


def test_best_scores_go_on(iris, tmp_path):
    def make(*callbacks):
        scores = [
            EpochScoring("accuracy", lower_is_better=False, name="acc"),
            EpochScoring("neg_log_loss", name="worst"),
            EpochScoring("accuracy", lower_is_better=False, on_train=True, name="train_acc"),
        ]
        return build(*scores, *callbacks, train_split=ValidSplit(4, stratified=True), lr=0.05)

    clf = assert_goes_on(make, tmp_path, *iris, kills=(2, 3, 4, 5, 6))
    flags = [row[f"{name}_best"] for row in clf.history for name in ("acc", "worst", "train_acc")]
    assert {True, False} == set(flags)


@pytest.mark.parametrize("load_best", [False, True])
def test_early_stopping_counts_on(iris, tmp_path, load_best):
    def make(*callbacks):
        stop = EarlyStopping("valid_loss", patience=3, threshold=0.4, load_best=load_best)
        return build(*callbacks, stop, train_split=ValidSplit(4), max_epochs=20, lr=0.05)

    whole = make(Epochs()).fit(*iris)
    assert 5 <= len(whole.history) < 20
    stopped = fit_in_pieces(make, tmp_path, *iris, kills=(2, 4, 5))
    assert_same_net(stopped, whole)
    epochs = Epochs()
    again = make(epochs, Resume(tmp_path)).fit(*iris)
    assert_same_net(again, whole)
    assert len(epochs.begun) <= 1
    assert_same_net(again.partial_fit(*iris), whole.partial_fit(*iris))


def test_a_checkpoint_of_skorch_beside_it_keeps_the_best_net(iris, tmp_path):
    def make(*callbacks, folder="whole"):
        best = Checkpoint(monitor="valid_loss_best", dirname=str(tmp_path / folder), load_best=True)
        return build(*callbacks, best, train_split=ValidSplit(4), lr=0.3)

    whole = make(Epochs()).fit(*iris)
    assert not all(row["event_cp"] for row in whole.history) or len(whole.history) < 6
    pieces = fit_in_pieces(
        lambda *callbacks: make(*callbacks, folder="pieces"), tmp_path / "own", *iris, (2, 4, 6)
    )
    assert_same_net(pieces, whole)


class Noisy(Dataset):
    """Rows that are drawn anew each time, from all generators that a data set may draw from."""

    def __init__(self, X, y):
        self.X, self.targets = X.astype(np.float32), y

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        drawn = random.random() + np.random.random() + torch.rand(1).item()  # noqa: NPY002
        return self.X[i] + np.float32(drawn), self.targets[i]


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_data_set_that_draws_goes_on(iris, tmp_path, n_workers):
    def make(*callbacks):
        return build(*callbacks, max_epochs=3, iterator_train__num_workers=n_workers)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's, of forks beside threads
        assert_goes_on(make, tmp_path, Noisy(*iris), kills=(2, 3), goes_on=n_workers == 0)


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_batch_begin", "on_epoch_end"])
def test_a_callback_that_draws_goes_on(iris, tmp_path, hook):
    def shake(self, net, **kwargs):
        with torch.no_grad():
            for parameter in net.module_.parameters():
                scale = random.random() + np.random.random()  # noqa: NPY002
                parameter += 0.01 * scale * torch.randn_like(parameter)

    shaker = type("Shaker", (Callback,), {hook: shake})
    assert_goes_on(lambda *callbacks: build(shaker, *callbacks), tmp_path, *iris)


# -- processes that die ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def killed(tmp_path_factory, cpu_environment):
    """Let another process kill fits; get the folder and the account of it."""
    folder = tmp_path_factory.mktemp("killed")
    command = "from tests.resumed_fit import main; import sys; main(sys.argv[1], int(sys.argv[2]))"
    done = subprocess.run(
        [sys.executable, "-c", command, str(folder), str(N_EPOCHS)],
        cwd=Path(__file__).resolve().parents[1],
        env=cpu_environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.fixture(scope="module")
def whole_digits():
    return build(max_epochs=N_EPOCHS).fit(*digits())


def test_a_process_killed_at_random_loses_no_epoch_that_was_saved(killed, whole_digits):
    folder, report = killed
    last, n_killed = 0, 0
    for begun, ended in report["random"]:
        if begun:
            # An epoch begins only when the one before it has been saved.
            assert begun[0] in ((1,) if not last else (last, last + 1))
            assert begun == list(range(begun[0], begun[-1] + 1))
            last = begun[-1]
        n_killed += not ended
    assert report["random"][-1][1]
    assert n_killed >= 3
    again = build(Resume(folder / "random"), max_epochs=N_EPOCHS).fit(*digits())
    assert_same_net(again, whole_digits)


def test_a_process_killed_while_it_writes_loses_one_epoch_at_most(killed, whole_digits):
    folder, report = killed
    runs = report["writing"]
    assert list(runs) == [*POINTS, "at last"]
    starts = [begun[0] for begun, _ in runs.values()]
    # Each is killed in its second save: what it had saved first is there, what it was at is
    # there only where it had its name by then.
    assert starts == [1, 2, 3, 4, 6]
    again = build(Resume(folder / "writing"), max_epochs=N_EPOCHS).fit(*digits())
    assert_same_net(again, whole_digits)
    assert {path.name for path in (folder / "writing").iterdir()} == {
        "checkpoint.pt",
        "previous.pt",
    }


def test_a_full_disk_keeps_the_last_checkpoint_and_the_training(killed):
    folder, report = killed
    full = report["full"]
    whole = build().fit(*digits())
    assert full["n_epochs"] == 6
    np.testing.assert_array_equal(np.float32(full["proba"]), whole.predict_proba(digits()[0]))
    assert [category for category, _ in full["warned"]] == ["UserWarning"] * 4
    assert all(str(folder / "full") in message for _, message in full["warned"])
    assert {path.name for path in (folder / "full").iterdir()} == {"checkpoint.pt", "previous.pt"}
    epochs = Epochs()
    again = build(Resume(folder / "full"), epochs).fit(*digits())
    assert epochs.begun == [3, 4, 5, 6]
    assert_same_net(again, whole)


@pytest.mark.parametrize("name", REMADE)
def test_another_process_knows_the_same_parameters_and_data_again(killed, name):
    folder, _ = killed
    epochs = Epochs()
    clf, X, y = build_remade(name, Resume(folder / name), epochs)
    clf.fit(X, y)
    assert epochs.begun == [3, 4, 5, 6]
    whole, X, y = build_remade(name)
    assert_same_net(clf, whole.fit(X, y))


def test_a_folder_that_cannot_be_made_costs_only_the_checkpoints(iris, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match=re.escape(str(tmp_path / "file" / "below"))) as told:
        clf = build(Resume(tmp_path / "file" / "below")).fit(*iris)
    assert len(told) == 6
    assert_same_net(clf, build().fit(*iris))


# -- damage ----------------------------------------------------------------------------------------

SMALL = {"weight": torch.arange(3.0), "epoch": 2}


def outcome_of(folder):
    """Load what is in a folder; the epoch it is of, and how often one was warned."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        state, _ = load_checkpoint(folder)
    assert_same_parts(state, {**SMALL, "epoch": state["epoch"]}, "state")
    assert all(issubclass(w.category, UserWarning) for w in told)
    return state["epoch"], len(told)


@pytest.fixture
def saved(tmp_path):
    """Save twice; get what the files of that hold, by name."""
    save_checkpoint(tmp_path, {**SMALL, "epoch": 1})
    save_checkpoint(tmp_path, SMALL)
    return {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def outcome_with(folder, saved, content):
    """Put the saved files there, the newest with another content, and load."""
    for name, whole in {**saved, "checkpoint.pt": content}.items():
        (folder / name).write_bytes(whole)
    return outcome_of(folder)


def test_no_flipped_byte_goes_unseen(tmp_path, saved):
    whole = saved["checkpoint.pt"]
    masks = np.random.default_rng(0).integers(1, 256, len(whole)).tolist()
    outcomes = set()
    directory = whole.index(b"PK\x01\x02")  # what the checksums of the archive leave out
    for i in [*range(0, directory, 4), *range(directory, len(whole))]:
        mask = masks[i]
        flipped = whole[:i] + bytes([whole[i] ^ mask]) + whole[i + 1 :]
        try:
            outcomes.add(outcome_with(tmp_path, saved, flipped))
        except Exception as error:
            pytest.fail(f"byte {i} of {len(whole)} with {mask}: {type(error).__name__} {error}")
    assert outcomes <= {(1, 1), (2, 0)}
    assert (1, 1) in outcomes


def test_a_file_that_was_cut_is_damaged(tmp_path, saved):
    whole = saved["checkpoint.pt"]
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        assert outcome_with(tmp_path, saved, whole[:length]) == (1, 1)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no checkpoint" * 99, pickle.dumps({})])
def test_a_damaged_file_is_told_of_and_passed_over(iris, tmp_path, content):
    def make(*callbacks):
        return build(*callbacks, Resume(tmp_path))

    with pytest.raises(Killed):
        make(Kill(4)).fit(*iris)
    (tmp_path / "checkpoint.pt").write_bytes(content)
    epochs = Epochs()
    with pytest.warns(UserWarning, match="damaged.*previous"):
        clf = make(epochs).fit(*iris)
    assert epochs.begun == [3, 4, 5, 6]
    assert_same_net(clf, build().fit(*iris))
    for name in ("checkpoint.pt", "previous.pt"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged. Delete the folder"):
        make().fit(*iris)


def test_damage_and_then_a_kill_between_the_renames_leave_a_good_file(iris, tmp_path, monkeypatch):
    with pytest.raises(Killed):
        build(Resume(tmp_path), Kill(4)).fit(*iris)
    (tmp_path / "checkpoint.pt").write_bytes(b"bad")
    replace = os.replace

    def dies(source, target):
        if Path(source).name not in ("checkpoint.pt", "previous.pt"):
            raise Killed
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dies)
        with pytest.warns(UserWarning, match="damaged"), pytest.raises(Killed):
            build(Resume(tmp_path)).fit(*iris)
    epochs = Epochs()
    clf = build(Resume(tmp_path), epochs).fit(*iris)
    assert epochs.begun == [3, 4, 5, 6]
    assert_same_net(clf, build().fit(*iris))


# -- refusals --------------------------------------------------------------------------------------

CHANGES = {
    "alpha": {"alpha": 0.3},
    "lr": {"lr": 0.02},
    "batch_size": {"batch_size": 33},
    "random_state": {"random_state": 1},
    "optimizer": {"optimizer": SGD},
    "optimizer__weight_decay": {"optimizer__weight_decay": 0.1},
    "criterion__label_smoothing": {"criterion__label_smoothing": 0.1},
    "criterion": {"criterion": nn.NLLLoss},
    "dropout": {"dropout": 0.3},
    "lam_per": {"lam_per": "sample"},
    "erm_epochs": {"erm_epochs": 1},
    "class_weight": {"class_weight": "balanced"},
    "train_split": {"train_split": ValidSplit(3)},
    "max_epochs": {"max_epochs": 7},
    "callbacks__lr_decay": {"callbacks__lr_decay": None},
    "callbacks__rate": {
        "callbacks": [("rate", LRScheduler(lr_scheduler.MultiStepLR, milestones=[3]))]
    },
}


@pytest.mark.parametrize("name", CHANGES)
def test_other_parameters_are_refused_by_name(iris, tmp_path, name):
    build(Resume(tmp_path)).fit(*iris)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    changes = dict(CHANGES[name])
    clf = build(*changes.pop("callbacks", []), Resume(tmp_path), **changes)
    with pytest.raises(ValueError, match=rf"others for .*\b{name}\b.*delete the folder"):
        clf.fit(*iris)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_other_milestones_are_refused(iris, tmp_path):
    def make(*milestones):
        rate = LRScheduler(lr_scheduler.MultiStepLR, milestones=milestones)
        return build(("rate", rate), Resume(tmp_path))

    make(2, 4).fit(*iris)
    make(2, 4).fit(*iris)
    with pytest.raises(ValueError, match="others for callbacks__rate"):
        make(2, 5).fit(*iris)


@pytest.mark.parametrize("change", ["rows permuted", "one number", "one label", "weights", "fewer"])
def test_other_data_are_refused(iris, tmp_path, change):
    X, y = iris[0].copy(), iris[1].copy()
    build(Resume(tmp_path)).fit(X, y)
    weight = None
    if change == "rows permuted":
        X, y = X[::-1].copy(), y[::-1].copy()
    elif change == "one number":
        X[77, 2] = np.nextafter(X[77, 2], 9)
    elif change == "one label":
        y[3] = 1
    elif change == "weights":
        weight = np.full(150, 1.5)
    else:
        X, y = X[:-1], y[:-1]
    with pytest.raises(ValueError, match="others for the data"):
        build(Resume(tmp_path)).fit(X, y, sample_weight=weight)


@pytest.mark.parametrize("changed", ["X", "y"])
def test_other_tensors_are_refused(iris, tmp_path, changed):
    X, y = torch.tensor(iris[0], dtype=torch.float32), torch.tensor(iris[1])
    build(Resume(tmp_path)).fit(TensorDataset(X, y))
    if changed == "X":
        X[77, 2] += 1e-3
    else:
        y[3] = 1
    with pytest.raises(ValueError, match="others for the data"):
        build(Resume(tmp_path)).fit(TensorDataset(X, y))


def test_another_part_of_a_data_set_is_refused(iris, tmp_path):
    data = Noisy(*iris)
    even, odd = (Subset(data, range(start, 150, 2)) for start in (0, 1))
    build(Resume(tmp_path)).fit(even)
    with pytest.raises(ValueError, match="others for the data"):
        build(Resume(tmp_path)).fit(odd)


def test_another_fold_of_a_search_is_refused(iris, tmp_path):
    search = GridSearchCV(
        build(Resume(tmp_path)), {"alpha": [0.1, 0.2]}, cv=2, error_score="raise", n_jobs=1
    )
    with pytest.raises(ValueError, match="others for the data"):
        search.fit(*iris)


def test_another_architecture_is_refused_by_parameter_and_shapes(iris, tmp_path):
    build(Resume(tmp_path), module__hidden_sizes=(16,)).fit(*iris)
    with pytest.raises(ValueError, match=r"same architecture; 'hidden.0.*\(8.*\(16") as told:
        build(Resume(tmp_path), module__hidden_sizes=(8,)).fit(*iris)
    assert "delete the folder" in str(told.value)
    with pytest.raises(ValueError, match=r"shape none|there none"):
        build(Resume(tmp_path), module=Normed).fit(*iris)


def test_checkpoint_of_the_earlier_preact_resnet_is_refused_by_what_it_lacks(tmp_path):
    X, y = digits()
    net = partial(
        build,
        Resume(tmp_path),
        module=partial(PreActResNet18, width=2, n_blocks=(1,), n_channels=1),
        max_epochs=1,
    )
    X = X.reshape(-1, 1, 8, 8)[:64]
    net().fit(X, y[:64])
    state, _ = load_checkpoint(tmp_path)
    weights = state["modules"]["module"]
    state["modules"]["module"] = {key: weights[key] for key in weights if "norm." not in key[:5]}
    save_checkpoint(tmp_path, state)
    with pytest.raises(ValueError, match=r"'norm\.bias' .* there none") as told:
        net().fit(X, y[:64])
    assert "before version 0.1.0" in str(told.value.__cause__)


def test_fewer_epochs_than_were_trained_are_refused(iris, tmp_path):
    build(Resume(tmp_path), callbacks__lr_decay=None).fit(*iris)
    with pytest.raises(ValueError, match="6 for max_epochs=5"):
        build(Resume(tmp_path), callbacks__lr_decay=None, max_epochs=5).fit(*iris)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_a_seed_that_is_not_known_is_refused(iris, tmp_path, random_state):
    with pytest.raises(ValueError, match=r"`random_state` must be a whole number.*random_state=0"):
        build(Resume(tmp_path), random_state=random_state).fit(*iris)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("every", [0, -1, 2.5, "1", None])
def test_every_n_epochs_is_checked(iris, tmp_path, every):
    with pytest.raises(ValueError, match=f"`every_n_epochs` must be a whole .*{every!r}"):
        build(Resume(tmp_path, every)).fit(*iris)


def test_a_gan_is_refused(iris, tmp_path):
    with pytest.raises(ValueError, match="Resume"):
        MixupGAN(max_iter=1, callbacks=[Resume(tmp_path)], random_state=0).fit(iris[0])


def test_a_file_is_no_folder(iris, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="`dirname` must be"):
        build(Resume(tmp_path / "file")).fit(*iris)
    assert (tmp_path / "file").read_text() == "mine"


class Unpicklable:
    """What many an object does that holds a handle of the system."""

    def __reduce_ex__(self, protocol):
        raise RuntimeError("a handle cannot be pickled")

    def __call__(self, X):
        return X


def test_what_changes_nothing_that_is_learned_is_not_refused(iris, tmp_path):
    def make(*callbacks, **params):
        return build(
            *callbacks,
            EarlyStopping("train_loss", patience=50),
            Resume(tmp_path),
            predict_nonlinearity=lambda outputs: outputs.softmax(1),
            iterator_train__augment=Unpicklable(),
            **params,
        )

    with pytest.raises(Killed):
        make(Kill(3)).fit(*iris)
    with pytest.raises(Killed):
        make(Kill(4), device=torch.device("cpu")).fit(*iris)
    clf = make(verbose=1, callbacks__print_log__sink=str).fit(*iris)
    assert_same_net(clf, build().fit(*iris))


@pytest.mark.parametrize("milestones", [None, [2, 8]])
def test_more_epochs_go_on_where_the_rate_does_not_hang_on_them(iris, tmp_path, milestones):
    def make(*callbacks, **params):
        steps = [LRScheduler(lr_scheduler.MultiStepLR, milestones=milestones)] if milestones else []
        return build(*callbacks, *steps, callbacks__lr_decay=None, **params)

    make(Resume(tmp_path)).fit(*iris)
    epochs = Epochs()
    longer = make(epochs, Resume(tmp_path), max_epochs=10).fit(*iris)
    assert epochs.begun == [7, 8, 9, 10]
    assert_same_net(longer, make(max_epochs=10).fit(*iris))


# -- what it leaves alone --------------------------------------------------------------------------


def test_a_finished_fit_is_not_trained_again(iris, tmp_path):
    first = build(Resume(tmp_path)).fit(*iris)
    epochs = Epochs()
    again = build(epochs, Resume(tmp_path)).fit(*iris)
    assert epochs.begun == []
    assert_same_net(again, first)
    assert_same_net(again.fit(*iris), first)
    assert epochs.begun == []
    assert_same_net(again.partial_fit(*iris), first.partial_fit(*iris))


def test_training_that_goes_on_from_a_fitted_net_is_left_alone(iris, tmp_path):
    plain, clf = build(), build(Resume(tmp_path))
    assert_same_net(clf.fit(*iris), plain.fit(*iris))
    saved = (tmp_path / "checkpoint.pt").read_bytes()
    again = build(Resume(tmp_path)).fit(*iris)  # read, not trained
    for net in (clf, again):
        twin = copy.deepcopy(plain)
        assert_same_net(net.partial_fit(*iris), twin.partial_fit(*iris))
        assert_same_net(
            net.set_params(warm_start=True).fit(*iris), twin.set_params(warm_start=True).fit(*iris)
        )
        assert (tmp_path / "checkpoint.pt").read_bytes() == saved


@pytest.mark.parametrize("resumed", [False, True])
def test_fit_loop_on_its_own_is_left_alone(iris, tmp_path, resumed):
    plain, clf = build().fit(*iris), build(Resume(tmp_path)).fit(*iris)
    saved = (tmp_path / "checkpoint.pt").read_bytes()
    clf = build(Resume(tmp_path)).fit(*iris) if resumed else clf
    assert_same_net(clf.fit_loop(*iris), plain.fit_loop(*iris))
    assert (tmp_path / "checkpoint.pt").read_bytes() == saved


def test_partial_fit_from_nothing_is_left_alone(iris, tmp_path):
    assert_same_net(build(Resume(tmp_path)).partial_fit(*iris), build().partial_fit(*iris))
    assert list(tmp_path.iterdir()) == []


def test_epochs_passed_to_fit_are_those_of_the_fit(iris, tmp_path):
    whole = build().fit(*iris, epochs=4)
    with pytest.raises(Killed):
        build(Resume(tmp_path), Kill(3)).fit(*iris, epochs=4)
    epochs = Epochs()
    assert_same_net(build(Resume(tmp_path), epochs).fit(*iris, epochs=4), whole)
    assert epochs.begun == [3, 4]
    with pytest.raises(ValueError, match="others for max_epochs"):
        build(Resume(tmp_path)).fit(*iris)


def test_it_is_a_callback_like_any_other(iris, tmp_path):
    clf = build(("resume", Resume(tmp_path / "a"))).fit(*iris)
    assert not (tmp_path / "b").exists()
    moved = clone(clf).set_params(callbacks__resume__dirname=tmp_path / "b").fit(*iris)
    assert (tmp_path / "b" / "checkpoint.pt").exists()
    assert moved.get_params()["callbacks__resume__dirname"] == tmp_path / "b"
    loaded = pickle.loads(pickle.dumps(clf))
    assert_same_net(loaded.partial_fit(*iris), clf.partial_fit(*iris))
    without = build(("resume", Resume(tmp_path / "c")), callbacks__resume=None).fit(*iris)
    assert not (tmp_path / "c").exists()
    assert_same_net(without, moved)
    epochs = Epochs()
    pipe = make_pipeline(StandardScaler(), build(("resume", Resume(str(tmp_path / "d"))), epochs))
    first = clone(pipe).fit(*iris)
    again = clone(pipe).fit(*iris)
    assert_same_net(again[-1], first[-1])
    assert dict(again[-1].callbacks_)["Epochs"].begun == []


def test_one_instance_serves_two_nets(iris, tmp_path):
    resume = Resume(tmp_path)
    first, second = build(resume), build(resume)
    first.fit(*iris)
    assert_same_net(second.fit(*iris), first)
    assert_same_net(first.partial_fit(*iris), second.partial_fit(*iris))


@pytest.mark.parametrize("resumes", [False, True])
def test_the_global_generators_and_the_data_stay_as_they_were(
    iris, tmp_path, resumes, assert_unchanged
):
    X, y = np.array(iris[0]), np.array(iris[1])
    before = states_of_globals()

    def make(*callbacks):
        draws = type("Draws", (Callback,), {"on_epoch_end": lambda *_, **__: random.random()})
        return build(*callbacks, draws, *([Resume(tmp_path)] if resumes else []))

    with assert_unchanged(X, y):
        with pytest.raises(Killed):
            make(Kill(3)).fit(X, y)
        assert_same_parts(states_of_globals(), before, "after a kill")
        for _ in range(2):
            make().fit(X, y)
            assert_same_parts(states_of_globals(), before, "after a fit")


def test_two_seeds_in_one_folder_meet_no_half_of_each_other(iris, tmp_path):
    build(Resume(tmp_path)).fit(*iris)
    clf = build(Resume(tmp_path), random_state=1)
    with pytest.raises(ValueError, match="random_state"):
        clf.fit(*iris)
    other = clf.set_params(callbacks__Resume__dirname=tmp_path / "other").fit(*iris)
    assert_same_net(other, build(random_state=1).fit(*iris))


# -- what it costs ---------------------------------------------------------------------------------


def test_no_minibatch_is_read_from_the_device_for_it(iris, tmp_path):
    def count_reads(batch_size, *callbacks):
        with HostReads() as reads:
            build(*callbacks, batch_size=batch_size, max_epochs=2).fit(*iris)
        return reads.count

    few, many = (count_reads(n, Resume(tmp_path / str(n))) for n in (50, 5))
    assert few == many
    assert LRDecay is not Resume
    assert build(Resume(tmp_path / "x")).fit(*iris).slow_because_ is None


def test_a_checkpoint_does_not_grow_with_what_callbacks_saw(tmp_path):
    X, y = load_digits(return_X_y=True)
    sizes = []
    for n_rows in (200, 1600):
        score = EpochScoring("accuracy", lower_is_better=False)
        folder = tmp_path / str(n_rows)
        build(
            score,
            Resume(folder),
            train_split=ValidSplit(2),
            max_epochs=1,
            batch_size=100,
            iterator_valid__batch_size=-1,
        ).fit(X[:n_rows] / 16, y[:n_rows])
        sizes.append((folder / "checkpoint.pt").stat().st_size)
    assert sizes[1] < sizes[0] + 2000
