"""The flows on a small product: states, artifacts, names; what the library does is tested elsewhere."""

import logging
import shutil
from uuid import UUID

import pytest
from clockless import LONG, until

import earthcode_flows.package
from earthcode_flows.package import IncompleteProduct, batch, package, publish
from earthcode_flows.show import logs_to_prefect
from earthcode_pack import pipeline
from earthcode_pack.errors import NotApproved, ProfileError
from earthcode_pack.execution import waiting

pytestmark = pytest.mark.usefixtures("prefect")


def client():
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)


def artifacts_of(run: UUID) -> dict[str, dict]:
    """Key → type and data, of all that a run left."""
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    with client() as api:
        found = api.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run])))
    return {one.key: {"type": one.type, "data": one.data} for one in found}


def run_of(state):
    with client() as api:
        return api.read_flow_run(state.state_details.flow_run_id)


def tasks_of(run: UUID):
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    with client() as api:
        found = api.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])))
    return sorted(found, key=lambda task: task.start_time)


def spoil(tmp_path):
    (tmp_path / "raw" / "ndvi_20210701.tif").write_bytes(b"II*\0 no more")


def test_a_product_is_packaged_and_published(profile, tmp_path):
    state = package(profile, base=str(tmp_path), return_state=True)
    assert (state.type.value, state.name) == ("COMPLETED", "Completed")
    told = state.result()
    assert (told["items"], told["assets"], told["failed"]) == (2, 2, [])
    assert told == pipeline.summarise(
        pipeline.open_bundle(tmp_path / ".earthcode-pack" / "demo-ndvi" / "v1.0"), told["published"]
    ).model_dump(mode="json")
    assert (tmp_path / "published" / "demo-ndvi" / "v1.0" / "collection.json").is_file()


def test_a_run_has_a_name_tags_a_task_for_each_verb_and_artifacts(profile, tmp_path):
    state = package(profile, base=str(tmp_path), return_state=True)
    run = run_of(state)
    assert run.name == "package-demo-ndvi"
    assert "demo-ndvi" in run.tags
    tasks = tasks_of(run.id)
    names = [task.name for task in tasks]
    assert names[:3] == ["discover-demo-ndvi", "plan-demo-ndvi", "convert-demo-ndvi"]
    assert {"check-demo-ndvi", "describe-demo-ndvi", "bundle-demo-ndvi", "upload-demo-ndvi"} < set(names)
    assert all("demo-ndvi" in task.tags for task in tasks)
    artifacts = artifacts_of(run.id)
    assert [row["item"] for row in table(artifacts, "demo-ndvi-items")] == ["demo-ndvi_20190701", "demo-ndvi_20200701"]
    assert artifacts["demo-ndvi-findings"]["type"] == "table"
    assert "report.html" in artifacts["demo-ndvi-report"]["data"]
    assert state.result()["digest"] in artifacts["demo-ndvi-summary"]["data"]
    assert artifacts["demo-ndvi-convert"] == {"type": "progress", "data": 100.0}
    assert "demo-ndvi-failures" not in artifacts


def table(artifacts: dict, key: str) -> list[dict]:
    import json

    data = artifacts[key]["data"]
    return json.loads(data) if isinstance(data, str) else data


def test_a_source_that_fails_fails_the_run_and_nothing_is_published(profile, tmp_path):
    spoil(tmp_path)
    state = package(profile, base=str(tmp_path), return_state=True)
    assert state.type.value == "FAILED"
    assert "ndvi_20210701.tif" in state.message
    with pytest.raises(IncompleteProduct, match="ndvi_20210701") as caught:
        state.result()
    assert caught.value.summary.items == 2
    (failure,) = table(artifacts_of(run_of(state).id), "demo-ndvi-failures")
    assert failure["source"].endswith("ndvi_20210701.tif")
    assert not (tmp_path / "published").exists()


def test_what_is_published_without_some_sources_is_incomplete(profile, tmp_path):
    spoil(tmp_path)
    state = package(profile, base=str(tmp_path), allow_incomplete=True, return_state=True)
    assert (state.type.value, state.name) == ("COMPLETED", "Incomplete")
    told = state.result()
    assert (told["items"], len(told["failed"])) == (2, 1)
    assert told["published"]


def test_an_error_that_stands_fails_the_run_whatever_is_allowed(profile, tmp_path):
    del profile["product"]["variables"]["ndvi"]["units"]
    state = package(profile, base=str(tmp_path), allow_incomplete=True, return_state=True)
    assert state.type.value == "FAILED"
    assert "unit" in state.message
    assert not (tmp_path / "published").exists()


def test_a_profile_that_is_wrong_by_itself(profile, tmp_path):
    profile["product"]["statsu"] = "ongoing"
    state = package(profile, base=str(tmp_path), return_state=True)
    assert state.type.value == "FAILED"
    assert "did you mean status?" in state.message
    with pytest.raises(ProfileError):
        state.result()


def test_a_profile_by_its_path(profile, tmp_path):
    import yaml

    path = tmp_path / "vegetation.yaml"
    path.write_text(yaml.safe_dump(profile))
    state = package(str(path), return_state=True)
    assert state.result()["bundle"] == str(tmp_path / ".earthcode-pack" / "demo-ndvi" / "v1.0")
    assert run_of(state).name == "package-vegetation"


def test_a_prepared_bundle_is_published_with_its_digest_only(profile, tmp_path):
    from earthcode_pack.profile import load_profile

    bundle = pipeline.prepare(load_profile(profile, tmp_path), tmp_path / "work")
    wrong = publish(str(bundle.root), "sha256:" + "0" * 64, return_state=True)
    assert wrong.type.value == "FAILED"
    with pytest.raises(NotApproved):
        wrong.result()
    assert not (tmp_path / "published").exists()
    right = publish(str(bundle.root), bundle.digest, return_state=True)
    assert right.type.value == "COMPLETED"
    assert right.result()["published"]
    assert run_of(right).name == "publish-demo-ndvi-v1.0"


def test_one_bad_product_of_a_batch_does_not_stop_the_others(profile, tmp_path):
    bad = profile | {"product": profile["product"] | {"id": "demo-bad"}, "source": profile["source"] | {"href": "*.nc"}}
    good = [profile, profile | {"product": profile["product"] | {"id": "demo-other"}}]
    state = batch([bad, *good, {}, {"product": "x"}], base=str(tmp_path), return_state=True)
    assert state.type.value == "FAILED"
    assert state.message == "3 of 5 products failed: demo-bad, ?, ?"
    rows = table(artifacts_of(run_of(state).id), "batch")
    assert [(row["product"], row["items"]) for row in rows] == [
        ("demo-bad", 0), ("demo-ndvi", 2), ("demo-other", 2), ("?", 0), ("?", 0),
    ]  # fmt: skip
    assert {path.name for path in (tmp_path / "published").iterdir()} == {"demo-ndvi", "demo-other"}
    assert [one["items"] for one in batch(good, base=str(tmp_path))] == [2, 2]


def test_the_log_of_the_package_is_in_the_run(profile, tmp_path):
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.logging.handlers import APILogWorker

    state = package(profile, base=str(tmp_path), return_state=True)
    APILogWorker.drain_all(timeout=LONG)
    with client() as api:
        logs = api.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_of(state).id])))
    assert any(log.name == "earthcode_pack" and "convert" in log.message for log in logs)
    logging.getLogger("earthcode_pack").info("a line outside of any run is no error")


def test_what_a_run_waits_for_is_in_its_log(monkeypatch):
    """Said by a thread that knows no run of its own."""
    from prefect import flow
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.logging.handlers import APILogWorker

    monkeypatch.setattr(waiting, "FIRST_SECONDS", 0.05)

    @flow
    def waits():
        logs_to_prefect()
        with waiting.spoken(waiting.Wait("the tide", 600, "store.wait")) as wait:
            until(lambda: wait.seconds > 1, "a second")

    state = waits(return_state=True)
    APILogWorker.drain_all(timeout=LONG)
    with client() as api:
        logs = api.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_of(state).id])))
    assert any(log.message.startswith("waiting for the tide: ") for log in logs)


def test_a_triggered_run_keeps_to_its_deployments_settings(profile, tmp_path, monkeypatch):
    from prefect import runtime

    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "11111111-1111-1111-1111-111111111111")
    assert runtime.deployment.id
    settings = {"SOURCE": f"{tmp_path / 'raw'}", "TARGET": f"{tmp_path / 'published'},{tmp_path / '.earthcode-pack'}"}
    for name in settings:
        monkeypatch.delenv(f"EARTHCODE_PACK_{name}_ROOTS", raising=False)
    for key, name in (("workdir", "TARGET"), ("source.href", "SOURCE")):
        state = package(profile, base=str(tmp_path), return_state=True)
        assert state.type.value == "FAILED"
        assert state.message.startswith(f"{key}: ")
        assert "none is set" in state.message
        monkeypatch.setenv(f"EARTHCODE_PACK_{name}_ROOTS", settings[name])
    done = package(profile, base=str(tmp_path), return_state=True)
    assert done.type.value == "COMPLETED"
    bundle, digest = tmp_path / ".earthcode-pack" / "demo-ndvi" / "v1.0", done.result()["digest"]
    assert publish(str(bundle), digest, return_state=True).type.value == "COMPLETED"
    elsewhere = shutil.copytree(bundle, tmp_path / "elsewhere" / "v1.0")
    assert publish(str(elsewhere), digest, return_state=True).message.startswith("bundle: ")
    monkeypatch.setenv("EARTHCODE_PACK_TARGET_ROOTS", str(tmp_path / ".earthcode-pack"))
    assert publish(str(bundle), digest, return_state=True).message.startswith("store.href: ")
    (tmp_path / "p.yaml").write_text("product: {}")
    assert package(str(tmp_path / "p.yaml"), return_state=True).message.startswith("profile: ")


def test_approval_waits_for_a_person_and_binds_to_the_digest(profile, tmp_path, monkeypatch):
    seen = {}

    def answer(wait_for_input, timeout, key, **_):
        seen.update(asked=wait_for_input, published=(tmp_path / "published").exists(), timeout=timeout, key=key)
        return wait_for_input(approver="Jane Doe")

    monkeypatch.setattr(earthcode_flows.approval, "pause_flow_run", answer)
    state = package(profile, base=str(tmp_path), approval=True, return_state=True)
    digest = state.result()["digest"]
    assert state.type.value == "COMPLETED"
    assert seen["published"] is False
    assert seen["key"] == f"approve-{digest[7:23]}"
    assert seen["timeout"] > 3600  # Prefect's default, after which a run fails
    assert digest in seen["asked"]._description
    shutil.rmtree(tmp_path / "published")
    monkeypatch.setattr(
        earthcode_flows.approval,
        "pause_flow_run",
        lambda wait_for_input, **_: wait_for_input(approver="J", digest="sha256:" + "0" * 64),
    )
    other = package(profile, base=str(tmp_path), approval=True, return_state=True)
    assert other.type.value == "FAILED"
    assert not (tmp_path / "published").exists()
