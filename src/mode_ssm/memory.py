"""Host memory: what a process keeps for its next step, what it gives back, and what it has loaded."""

import ctypes
import gc
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_KEPT_BYTES = 1 << 30
_OWN_BLOCK_BYTES = 1 << 18


def keep_freed_memory() -> bool:
    """Ask the C library not to hand freed memory back to the system; says whether it listened.

    A training step on a CPU frees what it allocates, hundreds of megabytes in blocks of some. By default glibc gives
    such blocks back at once, and getting them again costs a page fault for every 4 kB: up to a fifth of the step.
    Only glibc knows the request; elsewhere nothing happens.
    """
    return _ask(_TRIM_THRESHOLD, _KEPT_BYTES) and _ask(_MMAP_THRESHOLD, _KEPT_BYTES)


def give_back_freed_memory() -> bool:
    """Ask the C library to hand each large block back to the system when it is freed; says whether it listened.

    Else glibc soon takes blocks of trials, no two of one size, from one heap, where whatever small lives on between
    them leaves holes: a conversion would grow by a quarter of a megabyte with each trial. It costs page faults: there
    a quarter to three quarters more time. Elsewhere nothing happens.
    """
    return _ask(_MMAP_THRESHOLD, _OWN_BLOCK_BYTES)


def keep_loaded() -> None:
    """Spare garbage collections what is there now: to look at a language model takes them a tenth of a second."""
    gc.collect()
    gc.freeze()


def _ask(option: int, value: int) -> bool:
    return platform.libc_ver()[0] == "glibc" and bool(ctypes.CDLL(None).mallopt(option, value) == 1)
