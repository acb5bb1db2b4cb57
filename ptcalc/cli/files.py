"""Files that commands write: whole or not at all, and never in place of another one unasked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ptcalc.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


@contextmanager
def new_file(path: str, *, force: bool) -> Iterator[Path]:
    """Give the name of a file beside ``path``, which takes its place once the block is left without an error.

    Raises InputError where ``path`` is a file that exists (unless ``force``), a directory, or cannot be written.
    """
    from pathlib import Path

    target = Path(path)
    if target.is_dir():
        raise InputError(f"{path} is a directory", accepted="the name of a file")
    # Where a device or a pipe stands, nothing is replaced, and nothing can take its place.
    if target.exists() and not target.is_file():
        try:
            yield target
        except OSError as error:
            raise _unwritable(path, error) from None
        return
    if not force and os.path.lexists(target):
        raise InputError(f"{path} exists", accepted="another name, or --force to replace it")
    temporary = target.with_name(f".{target.name[:100]}.{os.urandom(4).hex()}")
    try:
        temporary.touch(0o666, exist_ok=False)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None
    try:
        yield temporary
        if force:
            temporary.replace(target)
        else:
            os.link(temporary, target)  # fails where another program has made it in the meantime
    except FileExistsError:
        raise InputError(f"{path} exists", accepted="another name, or --force to replace it") from None
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def new_directory(path: str, *, force: bool, ours: str) -> Iterator[Path]:
    """Give the name of a directory beside ``path``, which takes its place once the block is left without an error.

    ``force`` replaces a directory that holds a file named ``ours``, which only ptcalc writes.  Raises InputError where
    anything else exists at ``path``, and where it cannot be written.
    """
    import shutil
    from pathlib import Path

    target = Path(path)
    if os.path.lexists(target):
        if not force:
            raise InputError(f"{path} exists", accepted="another name, or --force to replace it")
        if not (target / ours).is_file():
            raise InputError(f"{path} is no directory that ptcalc has written", accepted="another name")
    temporary = target.with_name(f".{target.name[:100]}.{os.urandom(4).hex()}")
    try:
        temporary.mkdir()
        yield temporary
        if os.path.lexists(target):
            former = temporary.with_name(f"{temporary.name}.former")
            target.rename(former)
            temporary.rename(target)
            shutil.rmtree(former)
        else:
            temporary.rename(target)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unwritable(path: str, error: OSError | ValueError) -> InputError:
    why = getattr(error, "strerror", None) or str(error)
    return InputError(f"{path} cannot be written: {why}", accepted="a file in a directory that can be written")
