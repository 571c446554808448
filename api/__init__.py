"""The HTTP edge: routes, schemas, events and errors of the service; it knows no device and no torch."""
