"""The command `python -m tests.fuzz`."""

import sys
from pathlib import Path

# As pytest does: the folder of the tests, and the root of the project.
sys.path[:0] = [str(folder) for folder in Path(__file__).resolve().parents[1:3]]

from fuzz.command_line import main  # noqa: E402

sys.exit(main())
