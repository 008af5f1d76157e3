"""A LeRobot data set from others, without a simulator: chosen episodes, in another form, with other names, cropped.

The sources are only read. Everything is asked before anything is written (`plan`), the result is asked again before it gets its
name (`write`). Rows are copied as they are; a film is copied, not encoded again, wherever its form stays (`episode`).
"""
