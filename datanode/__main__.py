"""`python -m cairnfs.datanode --config FILE`: run one datanode until SIGTERM or SIGINT.

Exit codes: 0 stopped as asked, 1 failed while running, 2 the configuration cannot be used.
"""

import argparse
import signal
import sys
import threading
from pathlib import Path

from cairnfs.common.configuration import load
from cairnfs.common.errors import CairnError
from cairnfs.common.logs import set_up_logging
from cairnfs.datanode.config import DatanodeConfig
from cairnfs.datanode.server import DatanodeServer


def main() -> int:
    """Run the process."""
    parser = argparse.ArgumentParser(prog="cairn datanode", description="Run one datanode of a CairnFS cluster.")
    parser.add_argument(
        "--config", required=True, type=Path, metavar="FILE", help="TOML configuration of this datanode"
    )
    path = parser.parse_args().config
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        config = load(path, DatanodeConfig)
        set_up_logging(config.log_level)
        server = DatanodeServer(config, ended)
    except CairnError as error:
        sys.stderr.write(f"cairn datanode: {error}\n")
        return 2
    ended.wait()
    server.stop()
    if server.failure is not None:
        sys.stderr.write(f"cairn datanode: {server.failure}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
