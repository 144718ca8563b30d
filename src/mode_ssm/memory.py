"""Host memory: what a process frees it will want again at the next step, and what it has loaded it keeps."""

import ctypes
import gc
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Ask the C library not to hand freed memory back to the system; says whether it listened.

    A training step on a CPU frees what it allocates, hundreds of megabytes in blocks of some. By default glibc gives
    such blocks back at once, and getting them again costs a page fault for every 4 kB: up to a fifth of the step.
    Only glibc knows the request; elsewhere nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    set_option = ctypes.CDLL(None).mallopt
    return all(set_option(option, _KEPT_BYTES) == 1 for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD))


def keep_loaded() -> None:
    """Spare garbage collections what is there now: to look at a language model takes them a tenth of a second."""
    gc.collect()
    gc.freeze()
