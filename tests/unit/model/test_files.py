"""A folder of files is the same on this machine and behind a URL; what cannot be reached is told in one message."""

from __future__ import annotations

import uuid
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dbt_rfm.errors import ModelError
from dbt_rfm.model.files import Files, file_at


@pytest.fixture(params=["path", "file://", "memory://"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    roots = {"path": str(tmp_path / "kept"), "file://": f"file://{tmp_path}/kept"}
    return roots.get(request.param, f"memory://{uuid.uuid4().hex}/kept")


def test__files__written__are_read_listed_and_removed(root: str) -> None:
    files = Files(root).within("main_churn")
    assert files.names() == [] and files.read("a.json") is None
    files.write("b.json", b"b")
    files.write("a.json", b"a")
    files.write("a.json", b"again")
    files.write("a.safetensors", b"")
    assert files.names(end=".json") == ["a.json", "b.json"] and files.names(start="a.") == ["a.json", "a.safetensors"]
    assert files.read("a.json") == b"again" and files.read("a.safetensors") == b""
    files.remove("a.json")
    files.remove("a.json")
    assert files.names() == ["a.safetensors", "b.json"]
    assert files.where("b.json") == f"{root}/main_churn/b.json"
    assert file_at(files.where("b.json")).read() == b"b"


def test__files__opened_anew__sees_what_others_wrote(root: str) -> None:
    one, two = Files(root), Files(root)
    assert two.names() == []
    one.write("a", b"1")
    assert two.names() == ["a"] and two.read("a") == b"1"


def test__write__interrupted__leaves_what_was_there(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files(root)
    files.write("a.json", b"whole")

    def torn(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(files._system), "mv", torn)
    with pytest.raises(ModelError, match="cannot be written: No space left on device"):
        files.write("a.json", b"half of something else")
    assert files.read("a.json") == b"whole" and files.names(end=".json") == ["a.json"]


def test__write__into_a_bucket__under_its_own_name_and_nothing_else_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError("may not make a bucket")

    monkeypatch.setattr(MemoryFileSystem, "protocol", ("s3", "s3a"))
    monkeypatch.setattr(MemoryFileSystem, "makedirs", refused)
    monkeypatch.setattr(MemoryFileSystem, "mv", refused)
    files = Files(f"memory://{uuid.uuid4().hex}/kept").within("churn")
    files.write("a.json", b"1")
    assert files.names() == ["a.json"] and files.read("a.json") == b"1"


def test__files__package_of_the_protocol_is_missing__says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(protocol: str) -> None:
        raise ImportError(f"no module for {protocol}")

    monkeypatch.setattr("fsspec.core.get_filesystem_class", missing)
    for url, package in (("s3://bucket/weights", "s3fs"), ("gs://bucket", "gcsfs"), ("abfs://box@account/w", "adlfs")):
        with pytest.raises(ModelError) as raised:
            Files(url)
        assert str(raised.value) == f"{url} needs a package that is not installed\n  pip install {package}"


def test__files__protocol_that_nobody_knows__named_with_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"(?s)nobody knows the protocol of gz://bucket.*Or name a folder"):
        Files("gz://bucket")


def test__files__password_in_the_url__is_refused_and_not_shown() -> None:
    with pytest.raises(ModelError, match="names a password") as raised:
        Files("sftp://me:secret-word@host/weights")
    assert "secret-word" not in str(raised.value)


def test__files__store_that_refuses__one_message_whatever_it_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused(Exception):
        pass

    def refuse(*_: object, **__: object) -> None:
        raise Refused("Unable to locate credentials\nand more")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "ls", refuse)
    with pytest.raises(ModelError) as raised:
        Files("memory://x").names()
    assert str(raised.value) == "the files in memory://x cannot be listed: Unable to locate credentials"


def test__files__name_of_a_file_that_is_a_folder__one_message(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(ModelError, match="cannot be read: Is a directory"):
        Files(tmp_path).read("a")
