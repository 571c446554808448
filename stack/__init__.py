"""`dti serve`: the embedded stores and the supervisor of one machine."""
