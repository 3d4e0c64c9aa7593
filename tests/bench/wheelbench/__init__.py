"""The benchmark: jobs, the tools that do them, the floor below them, and the table of it all (docs/benchmark.md)."""
