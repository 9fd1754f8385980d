"""Fixtures that the tests of the benchmarks share."""

import http.server
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest


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
