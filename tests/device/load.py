"""Work for every GPU for so many seconds: python3 load.py SECONDS. Exits 3 where there is no torch that sees a GPU."""

from __future__ import annotations

import importlib
import sys
import time


def main(seconds: float) -> int:
    """Multiply matrices."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return 3
    if not torch.cuda.is_available():
        return 3
    matrices = [torch.ones(4096, 4096, device=f"cuda:{index}") for index in range(torch.cuda.device_count())]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for matrix in matrices:
            torch.mm(matrix, matrix)
        torch.cuda.synchronize()
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
