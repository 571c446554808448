"""Benchmarks of this machine, printed as one table by `make bench`."""
