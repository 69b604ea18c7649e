"""`python -m shared.page module:function`: the page from a shell."""

import sys

from shared.page.command_line import main

if __name__ == "__main__":
    sys.exit(main())
