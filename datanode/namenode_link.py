"""The link to one namenode: registers there if it leads, sends a heartbeat each second, reports when it is owed.

One thread a namenode, so that one that hangs holds up no other. Knows no rules; registration.py does.
"""

import threading
from collections.abc import Callable

import grpc

from cairnfs.common.channels import open_channel
from cairnfs.common.errors import CairnError
from cairnfs.common.logs import EventLogger
from cairnfs.datanode.registration import Registration
from cairnfs.protos import datanode_pb2_grpc

HEARTBEAT_S = 1.0
_SEARCH_S = 0.2  # between attempts to register
_CALL_TIMEOUT_S = 2.0
_REGISTER_TIMEOUT_S = 10.0
_REPORT_TIMEOUT_S = 120.0

log = EventLogger("link")


class NamenodeLink:
    """Runs from its making to `stop`."""

    def __init__(
        self,
        address: str,
        registration: Registration,
        give_up: Callable[[CairnError], None],
        *,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        """`give_up` is called, once, when the namenode says that this datanode can never belong to it."""
        self._address = address
        self._registration = registration
        self._give_up = give_up
        self._heartbeat_s = heartbeat_s
        self._channel = open_channel(address)
        self._stub = datanode_pb2_grpc.RegistryStub(self._channel)
        self._stopping = threading.Event()
        self._is_reachable = True
        self._reporter: threading.Thread | None = None
        self._thread = threading.Thread(target=self._run, name=f"namenode-{address}")
        self._thread.start()

    def stop(self) -> None:
        """End all calls and threads."""
        self._stopping.set()
        self._channel.close()
        self._thread.join()
        if self._reporter is not None:
            self._reporter.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._talk()
                self._note_reachable(None)
            except grpc.RpcError as error:
                self._note_reachable(error)
            except ValueError as error:
                if not self._stopping.is_set():  # a call on a channel that `stop` has closed
                    raise
                log.debug("link_stopped", namenode=self._address, error=error)
            except CairnError as error:
                self._give_up(error)
                return
            is_searching = self._registration.must_register
            self._stopping.wait(min(_SEARCH_S, self._heartbeat_s) if is_searching else self._heartbeat_s)

    def _talk(self) -> None:
        registration = self._registration
        if registration.must_register:
            reply = self._stub.Register(registration.register_request(), timeout=_REGISTER_TIMEOUT_S)
            registration.take_register_reply(reply)
            if registration.must_register:
                return
        request = registration.heartbeat()
        answer = self._stub.Heartbeat(request, timeout=_CALL_TIMEOUT_S)
        if registration.take_heartbeat_reply(request, answer):
            self._start_report()

    def _start_report(self) -> None:
        """Report in a thread of its own: a long report must not keep heartbeats waiting."""
        if self._reporter is not None and self._reporter.is_alive():
            return
        self._reporter = threading.Thread(target=self._report, name=f"report-{self._address}")
        self._reporter.start()

    def _report(self) -> None:
        try:
            reply = self._stub.ReportBlocks(self._registration.report(), timeout=_REPORT_TIMEOUT_S)
        except (grpc.RpcError, ValueError) as error:
            log.debug("report_failed", namenode=self._address, error=error)
            self._registration.take_report_reply(None)
        else:
            self._registration.take_report_reply(reply)

    def _note_reachable(self, error: grpc.RpcError | None) -> None:
        is_reachable = error is None
        if is_reachable == self._is_reachable or self._stopping.is_set():
            return
        self._is_reachable = is_reachable
        if is_reachable:
            log.info("namenode_answers", namenode=self._address)
        else:
            log.warning("namenode_does_not_answer", namenode=self._address, code=_code_of(error))


def _code_of(error: object) -> str:
    return str(error.code().name) if isinstance(error, grpc.Call) else "UNKNOWN"
