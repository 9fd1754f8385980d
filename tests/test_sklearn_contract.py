"""scikit-learn's own checks, every one, with no expected failure but one of early stopping."""

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from sklearn_mixup import (
    FusedBaggingClassifier,
    FusedBaggingRegressor,
    MixupClassifier,
    MixupGAN,
    MixupRegressor,
    TabularMixupClassifier,
    TabularMixupRegressor,
    VicinalSampler,
)

pytestmark = pytest.mark.machines

SETTING = {"module__hidden_sizes": (16,), "lr": 0.02}
LEARNER = MixupClassifier(module__hidden_sizes=(16,), max_epochs=12, lr=0.02)
# Some checks draw classes of one row.
ONE_ROW = pytest.mark.filterwarnings("ignore:Samples of a class with a single row:UserWarning")


@parametrize_with_checks(
    [
        MixupClassifier(),
        MixupRegressor(),
        MixupGAN(max_iter=3),
        FusedBaggingClassifier(LEARNER, 2),
        FusedBaggingRegressor(MixupRegressor(hidden_sizes=(16,), lr=0.02), 2),
        TabularMixupClassifier(n_estimators=2, settings=[SETTING], max_epochs=12),
        TabularMixupRegressor(n_estimators=2, settings=[SETTING], max_epochs=12),
        VicinalSampler(),
        VicinalSampler(pairs="nearest"),
    ]
)
@ONE_ROW
def test_scikit_learn_check_passes(estimator, check):
    check(estimator)


def _name_what_early_stopping_cannot_do(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": (
            "the rows set aside are counted, whatever they weigh: of two rows that are alike, one "
            "may be among them, but not half of a row of weight 2"
        )
    }


@parametrize_with_checks(
    [MixupClassifier(early_stopping=True)],
    expected_failed_checks=_name_what_early_stopping_cannot_do,
)
def test_scikit_learn_check_passes_with_early_stopping(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        # Estimators that differ from the default in what the checks could stumble over.
        MixupClassifier(alpha=0, dropout=0.1, batch_size=8, max_epochs=12),
        MixupRegressor(
            criterion="huber", scale_y=False, engine="numba", hidden_sizes=(16,), max_epochs=120
        ),
        MixupGAN(alpha=0, saturating=True, latent_dim=3, batch_size=8, max_iter=4),
        # A row of weight 2 is a row twice only where neither draws nor transformers count rows.
        FusedBaggingClassifier(make_pipeline(FunctionTransformer(), LEARNER), 3, max_fused=2),
    ]
)
@ONE_ROW
def test_scikit_learn_check_passes_with_other_settings(estimator, check):
    check(estimator)


@pytest.mark.parametrize("params", [{"lam_per": "sample"}, {"module__hidden_sizes": (16,)}])
def test_representation_names_what_differs_from_the_default(params):
    (name, value), *_ = params.items()
    assert repr(MixupClassifier(**params)) == f"MixupClassifier({name}={value!r})"
    assert repr(MixupClassifier()) == "MixupClassifier()"
    assert "criterion" in repr(MixupClassifier(criterion=nn.NLLLoss))
