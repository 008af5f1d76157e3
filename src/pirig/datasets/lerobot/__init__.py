"""LeRobot data sets on disk and on the hub, v2.1 and v3.0: read, written, found."""
