"""`python -m fdl`."""

import sys

from fdl.cli import main

if __name__ == "__main__":
    sys.exit(main())
