"""The processes of a verification: started here, and ended here whatever happens."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from ptcalc.errors import CannotDoHere

SCRIPT = Path(__file__).with_name("mapper.py")
KEEPER = Path(__file__).with_name("keeper.py")


def _command(script: Path) -> list[str]:
    if not sys.executable:
        raise CannotDoHere("this Python does not know its own program, which verify starts again")
    return [sys.executable, "-I", "-S", str(script)]


class Stage:
    """Runs jobs for the mapper (`ptcalc.verify.mapper`).  At its end no process of any job is left."""

    def __enter__(self) -> Self:
        """Start the mapper.  Raises CannotDoHere where no process can be started."""
        # Every process of a job inherits the write end: the pipe ends with the last of them.
        self._alive, alive = os.pipe()
        try:
            self._process = subprocess.Popen(
                _command(SCRIPT),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                pass_fds=(alive,),
                start_new_session=True,  # Ctrl-C is for ptcalc, which ends the mapper
            )
        except OSError as error:
            os.close(self._alive)
            raise CannotDoHere(f"no process can be started: {error.strerror}") from None
        finally:
            os.close(alive)
        return self

    def do(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a job.  Raises CannotDoHere, with the reason, where it could not be done."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line.endswith("\n"):
            raise CannotDoHere("the process that maps memory was ended by somebody else")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise CannotDoHere(f"cannot be done here: {answer['error']}")
        return answer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the mapper, with which the kernel kills its processes, and wait for the last of them."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        while os.read(self._alive, 1):
            pass
        os.close(self._alive)


class Keeper:
    """Changes of the machine that are undone in every case, also if ptcalc is killed."""

    def __enter__(self) -> Self:
        """Be ready to start the one who undoes changes."""
        self._process: subprocess.Popen[str] | None = None
        self._locks: list[IO[bytes]] = []
        return self

    def lock(self, path: Path, *, shared: bool = False) -> None:
        """Wait until a file can be locked, and lock it until everything is undone.  Raises OSError."""
        file = path.open("rb")
        self._locks.append(file)
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def write(self, path: Path, text: str) -> None:
        """Write to a file of /proc or /sys; what it held is written back at the end.  Raises OSError."""
        self._tell(["write", str(path), path.read_text().strip()])
        path.write_text(text)

    def mkdir(self, path: Path) -> None:
        """Make a directory, a cgroup, that is removed at the end.  Raises OSError."""
        self._tell(["rmdir", str(path)])
        path.mkdir()

    def _tell(self, change: list[str]) -> None:
        if self._process is None:
            self._process = subprocess.Popen(
                _command(KEEPER),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(change) + "\n")
        self._process.stdin.flush()
        if not self._process.stdout.readline():  # without it nothing may be changed
            raise OSError(errno.EPIPE, "the process that would undo the change has ended")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Have everything undone, and wait until it is."""
        if self._process is not None:
            self._process.communicate()
        for file in self._locks:
            file.close()
