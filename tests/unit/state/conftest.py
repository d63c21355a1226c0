"""A driven state machine for each test, checked when the test ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.state.check import check
from tests.unit.state.driver import Driver, fast_folder


@pytest.fixture
def state() -> Iterator[Driver]:
    with fast_folder() as folder, Driver(Path(folder) / "state") as driver:
        yield driver
        check(driver.machine)
