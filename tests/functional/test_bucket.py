"""Trained weights in a bucket: the client of S3 and a server here that speaks its protocol (`make bucket`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.request import Request, urlopen

import pytest
from dbt_projects import Project
from shop_project import CHURN, predict

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed: make bucket has a virtual environment of its own for it")
moto = pytest.importorskip("moto.server", reason="moto is not installed: make bucket has it")

from s3fs import S3FileSystem  # noqa: E402 - after the question whether there is anything to test

from dbt_rfm.errors import ModelError  # noqa: E402 - as above
from dbt_rfm.model.files import Files  # noqa: E402 - as above

pytestmark = pytest.mark.functional

# What docs/fine_tuning.md asks of an administrator.
FILES, BUCKET = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "arn:aws:s3:::kept"
RIGHTS = [
    {"Effect": "Allow", "Action": FILES, "Resource": f"{BUCKET}/weights/*"},
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": BUCKET},
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        server = moto.ThreadedMotoServer(port=0, verbose=False)
        server.start()
        url = "http://{}:{}".format(*server.get_host_and_port())
        for name, value in {"ACCESS_KEY_ID": "testing", "SECRET_ACCESS_KEY": "testing", "ENDPOINT_URL": url}.items():
            patch.setenv(f"AWS_{name}", value)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield url
        server.stop()


@pytest.fixture
def bucket(server: str) -> Iterator[str]:
    """An empty one, and clients that know of none before."""
    S3FileSystem.clear_instance_cache()
    boto3.client("s3").create_bucket(Bucket="kept")
    yield "s3://kept"
    urlopen(Request(f"{server}/moto-api/reset", method="POST")).close()


@pytest.fixture
def granted(server: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Go on as a user who has the documented rights and no other."""
    unchecked = 1_000_000

    def check_after(actions: int) -> None:
        said = {"data": str(actions).encode(), "headers": {"Content-Type": "text/plain"}}
        urlopen(Request(f"{server}/moto-api/reset-auth", method="POST", **said)).close()

    def go_on() -> None:
        iam = boto3.client("iam")
        iam.create_user(UserName="worker")
        policy = json.dumps({"Version": "2012-10-17", "Statement": RIGHTS})
        iam.put_user_policy(UserName="worker", PolicyName="weights", PolicyDocument=policy)
        key = iam.create_access_key(UserName="worker")["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        check_after(0)

    yield go_on
    check_after(unchecked)


def test__files__in_a_bucket__are_read_listed_and_removed(bucket: str) -> None:
    files, others = Files(f"{bucket}/weights").within("churn"), Files(f"{bucket}/weights/churn")
    assert files.names() == [] and files.read("a.json") is None
    files.write("a.json", b"1")
    files.write("a.json", b"again")
    files.write("large.safetensors", bytes(60_000_000))  # in several parts
    assert others.names() == ["a.json", "large.safetensors"] and others.read("a.json") == b"again"
    assert len(others.read("large.safetensors") or b"") == 60_000_000
    others.remove("a.json")
    others.remove("a.json")
    assert files.names() == ["large.safetensors"]


def test__files__rights_on_one_folder__are_all_it_takes(bucket: str, granted: Callable[[], None]) -> None:
    granted()
    files = Files(f"{bucket}/weights").within("churn")
    assert files.names() == [] and files.read("a.json") is None
    files.write("a.json", b"1")
    assert files.read("a.json") == b"1" and files.names() == ["a.json"]
    files.remove("a.json")
    assert files.names() == []
    with pytest.raises(ModelError, match="the files in s3://kept/other cannot be written: Access Denied"):
        Files(f"{bucket}/other").write("a.json", b"1")


def test__write__bucket_that_is_not_there__is_not_made(bucket: str) -> None:
    files = Files("s3://misspelt/weights")
    assert files.names() == []
    with pytest.raises(ModelError, match="cannot be written: The specified bucket does not exist"):
        files.write("a.json", b"1")
    assert [each["Name"] for each in boto3.client("s3").list_buckets()["Buckets"]] == ["kept"]


def test__build__weights_in_a_bucket__the_second_build_answers_with_those_of_the_first(
    shop: Project, bucket: str, granted: Callable[[], None]
) -> None:
    trained = (
        "'context_size': 60, 'model': 'graph_transformer', 'backtest': false, "
        "'model_options': {'channels': 16, 'layers': 1, 'members': 1, 'epochs': 2, 'batch': 16}"
    )
    shop.write("models/churn.sql", predict(CHURN, rfm=f"{trained}, 'weights': '{bucket}/weights'"))
    granted()

    first, second = shop.dbt("run", "--select", "churn"), shop.dbt("run", "--select", "churn")

    assert first.success, first.log
    assert second.success and "kept from the anchor 2025-06-30" in second.log, second.log
    ((sha,),) = shop.rows("select distinct checkpoint_sha from rfm_versions where model_name = 'churn'")
    (weights,) = S3FileSystem().glob("kept/weights/*/*.safetensors")
    assert weights.endswith(f"/{sha}.safetensors")
    assert not list((shop.path / "target").rglob("*.safetensors"))
