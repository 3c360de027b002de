"""prefect.yaml and its twin in Python; and, slowly, a real server with a real worker."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from clockless import LONG


@pytest.fixture
def written(root):
    """prefect.yaml as it is written."""
    return yaml.safe_load((root / "prefect.yaml").read_text())


def test_the_entrypoints_of_prefect_yaml_are_flows(written):
    from prefect import Flow
    from prefect.flows import load_flow_from_entrypoint

    flows = [load_flow_from_entrypoint(one["entrypoint"]) for one in written["deployments"]]
    assert [(isinstance(flow, Flow), flow.name) for flow in flows] == [
        (True, one["name"]) for one in written["deployments"]
    ]


def test_prefect_yaml_and_deploy_say_the_same(written):
    from earthcode_flows.deployments import deployments

    made = deployments({}, "earthcode")
    assert [(one.name, one.entrypoint, one.tags) for one in made] == [
        (one["name"], one["entrypoint"], one["tags"]) for one in written["deployments"]
    ]
    (trigger,) = made[0].triggers
    (in_yaml,) = written["deployments"][0]["triggers"]
    assert (set(trigger.expect), trigger.parameters) == (set(in_yaml["expect"]), in_yaml["parameters"])


@pytest.mark.usefixtures("prefect")
def test_deploy_makes_the_pool_and_gives_runs_their_settings(monkeypatch):
    from prefect.client.orchestration import get_client

    from earthcode_flows.deployments import deploy

    monkeypatch.setenv("EARTHCODE_PACK_CLUSTER_CLASSES", "a.B")
    for _ in range(2):  # done again, it changes nothing
        made = deploy("a-pool", ["/data", "s3://raw"], [], ["/products", "prr"])
        assert made == ["package/package", "publish/publish", "batch/batch"]
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("package/package")
        pool = client.read_work_pool("a-pool")
    assert pool.type == "process"
    assert deployment.job_variables["env"] == {
        "EARTHCODE_PACK_SOURCE_ROOTS": "/data,s3://raw",
        "EARTHCODE_PACK_TARGET_ROOTS": "/products,prr",
        "EARTHCODE_PACK_CLUSTER_CLASSES": "a.B",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "earthcode_pack",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    }
    schema = deployment.parameter_openapi_schema["properties"]
    assert list(schema) == ["profile", "base", "workdir", "approval", "allow_incomplete", "credentials"]
    assert "relative paths" in schema["base"]["description"]


@pytest.mark.usefixtures("prefect")
def test_deploy_moves_deployments_of_the_old_import_name_and_nothing_else_of_them():
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule

    from earthcode_flows.deployments import deploy

    with get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("package")
        nightly = client.create_deployment(
            flow, "nightly", entrypoint="flows.package.package", parameters={"profile": "a.yaml"}, tags=["mine"],
            schedules=[DeploymentScheduleCreate(schedule=CronSchedule(cron="0 3 * * *"))],
        )  # fmt: skip
        other = client.create_deployment(flow, "other", entrypoint="flows.other.package")
        deploy("a-pool", [], [])
        moved, kept = client.read_deployment(nightly), client.read_deployment(other)
        client.delete_deployment(nightly)
        client.delete_deployment(other)
    assert (moved.entrypoint, kept.entrypoint) == ("earthcode_flows.package.package", "flows.other.package")
    assert (moved.parameters, moved.tags) == ({"profile": "a.yaml"}, ["mine"])
    assert [schedule.schedule.cron for schedule in moved.schedules] == ["0 3 * * *"]


def test_a_prefect_that_does_not_answer_is_3():
    program = Path(sys.executable).with_name("earthcode-pack")
    nowhere = os.environ | {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    ended = subprocess.run([program, "deploy", "--json"], env=nowhere, capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert "PREFECT_API_URL" in json.loads(ended.stdout)["error"]["remedy"]


# --- a server and a worker ------------------------------------------------------------------------------------------


class Server:
    """A Prefect server of this test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.environment = os.environ | {
            "PREFECT_API_URL": self.api,
            "PREFECT_HOME": str(folder / "home"),
            "EARTHCODE_PACK_SOURCE_ROOTS": str(folder / "raw"),
            "EARTHCODE_PACK_TARGET_ROOTS": f"{folder / 'published'},{folder / '.earthcode-pack'}",
        }

    def prefect(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name("prefect")), "--no-prompt", *arguments]

    @contextmanager
    def running(self, *arguments: str):
        """A process of Prefect's, in a folder of its own, until the end of the block."""
        log = (self.folder / f"{arguments[0]}.log").open("w")
        away = self.folder / "away"
        away.mkdir(exist_ok=True)
        process = subprocess.Popen(
            self.prefect(*arguments),
            env=self.environment,
            cwd=away,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - a worker ends by it, and it is ignored in the background
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(LONG)
            finally:
                process.kill()  # where it does not end by itself
                process.wait(LONG)
                log.close()

    def do(self, *arguments: str, cwd: Path) -> str:
        ended = subprocess.run(
            self.prefect(*arguments),
            env=self.environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def post(self, path: str, **body):
        return self.ask("POST", path, body).json()

    def get(self, path: str):
        return self.ask("GET", path).json()

    def ask(self, method: str, path: str, body=None) -> httpx.Response:
        """Asks again while SQLite is busy with somebody else, which the server calls 503."""
        end = time.monotonic() + LONG
        while True:
            answer = httpx.request(method, f"{self.api}{path}", json=body, timeout=LONG, trust_env=False)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > end:
                return answer.raise_for_status()
            time.sleep(0.5)

    def wait(self, what, name: str):
        """Asks until there is an answer."""
        end, last = time.monotonic() + LONG, None
        while time.monotonic() < end:
            try:
                if answer := what():
                    return answer
            except httpx.TransportError as error:
                last = error
            time.sleep(0.5)
        logs = {path.name: path.read_text()[-3000:] for path in self.folder.glob("*.log")}
        said = f"waited {LONG:.0f} s for {name}, the last error was {last!r}; the logs end with"
        raise TimeoutError(f"{said}\n{json.dumps(logs, indent=1)}")

    def state(self, run: str, *wanted: str):
        """The run, once it is in one of these states, or in any that is final."""

        def look():
            found = self.get(f"/flow_runs/{run}")
            return found if found["state"]["name"] in (*wanted, "Failed", "Crashed", "Cancelled") else None

        return self.wait(look, f"run {run} to be {' or '.join(wanted) or 'at its end'}")


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    with made.running("server", "start", "--host", "127.0.0.1", "--port", str(made.port), "--no-ui"):
        made.wait(lambda: made.get("/health"), "the server's health")
        yield made


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a server, a worker and three runs: a minute where nothing else is going on
def test_prefect_yaml_on_a_real_server_with_a_real_worker(server, profile, root, tmp_path):
    server.do("work-pool", "create", "--type", "process", "earthcode", cwd=tmp_path)
    server.do("deploy", "--all", cwd=root)
    deployment = server.get("/deployments/name/package/package")
    with server.running("worker", "start", "--pool", "earthcode"):
        run = server.post(
            f"/deployments/{deployment['id']}/create_flow_run",
            parameters={"profile": profile, "base": str(tmp_path), "approval": True},
        )["id"]
        suspended = server.state(run, "Suspended", "Paused")
        assert suspended["state"]["name"] == "Suspended", suspended["state"]
        assert not (tmp_path / "published").exists()
        digest = digest_of(tmp_path)
        server.post(f"/flow_runs/{run}/resume", run_input={"approver": "Jane Doe", "digest": digest})
        done = server.state(run, "Completed", "Incomplete")
        assert done["state"]["name"] == "Completed", done["state"]
        assert (tmp_path / "published" / "demo-ndvi" / "v1.0" / "collection.json").is_file()

        elsewhere = server.post(
            f"/deployments/{deployment['id']}/create_flow_run",
            parameters={
                "profile": profile | {"source": profile["source"] | {"href": "/etc/*.tif"}},
                "base": str(tmp_path),
            },
        )["id"]
        refused = server.state(elsewhere)
        assert "none of the roots" in refused["state"]["message"]

        other = profile | {"product": profile["product"] | {"id": "demo-event"}}
        event = {"event": "experiment.finished", "resource": {"prefect.resource.id": "experiment.1"}, "id": EVENT_ID}
        event |= {"occurred": now(), "payload": {"profile": other, "base": str(tmp_path)}}
        server.ask("POST", "/events", [event])
        triggered = server.wait(lambda: named(server, "package-demo-event"), "a run that the event triggers")
        assert server.state(triggered, "Completed")["state"]["name"] == "Completed"
        assert (tmp_path / "published" / "demo-event").is_dir()


EVENT_ID = "11111111-2222-3333-4444-555555555555"


def now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat()


def digest_of(folder: Path) -> str:
    from earthcode_pack.bundle import open_bundle

    return str(open_bundle(folder / ".earthcode-pack" / "demo-ndvi" / "v1.0").digest)


def named(server: Server, name: str) -> str | None:
    found = server.post("/flow_runs/filter", flow_runs={"name": {"any_": [name]}})
    return found[0]["id"] if found else None
