"""Measures qloom side by side with its peers: `make bench`. How and why: docs/benchmarks.md."""
