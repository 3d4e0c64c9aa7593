"""Makes `peer` of this folder and `toolbox` of the folder `repair` importable."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "repair")]
