"""Sessions, and the answers that make each of their operations happen once.

The story of a retry: a client sends operation 7, the leader applies it and dies before the answer
is out. The client sends 7 again to the next leader, which proposes it again; `apply` finds the
answer of 7 in the replies and gives it again, on every namenode alike. An answer is forgotten
only when the client has said (`answered_through`) that it has it.
"""

import errno

import msgspec

from cairnfs.common.errors import Refused
from cairnfs.common.operations import Done
from cairnfs.namenode.state.blocks import seal
from cairnfs.namenode.state.call import Call, settings_of
from cairnfs.namenode.state.commands import CloseSession, Item, OpenSession, SessionOpened
from cairnfs.namenode.state.schema import REPLY_HEAD, U64_MAX, SessionRecord
from cairnfs.namenode.state.tables.update import Update
from cairnfs.namenode.state.tables.view import View

_NONCE_BYTES_MAX = 64
_CLIENT_NAME_MAX = 255


class Outcome(msgspec.Struct, gc=False):
    """What became of an item: an answer, or an errno and a message.

    `holds` is the inode that the session holds open through this operation, 0 for none.
    """

    session: int
    sequence: int
    body: bytes
    errno: int
    message: str
    holds: int = 0


def open_session(update: Update, call: Call, command: OpenSession) -> SessionOpened:
    """A new session, or the one that the nonce has opened already."""
    settings_of(update)
    if not 0 < len(command.nonce) <= _NONCE_BYTES_MAX:
        raise Refused(errno.EINVAL, f"a nonce has 1 to {_NONCE_BYTES_MAX} bytes")
    session = update.session_of(command.nonce)
    if not session:
        session = update.count.next_session
        update.count.next_session += 1
        name = command.client_name[:_CLIENT_NAME_MAX]
        update.add_session(session, SessionRecord(0, call.now_ns, command.nonce, name))
    return SessionOpened(session)


def close_session(update: Update, _call: Call, command: CloseSession) -> Done:
    """Seal what the session wrote, and forget it; nothing happens where it is gone."""
    record = update.session(command.session) if 0 < command.session <= U64_MAX else None
    if record is not None:
        for block in update.blocks_written_by(command.session):
            seal(update, command.session, block)
        update.remove_session(command.session, record)
    return Done()


def answered_before(update: Update, item: Item) -> Outcome | None:
    """The outcome of an item that is not to be applied: a retry, or one of a session that is gone."""
    record = update.session(item.session)
    if record is None:
        return Outcome(item.session, item.sequence, b"", errno.ESTALE, f"session {item.session} has ended")
    earlier = earlier_outcome(update, item.session, item.sequence)
    if earlier is not None:
        return earlier
    if item.sequence <= record.answered_through:
        message = f"operation {item.sequence} was answered, and its answer is forgotten"
        return Outcome(item.session, item.sequence, b"", errno.ESTALE, message)
    through = min(item.answered_through, item.sequence - 1)
    if through > record.answered_through:
        update.remove_replies(item.session, record.answered_through + 1, through)
        record.answered_through = through
        update.save_session(item.session, record)
    return None


def earlier_outcome(view: View, session: int, sequence: int) -> Outcome | None:
    """What became of an operation that has been applied and whose answer is still kept."""
    reply = view.reply(session, sequence)
    if reply is None:
        return None
    code, holds = REPLY_HEAD.unpack_from(reply)
    payload = reply[REPLY_HEAD.size :]
    if code:
        return Outcome(session, sequence, b"", code, payload.decode(), holds)
    return Outcome(session, sequence, payload, 0, "", holds)


def remember(update: Update, outcome: Outcome) -> None:
    """Keep the outcome for a retry."""
    payload = outcome.message.encode() if outcome.errno else outcome.body
    update.save_reply(outcome.session, outcome.sequence, REPLY_HEAD.pack(outcome.errno, outcome.holds) + payload)
