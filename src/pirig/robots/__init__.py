"""Real arms: an interface of a few lines, recording of episodes, and the loop that lets a served policy move one."""
