"""Two processes train one net under Hugging Face accelerate, on CPUs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_mixup import MixupClassifier
from sklearn_mixup.minibatches import Minibatches

pytest.importorskip("accelerate")
from tests.accelerated_fits import load

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        torch.backends.mps.is_available(),
        reason="accelerate asks for a GPU for each process, and MPS cannot be hidden from it",
    ),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory, cpu_environment):
    """What each of the two processes found, and what they printed."""
    out = tmp_path_factory.mktemp("accelerated")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*command, "-m", "tests.accelerated_fits", str(out)],
        cwd=ROOT,
        env=cpu_environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ranks = [torch.load(out / f"{rank}.pt", weights_only=False) for rank in (0, 1)]
    return *ranks, done.stdout


def nearest_rows(rows, X):
    distances = torch.cdist(rows, torch.tensor(X))
    assert distances.min(1).values.max() < 1e-4
    return distances.argmin(1).tolist()


@pytest.mark.parametrize("kind", ["erm", "unseeded rows", "dataset"])
def test_processes_share_the_rows_of_an_epoch(found, kind):
    """All 301 rows are visited; one of them twice, so that both processes take as many steps."""
    X, _ = load()
    shares = [nearest_rows(one[kind]["seen"], X) for one in found[:2]]
    assert sorted({*shares[0], *shares[1]}) == list(range(301))
    assert found[0][kind]["sizes"] == found[1][kind]["sizes"]
    if kind != "dataset":  # accelerate fills up whole minibatches.
        assert len(shares[0]) == len(shares[1]) == 151
        assert len({*shares[0]} & {*shares[1]}) <= 1


@pytest.mark.parametrize("kind", ["mixup", "mixup dataset"])
def test_each_process_draws_its_own_lam_and_partners(found, kind):
    draws = [one[kind]["draws"] for one in found[:2]]
    assert draws[0]
    for ours, theirs in zip(*draws, strict=True):
        assert ours[0] != theirs[0]
        assert ours[1] != theirs[1]


def test_each_process_drops_for_itself(found):
    masks = [one["mixup"]["masks"] for one in found[:2]]
    assert 0.3 < (masks[0] == masks[1]).float().mean() < 0.7  # 1/2, if they are independent


@pytest.mark.parametrize("name", ["sgd", "weights", "bf16", "whole", "resumed", "valid", "proba"])
def test_all_processes_end_with_one_net(found, name):
    ours, theirs = (np.asarray(one[name]) for one in found[:2])
    np.testing.assert_array_equal(ours, theirs)


def test_two_processes_do_what_one_does_with_minibatches_twice_as_large(found):
    """The average of the gradients of two halves is that of the whole minibatch."""
    X, y = load()
    torch.set_default_dtype(torch.float64)
    try:
        clf = MixupClassifier(
            max_epochs=3,
            batch_size=20,
            random_state=0,
            device="cpu",
            optimizer=torch.optim.SGD,
            lr=0.1,
            alpha=0,
        ).fit(X[:300].astype(np.float64), y[:300])
    finally:
        torch.set_default_dtype(torch.float32)
    alone = torch.cat([p.detach().flatten() for p in clf.module_.parameters()])
    torch.testing.assert_close(found[0]["sgd"], alone, rtol=0, atol=1e-10)


def test_one_process_can_predict_alone(found):
    X, _ = load()
    assert found[0]["alone"].shape == (len(X),)


def test_probabilities_sum_to_1(found):
    np.testing.assert_allclose(found[0]["proba"].sum(axis=1), 1, rtol=1e-5)


def test_a_net_in_mixed_precision_learns(found):
    assert found[0]["bf16"].dtype == torch.float32
    assert found[0]["bf16 score"] > 0.9
    assert not torch.equal(found[0]["bf16"], found[0]["whole"])


def test_a_resumed_fit_ends_with_the_bits_of_an_uninterrupted_one(found):
    assert torch.equal(found[0]["whole"], found[0]["resumed"])


def test_nothing_is_printed(found):
    assert found[2] == ""


@pytest.mark.parametrize("n_rows", [7, 8, 3])
@pytest.mark.parametrize("shuffle", [True, False])
def test_shares_are_equal_and_make_up_the_epoch(n_rows, shuffle):
    X = torch.arange(float(n_rows)).unsqueeze(1)
    shares = []
    for rank in range(3):
        rng = torch.Generator().manual_seed(0)
        minibatches = Minibatches(
            X, X, batch_size=2, shuffle=shuffle, rng=rng, rank=rank, n_processes=3
        )
        batches = [Xi for Xi, _ in minibatches]
        assert len(batches) == len(minibatches)
        shares.append(torch.cat(batches).flatten().tolist())
    assert {len(share) for share in shares} == {-(-n_rows // 3)}
    visits = [visit for share in shares for visit in share]
    n_extra = len(visits) - n_rows
    assert sorted(set(visits)) == list(range(n_rows))
    assert n_extra < 3
