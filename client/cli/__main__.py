"""`python -m cairnfs.client.cli` is `cairn`, where no script is installed."""

import sys

from cairnfs.client.cli import main

sys.exit(main())
