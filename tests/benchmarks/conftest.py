"""Fixtures that the tests of the benchmarks share."""

import argparse
import http.server
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock

from benchmarks.__main__ import main
from benchmarks._lab.experiment import Request
from benchmarks._lab.options import own_options
from benchmarks.registry import EXPERIMENTS


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def serve(monkeypatch) -> Iterator[Callable[[Path], str]]:
    """Give ``serve(folder)``: a server of that folder in place of a publisher's; its address."""
    pooch = pytest.importorskip("pooch")
    pooch.get_logger().setLevel(logging.WARNING)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ExitStack() as stack:

        def start(folder: Path) -> str:
            handler = partial(_Quiet, directory=str(folder))
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            stack.enter_context(server)
            stack.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, args=(0.01,)).start()
            return f"http://127.0.0.1:{server.server_port}"

        yield start


@pytest.fixture
def request_of() -> Callable[..., Request]:
    """Give ``request_of(scale, **options)``: what a command line asks of an experiment."""

    def make(scale, **options):
        return Request(argparse.Namespace(**options), scale, "cpu", {}, ExitStack())

    return make


@pytest.fixture(scope="session")
def smoke_of(tmp_path_factory) -> Callable[[str], Path]:
    """Run an experiment at the smoke scale without any data; give its folder, to be left as is.

    Once for all tests that read it, those of the other processes of pytest-xdist too.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def run(name: str) -> Path:
        out, unfinished = shared / f"smoke_{name}", shared / f"unfinished_{name}"
        with FileLock(shared / f"{name}.lock"):
            if not out.exists():
                words = ["--scale", "smoke", "--device", "cpu", "--out", str(unfinished)]
                if "data_home" in own_options(EXPERIMENTS[name].options):
                    words += ["--data-home", str(shared / "no_data")]
                main([name, *words])
                unfinished.rename(out)
        return out

    return run
