"""Verbs on names and attributes: results, and errors that are those of `os`."""

import contextlib
import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from cairnfs.client import listing, tree
from cairnfs.client.filesystem import FileSystem
from cairnfs.common.errors import Refused
from cairnfs.common.operations import CopyFile, MakeDirectory, Unlink, WriteFile
from tests.unit.client.memory_namenode import MemoryNamenode

NOT_UTF8 = os.fsdecode(b"n\xff\xfe\x80")


def failure(action: Callable[..., Any], *args: Any, **options: Any) -> OSError:
    """What an action fails with."""
    try:
        action(*args, **options)
    except OSError as error:
        return error
    raise AssertionError("it did not fail")


@pytest.fixture
def both(fs: FileSystem, tmp_path: Path) -> Path:
    """The same small tree, in the cluster and in a local folder."""
    local = tmp_path / "local"
    local.mkdir()
    fs.mkdir("/local")
    for folder in ("d", "d/full"):
        (local / folder).mkdir()
        fs.mkdir(f"/local/{folder}")
    for file in ("f", "d/full/g"):
        (local / file).write_bytes(b"content")
        fs.pipe_file(f"/local/{file}", b"content")
    (local / "loop").symlink_to("loop")
    fs.symlink("loop", "/local/loop")
    return local


def builtin_open(path: str, mode: str = "r") -> None:
    with open(path, mode):
        pass


ONE_PATH: list[tuple[str, Callable[[FileSystem, str], Any], Callable[[str], Any]]] = [
    ("missing", lambda fs, top: fs.info(f"{top}/no"), lambda top: os.stat(f"{top}/no")),
    ("missing-parent", lambda fs, top: fs.mkdir(f"{top}/no/x"), lambda top: os.mkdir(f"{top}/no/x")),
    ("file-as-folder", lambda fs, top: fs.info(f"{top}/f/x"), lambda top: os.stat(f"{top}/f/x")),
    ("exists", lambda fs, top: fs.mkdir(f"{top}/d"), lambda top: os.mkdir(f"{top}/d")),
    ("exists-as-file", lambda fs, top: fs.makedirs(f"{top}/f"), lambda top: os.makedirs(f"{top}/f")),
    ("not-empty", lambda fs, top: fs.rmdir(f"{top}/d"), lambda top: os.rmdir(f"{top}/d")),
    ("rmdir-file", lambda fs, top: fs.rmdir(f"{top}/f"), lambda top: os.rmdir(f"{top}/f")),
    ("unlink-missing", lambda fs, top: fs.rm(f"{top}/no"), lambda top: os.unlink(f"{top}/no")),
    ("unlink-folder", lambda fs, top: fs.rm(f"{top}/d"), lambda top: os.unlink(f"{top}/d")),
    ("loop", lambda fs, top: fs.info(f"{top}/loop", follow=True), lambda top: os.stat(f"{top}/loop")),
    ("long-name", lambda fs, top: fs.mkdir(f"{top}/{'n' * 256}"), lambda top: os.mkdir(f"{top}/{'n' * 256}")),
    ("long-path", lambda fs, top: fs.info("/a" * 2048), lambda top: os.stat("/a" * 2048)),
    ("empty", lambda fs, top: fs.info(""), lambda top: os.stat("")),
    ("mkdir-dot", lambda fs, top: fs.mkdir(f"{top}/."), lambda top: os.mkdir(f"{top}/.")),
    ("mkdir-dot-dot", lambda fs, top: fs.mkdir(f"{top}/.."), lambda top: os.mkdir(f"{top}/..")),
    ("rmdir-dot", lambda fs, top: fs.rmdir(f"{top}/d/."), lambda top: os.rmdir(f"{top}/d/.")),
    ("readlink-file", lambda fs, top: fs.readlink(f"{top}/f"), lambda top: os.readlink(f"{top}/f")),
    ("truncate-missing", lambda fs, top: fs.truncate(f"{top}/no", 1), lambda top: os.truncate(f"{top}/no", 1)),
    ("truncate-negative", lambda fs, top: fs.truncate(f"{top}/f", -1), lambda top: os.truncate(f"{top}/f", -1)),
    ("truncate-folder", lambda fs, top: fs.truncate(f"{top}/d", 1), lambda top: os.truncate(f"{top}/d", 1)),
    ("chmod-missing", lambda fs, top: fs.chmod(f"{top}/no", 0), lambda top: os.chmod(f"{top}/no", 0)),
    ("open-missing", lambda fs, top: fs.open(f"{top}/no"), lambda top: builtin_open(f"{top}/no")),
    ("open-folder", lambda fs, top: fs.open(f"{top}/d"), lambda top: builtin_open(f"{top}/d")),
    ("open-exists", lambda fs, top: fs.open(f"{top}/f", "x"), lambda top: builtin_open(f"{top}/f", "x")),
    ("open-slash", lambda fs, top: fs.open(f"{top}/new/", "w"), lambda top: builtin_open(f"{top}/new/", "w")),
    ("ls-missing", lambda fs, top: fs.ls(f"{top}/no"), lambda top: os.listdir(f"{top}/no")),
]


@pytest.mark.parametrize(("ours", "theirs"), [case[1:] for case in ONE_PATH], ids=[case[0] for case in ONE_PATH])
def test_errors_are_those_of_os(fs: FileSystem, both: Path, ours: Any, theirs: Any) -> None:
    """The same class, errno, text and file name as the call of `os` gives for the same tree."""
    found = failure(ours, fs, "/local")
    expected = failure(theirs, str(both))
    assert type(found) is type(expected)
    assert (found.errno, found.strerror) == (expected.errno, expected.strerror)
    prefix = str(both).removesuffix("/local")
    assert found.filename == str(expected.filename).removeprefix(prefix)


TWO_PATHS = [
    ("into-itself", "d", "d/full/x"),
    ("file-over-folder", "f", "d"),
    ("folder-over-file", "d", "f"),
    ("over-full-folder", "d/full", "d"),
    ("missing", "no", "x"),
    ("into-missing", "f", "no/x"),
]


@pytest.mark.parametrize(("source", "target"), [case[1:] for case in TWO_PATHS], ids=[case[0] for case in TWO_PATHS])
def test_rename_errors_are_those_of_os(fs: FileSystem, both: Path, source: str, target: str) -> None:
    """Renames are refused with the errno of os.rename and both names."""
    found = failure(fs.mv, f"/local/{source}", f"/local/{target}")
    expected = failure(os.rename, both / source, both / target)
    assert (type(found), found.errno) == (type(expected), expected.errno)
    assert (found.filename, found.filename2) == (f"/local/{source}", f"/local/{target}")


@pytest.mark.parametrize("name", [b"\x00", b"a\x00b"])
def test_a_nul_byte_is_refused(fs: FileSystem, name: bytes) -> None:
    """A name with a NUL byte is OSError with EINVAL."""
    assert failure(fs.mkdir, b"/" + name).errno == errno.EINVAL


def test_what_the_namenode_adds_is_a_note(fs: FileSystem) -> None:
    """The text of an error is os.strerror's; more that the namenode has to say is a note on the exception."""
    error = failure(fs.info, b"/a\0")
    assert error.strerror == os.strerror(errno.EINVAL)
    assert "NUL" in error.__notes__[0]


def test_paths_may_be_str_bytes_or_pathlike(fs: FileSystem) -> None:
    """All three name the same file, with or without the leading slash; anything else is a TypeError."""
    fs.pipe_file("/f", b"x")
    for path in ("/f", "f", b"/f", PurePosixPath("/f"), "//f"):
        assert fs.cat_file(path) == b"x"
    with pytest.raises(TypeError):
        fs.info(7)  # type: ignore[arg-type]


def test_names_that_are_not_utf8_come_back_as_they_went(fs: FileSystem) -> None:
    """A name of any bytes can be listed, found, opened, linked and removed by what listings tell."""
    fs.mkdir("/" + NOT_UTF8)
    fs.pipe_file(f"/{NOT_UTF8}/{NOT_UTF8}", b"x")
    (found,) = fs.find("/")
    assert found == f"/{NOT_UTF8}/{NOT_UTF8}"
    assert fs.cat_file(found) == b"x"
    assert fs.ls("/", detail=True)[0]["name"] == "/" + NOT_UTF8
    fs.symlink(NOT_UTF8, "/l")
    assert fs.readlink("/l") == NOT_UTF8
    fs.rm("/" + NOT_UTF8, recursive=True)
    assert fs.ls("/") == ["/l"]


def test_info_tells_what_stat_tells(fs: FileSystem) -> None:
    """info has the file's attributes under their names; it follows a link only when asked to."""
    fs.pipe_file("/f", b"x" * 100, mode=0o640)
    fs.utime("/f", ns=(1_000_000_001, 2_000_000_002))
    fs.chown("/f", 1000, 2000)
    fs.link("/f", "/g")
    fs.symlink("f", "/l")
    info = fs.info("/f")
    assert (info["name"], info["size"], info["type"], info["nlink"]) == ("/f", 100, "file", 2)
    assert (info["uid"], info["gid"], stat.S_IMODE(info["mode"])) == (1000, 2000, 0o640)
    assert (info["atime_ns"], info["mtime_ns"]) == (1_000_000_001, 2_000_000_002)
    assert fs.info("/l")["type"] == "link"
    assert fs.info("/l", follow=True)["ino"] == info["ino"]
    assert fs.ls("/", detail=True) == [fs.info("/f"), fs.info("/g"), fs.info("/l")]


def test_questions_of_kind(fs: FileSystem) -> None:
    """exists, isdir and isfile follow links, islink does not; a broken link does not exist."""
    fs.mkdir("/d")
    fs.pipe_file("/f", b"")
    fs.symlink("d", "/ld")
    fs.symlink("no", "/broken")
    kinds = {path: (fs.exists(path), fs.isdir(path), fs.isfile(path), fs.islink(path)) for path in ("d", "f", "ld")}
    assert kinds == {
        "d": (True, True, False, False),
        "f": (True, False, True, False),
        "ld": (True, True, False, True),
    }
    assert not fs.exists("/broken")
    assert fs.islink("/broken")
    assert not fs.exists("/f/below")
    assert not fs.exists("")


def test_ls_of_a_file_is_the_file(fs: FileSystem) -> None:
    """Listing what is no folder gives its own path, as in fsspec."""
    fs.pipe_file("/f", b"xy")
    assert fs.ls("/f") == ["/f"]
    assert fs.ls("f", detail=True)[0]["size"] == 2


@pytest.mark.parametrize("page", [1, 3, 1000])
def test_a_folder_of_several_pages_is_listed_whole(fs: FileSystem, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """However many pages it takes, each entry comes once, in the order of names, with its own attributes."""
    names = [f"/d/{number:03}" for number in range(10)]
    fs.mkdir("/d")
    for number, name in enumerate(names):
        fs.pipe_file(name, b"x" * number)
    monkeypatch.setattr(listing, "PAGE_ENTRIES", page)
    assert fs.ls("/d") == names
    assert [(info["name"], info["size"]) for info in fs.ls("/d", detail=True)] == list(
        zip(names, range(10), strict=True)
    )


def test_makedirs(fs: FileSystem) -> None:
    """Missing folders are made with the umask taken off; exist_ok decides about one that is there."""
    fs.makedirs("/a/b/c", mode=0o777)
    fs.makedirs("/a/b/c", exist_ok=True)
    with pytest.raises(FileExistsError):
        fs.makedirs("/a/b/c")
    assert stat.S_IMODE(fs.info("/a/b")["mode"]) == 0o755


def test_touch(fs: FileSystem) -> None:
    """touch makes an empty file, through a link too, sets the times of what is there, and holds nothing."""
    fs.symlink("target", "/l")
    fs.touch("/l")
    assert fs.cat_file("/target") == b""
    fs.utime("/target", ns=(0, 0))
    fs.touch("/target")
    assert fs.info("/target")["mtime_ns"] > 0


def test_extended_attributes(fs: FileSystem) -> None:
    """They are set, listed, read and removed; create and replace are as in setxattr(2)."""
    fs.pipe_file("/f", b"")
    fs.setxattr("/f", "user.a", b"1")
    assert failure(fs.setxattr, "/f", "user.a", b"2", create=True).errno == errno.EEXIST
    assert failure(fs.setxattr, "/f", "user.b", b"2", replace=True).errno == errno.ENODATA
    assert fs.listxattr("/f") == ["user.a"]
    assert fs.getxattr("/f", "user.a") == b"1"
    fs.removexattr("/f", "user.a")
    assert failure(fs.getxattr, "/f", "user.a").errno == errno.ENODATA


def test_mv_flags(fs: FileSystem) -> None:
    """exclusive refuses to replace, exchange swaps."""
    fs.pipe_file("/a", b"a")
    fs.pipe_file("/b", b"b")
    with pytest.raises(FileExistsError):
        fs.mv("/a", "/b", exclusive=True)
    fs.mv("/a", "/b", exchange=True)
    assert (fs.cat_file("/a"), fs.cat_file("/b")) == (b"b", b"a")


# --- trees ----------------------------------------------------------------------------------------


@pytest.fixture
def forest(fs: FileSystem) -> FileSystem:
    fs.makedirs("/t/a/deep")
    fs.makedirs("/t/b")
    for path, size in (("/t/1", 1), ("/t/a/2", 2), ("/t/a/deep/3", 3), ("/t/b/4", 5000)):
        fs.pipe_file(path, b"x" * size)
    fs.link("/t/b/4", "/t/b/again")
    fs.symlink("/t", "/t/a/up")
    return fs


def test_find(forest: FileSystem) -> None:
    """find gives files and links below a folder, sorted, to a depth, with folders or infos when asked for."""
    files = ["/t/1", "/t/a/2", "/t/a/deep/3", "/t/a/up", "/t/b/4", "/t/b/again"]
    assert forest.find("/t") == files
    assert forest.find("/t", withdirs=True) == sorted([*files, "/t/a", "/t/a/deep", "/t/b"])
    assert forest.find("/t", maxdepth=1) == ["/t/1"]
    assert forest.find("/t", maxdepth=2) == ["/t/1", "/t/a/2", "/t/a/up", "/t/b/4", "/t/b/again"]
    infos = forest.find("/t", detail=True)
    assert list(infos) == files
    assert infos["/t/a/deep/3"]["size"] == 3
    assert failure(forest.find, "/t/1").errno == errno.ENOTDIR
    with pytest.raises(ValueError, match="maxdepth"):
        forest.find("/t", maxdepth=0)


def test_walk(forest: FileSystem) -> None:
    """walk gives each folder once, above what is in it, with its names by kind, as os.walk."""
    walked = {root: (folders, files) for root, folders, files in forest.walk("/t")}
    assert walked == {
        "/t": (["a", "b"], ["1"]),
        "/t/a": (["deep"], ["2", "up"]),
        "/t/b": ([], ["4", "again"]),
        "/t/a/deep": ([], ["3"]),
    }


def test_du(forest: FileSystem) -> None:
    """du adds up sizes, a file of two names once; of a file it is the file's size."""
    assert forest.du("/t") == 1 + 2 + 3 + 5000 + len("/t")
    assert forest.du("/t", total=False)["/t/a/deep/3"] == 3
    assert forest.du("/t/b/4") == 5000


def test_rm(forest: FileSystem, namenode: MemoryNamenode) -> None:
    """rm recursive removes everything below and nothing beside, links themselves, not what they lead to."""
    forest.pipe_file("/keep", b"k")
    forest.symlink("/keep", "/t/a/deep/out")
    forest.symlink("/t/a", "/link")
    forest.rm("/link", recursive=True)
    assert forest.exists("/t/a/2")
    forest.rm("/t", recursive=True)
    assert forest.find("/", withdirs=True) == ["/keep"]
    assert forest.cat_file("/keep") == b"k"  # after whose release the test's namenode reaps
    assert namenode.driver.machine.statistics().inodes == 2


def test_rm_of_the_root_empties_it(forest: FileSystem) -> None:
    """Everything in the root can be removed; the root stays."""
    forest.rm("/", recursive=True)
    assert forest.ls("/") == []


def test_rm_raises_the_first_refusal_and_removes_the_rest(forest: FileSystem, namenode: MemoryNamenode) -> None:
    """A file that cannot be removed is told by its path; what someone else has removed meanwhile is no error."""
    namenode.refusals[Unlink] = [Refused(errno.ENOENT), Refused(errno.EACCES)]
    with pytest.raises(OSError, match="/t/") as error:
        forest.rm("/t", recursive=True)
    assert error.value.errno in (errno.EACCES, errno.ENOTEMPTY)


def test_a_folder_is_not_copied_into_itself_by_another_way(fs: FileSystem) -> None:
    """Through a link, or past `..`, the target lies within the source all the same: EINVAL, and it ends."""
    fs.makedirs("/a/b/c")
    fs.mkdir("/x")
    fs.symlink("/a", "/link")
    for target in ("/link/copy", "/x/../a/copy", "/link/b/copy"):
        error = failure(fs.copy, "/a", target, recursive=True)
        assert error.errno == errno.EINVAL
        assert len(fs.find("/a", withdirs=True)) < 10


def test_copy(forest: FileSystem, namenode: MemoryNamenode) -> None:
    """copy recursive makes the same tree without moving a byte; a folder cannot be copied into itself."""
    namenode.asked.clear()
    forest.copy("/t", "/u", recursive=True)
    assert [path.removeprefix("/u") for path in forest.find("/u", withdirs=True)] == [
        path.removeprefix("/t") for path in forest.find("/t", withdirs=True)
    ]
    assert forest.cat_file("/u/b/4") == b"x" * 5000
    assert forest.readlink("/u/a/up") == "/t"
    assert namenode.count(WriteFile) == 0
    assert namenode.count(CopyFile) == 5
    assert failure(forest.copy, "/t", "/t/a/new", recursive=True).errno == errno.EINVAL
    forest.copy("/t/1", "/v")
    assert forest.cat_file("/v") == b"x"


def test_a_tree_that_is_wide_and_deep_is_walked_within_bounds(
    fs: FileSystem, namenode: MemoryNamenode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many folders, more than are asked for ahead, and a window that overflows, lose nothing."""
    monkeypatch.setattr(tree, "FOLDERS_AHEAD", 2)
    monkeypatch.setattr(tree, "OPERATIONS_AHEAD", 3)
    for number in range(12):
        fs.makedirs(f"/w/{number}/x/y")
        fs.pipe_file(f"/w/{number}/x/y/f", b"")
    assert len(fs.find("/w")) == 12
    fs.copy("/w", "/w2", recursive=True)
    assert len(fs.find("/w2")) == 12
    fs.rm("/w", recursive=True)
    fs.rm("/w2", recursive=True)
    assert fs.ls("/") == []


def test_the_library_is_cheap_to_import() -> None:
    """`import cairnfs.client` brings in neither grpc nor protobuf nor msgspec: the command line's --help is quick."""
    code = "import sys, cairnfs.client; print({'grpc', 'google.protobuf', 'msgspec'} & set(sys.modules) or '')"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == ""


def test_the_file_system_closes_its_session(fs: FileSystem, namenode: MemoryNamenode) -> None:
    """Leaving the `with` closes the session."""
    with contextlib.closing(fs):
        fs.mkdir("/d")
    assert namenode.is_closed
    assert namenode.count(MakeDirectory) == 1
