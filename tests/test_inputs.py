"""What MixupClassifier takes as X and y, and that it gives labels back and writes to nothing."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.metrics import accuracy_score, get_scorer
from sklearn.model_selection import GroupKFold
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
    WeightedRandomSampler,
)

from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import MLP
from tests.recording import Recording
from tests.rounding import assert_near


def quick(**params):
    """Build a classifier that learns these tables in a tenth of a second."""
    return MixupClassifier(
        **{"max_epochs": 20, "lr": 0.01, "module__hidden_sizes": (32,), "random_state": 0, **params}
    )


def as_stored(**params):
    """Build one that visits the rows as they are stored, so that kinds of inputs can be compared.

    The shuffle of a 2-D array starts from an order by content, that of other inputs as stored.
    """
    return quick(iterator_train__shuffle=False, **params)


def assert_same_proba(a, b, X):
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


@pytest.fixture
def tensors(iris):
    """Iris as tensors of its own."""
    X, y = iris
    return torch.tensor(X, dtype=torch.float32), torch.tensor(y)


# -- arrays, lists, DataFrames -------------------------------------------------------------------


def test_lists_train_like_arrays(iris):
    X, y = iris
    from_lists = quick().fit(X.tolist(), y.tolist())
    assert_same_proba(from_lists, quick().fit(X, y), X)
    assert from_lists.score(X.tolist(), y.tolist()) > 0.9  # one class is a third of the rows


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.uint8])
def test_numbers_of_other_types_train_like_float64(dtype, iris):
    X, y = np.abs(10 * iris[0]).round(), iris[1]
    other = quick().fit(X.astype(dtype), y)
    np.testing.assert_array_equal(other.predict_proba(X), quick().fit(X, y).predict_proba(X))


def test_arrays_that_are_not_contiguous_train_like_those_that_are(iris):
    X, y = iris
    wide = np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)
    assert_same_proba(quick().fit(wide[::2, ::2], np.repeat(y, 2)[::2]), quick().fit(X, y), X)
    backwards = quick().fit(X[:, ::-1], y)
    assert_same_proba(backwards, quick().fit(np.ascontiguousarray(X[:, ::-1]), y), X)


@pytest.fixture
def frame(iris):
    return pd.DataFrame(iris[0], columns=["sepal l", "sepal w", "petal l", "petal w"])


def test_data_frames_train_like_arrays(iris, frame):
    X, y = iris
    clf = quick().fit(frame, pd.Series(y))
    assert list(clf.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(clf.predict_proba(frame), quick().fit(X, y).predict_proba(X))


def test_features_by_other_names_or_in_another_order_are_refused(iris, frame):
    clf = quick(max_epochs=1).fit(frame, iris[1])
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(frame.rename(columns={"sepal l": "length"}))
    with pytest.raises(ValueError, match="same order"):
        clf.predict(frame[frame.columns[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        clf.predict(iris[0])


def test_a_second_fit_forgets_the_features_of_the_first(iris, frame):
    clf = quick(max_epochs=1).fit(frame, iris[1])
    clf.fit(iris[0][:, :2], iris[1])
    assert clf.n_features_in_ == 2
    assert not hasattr(clf, "feature_names_in_")
    assert clf.predict(iris[0][:, :2]).shape == (150,)


# -- pictures ------------------------------------------------------------------------------------


class SmallConv(nn.Module):
    """Sixteen 3 x 3 filters on pictures of shape (batch_size, height, width)."""

    def __init__(self, n_classes):
        super().__init__()
        self.filters = nn.Conv2d(1, 16, 3)
        self.head = nn.Linear(16 * 3 * 3, n_classes)

    def forward(self, X):
        X = nn.functional.max_pool2d(self.filters(X.unsqueeze(1)).relu(), 2)
        return self.head(X.flatten(1))


@pytest.mark.parametrize("module", [MLP, SmallConv])
def test_pictures_are_learned_as_they_are(module, digits):
    X, y = digits
    clf = MixupClassifier(module, max_epochs=30, lr=0.01, random_state=0).fit(X[:450], y[:450])
    # Either net has 0.9 to 0.97 with so few rows and epochs, by chance it would have 0.1.
    assert clf.score(X[450:], y[450:]) > 0.85
    assert clf.predict_proba(X[450:]).shape == (150, 10)


def test_pictures_in_one_channel_work_too(digits):
    X, y = digits
    by_channel, plain = quick(max_epochs=2).fit(X[:, None], y), quick(max_epochs=2).fit(X, y)
    np.testing.assert_array_equal(by_channel.predict_proba(X[:, None]), plain.predict_proba(X))


def test_the_default_module_flattens_pictures(digits):
    X, y = digits
    flat = X.reshape(len(X), -1)
    pictures, table = as_stored(max_epochs=2).fit(X, y), as_stored(max_epochs=2).fit(flat, y)
    np.testing.assert_array_equal(pictures.predict_proba(X), table.predict_proba(flat))


# -- tensors -------------------------------------------------------------------------------------


def test_tensors_train_like_arrays_in_the_same_order(iris, tensors):
    X, y = tensors
    clf = as_stored().fit(X, y)
    assert_same_proba(clf, as_stored().fit(*iris), iris[0])
    assert_same_proba(clf, as_stored().fit(X, iris[1]), X)
    assert isinstance(clf.predict(X), np.ndarray)
    assert quick().fit(X, y).score(X, y.numpy()) > 0.9  # shuffled


def test_pictures_train_the_same_bits_from_tensors_as_from_arrays(digits):
    X, y = digits
    clf = quick(max_epochs=2).fit(torch.tensor(X), torch.tensor(y))
    assert_same_proba(clf, quick(max_epochs=2).fit(X, y), X)


def test_float64_tensors_train_like_float32_ones(tensors):
    X, y = tensors
    assert_same_proba(quick().fit(X.double(), y), quick().fit(X, y), X)


def test_a_tensor_that_requires_grad_is_data_all_the_same(tensors, assert_unchanged):
    X, y = tensors
    X_grad = X.clone().requires_grad_()
    with assert_unchanged(X_grad):  # in particular X.grad stays None
        clf = quick().fit(X_grad, y)
        proba = clf.predict_proba(X_grad)
    np.testing.assert_array_equal(proba, quick().fit(X, y).predict_proba(X))


@pytest.mark.cuda
def test_tensors_on_the_device_are_learned_there(tensors):
    X, y = (tensor.cuda() for tensor in tensors)
    clf = quick(device="cuda").fit(X, y)
    assert clf.score(X, y.cpu().numpy()) > 0.9
    assert next(clf.module_.parameters()).device.type == "cuda"


# -- dicts ---------------------------------------------------------------------------------------


class TwoInputs(Recording):
    """Take two inputs, and put them side by side."""

    def forward(self, left, right):
        return super().forward(torch.cat([left, right], dim=1))


def two_inputs(**params):
    return quick(module=TwoInputs, **{"module__n_features": 8, **params})


def halves_seen(clf):
    return (seen.chunk(2, dim=1) for seen in clf.module_.seen)


@pytest.mark.parametrize("lam_per", ["minibatch", "sample"])
def test_inputs_of_a_dict_share_their_lam_and_their_partners(lam_per, tensors):
    X, y = tensors
    clf = two_inputs(alpha=1.0, lam_per=lam_per, max_epochs=3).fit(
        {"left": X, "right": X.clone()}, y
    )
    assert len(clf.module_.seen) == 3 * 5
    n_mixed = 0
    for left, right in halves_seen(clf):
        torch.testing.assert_close(left, right, rtol=0, atol=0)
        n_mixed += (torch.cdist(left, X).min(dim=1).values > 1e-3).sum().item()
    assert n_mixed > 300  # of 450; the others have lam near 0 or 1, or are their own partner


def test_dicts_of_arrays_train_like_dicts_of_tensors(iris, tensors):
    X, y = iris
    parts = {"left": X[:, :2], "right": X[:, 2:]}
    from_arrays = two_inputs(module__n_features=4).fit(parts, y)
    X = tensors[0]
    parts_too = {"right": X[:, 2:], "left": X[:, :2]}
    from_tensors = two_inputs(module__n_features=4).fit(parts_too, tensors[1])
    np.testing.assert_array_equal(
        from_arrays.predict_proba(parts), from_tensors.predict_proba(parts_too)
    )
    assert from_arrays.score(parts, y) > 0.9


def test_dicts_train_as_the_same_columns_in_one_tensor(tensors, float64):
    X, y = tensors[0].double(), tensors[1]
    parts = {"left": X[:, :2], "right": X[:, 2:]}
    split = two_inputs(module__n_features=4).fit(parts, y)
    whole = quick().fit(X, y)
    assert_near(split.predict_proba(parts), whole.predict_proba(X))


def test_dict_rows_of_weight_zero_are_left_out(tensors):
    X, y = tensors
    weight = np.arange(len(y)) % 3 != 0
    kept = {"left": X[weight], "right": X[weight]}
    by_hand = two_inputs().fit(kept, y[weight])
    weighted = two_inputs().fit({"left": X, "right": X}, y, sample_weight=weight.astype(float))
    np.testing.assert_array_equal(by_hand.predict_proba(kept), weighted.predict_proba(kept))


# -- torch Datasets ------------------------------------------------------------------------------


class Rows(Dataset):
    """A map-style data set as users write them; `targets` only if asked for."""

    def __init__(self, X, y, *, has_targets):
        self.rows, self.labels = X, y
        if has_targets:
            self.targets = y

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i], self.labels[i]


class Stream(IterableDataset):
    """Rows one after the other, without a length."""

    def __init__(self, X, y):
        self.rows, self.labels = X, y

    def __iter__(self):
        yield from zip(self.rows, self.labels, strict=True)


def test_a_tensor_dataset_trains_like_its_tensors(tensors):
    X, y = tensors
    clf = quick().fit(TensorDataset(X, y), y=None)
    assert_same_proba(clf, quick().fit(X, y), X)
    assert list(clf.classes_) == [0, 1, 2]


def test_predictions_take_a_dataset_too(tensors, float64):
    X, y = tensors
    clf = quick().fit(X, y)
    for dataset in (TensorDataset(X, y), Rows(X, y, has_targets=True)):
        assert_near(clf.predict_proba(dataset), clf.predict_proba(X))


@pytest.mark.parametrize("batch_size", [32, 150, -1])
def test_a_dataset_with_targets_is_fitted_without_y(batch_size, tensors):
    X, y = tensors
    clf = quick(batch_size=batch_size, max_epochs=40)
    clf.fit(Rows(X, y, has_targets=True), y=None)
    assert list(clf.classes_) == [0, 1, 2]
    assert clf.score(X, y.numpy()) > 0.8


def test_a_dataset_without_targets_is_fitted_if_told_the_classes(tensors):
    X, y = tensors
    dataset = Rows(X, y, has_targets=False)
    with pytest.raises(ValueError, match=r"`n_classes`.*classes"):
        quick().fit(dataset, y=None)
    clf = quick(classes=["virginica", "setosa", "versicolor"]).fit(dataset, y=None)
    assert accuracy_score(clf.classes_[y], clf.predict(X)) > 0.85


@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize("wrong", [-1, 3])
def test_labels_of_a_dataset_that_are_no_classes_are_told(wrong, alpha, tensors):
    X, y = tensors
    dataset = Rows(X, torch.where(torch.arange(len(y)) == 70, wrong, y), has_targets=False)
    told = rf"from 0 to 2; got \[{wrong}\]"
    with pytest.raises(ValueError, match=told):
        quick(classes=[0, 1, 2], alpha=alpha).fit(dataset)
    with pytest.raises(ValueError, match=told):
        quick(alpha=alpha).fit(X, y).partial_fit(dataset)
    with pytest.raises(ValueError, match=told):
        quick(alpha=alpha, train_split=predefined_split(dataset)).fit(X, y)


@pytest.mark.parametrize("alpha", [0, 0.2])
def test_labels_of_a_dataset_that_the_module_has_no_output_for_are_told(alpha, tensors):
    X, y = tensors
    net = quick(alpha=alpha, module__n_classes=2)
    with pytest.raises(ValueError, match=r"from 0 to 1; got \[2\]"):
        net.fit(Rows(X, y, has_targets=False))
    net.set_params(train_split=predefined_split(Rows(X, y, has_targets=False)))
    with pytest.raises(ValueError, match=r"from 0 to 1; got \[2\]"):
        net.fit(Rows(X, y.clamp(max=1), has_targets=False))


def test_labels_are_refused_where_nobody_has_named_the_classes(tensors):
    X, y = tensors
    dataset = Rows(X, y, has_targets=False)
    clf = quick(max_epochs=1, module__n_classes=3).fit(dataset)
    for given in ((X, y), (TensorDataset(X, y),)):
        with pytest.raises(ValueError, match="Fit it anew with `classes`"):
            clf.partial_fit(*given)
    clf.set_params(train_split=predefined_split(TensorDataset(X, y)))
    with pytest.raises(ValueError, match="Fit it anew with `classes`"):
        clf.fit(dataset)


class AsOnAGpu(MixupClassifier):
    """A net whose device fails for good where it meets a label that is no class."""

    def _to_device(self, rows):
        assert not isinstance(rows, torch.Tensor) or rows.is_floating_point() or rows.max() < 3
        return super()._to_device(rows)


def test_labels_that_are_no_classes_are_told_where_rows_are_set_aside(tensors):
    X, y = tensors
    dataset = Rows(X, torch.where(torch.arange(len(y)) == 70, 3, y), has_targets=False)
    told = {"early_stopping": True, "validation_fraction": 0.9, "classes": [0, 1, 2]}
    net = AsOnAGpu(max_epochs=1, random_state=0, **told)
    with pytest.raises(ValueError, match=r"from 0 to 2; got \[3\]"):
        net.fit(dataset)
    assert len(net.history) == 1  # It trains on others.


@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
@pytest.mark.parametrize("has_targets", [False, True])
def test_labels_of_a_dataset_are_integers_of_any_width(has_targets, dtype, alpha, tensors):
    X, y = tensors
    as_int64, other = (
        quick(alpha=alpha, classes=None if has_targets else [0, 1, 2]).fit(
            Rows(X, labels, has_targets=has_targets)
        )
        for labels in (y, y.to(dtype))
    )
    assert_same_proba(as_int64, other, X)


@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize("change", [torch.Tensor.float, lambda y: y.unsqueeze(1)])
def test_labels_of_a_dataset_that_are_no_codes_are_told(change, alpha, tensors):
    X, y = tensors
    dataset = Rows(X, change(y), has_targets=False)
    with pytest.raises(ValueError, match="must yield the number of each row's class, a whole"):
        quick(classes=[0, 1, 2], alpha=alpha).fit(dataset)


@pytest.mark.parametrize("alpha", [0, 0.2])
def test_labels_of_a_dataset_that_are_words_are_to_be_encoded(alpha, tensors):
    X, y = tensors
    words = ["a", "b", "c"]
    dataset = Rows(X, [words[code] for code in y], has_targets=False)
    told = "number of each row's class.*got '[abc]'.*LabelEncoder.*`classes`"
    with pytest.raises(TypeError, match=told):
        quick(classes=words, alpha=alpha).fit(dataset)
    with pytest.raises(TypeError, match=told):
        quick(alpha=alpha, train_split=predefined_split(dataset)).fit(X, y)


def test_labels_of_a_dataset_that_the_criterion_ignores_are_fine_unmixed(tensors):
    X, y = tensors
    dataset = Rows(X, torch.where(torch.arange(len(y)) == 70, -100, y), has_targets=False)
    clf = quick(classes=[0, 1, 2], alpha=0, train_split=predefined_split(dataset)).fit(dataset)
    assert np.isfinite(clf.history[-1]["valid_loss"])
    with pytest.raises(ValueError, match=r"got \[-100\]"):
        quick(classes=[0, 1, 2]).fit(dataset)


def test_a_dataset_is_shuffled_and_mixed_by_default(tensors):
    X, y = tensors
    clf = quick(module=Recording, max_epochs=2, alpha=1.0).fit(Rows(X, y, has_targets=True))
    first, second = clf.module_.seen[:5], clf.module_.seen[5:]
    distances = torch.cdist(torch.cat(first), X).min(dim=1).values
    assert (distances > 1e-3).float().mean() > 0.5
    assert not torch.equal(torch.cat(first), torch.cat(second))
    # The rows are stored class by class, so without a shuffle a minibatch would hold one or two.
    erm = quick(module=Recording, max_epochs=1, alpha=0).fit(Rows(X, y, has_targets=True))
    assert not torch.equal(torch.cat(erm.module_.seen), X)
    torch.testing.assert_close(
        torch.cat(erm.module_.seen).sort(dim=0).values, X.sort(dim=0).values, rtol=0, atol=0
    )


def test_a_dataset_of_numpy_rows_is_fitted(iris):
    X, y = iris[0].astype(np.float32), iris[1]
    clf = quick().fit(Rows(X, y, has_targets=True))
    assert clf.score(X, y) > 0.85


def test_a_dataset_of_float64_rows_is_fitted(iris):
    X, y = iris
    clf = quick().fit(Rows(X.copy(), y, has_targets=True))
    assert clf.score(X, y) > 0.85


def test_a_stream_is_fitted_if_told_the_classes(tensors):
    X, y = tensors
    rows = torch.randperm(len(X), generator=torch.Generator().manual_seed(0))
    clf = quick(classes=[0, 1, 2], module__n_features=4).fit(Stream(X[rows], y[rows]))
    assert clf.score(X, y.numpy()) > 0.85


@pytest.mark.parametrize("kind", ["arrays", "tensors", "dataset"])
def test_a_data_loader_may_make_the_minibatches(kind, iris, tensors):
    data = {
        "arrays": (iris[0].astype(np.float32), iris[1]),
        "tensors": tensors,
        "dataset": (TensorDataset(*tensors), None),
    }
    clf = quick(
        module=Recording, alpha=1.0, iterator_train=DataLoader, iterator_train__shuffle=True
    ).fit(*data[kind])
    assert clf.score(*iris) > 0.85
    distances = torch.cdist(torch.cat(clf.module_.seen), tensors[0]).min(dim=1).values
    assert (distances > 1e-3).float().mean() > 0.5  # it mixes what the loader yields


def test_a_data_loader_draws_the_same_rows_for_the_same_state(tensors):
    params = {"iterator_train": DataLoader, "iterator_train__shuffle": True}
    one, two = quick(**params).fit(*tensors), quick(**params).fit(*tensors)
    assert_same_proba(one, two, tensors[0])
    three = quick(**params, callbacks__lr_decay=None).fit(*tensors)
    assert np.abs(one.predict_proba(tensors[0]) - three.predict_proba(tensors[0])).max() > 1e-3


def test_a_data_loader_yields_the_callers_labels_encoded(iris, iris_names):
    X = iris[0].astype(np.float32)
    params = {"iterator_train": DataLoader, "iterator_train__shuffle": True}
    clf = quick(**params).fit(X, iris_names)
    assert_same_proba(clf, quick(**params).fit(X, iris[1]), X)
    assert clf.score(X, iris_names) > 0.9


@pytest.mark.parametrize("kind", ["tensors", "rows"])
def test_labels_of_a_dataset_that_are_no_codes_are_encoded_or_refused(kind, tensors):
    X, labels = tensors[0], 10 * tensors[1] - 10
    dataset = TensorDataset(X, labels) if kind == "tensors" else Rows(X, labels, has_targets=True)
    clf = quick()
    try:
        clf.fit(dataset)
    except ValueError as error:
        assert "-10" in str(error)  # noqa: PT017
    else:
        assert clf.score(X, labels.numpy()) > 0.85


@pytest.mark.parametrize("kind", ["tensors", "rows"])
def test_multilabel_targets_of_a_dataset_are_learned(kind, tensors):
    X, y = tensors
    is_of = torch.stack([y > 0, y > 1], dim=1).long()
    dataset = TensorDataset(X, is_of) if kind == "tensors" else Rows(X, is_of, has_targets=True)
    predicted = quick().fit(dataset).predict(X)
    assert (predicted == is_of.numpy()).mean(axis=0).min() > 0.85  # either holds of 1/3 or 2/3


@pytest.mark.parametrize(("alpha", "tolerance"), [(0, 0), (0.4, 1e-3)])
def test_classes_that_nobody_sees_are_numbers(alpha, tolerance, tensors):
    """Mixed, the loss is a sum of two terms there, and one with mixed targets elsewhere."""
    X, y = tensors
    params = {"alpha": alpha, "lam_per": "sample", "module__n_classes": 3}
    clf = quick(**params).fit(Rows(X, y, has_targets=False))
    assert not hasattr(clf, "classes_")
    told = quick(**params).fit(Rows(X, y, has_targets=True))
    np.testing.assert_allclose(clf.predict_proba(X), told.predict_proba(X), rtol=0, atol=tolerance)
    np.testing.assert_array_equal(clf.predict(X), told.predict(X))
    assert clf.partial_fit(Rows(X, y, has_targets=False)).score(X, y.numpy()) > 0.85
    with pytest.raises(ValueError, match="is not the same"):
        clf.partial_fit(Rows(X, y, has_targets=False), classes=[0, 1, 2])


def test_what_a_net_knows_of_labels_is_forgotten_by_a_fit_that_sees_none(tensors):
    X, y = tensors
    names = np.array(["setosa", "versicolor", "virginica"])
    clf = quick(module__n_classes=3).fit(X, names[y])
    assert set(clf.fit(Rows(X, y, has_targets=False)).predict(X)) == {0, 1, 2}


def test_a_skorch_dataset_without_targets_is_refused(tensors):
    with pytest.raises(ValueError, match="must hold targets"):
        quick(module__n_classes=3).fit(SkorchDataset(tensors[0]))


class SignLoader(DataLoader):
    """A loader that makes the targets: the sign of the first column."""

    def __iter__(self):
        for X, _ in super().__iter__():
            yield X, (X[:, 0] > 0).long()


@pytest.mark.parametrize("known", [False, True])
def test_a_loader_of_ones_own_may_make_the_targets(known, iris):
    X, y = iris[0].copy(), (iris[0][:, 0] > 0).astype(int)
    params = {"classes": ["no", "yes"]} if known else {"module__n_classes": 2}
    clf = quick(**params, iterator_train=SignLoader).fit(X, None)
    names = np.array(params["classes"]) if known else np.arange(2)
    assert (clf.predict(X) == names[y]).mean() > 0.9
    with pytest.raises(ValueError, match="requires y"):
        quick(**params, iterator_train=DataLoader).fit(X, None)


class Dense(SkorchDataset):
    """A data set of one's own, which knows what to do with sparse rows."""


@pytest.mark.parametrize("own", [False, True])
def test_sparse_rows_go_through_a_dataset(own, iris):
    X, y = iris[0].astype(np.float32), iris[1]
    sparse = csr_matrix(X)
    loaded = quick(iterator_train__num_workers=0).fit(SkorchDataset(X, y))  # by a DataLoader
    rows = SkorchDataset(sparse, y)
    clf = quick(dataset=Dense).fit(sparse, y) if own else quick().fit(rows)
    np.testing.assert_array_equal(
        clf.predict_proba(sparse if own else rows), loaded.predict_proba(rows)
    )


# -- labels --------------------------------------------------------------------------------------

NAMES = {
    "strings": ["setosa", "versicolor", "virginica"],
    "objects": np.array(["a", "bb", "ccc"], dtype=object),
    "numbers_with_gaps": [-7, 3, 1000],
    "floats": [0.0, 1.0, 5.0],
    "unsigned": np.array([3, 200, 255], dtype=np.uint8),
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_predictions_are_the_callers_labels(names, iris):
    X, codes = iris
    names = np.asarray(names)
    clf, coded = quick().fit(X, names[codes]), quick().fit(X, codes)
    np.testing.assert_array_equal(clf.classes_, names)
    assert clf.predict(X).dtype == names.dtype
    np.testing.assert_array_equal(clf.predict(X), names[coded.predict(X)])
    np.testing.assert_array_equal(clf.predict_proba(X), coded.predict_proba(X))
    assert clf.score(X, names[codes]) > 0.9


def test_booleans_come_back_as_booleans(breast_cancer):
    X, y = breast_cancer
    X = (X - X.mean(0)) / X.std(0)
    clf = quick().fit(X, y.astype(bool))
    assert clf.predict(X).dtype == bool
    assert clf.score(X, y.astype(bool)) > 0.93  # 0.63 are True
    # A positive decision means True, as in scikit-learn.
    np.testing.assert_array_equal(clf.decision_function(X) > 0, clf.predict(X))
    logit = np.log(clf.predict_proba(X)[:, 1]) - np.log(clf.predict_proba(X)[:, 0])
    np.testing.assert_allclose(clf.decision_function(X), logit, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["list", "str", "object", "category", "string", "Int64"])
def test_pandas_labels_train_like_arrays(kind, iris, iris_names):
    X, codes = iris
    if kind == "list":
        y = iris_names.tolist()
    elif kind == "Int64":
        y = pd.Series(codes, dtype="Int64")
    elif kind == "category":  # in an order of its own
        y = pd.Series(pd.Categorical(iris_names, categories=["virginica", "setosa", "versicolor"]))
    else:
        y = pd.Series(iris_names, dtype=kind)
    clf = quick().fit(X, y)
    expected = quick().fit(X, codes if kind == "Int64" else iris_names)
    assert_same_proba(clf, expected, X)
    np.testing.assert_array_equal(clf.predict(X), expected.predict(X))
    assert list(clf.classes_) == list(expected.classes_)


def test_pandas_labels_are_matched_by_place_not_by_index(iris):
    X, y = iris
    shuffled = pd.Series(y, index=np.random.default_rng(0).permutation(len(y)))
    assert_same_proba(quick().fit(X, shuffled), quick().fit(X, y), X)


def test_classes_may_be_more_than_y_holds(iris):
    X, y = iris
    clf = quick(classes=[0, 1, 2, 3]).fit(X, y)
    assert clf.predict_proba(X).shape == (150, 4)
    assert clf.predict_proba(X)[:, 3].max() < 0.1
    assert clf.score(X, y) > 0.9


@pytest.mark.parametrize("named", [["versicolor", "setosa"], ["setosa", "versicolor", "setosa"]])
def test_classes_that_scorers_would_take_for_each_other_are_refused(named, iris, iris_names):
    X, y = iris[0][:100], iris_names[:100]
    for data in ((X, y), (SkorchDataset(X, y), None)):
        with pytest.raises(ValueError, match=r"sorted order.*classes=\['setosa', 'versicolor'\]"):
            quick(classes=named).fit(*data)
    clf = quick(classes=["setosa", "versicolor"]).fit(X, y)
    assert get_scorer("roc_auc")(clf, X, y) > 0.9


def test_classes_name_each_column_in_its_order(iris):
    X, y = iris[0], np.eye(3)[iris[1]]
    clf = quick(classes=["c", "a", "b"]).fit(X, y)
    assert accuracy_score(np.array(["c", "a", "b"])[iris[1]], clf.predict(X)) > 0.9
    for columns in (y, y.astype(int)):
        with pytest.raises(ValueError, match="name each column of y; got 2 names for 3 columns"):
            quick(classes=["a", "b"]).fit(X, columns)


@pytest.fixture
def multilabel(digits):
    """Which of three statements hold of a digit: it is even, above four, has a hole."""
    digit = digits[1]
    return np.column_stack([digit % 2 == 0, digit > 4, np.isin(digit, (0, 4, 6, 8, 9))]).astype(int)


@pytest.mark.parametrize("alpha", [0, 0.4])
def test_multilabel_targets_are_learned_one_by_one(alpha, digits, multilabel):
    X, y = digits[0], multilabel
    clf = quick(alpha=alpha, max_epochs=30).fit(X[:450], y[:450])
    predicted = clf.predict(X[450:])
    assert predicted.dtype.kind == "i"
    assert set(np.unique(predicted)) == {0, 1}
    # Each holds of about half of the digits.
    assert (predicted == y[450:]).mean(axis=0).min() > 0.8
    proba = clf.predict_proba(X[450:])
    np.testing.assert_array_equal(predicted, proba > 0.5)
    assert proba.sum(axis=1).max() > 1.5  # they are no shares of one
    assert clf.score(X[450:], y[450:]) == (predicted == y[450:]).all(axis=1).mean()


def test_multilabel_decision_is_the_logit(digits, multilabel, float64):
    clf = quick(max_epochs=2).fit(digits[0], multilabel)
    proba = clf.predict_proba(digits[0])
    assert_near(clf.decision_function(digits[0]), np.log(proba / (1 - proba)))


@pytest.mark.parametrize("alpha", [0, 0.4])
def test_certain_rows_of_probabilities_train_like_labels(alpha, iris, float64):
    X, y = iris
    soft = as_stored(alpha=alpha).fit(X, np.eye(3)[y])
    hard = as_stored(alpha=alpha).fit(X, y)
    assert_near(soft.predict_proba(X), hard.predict_proba(X))
    np.testing.assert_array_equal(soft.predict(X), hard.predict(X))


def test_uncertain_rows_of_probabilities_teach_uncertainty(iris):
    X, y = iris
    soft_y = 0.7 * np.eye(3)[y] + 0.1
    soft = quick(alpha=0, max_epochs=40).fit(X, soft_y).predict_proba(X)
    hard = quick(alpha=0, max_epochs=40).fit(X, y).predict_proba(X)
    setosa = y == 0  # the species that no row of another is near to
    assert soft[setosa, 0].mean() == pytest.approx(0.8, abs=0.05)
    assert hard[setosa, 0].mean() > 0.97


def test_rows_of_probabilities_may_be_held_out(iris):
    X, y = iris
    soft_y = 0.7 * np.eye(3)[y] + 0.1
    held_out = np.arange(150) % 3 == 0
    split = ValidSplit([(np.flatnonzero(~held_out), np.flatnonzero(held_out))])
    clf = quick(train_split=split).fit(X, soft_y)
    cross_entropy = -(soft_y[held_out] * np.log(clf.predict_proba(X[held_out]))).sum(axis=1).mean()
    assert clf.history[-1, "valid_loss"] == pytest.approx(cross_entropy, rel=1e-5)


# -- nothing is written to -----------------------------------------------------------------------


def fit_and_use(clf, X, y, **weights):
    clf.fit(X, y, **weights)
    clf.partial_fit(X, y, **weights)
    clf.predict_proba(X)
    clf.predict(X)
    clf.decision_function(X)


@pytest.mark.parametrize("alpha", [0, 0.4])
@pytest.mark.parametrize("kind", ["array", "float32", "pictures", "frame", "tensors", "dict"])
def test_inputs_stay_as_they_are_to_the_byte(
    kind, alpha, iris, digits, tensors, frame, assert_unchanged
):
    X, y = iris
    X, y = {
        "array": (X.copy(), y.copy()),
        "float32": (X.astype(np.float32), y.astype(str)),
        "pictures": (digits[0].copy(), digits[1].copy()),
        "frame": (frame, pd.Series(y.copy()).astype("category")),
        "tensors": tensors,
        "dict": ({"left": tensors[0], "right": X.astype(np.float32)}, np.eye(3)[y]),
    }[kind]
    weight = np.linspace(0, 2, len(y))
    clf = two_inputs(alpha=alpha) if kind == "dict" else quick(alpha=alpha)
    with assert_unchanged(X, y, weight):
        fit_and_use(clf.set_params(max_epochs=2), X, y, sample_weight=weight)


@pytest.mark.parametrize("kind", ["tensors", "rows"])
def test_datasets_stay_as_they_are_to_the_byte(kind, tensors, assert_unchanged):
    X, y = tensors
    dataset = TensorDataset(X, y) if kind == "tensors" else Rows(X, y, has_targets=True)
    with assert_unchanged(X, y, dataset):
        clf = quick(max_epochs=2).fit(dataset)
        clf.partial_fit(dataset)
        clf.predict(dataset)


def test_read_only_inputs_are_fine(iris, digits):
    for X, y in (iris, digits):
        X, weight = X.astype(np.float32), np.ones(len(y))
        X.flags.writeable = weight.flags.writeable = False
        assert not y.flags.writeable
        fit_and_use(quick(max_epochs=2), X, y, sample_weight=weight)


class InPlace(MLP):
    """Begin with a layer that writes to its input, as nn.ReLU(inplace=True) does."""

    def forward(self, X):
        return super().forward(torch.relu_(X))


@pytest.fixture(params=["array", "pictures", "tensors"])
def float32_rows(request, iris, tensors):
    """Rows in the module's own dtype, so that nothing has to convert, and thereby copy, them."""
    X = iris[0].astype(np.float32)
    return {"array": X, "pictures": X.reshape(150, 2, 2), "tensors": tensors[0]}[request.param]


@pytest.mark.parametrize("alpha", [0, 0.4])
@pytest.mark.parametrize("shuffle", [True, False])
def test_training_a_module_that_writes_in_place_leaves_the_inputs_alone(
    alpha, shuffle, float32_rows, iris, assert_unchanged
):
    clf = quick(module=InPlace, alpha=alpha, max_epochs=1, iterator_train__shuffle=shuffle)
    with assert_unchanged(float32_rows):
        clf.fit(float32_rows, iris[1])


def test_predicting_with_a_module_that_writes_in_place_leaves_the_inputs_alone(
    float32_rows, iris, assert_unchanged
):
    clf = quick(module=InPlace, max_epochs=1).fit(float32_rows, iris[1])
    with assert_unchanged(float32_rows):
        clf.predict(float32_rows)


# -- float64 -------------------------------------------------------------------------------------


class DoubleRecording(Recording):
    """A module in float64."""

    def __init__(self, n_features, n_classes, hidden_sizes):
        super().__init__(n_features, n_classes, hidden_sizes)
        self.double()


def test_a_float64_module_trains_in_float64(iris):
    X, y = iris
    clf = quick(module=DoubleRecording).fit(X, y)
    assert {seen.dtype for seen in clf.module_.seen} == {torch.float64}
    assert {p.dtype for p in clf.module_.parameters()} == {torch.float64}
    assert clf.predict_proba(X).dtype == np.float64
    # Sums to one as float64 does, which no result of float32 would.
    np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1, rtol=1e-14)
    assert clf.score(X, y) > 0.9


@pytest.mark.parametrize("kind", ["array", "pictures", "tensors", "dict"])
def test_a_float64_module_gets_float64_rows_unrounded(kind, iris):
    X, y = iris
    rows = {
        "array": X,
        "pictures": X.reshape(150, 2, 2),
        "tensors": torch.tensor(X),
        "dict": {"X": X},
    }[kind]
    clf = as_stored(module=DoubleRecording, module__n_features=4, alpha=0, max_epochs=1)
    clf.fit(rows, y)
    seen = torch.cat(clf.module_.seen).reshape(150, 4)
    torch.testing.assert_close(seen, torch.tensor(X), rtol=0, atol=0)


def test_a_float64_module_mixes_with_a_float64_lam(iris):
    X = np.zeros((64, 2))
    X[32:, :] = 1.0
    y = np.arange(64) // 32
    clf = as_stored(module=DoubleRecording, alpha=0.5, lam_per="sample", batch_size=64)
    clf.set_params(max_epochs=2).fit(X, y)
    lam = torch.cat(clf.module_.seen)[:, 0]
    mixed = lam[(lam > 0) & (lam < 1)]
    assert len(mixed) > 20
    assert (mixed != mixed.float().double()).float().mean() > 0.9  # not rounded to float32


# -- data sets that are predicted, sampled, drawn ------------------------------------------------


def test_targets_of_a_dataset_to_predict_do_not_matter(iris, iris_names, tensors):
    clf = quick().fit(iris[0], iris_names)
    expected = clf.predict(tensors[0])
    for targets in (torch.full((150,), -1), tensors[1]):
        np.testing.assert_array_equal(clf.predict(TensorDataset(tensors[0], targets)), expected)
    np.testing.assert_array_equal(clf.predict(SkorchDataset(iris[0], np.zeros(150))), expected)


def test_a_dataset_class_of_the_user_gets_encoded_labels(iris, iris_names):
    class Doubles(SkorchDataset):
        def transform(self, X, y):
            return super().transform(2 * X, y)

    X = iris[0].astype(np.float32)
    assert quick(dataset=Doubles).fit(X, iris_names).score(X, iris_names) > 0.9


@pytest.mark.parametrize("kind", ["array", "dataset"])
def test_a_sampler_chooses_the_rows_to_train_on(kind, iris, tensors):
    only_two = WeightedRandomSampler((tensors[1] < 2).double(), 100)
    data = iris if kind == "array" else (TensorDataset(*tensors), None)
    clf = quick(iterator_train__sampler=only_two).fit(*data)
    predicted = clf.predict(iris[0])
    assert (predicted < 2).all()
    assert (predicted == iris[1])[iris[1] < 2].mean() > 0.95


def test_looking_at_a_dataset_leaves_the_global_generator_alone(tensors):
    class Draws(Rows):
        def __getitem__(self, i):
            torch.rand(1)
            return super().__getitem__(i)

    before = torch.get_rng_state()
    quick(max_epochs=1).fit(Draws(*tensors, has_targets=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_rows_without_weight_do_not_shift_a_split(iris):
    X, y = iris
    weight = np.ones(150)
    weight[::10] = 0
    groups = np.arange(150) % 5
    split = ValidSplit(GroupKFold(5))
    clf = quick(train_split=split, module=TakesGroups).fit(
        X, y, sample_weight=weight, groups=groups
    )
    (trained,) = {batches["train_batch_size"] for batches in clf.history[-1, "batches"][:3]}
    assert trained == 32
    n_trained = sum(b.get("train_batch_size", 0) for b in clf.history[-1, "batches"])
    held_out = groups == groups[next(GroupKFold(5).split(X, y, groups))[1][0]]
    assert n_trained == weight[~held_out].sum()


class TakesGroups(MLP):
    """Take what else `fit` was passed, too."""

    def forward(self, X, groups=None):
        return super().forward(X)


def test_the_first_of_several_outputs_is_what_is_predicted(iris):
    class Pair(MLP):
        def forward(self, X):
            return super().forward(X), torch.tensor(3.0)

    class First(MixupClassifier):
        def get_loss(self, y_pred, y_true, *args, **kwargs):
            return super().get_loss(y_pred[0], y_true, *args, **kwargs)

    clf = First(Pair, random_state=0, max_epochs=20, lr=0.01).fit(*iris)
    assert clf.score(*iris) > 0.9
    assert clf.decision_function(iris[0]).shape == (150, 3)
