"""Deployments of the flows, equal to those of prefect.yaml, for an installed wheel without a checkout."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from prefect import serve as serve_deployments
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType

from earthcode_flows.limits import CLUSTER_CLASSES, PRR, SETTINGS, SOURCE_ROOTS, TARGET_ROOTS
from earthcode_flows.package import batch, package, publish
from earthcode_pack.errors import OutsideError

logger = logging.getLogger("earthcode_pack.flows")

_PAGE = 200  # deployments; the most that Prefect's API lists at once
LOGGING = {
    "PREFECT_LOGGING_EXTRA_LOGGERS": "earthcode_pack",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # threads of a library have no run
}
EVENT = "experiment.finished"
# The payload carries what package takes; what it leaves out has the default that package has.
PAYLOAD = {"profile": "", "base": "default(none)", "workdir": "default(none)"}
PAYLOAD |= {"approval": "default(false)", "allow_incomplete": "default(false)"}


def parameters_from_event() -> dict[str, Any]:
    """Makes the parameters of ``package`` as templates over the payload of an event.

    As JSON, for a template alone would make text of an object (https://docs.prefect.io, «Event triggers»).
    """
    return {name: _from_payload(name, default) for name, default in PAYLOAD.items()}


def _from_payload(name: str, default: str) -> dict[str, Any]:
    filters = " | ".join(part for part in (f"event.payload.{name}", default, "tojson") if part)
    return {"__prefect_kind": "json", "value": {"__prefect_kind": "jinja", "template": "{{ " + filters + " }}"}}


def deployments(settings: dict[str, str], pool: str | None = None) -> list[RunnerDeployment]:
    """Makes the deployments of the flows; ``settings`` is the environment that a work pool gives their runs."""
    trigger = DeploymentEventTrigger(
        name=EVENT, enabled=True, expect={EVENT}, parameters=parameters_from_event(), match={}, match_related={}
    )
    common: dict[str, Any] = {"entrypoint_type": EntrypointType.MODULE_PATH, "tags": ["earthcode-pack"]}
    common |= {"work_pool_name": pool, "job_variables": {"env": settings}} if pool else {}
    made: list[Any] = [
        package.to_deployment("package", triggers=[trigger], **common),
        publish.to_deployment("publish", **common),
        batch.to_deployment("batch", **common),
    ]
    return made


def deploy(
    pool: str, source_roots: list[str], cluster_classes: list[str], target_roots: list[str] | None = None
) -> list[str]:
    """Deploys to a process work pool, which is created if needed; returns the names of the deployments."""
    settings = _settings(source_roots, cluster_classes, target_roots or []) | LOGGING
    made = deployments(settings, pool)
    with _answering():
        _make_pool(pool)
        for deployment in made:
            deployment.apply(work_pool_name=pool)
        _move_existing()
    return [f"{deployment.flow_name}/{deployment.name}" for deployment in made]


def serve(source_roots: list[str], cluster_classes: list[str], target_roots: list[str] | None = None) -> None:
    """Serves the deployments from this process until it is stopped."""
    os.environ.update(
        _settings(source_roots, cluster_classes, target_roots or [])
    )  # runs are processes that inherit it
    with _answering():
        serve_deployments(*deployments({}))


@contextmanager
def _answering() -> Iterator[None]:
    """Raises ``OutsideError`` where Prefect's API does not answer."""
    try:
        yield
    except httpx.TransportError as error:
        raise OutsideError(
            f"Prefect's API at {PREFECT_API_URL.value()} does not answer ({error})",
            "start it with: prefect server start; or set PREFECT_API_URL",
        ) from error


def _settings(source_roots: list[str], cluster_classes: list[str], target_roots: list[str]) -> dict[str, str]:
    """Collects the settings that are given, else those of the environment."""
    given = {
        SOURCE_ROOTS: ",".join(map(_absolute, source_roots)),
        TARGET_ROOTS: ",".join(map(_absolute, target_roots)),
        CLUSTER_CLASSES: ",".join(cluster_classes),
    }
    settings = {name: given.get(name) or os.environ.get(name, "") for name in SETTINGS}
    return {name: value for name, value in settings.items() if value}


def _absolute(root: str) -> str:
    return root if "://" in root or root == PRR else str(Path(root).absolute())


def _move_existing() -> None:
    """Updates deployments that operators made under ``flows``, the import name before 0.2."""
    with get_client(sync_client=True) as client:
        for number in count():
            page = client.read_deployments(limit=_PAGE, offset=number * _PAGE)
            for deployment in page:
                module, _, flow = (deployment.entrypoint or "").rpartition(".")
                if module == "flows.package" and flow in {"package", "publish", "batch"}:
                    moved = DeploymentUpdate(entrypoint=f"earthcode_flows.package.{flow}")
                    client.update_deployment(deployment.id, moved)
                    logger.info("%s is moved to %s", deployment.name, moved.entrypoint)
            if len(page) < _PAGE:
                return


def _make_pool(name: str) -> None:
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        except ObjectAlreadyExists:
            return
