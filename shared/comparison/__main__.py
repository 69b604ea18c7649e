"""`python -m shared.comparison module:function`: the comparison from a shell."""

import sys

from shared.comparison.command_line import main

if __name__ == "__main__":
    sys.exit(main())
