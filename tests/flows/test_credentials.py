"""Keys of S3 from a block of Prefect: they reach the storage, and nothing else."""

import json
import os
from typing import Any

import boto3
import pytest
from clockless import LONG
from prefect.blocks.core import Block
from pydantic import SecretStr

from earthcode_flows.credentials import S3Keys, _grant, keys_in_force
from earthcode_flows.package import batch, package, publish
from earthcode_pack import pipeline
from earthcode_pack.errors import UserError
from earthcode_pack.profile.model import StoreSpec
from earthcode_pack.storage import open_store
from earthcode_pack.upload import verify

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def clean(rgw_bucket, tmp_path, monkeypatch):
    """A bucket, and an environment in which nothing of AWS is left."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EARTHCODE_PACK_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    return rgw_bucket


@pytest.fixture
def keys(rgw):
    """The name of a block with the keys of the server."""
    block = S3Keys(access_key_id=rgw.user.access, secret_access_key=rgw.user.secret, endpoint_url=rgw.http, region="x")
    block.save("prr", overwrite=True)
    return "prr"


def raw_client(rgw):
    known = {"aws_access_key_id": rgw.user.access, "aws_secret_access_key": rgw.user.secret}
    return boto3.Session().client("s3", endpoint_url=rgw.http, region_name="us-east-1", **known)


def there(rgw, bucket: str, prefix: str = "") -> set[str]:
    listed = raw_client(rgw).list_objects_v2(Bucket=bucket, Prefix=prefix)
    return {one["Key"] for one in listed.get("Contents", [])}


def told_by_prefect(state) -> str:
    """Everything that Prefect keeps of a run: parameters, logs, artifacts, task runs, state."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=LONG)
    run = state.state_details.flow_run_id
    with get_client(sync_client=True) as api:
        logs = filters.LogFilter(flow_run_id=filters.LogFilterFlowRunId(any_=[run]))
        made = filters.ArtifactFilter(flow_run_id=filters.ArtifactFilterFlowRunId(any_=[run]))
        tasks = api.read_task_runs(flow_run_filter=filters.FlowRunFilter(id=filters.FlowRunFilterId(any_=[run])))
        found = [
            api.read_flow_run(run),
            *api.read_logs(logs, limit=200),
            *api.read_artifacts(artifact_filter=made),
            *tasks,
        ]
    assert len(found) > 10
    return "\n".join(one.model_dump_json() for one in found)


def test_a_run_without_any_keys_publishes_with_those_of_the_block(  # noqa: PLR0917 - fixtures
    profile, tmp_path, rgw, clean, keys, caplog
):
    """Sources, workdir and store are on S3; nothing that the run leaves anywhere holds the secret."""
    for path in (tmp_path / "raw").iterdir():
        raw_client(rgw).upload_file(str(path), clean, f"raw/{path.name}")
    profile["source"]["href"] = f"s3://{clean}/raw/*.tif"
    profile["store"] = {"href": f"s3://{clean}/pub"}
    before = dict(os.environ)
    with caplog.at_level("DEBUG"):
        state = package(profile, base=str(tmp_path), workdir=f"s3://{clean}/work", credentials=keys, return_state=True)
    assert state.name == "Completed", state.message
    assert state.result()["published"] == f"s3://{clean}/pub/demo-ndvi/v1.0/collection.json"
    assert "pub/demo-ndvi/v1.0/collection.json" in there(rgw, clean)
    assert "work/demo-ndvi/v1.0/product/manifest.json" in there(rgw, clean)
    assert dict(os.environ) == before

    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    written += [raw_client(rgw).get_object(Bucket=clean, Key=key)["Body"].read() for key in there(rgw, clean)]
    assert len(written) > 20
    assert not [raw for raw in written if rgw.user.secret.encode() in raw]
    told = told_by_prefect(state)
    assert json.dumps(keys) in told  # its name may be known
    assert rgw.user.secret not in told
    assert rgw.user.secret not in caplog.text
    with pytest.raises(Exception, match="credentials"):  # they ended with the run
        open_store(StoreSpec(href=f"s3://{clean}/pub", endpoint_url=rgw.http)).head("x")


def test_a_prepared_bundle_is_published_with_them(profile, tmp_path, rgw, clean, keys):
    from earthcode_pack.profile import load_profile

    profile["store"] = {"href": f"s3://{clean}/pub", "endpoint_url": rgw.http}
    bundle = pipeline.prepare(load_profile(profile, tmp_path), tmp_path / "work")
    without = publish(str(bundle.root), bundle.digest, return_state=True)
    assert without.type.value == "FAILED"
    assert "there are no credentials for the storage" in without.message
    assert publish(str(bundle.root), bundle.digest, credentials=f"s3-keys/{keys}", return_state=True).is_completed()
    with keys_in_force({f"s3://{clean}": keys}):
        assert verify(bundle, read=True) == ()
    assert len(batch([profile], base=str(tmp_path), workdir=str(tmp_path / "work"), credentials=keys)) == 1


def test_keys_that_the_storage_refuses_are_not_shown(profile, tmp_path, rgw, clean):
    wrong = "wr0ng-n0t-to-be-shown"
    S3Keys(access_key_id=rgw.user.access, secret_access_key=wrong, endpoint_url=rgw.http).save("wrong")
    profile["store"] = {"href": f"s3://{clean}/pub"}
    state = package(profile, base=str(tmp_path), credentials="wrong", return_state=True)
    assert state.type.value == "FAILED"
    assert "does not accept these credentials" in state.message
    assert wrong not in told_by_prefect(state)


# --- blocks -----------------------------------------------------------------------------------------------------------


class Theirs(Block):
    """Fields as those of prefect-aws's blocks, of which the flows read nothing but the document."""

    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: str | None = None
    profile_name: str | None = None
    region_name: str | None = None
    minio_root_user: str | None = None
    minio_root_password: SecretStr | None = None
    aws_client_parameters: dict[str, Any] | None = None


def make_block(slug: str, data: dict) -> None:
    kind = type("TheirsToo", (Theirs,), {"_block_type_name": slug, "_block_type_slug": slug})
    kind(**data).save("theirs", overwrite=True)


AWS = {"aws_access_key_id": "me", "aws_secret_access_key": "word", "aws_session_token": "t", "region_name": "eu-x"}
MINIO = {"minio_root_user": "me", "minio_root_password": "word"}
PLACE = {"aws_client_parameters": {"endpoint_url": "https://store.example", "verify": True}}


@pytest.mark.parametrize(("slug", "data"), [("aws-credentials", AWS | PLACE), ("minio-credentials", MINIO)])
def test_blocks_of_prefect_aws_without_that_package(slug, data):
    make_block(slug, data)
    grant = _grant(f"{slug}/theirs")
    assert grant.keys == ("me", "word", "t" if slug == "aws-credentials" else None)
    assert (grant.endpoint, grant.region) == (
        ("https://store.example", "eu-x") if slug == "aws-credentials" else (None, None)
    )
    assert "word" not in repr(grant)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("nothing", "there is no block s3-keys/nothing"),
        ("aws-credentials/nothing", "there is no block aws-credentials/nothing"),
        ({"https://host": "prr"}, "https://host is no place on S3"),
    ],
)
def test_what_cannot_be_taken_fails_the_run_in_words(named, said, profile, tmp_path):
    state = package(profile, base=str(tmp_path), credentials=named, return_state=True)
    assert state.type.value == "FAILED"
    assert said in state.message
    assert batch([profile], base=str(tmp_path), credentials=named, return_state=True).type.value == "FAILED"
    assert not (tmp_path / "published").exists()


def test_a_block_without_keys_is_refused():
    make_block("aws-credentials", {"profile_name": "someone"})
    with pytest.raises(UserError, match="aws-credentials/theirs holds no keys"):
        _grant("aws-credentials/theirs")


def test_a_deployments_form_asks_for_the_name():
    from prefect.utilities.callables import parameter_schema

    for flow in (package, publish, batch):
        asked = parameter_schema(flow).properties["credentials"]
        assert "aws-credentials/prr" in asked["description"]
        assert asked["default"] is None
