"""Where a client looks for the leader, in which order, and what it tells when there is none."""

from cairnfs.client.leader_search import BACKOFF_FIRST_S, BACKOFF_MAX_S, REDIRECTS_MAX, LeaderSearch


def round_of(search: LeaderSearch) -> list[str]:
    search.begin_round()
    addresses = []
    while (address := search.next_address()) is not None:
        addresses.append(address)
    return addresses


def test_a_round_tries_each_address_once() -> None:
    """A round is every address that was given, once, in order; None ends it."""
    assert round_of(LeaderSearch(["a:1", "b:1", "a:1", "c:1"])) == ["a:1", "b:1", "c:1"]


def test_a_redirect_is_followed_at_once() -> None:
    """The leader that a namenode names is tried next, and not again in the same round."""
    search = LeaderSearch(["a:1", "b:1", "c:1"])
    search.begin_round()
    assert search.next_address() == "a:1"
    search.redirected("a:1", "c:1")
    assert search.next_address() == "c:1"
    assert search.next_address() == "b:1"
    assert search.next_address() is None


def test_redirects_do_not_go_round_for_ever() -> None:
    """Two namenodes that name each other as leader are left after a few turns."""
    search = LeaderSearch(["a:1", "b:1"])
    search.begin_round()
    tried = []
    while (address := search.next_address()) is not None:
        tried.append(address)
        search.redirected(address, "b:1" if address == "a:1" else "a:1")
    assert len(tried) <= REDIRECTS_MAX + 2


def test_a_redirect_without_a_leader_or_to_itself_leads_nowhere() -> None:
    """A namenode that knows of no leader, or names itself, is passed over."""
    search = LeaderSearch(["a:1", "b:1"])
    search.begin_round()
    search.redirected(str(search.next_address()), "")
    assert search.next_address() == "b:1"
    search.redirected("b:1", "b:1")
    assert search.next_address() is None


def test_failed_addresses_come_last() -> None:
    """What failed in the last round is tried after the others, until a leader answers."""
    search = LeaderSearch(["a:1", "b:1", "c:1"])
    search.failed("a:1", "refuses connections")
    assert round_of(search) == ["b:1", "c:1", "a:1"]
    search.welcomed(["a:1", "b:1", "c:1"])
    assert round_of(search) == ["a:1", "b:1", "c:1"]


def test_members_are_learnt() -> None:
    """The members that a leader names are tried too, and the given addresses are kept."""
    search = LeaderSearch(["a:1"])
    search.welcomed(["x:1", "y:1"])
    assert round_of(search) == ["x:1", "y:1", "a:1"]


def test_backoff_doubles_to_a_bound_and_starts_over() -> None:
    """Waits double from BACKOFF_FIRST_S to BACKOFF_MAX_S, chance takes off at most half, and an answer resets them."""
    search = LeaderSearch(["a:1"])
    waits = [search.backoff_s(0.0) for _ in range(10)]
    assert waits[:3] == [BACKOFF_FIRST_S, 2 * BACKOFF_FIRST_S, 4 * BACKOFF_FIRST_S]
    assert waits[-1] == BACKOFF_MAX_S
    assert search.backoff_s(0.999) >= BACKOFF_MAX_S / 2
    search.served()
    assert search.backoff_s(0.0) == BACKOFF_FIRST_S


def test_the_description_names_every_address() -> None:
    """The error text has each address with what came of it."""
    search = LeaderSearch(["a:1", "b:1", "c:1"])
    search.failed("a:1", "refuses connections")
    search.redirected("b:1", "")
    assert search.describe() == "a:1 refuses connections; b:1 knows no leader; c:1 did not answer"
