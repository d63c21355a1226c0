"""`make_cluster` starts real clusters and always stops them; one that a failed test leaves behind shows its logs."""

import contextlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.cluster.harness import Cluster

MakeCluster = Callable[..., Cluster]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the members' logs to the report of a test that failed."""
    report = yield
    for cluster in item.stash.get(CLUSTERS, []) if report.failed and report.when == "call" else []:
        report.sections.append((f"logs of {cluster.directory.name}", cluster.log_tails()))
    return report


CLUSTERS = pytest.StashKey[list[Cluster]]()


@pytest.fixture
def make_cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MakeCluster]:
    """`make_cluster(namenodes=3, datanodes=3)` gives a cluster that serves; `serve=False` leaves out the waiting.

    After a test that passed, the namenodes' digests are compared.
    """
    made = request.node.stash.setdefault(CLUSTERS, [])
    with contextlib.ExitStack() as stack:

        def make(*, namenodes: int = 3, datanodes: int = 3, serve: bool = True) -> Cluster:
            cluster = stack.enter_context(Cluster(tmp_path / f"cluster-{len(made) + 1}"))
            made.append(cluster)
            cluster.start(namenodes=namenodes, datanodes=datanodes)
            if serve:
                cluster.wait_until_serving()
            return cluster

        yield make


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Iterator[Cluster]:
    """Three namenodes and three datanodes that serve; their digests must agree at the end."""
    cluster = make_cluster()
    yield cluster
    cluster.up()
    cluster.assert_digests_agree()
