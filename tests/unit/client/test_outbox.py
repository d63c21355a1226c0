"""The outbox: bounds, order, and what becomes of operations that nobody waits for."""

import pytest

from cairnfs.client import outbox as outbox_module
from cairnfs.client.outbox import Outbox, Pending
from cairnfs.common.errors import CairnError, ClusterUnavailable
from cairnfs.common.operations import Credentials, Operation, ReleaseFiles, Unlink, decode_operation
from cairnfs.protos.session_pb2 import Batch, Replies, Reply


class Nobody:
    """A session that only counts."""

    def suspect(self, pending: Pending) -> None:
        """Nothing."""

    def time_is_up(self, pending: Pending) -> CairnError:
        return ClusterUnavailable("time is up")

    def abandon(self, pending: Pending) -> None:
        """Nothing."""


NOBODY = Nobody()


def pending(operation: Operation | None = None, credentials: Credentials | None = None) -> Pending:
    return Pending(NOBODY, operation or Unlink(1, b"x"), credentials or Credentials(1, 2), timeout_s=1000.0)


def sequences(batch: Batch) -> list[int]:
    return [operation.sequence for operation in batch.operations]


def reply(outbox: Outbox, *numbers: int) -> list[int]:
    replies = Replies(applied_index=3, replies=[Reply(sequence=number, body=b"\x90") for number in numbers])
    return [settled.sequence for settled in outbox.take_replies(NOBODY, replies)]


def test_a_batch_is_bounded_by_count_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch ends at its bound of operations or bytes, and the rest goes with the next one."""
    outbox = Outbox()
    for _ in range(10):
        outbox.put(pending())
    monkeypatch.setattr(outbox_module, "BATCH_OPERATIONS_MAX", 4)
    assert sequences(outbox.take_batch()) == [1, 2, 3, 4]
    monkeypatch.setattr(outbox_module, "BATCH_BYTES_MAX", 1)
    assert sequences(outbox.take_batch()) == [5]


def test_the_unanswered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more leaves while too much is unanswered; answers make room."""
    outbox = Outbox()
    monkeypatch.setattr(outbox_module, "UNANSWERED_MAX", 2)
    for _ in range(3):
        outbox.put(pending())
    assert sequences(outbox.take_batch()) == [1, 2]
    assert sequences(outbox.take_batch()) == []
    assert outbox.has_work
    reply(outbox, 2)
    assert sequences(outbox.take_batch()) == [3]


def test_a_resent_operation_that_is_answered_meanwhile_is_not_sent() -> None:
    """Only what is still unanswered is sent again, before anything new, in the old order."""
    outbox = Outbox()
    for _ in range(3):
        outbox.put(pending())
    outbox.take_batch()
    assert outbox.resend_all() == 3
    reply(outbox, 2)
    outbox.put(pending())
    assert sequences(outbox.take_batch()) == [1, 3, 4]


def test_a_second_answer_is_passed_over() -> None:
    """An answer to what is answered already settles nobody."""
    outbox = Outbox()
    outbox.put(pending())
    outbox.take_batch()
    assert reply(outbox, 1) == [1]
    assert reply(outbox, 1, 77) == []
    assert outbox.new_batch().answered_through == 1
    assert outbox.new_batch().seen_index == 3


def test_credentials_are_listed_once_a_batch() -> None:
    """Operations of the same users share an entry."""
    outbox = Outbox()
    alice, bob = Credentials(1, 1, (7,)), Credentials(2, 2)
    for credentials in (alice, bob, alice, Credentials(1, 1, (7,))):
        outbox.put(pending(credentials=credentials))
    batch = outbox.take_batch()
    assert [(each.uid, list(each.groups)) for each in batch.credentials] == [(1, [7]), (2, [])]
    assert [operation.credentials for operation in batch.operations] == [0, 1, 0, 0]


def test_abandoned_before_it_left_is_dropped() -> None:
    """An operation without a sequence vanishes; one with a sequence is kept until it is answered."""
    outbox = Outbox()
    first, second = pending(), pending()
    outbox.put(first)
    outbox.take_batch()
    outbox.put(second)
    outbox.abandon(NOBODY, second)
    outbox.abandon(NOBODY, first)
    assert not outbox.has_work
    assert not outbox.is_empty
    assert outbox.resend_all() == 1


def test_a_release_is_an_operation_like_others() -> None:
    """A release is queued, numbered and answered; nobody waits for it."""
    outbox = Outbox()
    outbox.put_release(NOBODY, 11, 1000.0)
    batch = outbox.take_batch()
    assert decode_operation(batch.operations[0].body) == ReleaseFiles((11,))
    reply(outbox, 1)
    assert outbox.is_empty


def test_a_new_epoch_starts_from_one() -> None:
    """Numbers, holds and the session's id are the new session's own; what was queued goes with it."""
    outbox = Outbox()
    outbox.put(pending())
    outbox.take_batch()
    outbox.put(pending())
    outbox.session_id = 7
    nonce = outbox.nonce
    assert [lost.sequence for lost in outbox.begin_epoch()] == [1]
    assert (outbox.session_id, outbox.epoch) == (0, 1)
    assert outbox.nonce != nonce
    assert sequences(outbox.take_batch()) == [1]


def test_a_wait_ends_with_its_time() -> None:
    """result raises what the session says when the time is up."""
    late = Pending(NOBODY, Unlink(1, b"x"), Credentials(1, 2), timeout_s=0.0)
    with pytest.raises(ClusterUnavailable, match="time is up"):
        late.result()
