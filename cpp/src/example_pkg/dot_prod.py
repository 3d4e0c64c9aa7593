"""The console script `dot-prod`."""

from __future__ import annotations

from example_pkg.ddot import ddot

__all__ = ["main"]


def main() -> None:
    """Print the dot product of two small vectors: 130.0."""
    print(ddot([1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0]))


if __name__ == "__main__":
    main()
