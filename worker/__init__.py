"""The device edge: Celery workers that train concepts and render pictures; it knows no HTTP."""
