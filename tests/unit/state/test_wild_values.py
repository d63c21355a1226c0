"""No command, whatever its values, can stop a namenode: it is done or refused, and the tables agree."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnfs.common import operations as ops
from cairnfs.common.errors import Refused
from cairnfs.namenode.state.commands import Item, ReapOrphans, encode_internal, internal_item
from tests.unit.state.check import check, traces_of
from tests.unit.state.driver import ROOT, Driver, fast_folder
from tests.unit.state.strategies import INTERNALS, MUTATIONS, credentials, wild


@pytest.fixture(scope="module")
def lasting() -> Iterator[Driver]:
    """One state for all examples, with something of every kind in it."""
    with fast_folder() as folder, Driver(Path(folder) / "state") as driver:
        ino = driver.put(b"/a", b"content").ino
        driver.mkdir(b"/b")
        driver.symlink(b"/c", b"a")
        driver.write_block(ino, 0, 100)
        driver.do(ops.CreateOrphan(0o644))
        yield driver


@pytest.mark.parametrize("kind", MUTATIONS, ids=lambda kind: kind.__name__)
def test_any_mutation_is_done_or_refused(lasting: Driver, kind: type) -> None:
    """Wild numbers and bytes in every field of a mutation are answered, not raised; a refusal leaves no trace."""

    @settings(max_examples=60, deadline=None)
    @given(wild(kind), credentials)
    def run(operation: ops.AnyMutation, who: ops.Credentials) -> None:
        before = traces_of(lasting.machine)
        outcome = lasting.attempt(operation, who)
        assert outcome.body if outcome.errno == 0 else outcome.message
        assert not outcome.errno or traces_of(lasting.machine) == before

    run()
    check(lasting.machine)


@pytest.mark.parametrize("kind", INTERNALS, ids=lambda kind: kind.__name__)
def test_any_internal_command_is_done_or_refused(lasting: Driver, kind: type) -> None:
    """Wild numbers and bytes in every field of an internal command are answered, not raised."""

    @settings(max_examples=60, deadline=None)
    @given(st.lists(wild(kind), max_size=3))
    def run(internals: list[msgspec.Struct]) -> None:
        lasting.apply(*(internal_item(command) for command in internals))  # type: ignore[arg-type]

    run()
    check(lasting.machine)


@pytest.mark.parametrize("kind", ops.AnyQuery.__args__, ids=lambda kind: kind.__name__)
def test_any_query_is_answered_or_refused(lasting: Driver, kind: type) -> None:
    """Wild numbers and bytes in every field of a query are answered, or Refused."""

    refused: list[int] = []

    @settings(max_examples=60, deadline=None)
    @given(wild(kind), credentials)
    def run(operation: ops.AnyQuery, who: ops.Credentials) -> None:
        try:
            assert lasting.machine.query(lasting.session, who, operation, 1)
        except Refused as refusal:
            refused.append(refusal.errno or 0)

    run()
    assert all(code > 0 for code in refused)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x93\xa7Unknown\x01\x02", ops.encode(ops.GetAttributes(1, b"a"))])
def test_a_body_that_is_no_mutation_is_refused(state: Driver, body: bytes) -> None:
    """Garbage, an unknown command and a query in a log entry are refused on every namenode alike."""
    outcome = state.apply(Item(state.session, 1, 0, ROOT, body))[0]
    assert outcome.errno == 22


def test_a_client_cannot_send_an_internal_command(state: Driver) -> None:
    """An internal command under a client's session is refused."""
    body = encode_internal(ReapOrphans([1]))
    assert state.apply(Item(state.session, 1, 0, ROOT, body))[0].errno == 22
