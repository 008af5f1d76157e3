"""The heap of a training process: what a step gives back is kept for the next one."""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8  # glibc's numbers for mallopt (malloc.h)


def keep_freed_memory() -> bool:
    """Lets glibc hold on to large freed blocks. Call before any thread is made; False where there is no glibc.

    XLA on a CPU asks for its temporary buffers anew in every step. glibc maps blocks of that size and unmaps them when they
    are freed, so every step pays for tens of thousands of page faults (docs/LOG.md has the figures). It goes on doing so for
    a thread that had a heap of its own before the call, or takes over the one that an ended thread has left.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(mallopt(name, value) for name, value in ((ARENA_MAX, 1), (MMAP_MAX, 0), (TRIM_THRESHOLD, -1)))
