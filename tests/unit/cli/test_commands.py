"""What each command does to the files, and what it prints."""

import json
import os
import stat
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Cairn


@pytest.fixture
def tree(root: Path) -> Path:
    (root / "a").mkdir()
    (root / "a" / "one").write_bytes(b"1" * 10)
    (root / "a" / "two").write_bytes(b"2" * 2000)
    (root / "a" / "deep").mkdir()
    (root / "a" / "deep" / "three.txt").write_bytes(b"3" * 30)
    (root / "a" / ".hidden").write_bytes(b"h")
    os.symlink("one", root / "a" / "link")
    return root


def test_ls_sorts_and_hides_dot_names(cairn: Cairn, tree: Path) -> None:
    """Names are sorted, one a line; those with a dot take -a."""
    assert cairn("ls", "/a").lines == ["deep", "link", "one", "two"]
    assert cairn("ls", "-a", "/a").lines == [".hidden", "deep", "link", "one", "two"]


def test_ls_long_shows_what_stat_knows(cairn: Cairn, tree: Path) -> None:
    """-l has mode, links, owner, size, time and where links point; -h shortens sizes."""
    os.chmod(tree / "a" / "two", 0o640)
    lines = cairn("ls", "-lh", "/a").lines
    assert lines[1].startswith("lrwxrwxrwx")
    assert lines[1].endswith(" link -> one")
    fields = lines[3].split()
    assert (fields[0], fields[4], fields[-1]) == ("-rw-r-----", "2.0K", "two")


def test_ls_recursive_names_every_folder(cairn: Cairn, tree: Path) -> None:
    """-R heads each folder's names with its path, a folder before those in it."""
    assert cairn("ls", "-R", "/a").lines == ["/a:", "deep", "link", "one", "two", "", "/a/deep:", "three.txt"]


def test_ls_sorts_by_size_and_time(cairn: Cairn, tree: Path) -> None:
    """-S puts the largest first, -t the newest, -r turns both round."""
    os.utime(tree / "a" / "one", (2e9, 2e9))
    assert cairn("ls", "-S", "/a").lines[0] == "two"
    assert cairn("ls", "-t", "/a").lines[0] == "one"
    assert cairn("ls", "-tr", "/a").lines[-1] == "one"


def test_ls_of_a_file_and_of_a_folder_itself(cairn: Cairn, tree: Path) -> None:
    """A file is listed under the path it was asked by; -d lists the folder, not its content."""
    assert cairn("ls", "/a/one").lines == ["/a/one"]
    assert cairn("ls", "-d", "/a").lines == ["/a"]


def test_ls_json_is_complete(cairn: Cairn, tree: Path) -> None:
    """--json gives an array of what stat knows, names with a dot included."""
    found = json.loads(cairn("ls", "--json", "/a").out)
    assert [info["name"] for info in found] == ["/a/.hidden", "/a/deep", "/a/link", "/a/one", "/a/two"]
    assert found[3]["size"] == 10


def test_one_bad_operand_does_not_stop_the_others(cairn: Cairn, tree: Path) -> None:
    """Commands go on after an operand that fails, and exit with 1."""
    run = cairn("ls", "/missing", "/a/one")
    assert (run.code, run.lines) == (1, ["/a/one"])
    assert run.error == "cairn: ls: /missing: No such file or directory\n"


def test_names_that_are_not_utf_8_are_listed_and_found(cairn: Cairn, root: Path) -> None:
    """A name of any bytes is shown escaped, given raw by find -0, and kept through JSON."""
    (root / os.fsdecode(b"caf\xe9\n")).touch()
    assert cairn("ls", "/").lines == ["caf\\xe9\\n"]
    assert cairn("find", "/", "--type", "f", "-0").out == b"/caf\xe9\n\0"
    assert os.fsencode(json.loads(cairn("ls", "--json", "/").out)[0]["name"]) == b"/caf\xe9\n"


def test_put_and_get_files(cairn: Cairn, root: Path, tmp_path: Path) -> None:
    """One source takes the target's name, or goes into the target where that is a folder."""
    local = tmp_path / "local"
    local.write_bytes(b"content")
    (root / "folder").mkdir()
    assert cairn("put", str(local), "/name").code == 0
    assert cairn("put", str(local), "/folder").code == 0
    assert (root / "name").read_bytes() == (root / "folder" / "local").read_bytes() == b"content"
    assert cairn("get", "/name", str(tmp_path / "back")).code == 0
    assert (tmp_path / "back").read_bytes() == b"content"


def test_get_without_target_goes_here(
    cairn: Cairn, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """get with a source alone copies it into the working folder."""
    monkeypatch.chdir(tmp_path)
    assert cairn("get", "/a/one").code == 0
    assert (tmp_path / "one").read_bytes() == b"1" * 10


def test_several_sources_need_a_folder(cairn: Cairn, root: Path, tmp_path: Path) -> None:
    """put, get, cp and mv take several sources only into a folder, as cp does."""
    for name in ("x", "y"):
        (root / name).write_text(name)
        (tmp_path / name).write_text(name)
    for run in (
        cairn("put", str(tmp_path / "x"), str(tmp_path / "y"), "/z"),
        cairn("cp", "/x", "/y", "/z"),
        cairn("mv", "/x", "/y", "/z"),
    ):
        assert run.code == 1
        assert run.error.endswith("/z: Not a directory\n")
    assert cairn("get", "/x", "/y", str(tmp_path / "x")).error.endswith("x: Not a directory\n")
    (root / "z").mkdir()
    assert cairn("cp", "/x", "/y", "/z").code == 0
    assert sorted(os.listdir(root / "z")) == ["x", "y"]


@pytest.mark.parametrize("command", ["put", "get", "cp", "rm"])
def test_folders_take_a_flag(cairn: Cairn, tree: Path, tmp_path: Path, command: str) -> None:
    """A folder without -r is refused in a line that says so, and nothing is done."""
    (tmp_path / "a").mkdir()
    source = str(tmp_path / "a") if command == "put" else "/a"
    run = cairn(command, source, *([] if command == "rm" else [str(tmp_path / "b") if command == "get" else "/b"]))
    assert run.code == 1
    assert "Is a directory (add -r" in run.error
    assert not (tmp_path / "b").exists()
    assert not (tree / "b").exists()


def test_put_and_get_folders(cairn: Cairn, root: Path, tree: Path, tmp_path: Path) -> None:
    """-r copies a folder with everything in it, both ways."""
    assert cairn("get", "-r", "/a", str(tmp_path / "out")).code == 0
    assert (tmp_path / "out" / "deep" / "three.txt").read_bytes() == b"3" * 30
    assert cairn("put", "-r", str(tmp_path / "out"), "/").code == 0
    assert (root / "out" / "two").read_bytes() == b"2" * 2000


def test_streams(cairn: Cairn, root: Path) -> None:
    """`-` is standard input for put, and standard output for get."""
    content = os.urandom(3_000_000)
    assert cairn("put", "-", "/stream", stdin=content).code == 0
    assert (root / "stream").read_bytes() == content
    assert cairn("get", "/stream", "-").out == content
    assert cairn("cat", "/stream", "/stream").out == content * 2


def test_standard_input_goes_to_one_file(cairn: Cairn, root: Path) -> None:
    """`put - /folder` is a misuse, as the file would have no name."""
    (root / "folder").mkdir()
    assert cairn("put", "-", "/folder").code == 2


@pytest.mark.parametrize("count", [0, 1, 2, 9, 10_000, 30_000, 50_000])
def test_head_and_tail_lines(cairn: Cairn, root: Path, count: int) -> None:
    """head and tail give the first and last lines, across the chunks they read in, with or without a last newline."""
    for last in (b"", b"\n"):
        lines = [f"line {i}".encode() for i in range(30_000)]
        (root / "f").write_bytes(b"\n".join(lines) + last)
        whole = [line + b"\n" for line in lines]
        whole[-1] = lines[-1] + last
        assert cairn("head", "-n", str(count), "/f").out == b"".join(whole[:count])
        assert cairn("tail", "-n", str(count), "/f").out == b"".join(whole[len(whole) - min(count, len(whole)) :])


def test_head_and_tail_bytes(cairn: Cairn, root: Path) -> None:
    """-c counts bytes, and takes units."""
    (root / "f").write_bytes(bytes(range(256)) * 16)
    assert cairn("head", "-c", "10", "/f").out == bytes(range(10))
    assert cairn("tail", "-c", "1K", "/f").out == bytes(range(256)) * 4
    assert cairn("tail", "-c", "1M", "/f").out == bytes(range(256)) * 16


def test_parts_of_several_files_have_headers(cairn: Cairn, tree: Path) -> None:
    """Several files are told apart by a line with the name of each."""
    assert cairn("head", "-c", "1", "/a/one", "/a/two").out == b"==> /a/one <==\n1\n==> /a/two <==\n2"


def test_mkdir_modes_and_parents(cairn: Cairn, root: Path) -> None:
    """-m sets permissions, -p makes what is missing and takes what is there; without it both are errors."""
    assert cairn("mkdir", "-m", "u=rwx,go=", "/m").code == 0
    assert stat.S_IMODE((root / "m").stat().st_mode) == 0o700
    assert cairn("mkdir", "/x/y").error == "cairn: mkdir: /x/y: No such file or directory\n"
    assert cairn("mkdir", "-p", "/x/y", "/x/y").code == 0
    assert cairn("mkdir", "/x").error == "cairn: mkdir: /x: File exists\n"
    (root / "file").touch()
    assert cairn("mkdir", "-p", "/file").code == 1


def test_rm(cairn: Cairn, tree: Path) -> None:
    """rm removes files, -r folders, -d empty ones; -f takes what is missing; the root is never removed."""
    assert cairn("rm", "/a/one").code == 0
    assert cairn("rm", "/a/one").error == "cairn: rm: /a/one: No such file or directory\n"
    assert cairn("rm", "-f", "/a/one").code == 0
    assert cairn("rm", "-d", "/a").code == 1
    assert cairn("rm", "-r", "/a").code == 0
    assert not (tree / "a").exists()
    (tree / "empty").mkdir()
    assert cairn("rm", "-d", "/empty").code == 0
    assert cairn("rm", "-rf", "/").code == 2
    assert cairn("rm").code == 2


def test_mv(cairn: Cairn, tree: Path) -> None:
    """mv renames, or moves into a folder; -n leaves what is there."""
    assert cairn("mv", "/a/one", "/uno").code == 0
    assert cairn("mv", "/uno", "/a").code == 0
    assert (tree / "a" / "uno").read_bytes() == b"1" * 10
    assert cairn("mv", "-n", "/a/uno", "/a/two").code == 0
    assert (tree / "a" / "two").read_bytes() == b"2" * 2000


def test_cp_refuses_itself(cairn: Cairn, tree: Path) -> None:
    """A folder is not copied into itself, which would never end."""
    assert cairn("cp", "-r", "/a", "/a/deep").error == "cairn: cp: /a: cannot be copied into itself\n"
    assert cairn("cp", "-r", "/a", "/b").code == 0
    assert (tree / "b" / "deep" / "three.txt").exists()


def test_ln(cairn: Cairn, tree: Path) -> None:
    """Hard and symbolic links, into folders too; -f replaces a file and never a folder."""
    assert cairn("ln", "/a/one", "/hard").code == 0
    assert (tree / "hard").stat().st_nlink == 2
    assert cairn("ln", "-s", "../a/two", "/a/deep").code == 0
    assert os.readlink(tree / "a" / "deep" / "two") == "../a/two"
    assert cairn("ln", "-s", "x", "/hard").error == "cairn: ln: x -> /hard: File exists\n"
    assert cairn("ln", "-sf", "x", "/hard").code == 0
    assert os.readlink(tree / "hard") == "x"


def test_touch(cairn: Cairn, root: Path) -> None:
    """touch makes a file, -c does not."""
    assert cairn("touch", "-c", "/new").code == 0
    assert not (root / "new").exists()
    assert cairn("touch", "/new").code == 0
    assert (root / "new").exists()


def test_chmod(cairn: Cairn, tree: Path) -> None:
    """chmod takes octal and symbolic modes, also such that look like options, and -R leaves links alone."""
    assert cairn("chmod", "600", "/a/one").code == 0
    assert cairn("chmod", "-w", "/a/one").code == 0
    assert stat.S_IMODE((tree / "a" / "one").stat().st_mode) == 0o400
    assert cairn("chmod", "-R", "go=,u+rwX", "/a").code == 0
    assert stat.S_IMODE((tree / "a" / "deep").stat().st_mode) == 0o700
    assert stat.S_IMODE((tree / "a" / "deep" / "three.txt").stat().st_mode) == 0o600
    assert cairn("chmod", "u+q", "/a").error == "cairn: chmod: 'u+q' is not a mode: write it like 644, u+x or go-w\n"


def test_chown(cairn: Cairn, tree: Path) -> None:
    """chown takes names and numbers of user and group, and says which name it does not know."""
    assert cairn("chown", "root:12", "/a/one").code == 0
    assert cairn("stat", "-c", "%u:%g", "/a/one").lines == ["0:12"]
    assert cairn("chown", ":7", "/a/one").code == 0
    assert cairn("stat", "-c", "%u:%g", "/a/one").lines == ["0:7"]
    assert "no user is called 'nobody-such'" in cairn("chown", "nobody-such", "/a/one").error


def test_stat_formats(cairn: Cairn, tree: Path) -> None:
    """stat prints a block, a line in a given form, or JSON; an unknown field is a misuse."""
    assert "  File: /a/link -> one" in cairn("stat", "/a/link").lines
    assert cairn("stat", "-L", "-c", r"%s %F\t%%", "/a/link").lines == ["10 regular file\t%"]
    assert json.loads(cairn("stat", "--json", "/a/one").out)[0]["size"] == 10
    assert cairn("stat", "-c", "%q", "/a/one").code == 2


def test_find(cairn: Cairn, tree: Path) -> None:
    """find walks in order, and keeps what fits name, type and depth; GNU's single dashes work too."""
    assert cairn("find", "/a", "--type", "d").lines == ["/a", "/a/deep"]
    assert cairn("find", "/", "-name", "*.txt").lines == ["/a/deep/three.txt"]
    assert cairn("find", "/a", "--maxdepth", "0").lines == ["/a"]
    assert cairn("find", "/a", "--type", "l").lines == ["/a/link"]


def test_du_adds_up(cairn: Cairn, tree: Path) -> None:
    """du gives each folder after those in it; a hard link counts once."""
    os.link(tree / "a" / "two", tree / "a" / "deep" / "again")
    assert cairn("du", "/a").lines == ["2030\t/a/deep", "2044\t/a"]
    assert cairn("du", "-s", "/a").lines == ["2044\t/a"]
    assert cairn("du", "-sh", "/a/two").lines == ["2.0K\t/a/two"]
    assert cairn("du", "-s", "-c", "/a/one", "/a/deep").lines == ["10\t/a/one", "2030\t/a/deep", "2040\ttotal"]
    assert json.loads(cairn("du", "--json", "-s", "/a").out) == [{"name": "/a", "size": 2044}]


def test_df(cairn: Cairn) -> None:
    """df shows capacity, use and free space."""
    assert cairn("df", "-h").lines[1].split()[:4] == ["3.0G", "1.0G", "2.0G", "33%"]
    assert json.loads(cairn("df", "--json").out)["free_bytes"] == 2 << 30


def test_checksum(cairn: Cairn, tree: Path) -> None:
    """checksum prints as sha256sum does."""
    line = cairn("checksum", "/a/one").lines[0]
    assert line.endswith("  /a/one")
    assert json.loads(cairn("checksum", "--json", "/a/one").out)[0]["checksum"] == line.split()[0]
