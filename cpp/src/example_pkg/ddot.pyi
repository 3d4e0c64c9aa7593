import sys
from collections.abc import Sequence
from typing import SupportsFloat, SupportsIndex

if sys.version_info >= (3, 12):
    from collections.abc import Buffer
else:
    from typing_extensions import Buffer

def ddot(
    x: Buffer | Sequence[SupportsFloat | SupportsIndex], y: Buffer | Sequence[SupportsFloat | SupportsIndex]
) -> float:
    """Return the sum of x[i] * y[i]."""
