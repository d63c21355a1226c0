"""A driven state machine for each test, checked when the test ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.state.check import check
from tests.unit.state.driver import Driver


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Driver]:
    with Driver(tmp_path / "state") as driver:
        yield driver
        check(driver.machine)
