"""The loops of one's own that the documentation shows; the plain one is a doctest of its page."""

import logging
import runpy
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from benchmarks._nets.vision import import_torchvision

LOOP = Path(__file__).parents[1] / "docs" / "lightning_loop.py"


@pytest.fixture
def lightning(caplog):
    """Import Lightning, or skip; it says nothing but warnings."""
    with suppress(ImportError):
        import_torchvision()  # torchmetrics, which it needs, imports it if it is there
    for name in ("pytorch_lightning", "lightning_fabric"):
        caplog.set_level(logging.WARNING, logger=name)
    return pytest.importorskip("pytorch_lightning")


@pytest.mark.slow
# Lightning advises more workers where there are more processors, and is ahead of or behind torch.
@pytest.mark.filterwarnings("ignore::Warning")
def test_the_lightning_loop_of_the_page_learns(lightning, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        page = runpy.run_path(str(LOOP))
    assert page["accuracy"] > 0.85
    assert [*tmp_path.iterdir()] == []
    assert "".join(capfd.readouterr()) == ""
    # Its step is that of ERM where nothing is mixed.
    net, X, y = page["net"].cpu(), page["X"][:32], page["y"][:32]
    assert net.alpha == 0.2
    net.alpha, net.rng = 0, torch.Generator()
    assert net.training_step((X, y), 0).isclose(net.criterion(net.module(X), y))
