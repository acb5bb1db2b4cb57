"""``python -m ptcalc`` is the command ``ptcalc``."""

import sys

from ptcalc.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
