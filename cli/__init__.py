"""The command line: all `dti` commands, for a running service and for local files."""
