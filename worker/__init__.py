"""The device edge: Celery workers that train concepts and render pictures. It knows no HTTP."""
