"""Models that come with the library; each folder holds a checkpoint and the recipe that made it."""
