"""The rules of the service: concepts, jobs, objects and events; it knows no web framework and no torch."""
