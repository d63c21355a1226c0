"""Configuration files: TOML, checked against a msgspec struct, with errors that name the file and the key."""

import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from cairnfs.common.errors import BadConfig

Config = TypeVar("Config", bound=msgspec.Struct)


def load(path: Path, kind: type[Config]) -> Config:
    """The configuration in the TOML file at `path`.

    BadConfig for a missing file, broken TOML, an unknown key or a bad value; `kind` must forbid
    unknown fields, and checks its own values in __post_init__ by raising ValueError.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadConfig(f"{path}: no such configuration file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path}: cannot be read: {error}") from None
    try:
        return msgspec.convert(tomllib.loads(text), kind, str_keys=True)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{path}: not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise BadConfig(f"{path}: {error}") from None
