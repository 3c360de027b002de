"""Artifacts and logs that an operator sees in Prefect: tables, summary, link to the report, progress."""

import logging
import re
import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from prefect import runtime
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging.handlers import APILogHandler

from earthcode_pack.bundle import Bundle
from earthcode_pack.item_summary import item_summaries
from earthcode_pack.model import Summary
from earthcode_pack.pipeline import summarise

MOST = 500  # rows of a table; the report has all
SECONDS = 1.0  # between two updates of a progress artifact


def key(product: str, what: str) -> str:
    """Makes an artifact key of lower-case letters, digits and dashes, as Prefect requires.

    >>> key("DEMO_sst.v2", "items")
    'demo-sst-v2-items'
    """
    return re.sub(r"[^a-z0-9]+", "-", f"{product}-{what}".lower()).strip("-")


def tag_run(product: str) -> None:
    """Tags the run with the product, so that a person finds all runs of it."""
    run = runtime.flow_run
    if run.id and product not in run.tags:
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(run.id), tags={*run.tags, product})


class Meter:
    """A progress artifact for each stage, updated once a second at most."""

    def __init__(self, product: str) -> None:
        self._product = product
        self._artifacts: dict[str, UUID] = {}
        self._next = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Takes a stage's name, how much is done and of how much."""
        percent = 100.0 * done / total if total else 100.0
        if stage not in self._artifacts:
            made: Any = create_progress_artifact(
                percent, key(self._product, stage), description=f"{stage} {done}/{total}"
            )
            self._artifacts[stage] = made
        elif done >= total or time.monotonic() >= self._next:
            update_progress_artifact(self._artifacts[stage], percent, description=f"{stage} {done}/{total}")
        else:
            return
        self._next = time.monotonic() + SECONDS


def prepared(bundle: Bundle) -> None:
    """Creates tables of Items, findings and failures, and a link to the report."""
    product = bundle.profile().product.id
    items = [{"item": c.item, "assets": ", ".join(c.assets), "bytes": c.size} for c in item_summaries(bundle)]
    _table(product, "items", items, "Items of the product")
    findings = [finding.model_dump(mode="json") for finding in bundle.findings()]
    _table(product, "findings", findings, "What the checks found")
    failed = [failure.model_dump(mode="json") for failure in summarise(bundle).failed]
    if failed:
        _table(product, "failures", failed, "What could not be used")
    report = bundle.root / "report.html"
    create_link_artifact(report.as_uri(), "report.html", key(product, "report"), "The report, on the machine that ran")


def finished(bundle: Bundle, summary: Summary) -> None:
    """Creates the summary of a product."""
    product = bundle.profile().product
    lines = [
        f"# {product.title}, version {product.version}",
        f"{summary.items} items, {summary.assets} data assets, {summary.skipped} jobs skipped as done before",
        "Findings: " + ", ".join(f"{number} {level}" for level, number in summary.findings.items()),
        *(f"- failed: `{failure.source}`: {failure.error} → {failure.remedy}" for failure in summary.failed[:MOST]),
        f"Bundle: `{summary.bundle}`",
        f"Digest: `{summary.digest}`",
        f"Published: {summary.published or 'not'}",
    ]
    create_markdown_artifact("\n\n".join(lines), key(product.id, "summary"), "What came of it")


def products(outcomes: Iterable[tuple[str, Summary | Exception]]) -> None:
    """Creates a table with a row for each product of a batch."""
    create_table_artifact([_row(name, outcome) for name, outcome in outcomes], "batch", "The products of this batch")


def _row(name: str, outcome: Summary | Exception) -> dict[str, Any]:
    if isinstance(outcome, Exception):
        return {"product": name, "items": 0, "failed": "", "published": None, "error": str(outcome)}
    failed = ", ".join(failure.source for failure in outcome.failed)
    return {
        "product": name, "items": outcome.items, "failed": failed, "published": outcome.published, "error": "",
    }  # fmt: skip


def _table(product: str, what: str, rows: list[dict[str, Any]], description: str) -> None:
    more = f" (the first {MOST} of {len(rows)})" if len(rows) > MOST else ""
    create_table_artifact(rows[:MOST] or [{what: "none"}], key(product, what), description + more)


def logs_to_prefect() -> None:
    """Sends the package's INFO lines to the run's log; another call changes nothing.

    The level is set here because Prefect's ``PREFECT_LOGGING_EXTRA_LOGGERS`` leaves it at WARNING. Where a deployment
    has that setting, the handler exists already.
    """
    logger = logging.getLogger("earthcode_pack")
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, APILogHandler) for handler in logger.handlers):
        handler = APILogHandler()
        handler.addFilter(_within_a_run)
        logger.addHandler(handler)


def _within_a_run(record: logging.LogRecord) -> bool:  # noqa: ARG001 - the signature of a filter
    """Drops lines of library threads, which have no run."""
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None
