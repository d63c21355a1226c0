"""Where to look for the leading namenode next: a pure policy, without clock, chance or socket."""

from collections.abc import Iterable

BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 1.0
REDIRECTS_MAX = 8


class LeaderSearch:
    """Walks the known addresses in rounds, a hinted leader first, and remembers why each attempt failed."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._addresses = list(dict.fromkeys(addresses))
        self._given = tuple(self._addresses)
        self._failures: dict[str, str] = {}
        self._demoted: set[str] = set()
        self._leader = ""
        self._redirects = 0
        self._rounds = 0
        self._untried: list[str] = []

    def next_address(self) -> str | None:
        """The next address to try; None once a round is over: wait `backoff_s`, then call `begin_round`."""
        if self._leader:
            address, self._leader = self._leader, ""
            if address in self._untried:
                self._untried.remove(address)
            return address
        return self._untried.pop(0) if self._untried else None

    def begin_round(self) -> None:
        """Try every address (again), those last that failed last time: a dead host costs a whole timeout."""
        self._untried = sorted(self._addresses, key=lambda address: address in self._demoted)
        self._redirects = 0

    def backoff_s(self, chance: float) -> float:
        """The wait after a round in vain: from 50 ms doubling to 1 s; `chance` in [0, 1) takes up to half off."""
        whole = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(self._rounds, 8))
        self._rounds += 1
        return whole * (1 - chance / 2)

    def failed(self, address: str, reason: str) -> None:
        """An attempt failed, or a stream broke."""
        self._failures[address] = reason
        self._demoted.add(address)

    def hint(self, leader: str) -> None:
        """Try this address next."""
        self._leader = leader

    def redirected(self, address: str, leader: str) -> None:
        """`address` does not lead; `leader` is empty where it knows of none."""
        self._demoted.discard(address)
        if leader and leader != address and self._redirects < REDIRECTS_MAX:
            self._redirects += 1
            self._leader = leader
            self._failures[address] = f"says that {leader} leads"
        else:
            self._failures[address] = "knows no leader"

    def welcomed(self, members: Iterable[str]) -> None:
        """A leader answered, and named the members of its group."""
        self._addresses = list(dict.fromkeys((*members, *self._given)))
        self._failures = {}
        self._demoted = set()

    def served(self) -> None:
        """The leader has answered an operation: the next wait is a short one again."""
        self._rounds = 0

    def describe(self) -> str:
        """The addresses tried and what came of each, for an error line."""
        return "; ".join(f"{address} {self._failures.get(address, 'did not answer')}" for address in self._names())

    def _names(self) -> list[str]:
        return list(dict.fromkeys((*self._addresses, *self._failures)))
