"""What holds for every test: nothing of the user's own clusters is seen or touched."""

import pytest


@pytest.fixture(autouse=True)
def _no_own_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """No CAIRN_ variable of the caller reaches a test."""
    for name in ("CAIRN_CLUSTER", "CAIRN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
