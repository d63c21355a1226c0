"""Chains for tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.unit.transfer.nodes import LocalNode

MakeNodes = Callable[..., list[LocalNode]]


@pytest.fixture
def closing_stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def make_nodes(tmp_path: Path, closing_stack: ExitStack) -> MakeNodes:
    def make(count: int, **options: int) -> list[LocalNode]:
        nodes = [LocalNode(tmp_path / f"node-{number}", **options) for number in range(1, count + 1)]
        for node in nodes:
            closing_stack.enter_context(closing(node))
        return nodes

    return make
