"""Benchmarks of this machine: `make bench`, or `python -m bench`. Exits with 1 if a target is missed."""

import os
import sys

# As in `dti worker`, before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from bench import engines, stack
from bench.figures import show

figures = [*stack.measure(), *engines.measure()]
show(figures)
sys.exit(any(figure.status == "MISSED" for figure in figures))
