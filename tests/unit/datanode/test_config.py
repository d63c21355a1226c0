"""The datanode's configuration: what is taken, and how what is not is told."""

from pathlib import Path

import pytest

from cairnfs.common.configuration import load
from cairnfs.common.errors import BadConfig
from cairnfs.datanode.config import DatanodeConfig

GOOD = {
    "cluster_id": '"c"',
    "listen": '"127.0.0.1:9000"',
    "namenodes": '["127.0.0.1:1", "127.0.0.1:2"]',
    "volumes": '["/a", "/b"]',
}


def load_with(path: Path, **changes: str) -> DatanodeConfig:
    file = path / "datanode.toml"
    file.write_text("".join(f"{key} = {value}\n" for key, value in {**GOOD, **changes}.items() if value))
    return load(file, DatanodeConfig)


def test_a_good_file_is_taken(tmp_path: Path) -> None:
    """Four keys will do; the others have defaults."""
    config = load_with(tmp_path)
    assert config.volumes == ["/a", "/b"]
    assert (config.advertise, config.reserve_bytes, config.capacity_bytes) == ("", None, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cluster_id": '""'}, "cluster_id must not be empty"),
        ({"cluster_id": ""}, "missing required field `cluster_id`"),
        ({"listen": '"9000"'}, "'9000' is not an address"),
        ({"listen": '"a:99999"'}, "'a:99999' is not an address"),
        ({"advertise": '"nowhere"'}, "'nowhere' is not an address"),
        ({"namenodes": "[]"}, "namenodes must name at least one"),
        ({"namenodes": '["x"]'}, "'x' is not an address"),
        ({"namenodes": '["a:1", "a:1"]'}, "names one of them twice"),
        ({"volumes": "[]"}, "volumes must name at least one"),
        ({"volumes": '["relative"]'}, "must be absolute paths"),
        ({"volumes": '["/a", "/a"]'}, "names one of them twice"),
        ({"volumes": '"/a"'}, "Expected `array`, got `str`"),
        ({"reserve_bytes": "-1"}, "reserve_bytes must not be negative"),
        ({"capacity_bytes": "-1"}, "capacity_bytes must not be negative"),
        ({"map_size_bytes": "1"}, "map_size_bytes must be at least 64 MiB"),
        ({"connections_max": "0"}, "connections_max must be from 1 to 10000"),
        ({"transfer_timeout_s": "0.0"}, "transfer_timeout_s must be from 0.1 to 600"),
        ({"log_level": '"loud"'}, "log_level must be one of debug, info, warning, error"),
        ({"volume": '"/a"'}, "unknown field `volume`"),
    ],
)
def test_a_bad_file_is_told(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    """Every bad value is refused in one line that names the file and what is wrong."""
    with pytest.raises(BadConfig) as caught:
        load_with(tmp_path, **changes)
    assert message in str(caught.value)
    assert "datanode.toml" in str(caught.value)
    assert "\n" not in str(caught.value)
