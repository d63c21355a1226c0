"""`python -m cairnfs.namenode --config FILE`: run one namenode until SIGTERM or SIGINT.

Exit codes: 0 stopped as asked, 1 failed while running, 2 the configuration cannot be used.
"""

import argparse
import signal
import sys
from pathlib import Path

from cairnfs.common.configuration import load
from cairnfs.common.errors import CairnError
from cairnfs.common.logs import set_up_logging
from cairnfs.namenode.config import NamenodeConfig
from cairnfs.namenode.server import NamenodeServer


def main() -> int:
    """Run the process."""
    parser = argparse.ArgumentParser(prog="cairn namenode", description="Run one namenode of a CairnFS cluster.")
    parser.add_argument(
        "--config", required=True, type=Path, metavar="FILE", help="TOML configuration of this namenode"
    )
    path = parser.parse_args().config
    try:
        config = load(path, NamenodeConfig)
        set_up_logging(config.log_level)
        server = NamenodeServer(config)
        server.start()
    except CairnError as error:
        sys.stderr.write(f"cairn namenode: {error}\n")
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.ended.set())
    server.ended.wait()
    server.stop()
    return 1 if server.has_failed else 0


if __name__ == "__main__":
    sys.exit(main())
