"""Files are replaced at once or not at all, keep their permissions, and leave nothing behind."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import fastgmm
from fastgmm.data import replaced_files as files
from fastgmm.persistence import replacing

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions and signals of POSIX")
#: Writes half a file, says so, and waits to be killed.
WRITER = """
import sys, time
from fastgmm.data import replaced_files as files
from fastgmm.persistence import replacing
{setup}
with replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("written", flush=True)
    time.sleep(600)
"""
NAMELESS = ""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "model.npz").write_bytes(b"old")
    return tmp_path / "model.npz"


def names(path):
    return sorted(entry.name for entry in path.parent.iterdir())


def write(path, content=b"new"):
    with replacing(path) as file:
        file.write(content)


def start_writer(path, setup):
    """Return a process that is amid writing the file."""
    environment = {**os.environ, "PYTHONPATH": str(Path(fastgmm.__file__).parent.parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER.format(setup=setup), str(path)],
        env=environment,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"written\n"
    return process


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


@pytest.fixture(params=["without a name", "with a name"])
def temporary_files(request, monkeypatch):
    """Temporary files of both kinds, where the system has both."""
    if request.param == "with a name":
        monkeypatch.setattr(files, "_open_temporary", lambda path: path.open("x+b"))


@pytest.mark.usefixtures("temporary_files")
def test_file_is_replaced(path):
    write(path)
    assert path.read_bytes() == b"new"
    assert names(path) == ["model.npz"]


@pytest.mark.usefixtures("temporary_files")
def test_failure_keeps_the_old_file(path):
    def write_half():
        with replacing(path) as file:
            file.write(b"half")
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        write_half()
    assert path.read_bytes() == b"old"
    assert names(path) == ["model.npz"]


def test_links_are_followed(path):
    link = path.with_name("link.npz")
    link.symlink_to(path)
    write(link)
    assert link.is_symlink()
    assert path.read_bytes() == b"new"


@posix
@pytest.mark.usefixtures("temporary_files")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444, 0o755])
def test_permissions_are_kept(path, mode):
    path.chmod(mode)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == b"new"


@posix
def test_permissions_of_the_target_of_a_link_are_kept(path):
    path.chmod(0o640)
    link = path.with_name("link.npz")
    link.symlink_to(path)
    write(link)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@posix
@pytest.mark.usefixtures("temporary_files")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_new_files_have_the_permissions_of_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        write(tmp_path / "model.npz")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.npz").stat().st_mode) == 0o666 & ~umask


@posix
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives away")
def test_owner_is_kept(path):
    os.chown(path, 12345, 54321)
    write(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


@posix
def test_owner_that_cannot_be_kept(path, monkeypatch):
    def refuse(descriptor, owner, group):
        raise PermissionError

    path.chmod(0o640)
    monkeypatch.setattr(os, "fchown", refuse)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files without a name")
def test_a_killed_process_leaves_nothing(path):
    try:
        os.close(os.open(path.parent, os.O_TMPFILE | os.O_RDWR))
    except OSError:
        pytest.skip("a file system that has no files without a name")
    kill(start_writer(path, NAMELESS))
    assert names(path) == ["model.npz"]
    assert path.read_bytes() == b"old"


@posix
@pytest.mark.parametrize("target", ["model.npz", "other.npz"])
def test_what_a_killed_process_left_is_removed_by_the_next(path, target):
    """Where files cannot be without a name."""
    process = start_writer(path, "files._open_temporary = lambda path: path.open('x+b')")
    assert len(names(path)) == 2
    write(path.with_name(target))  # its writer lives: it stays
    assert len(names(path)) == len({"model.npz", target}) + 1
    kill(process)
    assert len(names(path)) == len({"model.npz", target}) + 1
    write(path.with_name(target))
    assert names(path) == sorted({"model.npz", target})


@posix
@pytest.mark.skipif(sys.platform == "win32" or os.getuid() == 0, reason="root writes anywhere")
def test_read_only_folder(path):
    path.parent.chmod(0o555)
    with pytest.raises(ValueError, match="expected a folder that is writable"):
        write(path)


def test_long_names(tmp_path):
    write(tmp_path / ("a" * 250 + ".npz"))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full device")
def test_errors_name_the_file_that_was_asked_for(path, monkeypatch):
    monkeypatch.setattr(files, "_open_temporary", lambda path: open("/dev/full", "w+b", 0))  # noqa: PTH123, SIM115
    with pytest.raises(OSError, match="No space left") as caught:
        write(path)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"


def test_a_temporary_file_that_cannot_be_made(path, monkeypatch):
    def refuse(temporary):
        raise PermissionError(13, "Permission denied", str(temporary))

    monkeypatch.setattr(files, "_open_temporary", refuse)
    with pytest.raises(PermissionError) as caught:
        write(path)
    assert caught.value.filename == str(path)
