"""A chaos run: jobs of all kinds on real stores while processes are killed and stores fail, with books kept over all.

`python -m bench.chaos --jobs 200 --kills 30 --outages`; see docs/reliability.md.
"""
