"""First steps: losses of each minibatch, runs that diverge, honest sentences."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks._data.pictures import find_in_memory
from benchmarks.steps import report
from benchmarks.steps.runs import Scale, take_steps

SCALE = Scale(1, "digits", "tones", {"preact_resnet18": {"width": 2}}, 5, 16, 1, 1)


def take(alpha=0.0, seed=0):
    return take_steps(SCALE, "preact_resnet18", find_in_memory("digits"), alpha, seed, "cpu")


def test_each_minibatch_has_its_loss():
    told = take()
    losses = json.loads(told["loss_curve"])
    assert len(losses) == 5
    assert told["first_loss"] == pytest.approx(losses[0], abs=1e-6)
    assert told["highest_loss"] == pytest.approx(max(losses), abs=1e-6)
    assert told["last_loss"] == pytest.approx(losses[-1], abs=1e-6)
    assert losses[0] == pytest.approx(np.log(10), abs=1)


def test_a_run_that_diverges_is_told(monkeypatch):
    from benchmarks.steps import runs

    make = runs.for_pictures
    monkeypatch.setattr(runs, "for_pictures", lambda *args, **kw: make(*args, **kw, lr=1e30))
    told = take()
    assert np.isnan(told["highest_loss"])
    assert np.isnan(json.loads(told["loss_curve"])).all()


def runs_of(**last_losses):
    rows = [
        {
            "network": network,
            "alpha": 0.0,
            "seed": seed,
            "n_classes": 10,
            "highest_loss": loss,
            "last_loss": loss,
        }
        for network, losses in last_losses.items()
        for seed, loss in enumerate(losses)
    ]
    return pd.DataFrame(rows)


def test_a_network_trains_if_its_loss_fell_in_every_run():
    (sentence,) = report.conclude(runs_of(A=[1.0, 2.2], B=[1.0, 2.4], C=[1.0, float("nan")]))
    assert sentence.startswith("The loss stayed finite in 5 of 6 runs.")
    assert "every run of 1 of 3 networks (A), not in every run of 2 (B; C)." in sentence
