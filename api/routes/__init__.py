"""One file a resource: the listing is the API."""
