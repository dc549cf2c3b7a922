"""Leaves the image its own munge key: from the build secret `munge_key` where there is one, else a random one.

    bake-key.py SECRET_FILE

The secret is the same string that pods take as MUNGE_KEY. Prints nothing of it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bootstrap.munge_key import BAKED_KEY, derive
from bootstrap.variables import Wrong, munge_secret

KEY_BYTES = 128


def main(secret_file: Path) -> int:
    """Write the key; 1 with a message when the secret is none."""
    key = os.urandom(KEY_BYTES)
    if secret_file.exists():
        try:
            key = derive(munge_secret(secret_file.read_text(errors="surrogateescape")))
        except Wrong as wrong:
            print(f"The build secret munge_key {wrong}.", file=sys.stderr)
            return 1
    target = Path(BAKED_KEY)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o400), "wb") as stream:
        stream.write(key)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
