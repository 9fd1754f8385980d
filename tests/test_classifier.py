"""What MixupClassifier claims of its training: equivalences, bits, weights, draws, the host."""

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn
from torch.testing import assert_close

import sklearn_mixup._engine.draws as draws_module
from sklearn_mixup import MixupClassifier, fit_fused
from sklearn_mixup.modules import MLP
from tests.recording import HostReads, Recording
from tests.rounding import ROUNDING, assert_near


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    X.flags.writeable = y.flags.writeable = False
    return X, y


def classifier(**params):
    return MixupClassifier(**{"max_epochs": 3, "random_state": 0, **params})


class Perceptron(MLP):
    """The default network, as one that somebody else wrote."""


def same_bits(one, other):
    pairs = zip(one.module_.parameters(), other.module_.parameters(), strict=True)
    return all(torch.equal(p, q) for p, q in pairs)


def largest_difference(one, other):
    pairs = zip(one.module_.parameters(), other.module_.parameters(), strict=True)
    return max(float((p - q).abs().max().detach()) for p, q in pairs)


# -- alpha = 0 ------------------------------------------------------------------------------


@pytest.mark.machines
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("own", [True, False])
def test_alpha_zero_ends_where_skorch_s_own_net_does(iris, optimizer, own, one_thread, request):
    if not own:  # The gradient of the default is written out, which rounds in other places.
        request.getfixturevalue("float64")
    X, y = iris[0].astype(np.float32 if own else np.float64), iris[1]
    params = {"optimizer": optimizer, "lr": 0.01, "max_epochs": 5, "batch_size": 16}
    if optimizer is torch.optim.Adam:
        params["optimizer__fused"] = True
    module = {"module": Perceptron} if own else {}
    clf = classifier(
        **module, alpha=0, callbacks__lr_decay=None, iterator_train__shuffle=False, **params
    ).fit(X, y)
    start = classifier(**module, max_epochs=0).fit(X, y).module_
    params |= {"train_split": None, "verbose": 0, "device": clf.device}
    plain = NeuralNetClassifier(start, criterion=nn.CrossEntropyLoss, **params)
    plain.fit(X.copy(), y.copy())  # its collation warns of read-only rows
    if own:
        assert same_bits(clf, plain)
    else:
        for one, other in zip(clf.module_.parameters(), plain.module_.parameters(), strict=True):
            assert_near(one.detach(), other.detach())
    assert_close(clf.history[:, "train_loss"], plain.history[:, "train_loss"])


@pytest.mark.machines
def test_alpha_zero_is_any_alpha_that_never_mixes(iris):
    erm = classifier(alpha=0).fit(*iris)
    assert same_bits(erm, classifier(alpha=0.7, erm_epochs=3).fit(*iris))
    assert not same_bits(erm, classifier(alpha=0.7, erm_epochs=2).fit(*iris))


def test_alpha_zero_draws_nothing(iris, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("something was drawn")

    monkeypatch.setattr(draws_module, "draw_lam", refuse)
    monkeypatch.setattr(draws_module, "draw_partner", refuse)
    classifier(alpha=0).fit(*iris)
    with pytest.raises(AssertionError, match="something was drawn"):
        classifier(alpha=0.1).fit(*iris)


def test_alpha_zero_at_its_optimum_is_logistic_regression(iris, float64):
    # A linear module, full minibatches and LBFGS reach the optimum that scikit-learn finds.
    X, y = iris[0].astype(np.float64), iris[1]
    weight_decay = 0.1
    clf = classifier(
        alpha=0,
        module__hidden_sizes=(),
        optimizer=torch.optim.LBFGS,
        optimizer__line_search_fn="strong_wolfe",
        optimizer__max_iter=200,
        optimizer__tolerance_grad=1e-9,
        optimizer__tolerance_change=0,
        lr=1,
        batch_size=-1,
        max_epochs=5,
        callbacks__lr_decay=None,
        criterion=Penalized,
        criterion__weight_decay=weight_decay,
    )
    Penalized.net = clf
    clf.fit(X, y)
    reference = LogisticRegression(C=1 / (weight_decay * len(X)), tol=1e-9, max_iter=1000)
    reference.fit(X, y)
    # Gradients of 1e-9 at most, where the penalty curves the objective by 0.1: weights within 1e-8
    # of the optimum, and logits within 20 times that.
    np.testing.assert_allclose(clf.predict_proba(X), reference.predict_proba(X), atol=4e-7)


class Penalized(nn.CrossEntropyLoss):
    """Cross-entropy with the L2 penalty of the weights, not of the biases."""

    net = None

    def __init__(self, weight_decay):
        super().__init__()
        self.weight_decay = weight_decay

    def forward(self, logits, y):
        weight = self.net.module_.output.weight
        return super().forward(logits, y) + self.weight_decay / 2 * (weight**2).sum()


# -- mixing ---------------------------------------------------------------------------------


def test_every_training_row_lies_between_two_rows_of_its_minibatch(iris):
    X, y = iris
    mixed = classifier(module=Recording, max_epochs=1, batch_size=16).fit(X, y).module_.seen
    plain = classifier(module=Recording, max_epochs=1, batch_size=16, alpha=0).fit(X, y)
    pairs = list(zip(mixed, plain.module_.seen, strict=True))
    assert len(pairs) == 10
    for rows, originals in pairs:
        # Nets that differ in alpha alone see the same shuffles; a shared lam keeps the mean.
        assert_close(rows.mean(0), originals.mean(0), atol=1e-5, rtol=0)
        sides = torch.cdist(rows.double(), originals.double())  # to each original of the minibatch
        between = torch.cdist(originals.double(), originals.double())
        gaps = sides.unsqueeze(2) + sides.unsqueeze(1) - between
        assert gaps.flatten(1).min(1).values.max() < 1e-5
    assert any((rows - originals).abs().max() > 0.1 for rows, originals in pairs)


@pytest.mark.parametrize("lam_per", ["minibatch", "sample"])
def test_lam_is_drawn_per_minibatch_or_per_sample(iris, lam_per, monkeypatch):
    sizes = []

    def spy(streams, n_lams, alpha):
        shape = len(streams), n_lams  # a stream for each epoch
        sizes.extend([n_lams] * len(streams))
        return torch.full(shape, 0.5, dtype=torch.float64, device=streams[0].device)

    monkeypatch.setattr(draws_module, "draw_lam", spy)
    classifier(lam_per=lam_per, batch_size=16, max_epochs=2).fit(*iris)
    assert sizes == ([10, 10] if lam_per == "minibatch" else [150, 150])


def test_alpha_infinity_puts_every_row_half_way(iris, monkeypatch):
    X, y = iris

    def spy(streams, n_rows, *, batch_size):
        return torch.arange(n_rows, device=streams[0].device).flip(0).repeat(len(streams), 1)

    monkeypatch.setattr(draws_module, "draw_partner", spy)
    params = {"module": Recording, "max_epochs": 1, "batch_size": -1}
    (rows,) = classifier(alpha=float("inf"), **params).fit(X, y).module_.seen
    (originals,) = classifier(alpha=0, **params).fit(X, y).module_.seen
    assert_close(rows, (originals + originals.flip(0)) / 2)


@pytest.mark.machines
@pytest.mark.parametrize(
    "criterion",
    [
        {},
        {"criterion__label_smoothing": 0.1},
        {"criterion": nn.MultiMarginLoss},
    ],
)
@pytest.mark.parametrize("lam_per", ["minibatch", "sample"])
@pytest.mark.parametrize("weighted", [True, False])
def test_training_loss_is_the_objective_written_out(
    iris, monkeypatch, criterion, lam_per, weighted, float64
):
    X, y = iris
    n_rows = len(X)
    generator = torch.Generator().manual_seed(3)
    n_draws = 1 if lam_per == "minibatch" else n_rows
    lam = torch.rand(n_draws, generator=generator, dtype=torch.float64)
    partner = torch.randperm(n_rows, generator=generator)
    for module, name, draw in (
        (draws_module, "draw_lam", lam),
        (draws_module, "draw_partner", partner),
    ):
        monkeypatch.setattr(
            module, name, lambda streams, *_, draw=draw, **__: draw.to(streams[0].device)[None]
        )
    weight = np.random.default_rng(0).uniform(0.1, 3, size=n_rows) if weighted else None
    clf = classifier(
        module=Recording,
        batch_size=-1,
        max_epochs=1,
        lam_per=lam_per,
        iterator_train__shuffle=False,
        **criterion,
    ).fit(X, y, sample_weight=weight)

    logits = clf.module_.outputs[0].cpu()
    losses = type(clf.criterion_)(
        reduction="none", **{k[11:]: v for k, v in criterion.items() if "__" in k}
    )
    y = torch.tensor(y)
    w = torch.ones(n_rows) if weight is None else torch.tensor(weight / weight.mean())
    own, other = lam * w, (1 - lam) * w[partner]
    objective = (own * losses(logits, y) + other * losses(logits, y[partner])).mean()
    assert clf.history[-1, "train_loss"] == pytest.approx(float(objective), rel=ROUNDING)


# -- weights --------------------------------------------------------------------------------


@pytest.mark.machines
def test_weights_are_those_of_repeated_rows_in_one_full_minibatch(iris, float64):
    # Halves are no counts, so the weights are weights of the loss.
    X, y = iris
    counts = np.random.default_rng(0).integers(1, 4, size=len(X))
    params = {"alpha": 0, "batch_size": -1, "max_epochs": 1, "optimizer": torch.optim.SGD, "lr": 1}
    weighted = classifier(**params).fit(X, y, sample_weight=counts / 2)
    repeated = classifier(**params).fit(X.repeat(counts, axis=0), y.repeat(counts))
    assert weighted.history[0, "train_loss"] == pytest.approx(repeated.history[0, "train_loss"])
    # One step of gradient descent at lr 1: the parameters differ as the gradients do.
    assert largest_difference(weighted, repeated) < ROUNDING
    assert largest_difference(weighted, classifier(**params).fit(X, y)) > 1e-3


@pytest.mark.machines
@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize("batch_size", [32, -1])
def test_whole_weights_end_with_the_bits_of_repeated_rows(iris, alpha, batch_size):
    X, y = iris
    counts = np.random.default_rng(0).integers(0, 4, size=len(X))
    shuffled = np.random.default_rng(1).permutation(len(X))
    params = {"alpha": alpha, "batch_size": batch_size, "class_weight": "balanced"}
    weighted = classifier(**params)
    weighted.fit(X[shuffled], y[shuffled], sample_weight=counts[shuffled])
    repeated = classifier(**params)
    assert same_bits(weighted, repeated.fit(X.repeat(counts, axis=0), y.repeat(counts)))


def test_counts_need_nothing_of_the_criterion(iris, float64):
    class Averages(nn.Module):
        def forward(self, logits, y):
            return nn.functional.cross_entropy(logits, y)

    counts = np.arange(len(iris[1])) % 3
    own = classifier(criterion=Averages).fit(*iris, sample_weight=counts)
    assert largest_difference(own, classifier().fit(*iris, sample_weight=counts)) < ROUNDING
    assert largest_difference(own, classifier().fit(*iris)) > 0.01
    with pytest.raises(ValueError, match="so a criterion with a `reduction`"):
        classifier(criterion=Averages).fit(*iris, sample_weight=counts / 2)


@pytest.mark.machines
def test_order_of_the_rows_does_not_matter(iris):
    X, y = iris
    shuffled = np.random.default_rng(1).permutation(len(X))
    assert same_bits(classifier().fit(X, y), classifier().fit(X[shuffled], y[shuffled]))


@pytest.mark.machines
@pytest.mark.parametrize("scale", [1e-300, 1024, 1e300])
@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, nn.MultiMarginLoss])
def test_scale_of_the_weights_does_not_matter(iris, scale, criterion, float64):
    weight = np.random.default_rng(0).uniform(0.5, 2, size=len(iris[1]))
    one = classifier(criterion=criterion).fit(*iris, sample_weight=weight)
    other = classifier(criterion=criterion).fit(*iris, sample_weight=scale * weight)
    assert largest_difference(one, other) < ROUNDING


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, nn.MultiMarginLoss])
def test_a_minibatch_of_rows_without_any_weight_to_speak_of_teaches_nothing(iris, criterion):
    # In float32 all weights but one are 0, so most minibatches have none.
    weight = np.full(len(iris[1]), 1e-60)
    weight[0] = 1
    clf = classifier(criterion=criterion, batch_size=4).fit(*iris, sample_weight=weight)
    losses = clf.history[-1, "batches", :, "train_loss"]
    assert np.isfinite(losses).all()
    assert np.count_nonzero(losses) <= 2


def test_large_whole_weights_do_not_lengthen_the_epochs(iris, float64):
    weight = np.full(len(iris[1]), 1000)
    clf = classifier().fit(*iris, sample_weight=weight)
    assert len(clf.history[0, "batches"]) == 5
    assert largest_difference(clf, classifier().fit(*iris)) < ROUNDING


@pytest.mark.machines
@pytest.mark.parametrize("alpha", [0, 0.4])
def test_class_weight_is_the_sample_weight_of_the_class(iris, alpha):
    X, y = iris
    class_weight = {0: 0.3, 1: 1.0, 2: 2.5}
    by_class = classifier(alpha=alpha, class_weight=class_weight).fit(X, y)
    by_row = classifier(alpha=alpha).fit(X, y, sample_weight=[class_weight[c] for c in y])
    assert same_bits(by_class, by_row)


@pytest.mark.machines
@pytest.mark.parametrize("smoothing", [0, 0.1])  # with which the loss has two terms
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4, 32, -1])
def test_minibatches_add_up_to_the_weighted_mean_of_all_rows(iris, smoothing, fused, batch_size):
    # One class is rare, so many a minibatch lacks it. At lr=0 each sees the same network.
    X, y = iris[0][:106], iris[1][:106]
    weight = np.random.default_rng(0).uniform(0.5, 2, size=len(y))
    clf = classifier(
        alpha=0,
        class_weight={0: 1.0, 1: 1.0, 2: 9.0},
        criterion__label_smoothing=smoothing,
        batch_size=batch_size,
        lr=0,
        max_epochs=1,
        module__hidden_sizes=(8,),
    )
    if fused:
        fit_fused([clf, clone(clf)], [X] * 2, [y] * 2, sample_weights=[weight] * 2)
    else:
        clf.fit(X, y, sample_weight=weight)
    criterion = nn.CrossEntropyLoss(reduction="none", label_smoothing=smoothing)
    losses = criterion(torch.tensor(clf.decision_function(X)), torch.tensor(y))
    w = weight * np.where(y == 2, 9, 1)
    # Sums of 106 numbers of about 1, in float32.
    expected = np.average(losses.numpy(), weights=w)
    assert clf.history[0, "train_loss"] == pytest.approx(expected, rel=106 * 2**-23)


def test_class_weights_find_a_class_as_rare_as_the_minibatches_are_many():
    rng = np.random.default_rng(0)
    y = (np.arange(8000) < 40).astype(int)
    X = rng.normal(size=(8000, 2)) + 1.5 * y[:, None]
    weight = {0: 1, 1: 199}
    linear = LogisticRegression(class_weight=weight).fit(X, y)
    for alpha in (0, 0.2):
        clf = classifier(module__hidden_sizes=(), alpha=alpha, class_weight=weight).fit(X, y)
        # By the weights of each minibatch, of which six in seven have none of these: 0.25.
        assert recall_score(y, clf.predict(X)) >= recall_score(y, linear.predict(X)) - 0.05


def test_balanced_class_weight_gives_each_class_the_same_weight(iris):
    X, y = iris[0][:120], iris[1][:120]
    balanced = classifier(class_weight="balanced").fit(X, y)
    counts = np.bincount(y)
    by_hand = classifier(class_weight=dict(enumerate(len(y) / (3 * counts)))).fit(X, y)
    assert same_bits(balanced, by_hand)


# -- random_state ---------------------------------------------------------------------------


@pytest.mark.machines
@pytest.mark.parametrize("params", [{}, {"dropout": 0.3}, {"lam_per": "sample"}])
def test_same_random_state_gives_the_same_bits(iris, params):
    first = classifier(**params).fit(*iris)
    assert same_bits(first, classifier(**params).fit(*iris))
    assert same_bits(first, clf := classifier(random_state=5, **params).fit(*iris)) is False
    # Another fit starts anew, from the same state.
    assert same_bits(first, clf.set_params(random_state=0).fit(*iris))


def test_random_state_covers_dropout_and_not_only_the_rest(iris):
    params = {"module": Recording, "max_epochs": 1, "alpha": 0, "batch_size": -1, "lr": 0}
    outputs = [
        classifier(dropout=dropout, **params).fit(*iris).module_.outputs[0]
        for dropout in (0.5, 0.5, None)
    ]
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_random_state_none_differs_from_fit_to_fit(iris):
    assert not same_bits(
        classifier(random_state=None).fit(*iris), classifier(random_state=None).fit(*iris)
    )


def test_random_state_instance_moves_on_from_fit_to_fit(iris):
    def fits(state):
        return [classifier(random_state=state).fit(*iris) for _ in range(2)]

    first, second = fits(np.random.RandomState(0))
    assert not same_bits(first, second)
    assert all(map(same_bits, (first, second), fits(np.random.RandomState(0))))


def test_partial_fit_goes_on_drawing_where_it_stopped(iris):
    def trained():
        clf = classifier(max_epochs=1, module=Recording)
        for _ in range(2):
            clf.partial_fit(*iris)
        return clf

    clf = trained()
    assert same_bits(clf, trained())
    first, second = clf.module_.seen[:5], clf.module_.seen[5:]
    assert not torch.equal(torch.cat(first), torch.cat(second))


@pytest.mark.parametrize("random_state", [0, None])
def test_global_generators_are_left_as_they_were_found(iris, random_state):
    numpy_before = np.random.get_state()  # noqa: NPY002
    torch_before = torch.get_rng_state()
    clf = classifier(random_state=random_state, dropout=0.2).fit(*iris)
    clf.partial_fit(*iris)
    with pytest.warns(UserWarning, match="trained weights are gone"):
        clf.set_params(module__hidden_sizes=(4,)).predict(iris[0])
    assert torch.equal(torch.get_rng_state(), torch_before)
    numpy_after = np.random.get_state()  # noqa: NPY002
    assert all(map(np.array_equal, numpy_after, numpy_before))


def test_global_generators_do_not_change_the_fit(iris):
    first = classifier(dropout=0.2).fit(*iris)
    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002
    assert same_bits(first, classifier(dropout=0.2).fit(*iris))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_fit_needs_no_gradients_around_it(mode, iris, float64):
    widths = {"module__in_features": 4, "module__out_features": 3}
    net = MixupClassifier(nn.Linear, **widths, max_epochs=2, random_state=0)
    expected = clone(net).fit(*iris).partial_fit(*iris).predict_proba(iris[0])
    with mode():
        nets = [net.fit(*iris), *fit_fused([clone(net), clone(net)], [iris[0]] * 2, [iris[1]] * 2)]
    for each in nets:
        assert_near(each.partial_fit(*iris).predict_proba(iris[0]), expected)


def test_a_fit_that_fails_leaves_the_global_generators_alone(iris):
    class Fails(Callback):
        def on_epoch_end(self, net, **kwargs):
            torch.rand(1)
            raise RuntimeError("in the middle")

    before = torch.get_rng_state()
    clf = classifier(callbacks=[Fails])
    with pytest.raises(RuntimeError, match="in the middle"):
        clf.fit(*iris)
    assert torch.equal(torch.get_rng_state(), before)
    assert same_bits(clf.set_params(callbacks=None).fit(*iris), classifier().fit(*iris))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_parallel_fits_end_with_the_bits_of_fits_one_by_one(iris, backend):
    states = [0, 1, 2, 3]
    parallel = joblib.Parallel(n_jobs=2, backend=backend)(
        joblib.delayed(classifier(random_state=state, dropout=0.2).fit)(*iris) for state in states
    )
    alone = [classifier(random_state=state, dropout=0.2).fit(*iris) for state in states]
    assert all(map(same_bits, parallel, alone))


# -- the host -------------------------------------------------------------------------------


def reads_of_fit(iris, batch_size, **params):
    clf = classifier(batch_size=batch_size, max_epochs=2, device="cpu", **params)
    with HostReads() as reads:
        clf.fit(*iris)
    assert len(clf.history[0, "batches"]) == -(-150 // batch_size)
    return reads.count


@pytest.mark.parametrize(
    "params",
    [
        {"alpha": 0},
        {"alpha": 0.2},
        {"alpha": 0.2, "lam_per": "sample", "dropout": 0.1},
        {"alpha": 0.2, "class_weight": "balanced"},
        {"alpha": 0.2, "criterion__label_smoothing": 0.1},
        {
            "alpha": 0.2,
            "pairs": "nearest",
            "n_neighbors": 2,
            "erm_weight": 0.3,
            "vicinity": "input",
        },
        {"alpha": 0.2, "pairs": "different_class", "mix_at": ["input", "hidden.0"]},
    ],
)
def test_nothing_is_read_from_the_device_per_minibatch(iris, params):
    assert reads_of_fit(iris, 5, **params) == reads_of_fit(iris, 50, **params)


def test_a_callback_that_asks_for_each_loss_is_given_it(iris):
    class Asks(Callback):
        def on_batch_end(self, net, **kwargs):
            assert isinstance(net.history[-1, "batches", -1, "train_loss"], float)

    few, many = (reads_of_fit(iris, size, callbacks=[Asks]) for size in (50, 5))
    assert many - few >= 2 * (30 - 3)


def test_the_training_step_compiles_whole(iris):
    X, y = iris
    clf = classifier(device="cpu").fit(X, y)
    with clf._train(restart=False, n_epochs=1, sample_weight=None, class_weight=None):
        (Xi, yi), *_ = clf.get_iterator(clf.get_dataset(X, y), training=True)

        def step(Xi, rows):
            return clf.get_loss(clf.module_(Xi), type(yi)(rows), training=True)

        compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
        assert_close(compiled(Xi, yi.rows), step(Xi, yi.rows))


# -- a chunk at a time ----------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0, 0.2])
def test_training_in_small_chunks_of_memory_trains_on_the_same_rows(alpha):
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    clfs = [
        classifier(alpha=alpha, iterator_train__chunk_bytes=size, max_epochs=2).fit(X, y)
        for size in (1, 2**26)
    ]
    if alpha == 0:
        assert same_bits(*clfs)
    # Draws are made chunk by chunk, so mixed nets agree in distribution only.
    assert min(clf.score(X, y) for clf in clfs) > 0.8


# -- prediction -----------------------------------------------------------------------------


@pytest.mark.machines
def test_a_row_s_prediction_does_not_depend_on_the_rows_beside_it(iris):
    X, y = iris
    clf = classifier(batch_size=32).fit(X, y)
    together = clf.decision_function(X)
    alone = np.concatenate([clf.decision_function(X[i : i + 1]) for i in range(len(X))])
    assert np.array_equal(together, alone)


def test_probabilities_decisions_and_predictions_agree(iris):
    X, y = iris
    clf = classifier().fit(X, y)
    logits, proba = clf.decision_function(X), clf.predict_proba(X)
    np.testing.assert_allclose(proba, torch.softmax(torch.tensor(logits), 1), rtol=1e-5)
    assert np.array_equal(clf.predict(X), logits.argmax(1))


# -- CUDA -----------------------------------------------------------------------------------


@pytest.mark.cuda
@pytest.mark.parametrize("alpha", [0, 0.2])
def test_cuda_steps_never_wait_for_the_host(iris, alpha):
    class Watched(MixupClassifier):
        def train_step(self, batch, **fit_params):
            torch.cuda.set_sync_debug_mode("error")
            try:
                return super().train_step(batch, **fit_params)
            finally:
                torch.cuda.set_sync_debug_mode("default")

    clf = Watched(alpha=alpha, device="cuda", random_state=0, max_epochs=5).fit(*iris)
    assert next(clf.module_.parameters()).is_cuda
    assert clf.score(*iris) > 0.8


@pytest.mark.cuda
def test_cuda_same_random_state_gives_the_same_bits_and_leaves_the_generators(iris):
    before = torch.cuda.get_rng_state()
    clfs = [classifier(device="cuda", dropout=0.2).fit(*iris) for _ in range(2)]
    assert same_bits(*clfs)
    assert torch.equal(torch.cuda.get_rng_state(), before)
