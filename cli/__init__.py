"""The command line: every `dti` command, for a running service and for folders without one."""
