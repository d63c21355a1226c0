"""What holds for every test: nothing of the user's own clusters is seen or touched."""

import faulthandler

import pytest

EXIT_TIMEOUT_S = 30


@pytest.fixture(autouse=True)
def _no_own_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """No CAIRN_ variable of the caller reaches a test."""
    for name in ("CAIRN_CLUSTER", "CAIRN_DEBUG"):
        monkeypatch.delenv(name, raising=False)


def pytest_unconfigure() -> None:
    """A thread that a test left behind must not keep the run from ending: after a while, say where it is and stop."""
    faulthandler.dump_traceback_later(EXIT_TIMEOUT_S, exit=True)
