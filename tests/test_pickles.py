"""Where a pickle looks for what it holds: a move of one of these makes files unreadable."""

import io
import pickle

import numpy as np
import pytest

from sklearn_mixup import (
    FusedBaggingClassifier,
    FusedGridSearchCV,
    MixupClassifier,
    MixupGAN,
    TabularMixupClassifier,
    TabularMixupRegressor,
)


class _Reader(pickle.Unpickler):
    """Reads a pickle, and notes what it finds in the package."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self.found: set[str] = set()

    def find_class(self, module, name):
        package, _, place = module.partition(".")
        if package == "sklearn_mixup":
            self.found.add(f"{place}.{name}")
        return super().find_class(module, name)


NET = MixupClassifier(hidden_sizes=2, max_epochs=1, random_state=0)
OF_NETS = {
    "_net.estimator._make_for_pickle",
    "_net.session.Seeds",
    "callbacks.LRDecay",
    "callbacks.QuietLog",
    "callbacks.StepLosses",
    "minibatches.Minibatches",
}
OF_CLASSIFIERS = OF_NETS | {"_classifier.MixupClassifier", "modules.mlp.MLP"}
CASES = [
    (NET, OF_CLASSIFIERS),
    (
        FusedBaggingClassifier(NET, 2, random_state=0),
        OF_CLASSIFIERS
        | {
            "_bagging.FusedBaggingClassifier",
            "_fused.draws.Draws",
            "_fused.predict.Stacks",
        },
    ),
    (
        FusedGridSearchCV(NET, {"alpha": [0, 1]}, cv=2),
        OF_CLASSIFIERS | {"_fused.search.FusedGridSearchCV"},
    ),
    (
        MixupGAN(generator__hidden_sizes=(2,), max_iter=1, random_state=0),
        (OF_NETS - {"callbacks.QuietLog"})
        | {
            "_gan.estimator.MixupGAN",
            "_gan.estimator._set_lr",
            "_gan.scale.Scaling",
            "_gan.progress.GANLog",
            "modules.mlp.Discriminator",
            "modules.mlp.Generator",
        },
    ),
    (
        TabularMixupClassifier(n_estimators=2, max_epochs=1, random_state=0),
        OF_CLASSIFIERS
        | {
            "_fused.predict.Stacks",
            "_tabular.bins.Bins",
            "_tabular.encode.TableEncoder",
            "_tabular.estimator.TabularMixupClassifier",
        },
    ),
    (
        TabularMixupRegressor(n_estimators=2, max_epochs=1, random_state=0),
        OF_NETS
        | {
            "_fused.predict.Stacks",
            "_regressor.MixupRegressor",
            "_tabular.bins.Bins",
            "_tabular.encode.TableEncoder",
            "_tabular.regressor.TabularMixupRegressor",
            "modules.mlp.MLP",
        },
    ),
]


@pytest.mark.parametrize(
    ("estimator", "places"), CASES, ids=[type(estimator).__name__ for estimator, _ in CASES]
)
def test_pickles_find_their_parts_where_files_have_them(estimator, places):
    if isinstance(estimator, TabularMixupClassifier | TabularMixupRegressor):
        pytest.importorskip("skrub")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), np.arange(40) % 2
    reader = _Reader(pickle.dumps(estimator.fit(X, y)))
    assert type(reader.load()) is type(estimator)
    assert reader.found == places
