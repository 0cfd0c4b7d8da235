"""Locks between real processes, under several names of a store, and on file systems that have none."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from recorders.contract import InputError
from recorders.store.lock import exclusive, root_lock

HOLDER = """
import sys
from pathlib import Path
from recorders.store.lock import exclusive
with exclusive(Path(sys.argv[1]), "mine"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another(store: Path) -> Iterator[subprocess.Popen[str]]:
    """Have another process hold a recording until its standard input is closed."""
    command = [sys.executable, "-c", HOLDER, str(store)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.communicate()


def take(store: Path, *, lock: bool = True) -> None:
    with exclusive(store, "mine", lock=lock):
        pass


def test_the_holder_is_named_under_every_name_of_a_store_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    store, link, folder = tmp_path / "s.zarr", tmp_path / "links" / "other.zarr", tmp_path / "folder"
    link.parent.mkdir()
    link.symlink_to(store)  # dangling: the store is not there yet
    folder.symlink_to(tmp_path)
    with held_by_another(link) as process:
        for name in (store, link, folder / "s.zarr", link.parent / ".." / "s.zarr"):
            words = f"is being written by process {process.pid} on host {socket.gethostname()}: wait for it, or choose"
            with pytest.raises(InputError, match=words):
                take(name)
        with exclusive(store, "another"), exclusive(link):
            pass
        take(store, lock=False)
        process.kill()
    take(store)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "links"]


def test_a_lock_that_is_given_back_leaves_nothing_and_can_be_taken_at_once(tmp_path: Path) -> None:
    with held_by_another(tmp_path / "s.zarr"):
        pass
    assert not list(tmp_path.iterdir())
    take(tmp_path / "s.zarr")


def test_a_lock_file_that_was_deleted_by_hand_is_not_taken_from_its_next_holder(tmp_path: Path) -> None:
    store, file = tmp_path / "s.zarr", tmp_path / ".s.zarr.recording.mine.lock"
    with ExitStack() as others:
        with exclusive(store, "mine"):
            file.unlink()
            process = others.enter_context(held_by_another(store))
        assert file.read_text() == f"{process.pid} {socket.gethostname()}\n"
        with pytest.raises(InputError, match=f"by process {process.pid} "):
            take(store)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a platform without fork")
def test_a_forked_child_gives_nothing_back(tmp_path: Path) -> None:
    with exclusive(tmp_path / "s.zarr", "mine"):
        pid = os.fork()
        if pid:
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            assert (tmp_path / ".s.zarr.recording.mine.lock").exists()
    if not pid:
        os._exit(0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "\n", "1 2 3", "x y", "12", "\udcff"])
def test_a_file_that_names_nobody_is_another_process(tmp_path: Path, text: str) -> None:
    with exclusive(tmp_path / "s.zarr"):
        (tmp_path / ".s.zarr.study.lock").write_text(text, encoding="utf-8", errors="surrogateescape")
        with (
            pytest.raises(InputError, match="is being written by another process: wait"),
            exclusive(tmp_path / "s.zarr"),
        ):
            pass


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EIO, errno.EPERM])
def test_a_file_system_without_locks_is_refused_unless_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", refuse)
    store = tmp_path / "s.zarr"
    words = rf"s\.zarr cannot be locked, .*\({os.strerror(code)}\): .*, then pass --no-lock \(in Python lock=False\)"
    with pytest.raises(InputError, match=words):
        take(store)
    with exclusive(store, lock=False), exclusive(store, "mine"), root_lock(store):
        pass  # one said for all of the store
    with pytest.raises(InputError, match="cannot be locked"):
        take(store)
    assert not list(tmp_path.iterdir())
