"""Pictures of a data set: PNG files and films."""
