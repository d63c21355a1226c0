"""A namenode's configuration: each mistake is one line that names the file and the key."""

from pathlib import Path

import pytest

from cairnfs.common.configuration import load
from cairnfs.common.errors import BadConfig
from cairnfs.namenode.config import NamenodeConfig

GOOD = """
cluster_id = "c"
node_id = 1
directory = "/srv/cairn"
listen = "127.0.0.1:9001"
[members]
1 = "127.0.0.1:9001"
2 = "127.0.0.1:9002"
"""


def load_text(tmp_path: Path, text: str) -> NamenodeConfig:
    path = tmp_path / "namenode.toml"
    path.write_text(text)
    return load(path, NamenodeConfig)


def test_a_good_file_loads(tmp_path: Path) -> None:
    """What is not given has its default."""
    config = load_text(tmp_path, GOOD)
    assert config.members == {1: "127.0.0.1:9001", 2: "127.0.0.1:9002"}
    assert config.defaults.replication == 3


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GOOD + "bogus = 1\n", "Expected `int`"),
        ("bogus = 1\n" + GOOD, "unknown field `bogus`"),
        (GOOD.replace("node_id = 1", "node_id = 3"), "members must name this node's own id, 3"),
        (GOOD.replace("node_id = 1", 'node_id = "one"'), "Expected `int`"),
        (GOOD.replace('listen = "127.0.0.1:9001"', 'listen = "nowhere"'), "is not an address"),
        (GOOD.replace("/srv/cairn", "srv/cairn"), "absolute path"),
        (GOOD.replace("9002", "9001"), "two members have the same address"),
        (GOOD + "[defaults]\nreplication = 0\n", "replication must be from 1 to 15"),
        (GOOD + "[timing]\nelection_timeout_s = 0.1\n", "four times heartbeat_s"),
        (GOOD.replace("listen", "#listen"), "missing required field `listen`"),
        ("not toml at all", "not TOML"),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    """The error has the file's name and says what is wrong."""
    with pytest.raises(BadConfig) as caught:
        load_text(tmp_path, text)
    assert "namenode.toml" in str(caught.value)
    assert complaint in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """No traceback, the path."""
    with pytest.raises(BadConfig, match="no such configuration file"):
        load(tmp_path / "none.toml", NamenodeConfig)
