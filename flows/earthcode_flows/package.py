"""The flows: one run is one product, one task is one verb; each file is plain work inside its task.

No ``from __future__ import annotations`` here: Prefect reads the signatures to build the form of a deployment.
"""

import logging
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, TypeVar

from prefect import flow, runtime, tags, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from earthcode_flows import show
from earthcode_flows.approval import approved_digest
from earthcode_flows.credentials import keys_in_force
from earthcode_flows.limits import refuse_publishing, refuse_reading, refuse_what_is_not_allowed, refuse_writing
from earthcode_flows.show import logs_to_prefect
from earthcode_pack import pipeline
from earthcode_pack.bundle import Bundle
from earthcode_pack.errors import EarthcodePackError
from earthcode_pack.model import Summary
from earthcode_pack.profile import load_profile
from earthcode_pack.remote.workdir import open_bundle

T = TypeVar("T")
logger = logging.getLogger("earthcode_pack.flows")


class IncompleteProduct(EarthcodePackError):
    """Part of a product failed, or an error stands against it; ``summary`` has the details."""

    def __init__(self, message: str, remedy: str, summary: Summary) -> None:
        super().__init__(message, remedy)
        self.summary = summary

    def __reduce__(self) -> tuple[Any, ...]:  # with its three arguments, where Prefect stores it
        return type(self), (self.message, self.remedy, self.summary)


def _name_of_package() -> str:
    return f"package-{_name_of(runtime.flow_run.parameters['profile'])}"


def _name_of(profile: dict[str, Any] | str) -> str:
    """Returns the id of the product in a profile that is not validated yet; of a file its name."""
    if isinstance(profile, str):
        return PurePath(profile).stem
    product = profile.get("product")
    return str(product.get("id", "?")) if isinstance(product, dict) else "?"


def _name_of_publish() -> str:
    return f"publish-{'-'.join(PurePath(runtime.flow_run.parameters['bundle']).parts[-2:])}"


@flow(name="package", flow_run_name=_name_of_package, validate_parameters=True)
def package(
    profile: dict[str, Any] | str,
    base: str | None = None,
    workdir: str | None = None,
    approval: bool = False,
    allow_incomplete: bool = False,
    *,
    credentials: dict[str, str] | str | None = None,
) -> Any:
    """Package one product: prepare, wait for approval where it is asked for, publish.

    Returns the object of ``earthcode-pack run --json``.

    Args:
        profile: the profile as an object, or its path or URL
        base: the folder or URL that relative paths of the profile stand on
        workdir: where bundles are made; .earthcode-pack beside the profile or in base by default
        approval: wait for a person to approve the bundle's digest before anything is published
        allow_incomplete: publish although some sources failed
        credentials: the block that holds the keys of S3, such as aws-credentials/prr; or a block for each URL

    """
    logs_to_prefect()
    try:
        with keys_in_force(credentials):
            return _state(_packaged(profile, base, workdir, approval, allow_incomplete), allow_incomplete)
    except EarthcodePackError as error:
        return Failed(message=str(error), data=error)


@flow(name="publish", flow_run_name=_name_of_publish)
def publish(
    bundle: str, digest: str, allow_incomplete: bool = False, credentials: dict[str, str] | str | None = None
) -> Any:
    """Publish a prepared bundle whose digest is the approved one.

    Returns the object of ``earthcode-pack run --json``.

    Args:
        bundle: the folder of the bundle
        digest: sha256:… as the one who approved has seen it
        allow_incomplete: publish although some sources failed
        credentials: the block that holds the keys of S3, such as aws-credentials/prr; or a block for each URL

    """
    logs_to_prefect()
    try:
        with keys_in_force(credentials):
            if runtime.deployment.id:
                refuse_writing("bundle", bundle)
            opened = open_bundle(bundle)
            if runtime.deployment.id:
                refuse_publishing(opened.profile())
            with tags(opened.profile().product.id):
                outcome = _published(opened, digest, allow_incomplete)
            return _state(outcome, allow_incomplete)
    except EarthcodePackError as error:
        return Failed(message=str(error), data=error)


@flow(name="batch")
def batch(
    profiles: list[dict[str, Any] | str],
    base: str | None = None,
    workdir: str | None = None,
    allow_incomplete: bool = False,
    credentials: dict[str, str] | str | None = None,
) -> Any:
    """Package several products, one after the other; one that fails does not stop the rest.

    Returns a list of the objects of ``earthcode-pack run --json``.

    Args:
        profiles: profiles as objects, or their paths or URLs
        base: the folder or URL that relative paths of the profiles stand on
        workdir: where bundles are made
        allow_incomplete: publish although some sources failed
        credentials: the block that holds the keys of S3, such as aws-credentials/prr; or a block for each URL

    """
    logs_to_prefect()
    try:
        with keys_in_force(credentials):
            return _batched(profiles, base, workdir, allow_incomplete)
    except EarthcodePackError as error:
        return Failed(message=str(error), data=error)


def _batched(
    profiles: list[dict[str, Any] | str], base: str | None, workdir: str | None, allow_incomplete: bool
) -> Any:
    """Packages each product, and returns the final state of the batch.

    Products are plain calls, not subflows: those cost a second each, and tags and artifact keys tell the products
    apart as well.
    """
    outcomes = [_attempt(profile, base, workdir, allow_incomplete) for profile in profiles]
    show.products(outcomes)
    failed = [name for name, outcome in outcomes if _failed(outcome, allow_incomplete)]
    if failed:
        first = next(outcome for name, outcome in outcomes if name == failed[0])
        message = f"{len(failed)} of {len(profiles)} products failed: {', '.join(failed)}"
        return Failed(message=message, data=first if isinstance(first, Exception) else _incomplete(first))
    summaries = [outcome for _, outcome in outcomes if isinstance(outcome, Summary)]
    incomplete = any(summary.failed for summary in summaries)
    return Completed(name="Incomplete" if incomplete else None, data=[_plain(summary) for summary in summaries])


def _attempt(
    profile: dict[str, Any] | str, base: str | None, workdir: str | None, allow_incomplete: bool
) -> tuple[str, Summary | Exception]:
    """Packages one product of a batch; returns its name, and its summary or error."""
    name = _name_of(profile)
    try:
        return name, _packaged(profile, base, workdir, False, allow_incomplete)
    except Exception as error:  # noqa: BLE001 - one bad profile does not stop the rest
        logger.error("%s: %s", name, error)  # noqa: TRY400 - its task shows the traceback
        return name, error


def _packaged(
    given: dict[str, Any] | str, base: str | None, workdir: str | None, approval: bool, allow_incomplete: bool
) -> Summary:
    profile = _allowed_profile(given, base, workdir)
    show.tag_run(profile.product.id)
    with tags(profile.product.id):
        bundle = pipeline.prepare(
            profile,
            workdir or _workdir(given, base),
            step=_step(profile.product.id),
            progress=show.Meter(profile.product.id),
            ahead=not approval,
            allow_incomplete=allow_incomplete,
        )
        show.prepared(bundle)
        # no approval is requested for a product that would be refused anyway
        if profile.store is None or not pipeline.may_publish(bundle, allow_incomplete=allow_incomplete):
            return _reported(bundle, None)
        return _published(bundle, approved_digest(bundle) if approval else None, allow_incomplete)


def _allowed_profile(given: dict[str, Any] | str, base: str | None, workdir: str | None) -> Any:
    """Loads the profile, once the deployment's settings allow it and the places that the trigger names."""
    if not runtime.deployment.id:
        return load_profile(given, base)
    if isinstance(given, str):
        refuse_reading("profile", given)
    if workdir is not None or base is not None or isinstance(given, str):
        refuse_writing("workdir", workdir or str(_workdir(given, base)))
    profile = load_profile(given, base)
    refuse_what_is_not_allowed(profile)
    return profile


def _workdir(given: dict[str, Any] | str, base: str | None) -> Any:
    beside = given if isinstance(given, str) else f"{(base or '.').rstrip('/')}/profile.yaml"
    return pipeline.default_workdir(beside)


def _published(bundle: Bundle, digest: str | None, allow_incomplete: bool) -> Summary:
    product = bundle.profile().product.id
    href = pipeline.publish(
        bundle, approve=digest, allow_incomplete=allow_incomplete, step=_step(product), progress=show.Meter(product)
    )
    return _reported(bundle, href)


def _reported(bundle: Bundle, published: str | None) -> Summary:
    summary: Summary = pipeline.summarise(bundle, published)
    show.finished(bundle, summary)
    return summary


def _step(product: str) -> pipeline.Step:
    """Makes a step that runs each stage as a task, named by stage and product.

    Prefect's cache is off: it would skip a stage although its files are gone; fingerprints decide that.
    """

    def step(name: str, work: Callable[[], T]) -> T:
        run_name = f"{name}-{product}".replace(" ", "-")

        @task(name=name, task_run_name=run_name, cache_policy=NO_CACHE, persist_result=False)
        def verb() -> T:
            return work()

        result: Any = verb()  # Prefect's types cannot tell a plain function from a coroutine here
        return result  # type: ignore[no-any-return]

    return step


def _state(summary: Summary, allow_incomplete: bool) -> Any:
    """Makes the final state by contract 4.5."""
    if _failed(summary, allow_incomplete):
        error = _incomplete(summary)
        return Failed(message=str(error), data=error)
    return Completed(name="Incomplete" if summary.failed else None, data=_plain(summary))


def _failed(outcome: Summary | Exception, allow_incomplete: bool) -> bool:
    if isinstance(outcome, Exception):
        return True
    standing = bool(open_bundle(outcome.bundle).standing_errors())
    return standing or bool(outcome.failed and not allow_incomplete)


def _incomplete(summary: Summary) -> IncompleteProduct:
    standing = open_bundle(summary.bundle).standing_errors()
    troubles = [(f"{failure.source}: {failure.error}", failure.remedy) for failure in summary.failed]
    troubles += [(f"{found.rule} {found.subject}: {found.message}", found.remedy) for found in standing]
    (first, remedy), more = troubles[0], len(troubles) - 1
    return IncompleteProduct(f"{first} (and {more} more)" if more else first, remedy, summary)


def _plain(summary: Summary) -> dict[str, Any]:
    return summary.model_dump(mode="json")
