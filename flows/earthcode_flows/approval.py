"""Approval by a person, of the digest of what was prepared, so that nothing else is published."""

from prefect import get_run_logger, pause_flow_run, runtime, suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from earthcode_pack import pipeline
from earthcode_pack.bundle import Bundle

DAYS = 14  # a run that nobody approves fails then; Prefect's own limit is one hour


class Approval(RunInput):
    """Form that the approver fills in. Prefect has no users: the name is not verified."""

    approver: str = Field(min_length=1, description="Who approves")
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="The digest that is approved, as shown")


def approved_digest(bundle: Bundle) -> str:
    """Waits for a person's approval; returns the digest that was approved.

    A deployment's run is suspended: its process ends, and on resume everything up to here is skipped as done. Any other
    run waits in its process. A product that was prepared again with another digest needs another approval.
    """
    digest = str(bundle.digest)
    asked = Approval.with_initial_data(description=_question(bundle, digest), digest=digest)
    key, seconds = f"approve-{digest[7:23]}", DAYS * 24 * 3600
    if runtime.deployment.id:
        answer = suspend_flow_run(wait_for_input=asked, timeout=seconds, key=key)
    else:
        answer = pause_flow_run(wait_for_input=asked, timeout=seconds, key=key, poll_interval=2)
    get_run_logger().info("%s approves %s", answer.approver, answer.digest)
    return answer.digest


def _question(bundle: Bundle, digest: str) -> str:
    summary, profile = pipeline.summarise(bundle), bundle.profile()
    counts = ", ".join(f"{number} {level}" for level, number in summary.findings.items())
    return (
        f"## {profile.product.title}, version {profile.product.version}\n\n"
        f"{summary.items} items, {summary.assets} data assets, {len(summary.failed)} sources failed; "
        f"findings: {counts}\n\n"
        f"Bundle: `{bundle.name}`\n\nReport: `{bundle.root / 'report.html'}`\n\nDigest: `{digest}`\n\n"
        "To approve, resume with your name and this digest; to refuse, cancel the run."
    )
