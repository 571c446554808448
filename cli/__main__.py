"""`python -m cli`: the same as `dti`."""

from cli.main import main

main()
