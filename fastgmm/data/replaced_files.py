"""Files that are replaced at once or not at all, and leave nothing else behind."""

import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl

PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path``, and move it there if all goes well.

    The file keeps the permissions of the one that it replaces, and its owner where the system
    allows that. On Linux the temporary file has no name until it is complete, so that a process
    that is killed leaves none behind. Elsewhere the next call removes it.

    Raises
    ------
    ValueError
        If there is no such folder, it is read-only, or the path is that of a folder or device.
    OSError
        If the file cannot be written.
    """
    check_target(path)
    target = Path(os.path.realpath(path))
    _remove_abandoned(target.parent)
    temporary = target.with_name(f".fastgmm-{secrets.token_hex(4)}.tmp")
    try:
        file = _open_temporary(temporary)
        try:
            _lock(file)
            yield file
            file.flush()
            _copy_permissions(target, file)
            os.fsync(file.fileno())
            if not temporary.exists():
                # with src_dir_fd Python calls linkat, which follows the link in /proc
                os.link(_in_proc(file), temporary, src_dir_fd=file.fileno())
            if sys.platform == "win32":
                file.close()  # no open file can be moved
            temporary.replace(target)  # while the lock is held
            _sync_folder(target.parent)
        finally:
            file.close()
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            error.filename, error.filename2 = os.fspath(path), None
        raise


def check_target(path: PathLike) -> None:
    """Raise where ``replacing`` could not write.

    Raises
    ------
    ValueError
        If there is no such folder, it is read-only, or the path is that of a folder or device.
    """
    target = Path(os.path.realpath(path))
    name = os.fspath(path)
    if not target.parent.is_dir():
        raise ValueError(f"{name}: expected a file in a folder that exists, got {target.parent}.")
    if not os.access(target.parent, os.W_OK):
        raise ValueError(f"{name}: expected a folder that is writable, got {target.parent}.")
    if target.exists() and not target.is_file():
        raise ValueError(f"{name}: expected the name of a file, got a folder or a device.")


def _open_temporary(temporary: Path) -> IO[bytes]:
    """Open a file without a name in the folder; with this name where the system has no such."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            file = os.fdopen(os.open(temporary.parent, os.O_TMPFILE | os.O_RDWR, 0o666), "w+b")
            if os.path.exists(_in_proc(file)):  # noqa: PTH110
                return file
            file.close()
    return temporary.open("x+b")


def _in_proc(file: IO[bytes]) -> str:
    return f"/proc/self/fd/{file.fileno()}"


def _lock(file: IO[bytes]) -> None:
    """Lock a file until it is closed, or its process ends."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # of a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files of processes that were killed: no one holds their lock."""
    for path in folder.glob(".fastgmm-????????.tmp"):
        with contextlib.suppress(OSError):
            with path.open("r+b") as file:
                if sys.platform != "win32":
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()  # Windows refuses it for a file that is open elsewhere


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder outlast a failure of power, where the system can do that."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _copy_permissions(target: Path, file: IO[bytes]) -> None:
    if sys.platform == "win32" or not target.exists():
        return
    old = target.stat()
    for owner in (old.st_uid, -1):  # not every user may give files away
        with contextlib.suppress(OSError):
            os.fchown(file.fileno(), owner, old.st_gid)
            break
    os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
