"""The door for files that others wrote: each is validated once, here, before anything of it is read by key.

Every fault is one sentence of one form (`faults.refused`), whichever command met it. Only files are read; neither LeRobot nor
ManiSkill is needed.
"""
