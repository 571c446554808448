"""Engine, tables, paging, ids and object references of the one database."""
