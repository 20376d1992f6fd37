"""Makes torch fast on a few CPU cores. Import before torch.

Debian's torch brings three thread pools that get in each other's way, and glibc
returns every large tensor to the system, so that fresh pages have to be cleared
again and again. One BLAS thread, no returning, and parallel work handed out by
`in_parallel` make a training step about four times as fast on two cores.
"""
from __future__ import annotations

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, TypeVar

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
WORKERS = 2  # part of the result: gradients are summed in this many parts

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
try:
    _libc = ctypes.CDLL("libc.so.6")
    for _option, _value in ((M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, 1 << 30), (M_TRIM_THRESHOLD, (1 << 31) - 1),
                            (M_TOP_PAD, 1 << 26)):
        _libc.mallopt(_option, _value)
except OSError:  # not glibc: slower, nothing else
    pass

_pool = ThreadPoolExecutor(WORKERS)
Item, Result = TypeVar("Item"), TypeVar("Result")


def in_parallel(work: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    """`work` on each item, one thread each; torch lets go of the interpreter while it computes."""
    import torch

    def alone(item: Item) -> Result:
        torch.set_num_threads(1)
        return work(item)
    return list(_pool.map(alone, items))
