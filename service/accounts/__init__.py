"""Owners, API keys, authentication, rate limits, quotas and usage."""
