"""Uploaded pictures and archives, sanitized: every file of a request is re-encoded, or the request is refused."""
