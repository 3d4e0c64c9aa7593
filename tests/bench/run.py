"""The benchmark, in an environment that has what it needs; `run` beside it makes one."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from wheelbench.cli import main

if __name__ == "__main__":
    sys.exit(main())
