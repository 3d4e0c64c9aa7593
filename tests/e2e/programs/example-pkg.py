"""What the example is there for: [1..5] · [6..10]."""

from array import array

from example_pkg.ddot import ddot
from example_pkg.dot_prod import main

main()
assert ddot([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == 130.0
# Long enough for OpenBLAS to start its threads.
ones = array("d", [1.0]) * 1_000_000
assert ddot(ones, ones) == 1_000_000.0
