"""Puts the machine back as it was, whatever happens to the program that changed it.

Run as a script (``python -I -S``) it reads on standard input, one line of JSON each, what is to be undone:
``["write", path, text]`` or ``["rmdir", path]``, and says "ok" to each.  When the input ends, because its owner has
finished or has been killed, it undoes them, the last one first.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

PATIENCE, PAUSE = 10.0, 0.02  # seconds: for a cgroup whose processes are still ending


def undo(kind: str, path: str, text: str = "") -> None:
    """Undo one change, as often as it takes for the last process that is in its way to end."""
    patience = time.monotonic() + PATIENCE
    while True:
        try:
            if kind == "write":
                Path(path).write_text(text)
            else:
                Path(path).rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > patience:
                return
            time.sleep(PAUSE)
        else:
            return


def main() -> None:
    """Collect what is to be undone, and undo it when the owner is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    changes = []
    for line in sys.stdin:
        changes.append(json.loads(line))
        sys.stdout.write("ok\n")
        sys.stdout.flush()
    for change in reversed(changes):
        undo(*change)


if __name__ == "__main__":
    main()
