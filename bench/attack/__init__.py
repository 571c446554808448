"""Attacks on an API of their own: malformed requests, half-open connections, the largest and slowest pictures."""
