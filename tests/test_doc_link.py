"""The question mark in the diagrams of estimators: it leads to where their class is described."""

import re
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

import sklearn_mixup
from sklearn_mixup import FusedGridSearchCV, FusedRandomizedSearchCV, MixupClassifier

ROOT = Path(__file__).parents[1]
ESTIMATORS = [
    kind
    for kind in map(vars(sklearn_mixup).get, sklearn_mixup.__all__)
    if isinstance(kind, type) and issubclass(kind, BaseEstimator)
]


def make(kind):
    if issubclass(kind, FusedGridSearchCV | FusedRandomizedSearchCV):
        return kind(MixupClassifier(), {"alpha": [0, 1]})
    return kind()


def links(html):
    return re.findall(r'href="(https://[^"#]+)"', html)


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_diagram_leads_to_the_file_that_describes_the_class(kind):
    html = estimator_html_repr(make(kind))
    assert f"Documentation for {kind.__name__}" in html
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (source,) = re.findall('^Source = "(.*)"$', project, re.MULTILINE)
    # That of a search comes before that of what it searches.
    file = links(html)[0].removeprefix(f"{source}/blob/main/")
    assert f"\nclass {kind.__name__}(" in (ROOT / file).read_text(encoding="utf-8")


def test_each_step_of_a_pipeline_leads_to_its_own_page():
    found = links(estimator_html_repr(make_pipeline(StandardScaler(), MixupClassifier())))
    for page in ("sklearn.preprocessing.StandardScaler.html", "sklearn_mixup/_classifier.py"):
        assert any(link.endswith(page) for link in found)


def test_a_class_of_somebody_else_has_no_page_of_ours():
    class Theirs(MixupClassifier):
        pass

    html = estimator_html_repr(Theirs())
    assert "Theirs" in html
    assert not links(html)
