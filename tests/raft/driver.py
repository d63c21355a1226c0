"""Interprets the scripts in `testdata/`: a group of cores in one place, with every message and every sync in its hands.

A command is a word and its arguments; nodes are called by their numbers.

    nodes N [learners=4,5] [option=value …]   define nodes 1..N as voters; options are those of `Config`
    joiner ID                                 a node that knows no membership yet
    log ID TERM … [term=] [vote=] [commit=]   what a node's disk holds before its first start, as terms of 1, 2, …
    tick ID [N] · campaign ID · propose ID DATA … · read ID CONTEXT · transfer ID TO
    change ID add-learner|promote|demote|remove TARGET · unreachable ID TARGET · snapshot-done ID TARGET ok|failed
    ready ID          take one Ready and carry it out
    take ID           take one Ready and send its first messages only; its sync is under way
    persist ID        the sync is done: carry out the rest
    lag ID / apply ID   from now on do not apply / apply what has gathered
    deliver ID [twice|reversed]   hand over all messages to this node
    drop ID           lose all messages to this node
    keep ID / replay ID   remember the messages to this node / hand them over once more
    cut ID … / heal   lose what these nodes send or are sent / no longer
    stabilize [ID …]  ready and deliver until nothing happens; `settle` shows only roles, saves of votes, and applies
    crash ID          lose what is not synced, and start again
    checkpoint ID [INDEX]   take a snapshot at the applied index, and compact the log up to INDEX
    forget-snapshot ID   as if none were taken yet
    step ID Append|… field=value …   a handmade message
    status [ID …] · progress ID · entries ID
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from cairnfs.namenode.raft import (
    Append,
    AppendReply,
    ChangeKind,
    Config,
    Core,
    CorruptLog,
    Entry,
    EntryKind,
    HardState,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Membership,
    MembershipChange,
    MemoryStorage,
    Message,
    Ready,
    Refused,
    SnapshotMeta,
    TimeoutNow,
    Vote,
    VoteReply,
    decode_membership,
)

_TYPES = (Append, AppendReply, Heartbeat, HeartbeatReply, InstallSnapshot, TimeoutNow, Vote, VoteReply)
_MESSAGES: dict[str, type[Message]] = {kind.__name__: kind for kind in _TYPES}


class Node:
    """One core with its storage."""

    def __init__(self, config: Config, membership: Membership) -> None:
        self.config = config
        self.storage = MemoryStorage(membership)
        self.applied_membership = membership
        self.applied = 0
        self._core: Core | None = None
        self.taken: Ready | None = None
        self.is_lagging = False
        self.unapplied: list[Entry] = []

    @property
    def core(self) -> Core:
        if self._core is None:
            self.storage.membership = self.applied_membership
            self._core = Core(self.config, self.storage, self.applied, lambda n: min(self.config.node_id, n - 1))
        return self._core

    def crash(self) -> None:
        self._core = None
        self.taken = None
        self.unapplied = []


class Driver:
    """The state of one script."""

    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}
        self.network: list[Message] = []
        self.kept: list[Message] = []
        self.cuts: set[int] = set()
        self.out: list[str] = []
        self.is_quiet = False

    def run(self, line: str) -> str:
        """Carry out one command and return what there is to see."""
        self.out = []
        self.is_quiet = False
        command, *words = line.split()
        method: Callable[[list[str]], None] = getattr(self, "do_" + command.replace("-", "_"))
        try:
            method(words)
        except Refused as refusal:
            self.out.append(f"refused: {type(refusal).__name__}: {refusal}")
        except CorruptLog as error:
            self.out.append(f"CorruptLog: {error}")
        return "\n".join(self.out) or "ok"

    # -- setting up

    def do_nodes(self, words: list[str]) -> None:
        count = int(words[0])
        options = dict(word.split("=") for word in words[1:])
        learners = _ids(options.pop("learners", ""))
        membership = Membership.of(tuple(range(1, count + 1)), learners)
        for node_id in [*range(1, count + 1), *learners]:
            self.nodes[node_id] = Node(
                Config(node_id, **{name: int(value) for name, value in options.items()}), membership
            )

    def do_joiner(self, words: list[str]) -> None:
        [node_id] = map(int, words)
        options = next(iter(self.nodes.values())).config
        values = {field.name: getattr(options, field.name) for field in fields(Config)}
        self.nodes[node_id] = Node(Config(**{**values, "node_id": node_id}), Membership())

    def do_log(self, words: list[str]) -> None:
        storage = self.nodes[int(words[0])].storage
        terms = [int(word) for word in words[1:] if "=" not in word]
        options = {name: int(value) for name, value in (word.split("=") for word in words[1:] if "=" in word)}
        entries = [
            Entry(term, index, EntryKind.NORMAL, b"%d/%d" % (index, term)) for index, term in enumerate(terms, 1)
        ]
        term = options.pop("term", max(terms, default=0))
        storage.save(HardState(term, options.pop("vote", 0), options.pop("commit", 0)), None, entries)
        assert not options

    # -- inputs

    def _core(self, words: list[str]) -> Core:
        return self.nodes[int(words[0])].core

    def do_tick(self, words: list[str]) -> None:
        for _ in range(int(words[1]) if len(words) > 1 else 1):
            self._core(words).tick()

    def do_campaign(self, words: list[str]) -> None:
        self._core(words).campaign()

    def do_propose(self, words: list[str]) -> None:
        positions = self._core(words).propose([word.encode() for word in words[1:]])
        self.out.append("proposed " + " ".join(f"{index}/{term}" for term, index in positions))

    def do_read(self, words: list[str]) -> None:
        self._core(words).read_index(words[1].encode())

    def do_transfer(self, words: list[str]) -> None:
        self._core(words).transfer_leadership(int(words[1]))

    def do_change(self, words: list[str]) -> None:
        term, index = self._core(words).propose_membership(MembershipChange(ChangeKind(words[1]), int(words[2])))
        self.out.append(f"proposed {index}/{term}")

    def do_unreachable(self, words: list[str]) -> None:
        self._core(words).report_unreachable(int(words[1]))

    def do_snapshot_done(self, words: list[str]) -> None:
        self._core(words).report_snapshot(int(words[1]), words[2] == "ok")

    def do_step(self, words: list[str]) -> None:
        kind = _MESSAGES[words[1]]
        values = dict(word.split("=") for word in words[2:])
        arguments: dict[str, object] = {"to": int(words[0])}
        for field in fields(kind):
            text = values.pop(field.name.rstrip("_"), None)
            if field.name == "entries":
                pairs = [] if text in (None, "-") else [pair.split("/") for pair in (text or "").split(",")]
                arguments["entries"] = tuple(
                    Entry(int(term), int(index), EntryKind.NORMAL, f"{index}/{term}".encode()) for index, term in pairs
                )
            elif field.name == "snapshot":
                index, term = map(int, (text or "0/0").split("/"))
                arguments["snapshot"] = SnapshotMeta(index, term, self.nodes[int(words[0])].core.membership)
            elif field.name.startswith("is_"):
                arguments[field.name] = text == "yes"
            elif field.name != "to":
                arguments[field.name] = int(text or 0)
        assert not values, values
        self.nodes[int(words[0])].core.step(kind(**arguments))  # type: ignore[arg-type]

    # -- the owner's loop

    def do_take(self, words: list[str]) -> None:
        node = self.nodes[int(words[0])]
        node.taken = ready = node.core.ready()
        name = words[0]
        if ready.soft_state is not None:
            self._say(f"{name} is {ready.soft_state.role.value}, leader {ready.soft_state.leader_id or '-'}")
        self._send(name, "sends", ready.messages)
        if ready.must_sync:
            self._detail(f"{name} saves {_what_is_saved(ready)}")

    def do_persist(self, words: list[str]) -> None:
        node, name = self.nodes[int(words[0])], words[0]
        ready, node.taken = node.taken, None
        assert ready is not None
        if ready.must_sync:
            node.storage.save(ready.hard_state, ready.snapshot, ready.entries)
        node.core.persisted(ready)
        self._send(name, "sends, synced:", ready.messages_after_persist)
        if ready.snapshot is not None:
            node.applied, node.applied_membership = ready.snapshot.index, ready.snapshot.membership
            node.unapplied = []
            self._say(f"{name} installs snapshot {ready.snapshot.index}/{ready.snapshot.term}")
        for state in ready.read_states:
            self._say(f"{name} may read {_text(state.context)} at {state.index}")
        for context in ready.dropped_reads:
            self._say(f"{name} drops read {_text(context)}")
        node.unapplied += ready.committed
        if not node.is_lagging:
            self._apply(name, node)

    def do_ready(self, words: list[str]) -> None:
        if not self._core(words).has_ready():
            self.out.append("nothing")
            return
        self.do_take(words)
        self.do_persist(words)

    def do_lag(self, words: list[str]) -> None:
        self.nodes[int(words[0])].is_lagging = True

    def do_apply(self, words: list[str]) -> None:
        node = self.nodes[int(words[0])]
        node.is_lagging = False
        self._apply(words[0], node)

    def _apply(self, name: str, node: Node) -> None:
        if node.unapplied:
            self._say(f"{name} applies {' '.join(map(_entry, node.unapplied))}")
            for entry in node.unapplied:
                if entry.kind is EntryKind.MEMBERSHIP:
                    node.applied_membership = decode_membership(entry.data)
            node.applied = node.unapplied[-1].index
            node.unapplied = []
            node.core.applied(node.applied)

    def do_crash(self, words: list[str]) -> None:
        self.nodes[int(words[0])].crash()

    def do_checkpoint(self, words: list[str]) -> None:
        node = self.nodes[int(words[0])]
        storage = node.storage
        storage.took_snapshot(SnapshotMeta(node.applied, storage.term(node.applied), node.applied_membership))
        if len(words) > 1:
            storage.compact(int(words[1]))
        self.out.append(f"log from {storage.first_index()} to {storage.last_index()}, snapshot at {node.applied}")

    def do_forget_snapshot(self, words: list[str]) -> None:
        self.nodes[int(words[0])].storage.newest_snapshot = None

    # -- the network

    def _send(self, name: str, verb: str, messages: list[Message]) -> None:
        for message in messages:
            is_lost = bool({message.from_, message.to} & self.cuts)
            self._detail(f"{name} {verb} {_message(message)}{' (lost)' if is_lost else ''}")
            if not is_lost:
                self.network.append(message)

    def _take_messages(self, words: list[str]) -> list[Message]:
        to = int(words[0])
        mine = [message for message in self.network if message.to == to]
        self.network = [message for message in self.network if message.to != to]
        return mine

    def do_deliver(self, words: list[str]) -> None:
        messages = self._take_messages(words)
        if "reversed" in words:
            messages.reverse()
        for message in messages:
            for _ in range(2 if "twice" in words else 1):
                self.nodes[message.to].core.step(message)
        if not self.is_quiet:
            self.out.append(f"{words[0]} gets {len(messages)}")

    def do_drop(self, words: list[str]) -> None:
        self.out.append(f"lost {len(self._take_messages(words))}")

    def do_keep(self, words: list[str]) -> None:
        self.kept = [message for message in self.network if message.to == int(words[0])]
        self.out.extend(_message(message) for message in self.kept)

    def do_replay(self, words: list[str]) -> None:
        for message in self.kept:
            self.nodes[int(words[0])].core.step(message)

    def do_cut(self, words: list[str]) -> None:
        self.cuts |= set(map(int, words))

    def do_heal(self, words: list[str]) -> None:
        self.cuts = set()

    def do_stabilize(self, words: list[str]) -> None:
        nodes = [int(word) for word in words] or list(self.nodes)
        is_busy = True
        while is_busy:
            is_busy = False
            for node_id in nodes:
                waiting = [message for message in self.network if message.to == node_id]
                if waiting:
                    is_busy = True
                    self.network = [message for message in self.network if message.to != node_id]
                    for message in waiting:
                        self.nodes[node_id].core.step(message)
                if self.nodes[node_id].core.has_ready():
                    is_busy = True
                    self.do_ready([str(node_id)])

    def do_settle(self, words: list[str]) -> None:
        self.is_quiet = True
        self.do_stabilize(words)

    # -- looking

    def _say(self, text: str) -> None:
        self.out.append(text)

    def _detail(self, text: str) -> None:
        if not self.is_quiet:
            self.out.append(text)

    def do_status(self, words: list[str]) -> None:
        for node_id in [int(word) for word in words] or list(self.nodes):
            status = self.nodes[node_id].core.status()
            self.out.append(
                f"{node_id} {status.role.value} term={status.term} leader={status.leader_id or '-'} "
                f"commit={status.commit} applied={status.applied} last={status.last_index}"
            )

    def do_membership(self, words: list[str]) -> None:
        for node_id in [int(word) for word in words] or list(self.nodes):
            self.out.append(f"{node_id} {self.nodes[node_id].core.membership}")

    def do_progress(self, words: list[str]) -> None:
        for node_id, peer in self._core(words).status().peers.items():
            kind = " learner" if peer.is_learner else ""
            window = f" inflight={peer.inflight}" if peer.inflight else ""
            self.out.append(f"{node_id} {peer.state} match={peer.match} next={peer.next}{window}{kind}")

    def do_entries(self, words: list[str]) -> None:
        storage = self.nodes[int(words[0])].storage
        self.out.append(" ".join(map(_entry, storage.entries_held)) or "empty")


def _ids(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(","))) if text else ()


def _text(context: int | bytes) -> str:
    return context.decode() if isinstance(context, bytes) else str(context)


def _entry(entry: Entry) -> str:
    position = f"{entry.index}/{entry.term}"
    if entry.kind is EntryKind.NOOP:
        return f"{position}:noop"
    if entry.kind is EntryKind.MEMBERSHIP:
        return f"{position}:[{decode_membership(entry.data)}]"
    return position if entry.data.decode() == position else f"{position}:{entry.data.decode()}"


def _what_is_saved(ready: Ready) -> str:
    parts = []
    if ready.hard_state is not None:
        parts.append(
            f"term={ready.hard_state.term} vote={ready.hard_state.vote or '-'} commit={ready.hard_state.commit}"
        )
    if ready.snapshot is not None:
        parts.append(f"snapshot {ready.snapshot.index}/{ready.snapshot.term}")
    if ready.entries:
        parts.append(" ".join(map(_entry, ready.entries)))
    return ", ".join(parts)


def _message(message: Message) -> str:
    head = f"{message.from_}->{message.to} {type(message).__name__} term={message.term}"
    match message:
        case Append():
            entries = " ".join(map(_entry, message.entries)) or "-"
            return f"{head} after {message.prev_index}/{message.prev_term} commit={message.commit} {entries}"
        case AppendReply(is_rejected=True):
            return f"{head} rejects {message.index}, hint {message.hint_index}/{message.hint_term}"
        case AppendReply():
            return f"{head} holds {message.index}"
        case Heartbeat():
            return f"{head} commit={message.commit} round={message.read_round}"
        case HeartbeatReply():
            return f"{head} round={message.read_round}"
        case Vote():
            kind = "pre " if message.is_pre else "forced " if message.is_forced else ""
            return f"{head} {kind}last={message.last_index}/{message.last_term}"
        case VoteReply():
            return f"{head} {'pre ' if message.is_pre else ''}{'yes' if message.is_granted else 'no'}"
        case InstallSnapshot():
            return f"{head} {message.snapshot.index}/{message.snapshot.term} {message.snapshot.membership}"
        case TimeoutNow():
            return head
