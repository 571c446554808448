"""Measure this machine: `make bench`, or `python -m bench`. Ends with 1 where a floor is missed."""

import os
import sys

# As `dti worker` does, before anything loads torch.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from bench import engines, stack
from bench.figures import show

figures = [*stack.measure(), *engines.measure()]
show(figures)
sys.exit(any(figure.verdict == "MISSED" for figure in figures))
