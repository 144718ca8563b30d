"""Keeping freed memory: measured in a process of its own, by its page faults."""

import platform
import subprocess
import sys

import pytest

STEP = """
import resource
import torch
from mode_ssm.memory import keep_freed_memory

def faults(keep):
    if keep:
        assert keep_freed_memory()
    for turn in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        kept = [torch.ones(1 << 20) for _ in range(8)]
        del kept
        after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    return after - before

print(faults(False), faults(True))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked to keep memory")
def test_kept_memory_is_not_faulted_in_again():
    done = subprocess.run([sys.executable, "-c", STEP], check=True, capture_output=True, text=True)
    without, kept = map(int, done.stdout.split())
    assert kept < 100 < without
