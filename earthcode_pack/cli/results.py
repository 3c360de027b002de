"""Results of `init`, `plan`, `run`, `publish`, `check`, `verify` and `schema`: JSON, words and exit code."""

from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from rich.console import Console
from rich.text import Text

from earthcode_pack.bundle import Bundle, open_bundle
from earthcode_pack.cli.outcome import Outcome
from earthcode_pack.cli.words import (
    MOST,
    bytes_of,
    clipped,
    counted,
    difference_text,
    facts,
    heading,
    levels,
    near,
    short,
    show_failures,
    show_findings,
    table,
)
from earthcode_pack.errors import UserError
from earthcode_pack.files import write_atomic
from earthcode_pack.item_summary import item_summaries
from earthcode_pack.model import Finding, Job, Level, ManifestEntry, Plan, Receipt, Summary
from earthcode_pack.profile import Profile
from earthcode_pack.redact import shown
from earthcode_pack.starter import DECIDE, starter_profile


def planned(plan: Plan, summary: Summary, *, as_json: bool) -> Outcome:
    """Shows a dry run; exit code 1 where a source cannot be used or an error stands."""
    failed = bool(summary.failed) or summary.findings.get("error", 0) > 0
    return Outcome(summary, lambda console: _show_plan(console, plan, summary), int(failed), as_json)


def packaged(bundle: Bundle, published: str | None, *, as_json: bool) -> Outcome:
    """Shows a run; exit code 1 where a source failed, or an error stands that the profile does not accept."""
    from earthcode_pack.pipeline import summarise  # noqa: PLC0415 - brings every verb

    summary = summarise(bundle, published)
    failed = bool(summary.failed) or bool(bundle.standing_errors())
    return Outcome(summary, lambda console: _show_run(console, bundle, summary), int(failed), as_json)


def _show_plan(console: Console, plan: Plan, summary: Summary) -> None:
    heading(console, f"{plan.product} {plan.version}: {_contents(summary)}, {summary.skipped} already there")
    rows = [(job.item, job.asset, str(len(job.inputs)), bytes_of(_decoded(job))) for job in plan.jobs[:MOST]]
    if rows:
        console.print(table([("item", ""), ("asset", ""), ("files", "right"), ("decoded", "right")], rows))
    _rest(console, len(plan.jobs), "would be made")
    show_failures(console, summary.failed)
    read = {one.href for job in plan.jobs for one in job.inputs}
    decoded = bytes_of(sum(_decoded(job) for job in plan.jobs))
    console.print()
    facts(console, [("Reads", f"{counted(len(read), 'file')}; {decoded} before compression")])
    facts(console, [("Upload", difference_text(summary.difference))])
    facts(console, [("Bundle", near(summary.bundle))])


def _decoded(job: Job) -> int:
    """Counts the bytes of all values that a job reads, as arrays in memory."""
    import numpy as np  # noqa: PLC0415 - not before help has answered

    total = 0
    for one in job.inputs:
        for variable in one.variables:
            sizes = dict(zip(variable.dims, variable.shape, strict=True))
            if one.time_dim in sizes and one.steps:
                sizes[one.time_dim] = len(one.steps)
            total += prod(sizes.values()) * np.dtype(variable.dtype).itemsize
    return total


def _show_run(console: Console, bundle: Bundle, summary: Summary) -> None:
    profile, made = bundle.profile(), item_summaries(bundle)
    total = bytes_of(sum(content.size for content in made))
    heading(console, f"{profile.product.id} {profile.product.version}: {_contents(summary)}, {total}")
    if made:
        rows = [(content.item, ", ".join(content.assets), bytes_of(content.size)) for content in made[:MOST]]
        console.print(table([("item", ""), ("assets", ""), ("size", "right")], rows))
    _rest(console, len(made), f"in {bundle.product / 'items'}")
    show_failures(console, summary.failed)
    findings = bundle.findings()
    console.print()
    heading(console, f"Findings: {levels(summary.findings)}" if findings else "No findings")
    show_findings(console, findings, profile.accept)
    console.print()
    report, request = bundle.root / "report.html", bundle.root / "pull_request.md"
    facts(
        console,
        [
            ("Skipped", f"{summary.skipped} done before" if summary.skipped else None),
            ("Bundle", near(bundle.name)),
            ("Report", near(report) if report.is_file() else None),
            ("Catalogue", near(request) if request.is_file() else None),
            ("Digest", summary.digest),
            ("Published", summary.published),
            ("Next", _next(bundle, summary)),
        ],
    )


def _contents(summary: Summary) -> str:
    return f"{counted(summary.items, 'item')}, {counted(summary.assets, 'data asset')}"


def _rest(console: Console, number: int, where: str) -> None:
    if number > MOST:
        console.print(Text(f"… and {number - MOST} more {where}", "dim"), soft_wrap=True)


def _next(bundle: Bundle, summary: Summary) -> str:
    """Returns the next command or step for the person."""
    if bundle.standing_errors():
        return "mend the errors above, or accept their rules in the profile, and run again"
    if summary.published:
        return f"earthcode-pack verify {near(bundle.name)}"
    if summary.failed:
        return (
            f"mend {short(summary.failed[0].source)} and run again; what is done stays done "
            "(or publish without it: --allow-incomplete)"
        )
    if bundle.profile().store is None:
        return "set store.href in the profile, to publish"
    return f"earthcode-pack publish {near(bundle.name)} --approve {summary.digest}"


def write_starter_profile(sources: list[str], output: Path | None, *, force: bool, as_json: bool) -> Outcome:
    """Writes a starter profile. Raises ``UserError`` where the output exists, unless ``force``."""
    if output is not None and output.exists() and not force:
        raise UserError(f"{output} is there already", "name another file, or replace it with --force")
    base = output.parent if output is not None else Path.cwd()
    text = starter_profile(sources, base)
    if output is not None:
        write_atomic(output, text)
    data = {"profile": str(output) if output else None, "decide": text.count(DECIDE), "text": text}
    return Outcome(data, lambda console: _show_start(console, output, text), as_json=as_json)


def _show_start(console: Console, output: Path | None, text: str) -> None:
    if output is None:
        console.out(text, end="")
        return
    facts(
        console,
        [
            ("Wrote", output),
            ("Decide", f"{counted(text.count(DECIDE), 'line')} marked with `{DECIDE}`"),
            ("Next", f"earthcode-pack plan {output}"),
        ],
    )


def accepted_by(target: str) -> Mapping[str, str]:
    """Returns the rules that the profile of a bundle accepts; none where the target is something else."""
    return open_bundle(target).profile().accept if (Path(target) / "profile.yaml").is_file() else {}


def judged(target: str, findings: Iterable[Finding], accepted: Mapping[str, str], *, as_json: bool) -> Outcome:
    """Shows findings; exit code 1 where an error stands that is not accepted."""
    found, target = tuple(findings), shown(target)
    stands = any(finding.level is Level.ERROR and finding.rule not in accepted for finding in found)
    data = {"target": target, "findings": found}
    return Outcome(data, lambda console: _show_judged(console, target, found, accepted), int(stands), as_json)


def _show_judged(console: Console, target: str, found: tuple[Finding, ...], accepted: Mapping[str, str]) -> None:
    counts = {level.value: sum(finding.level is level for finding in found) for level in Level}
    heading(console, f"{clipped(near(target), 200)}: {levels(counts) if found else 'nothing found'}")
    show_findings(console, found, accepted, most=None)


_KINDS: dict[str, Any] = {
    "profile": Profile,
    "summary": Summary,
    "plan": Plan,
    "finding": Finding,
    "manifest": tuple[ManifestEntry, ...],
    "receipts": tuple[Receipt, ...],
}


def schemas_of(name: str | None = None) -> dict[str, Any]:
    """Returns all schemas by name, or the one named. Raises ``UserError`` where there is no such."""
    if name is None:
        return {key: schemas_of(key) for key in (*_KINDS, "findings", "error")}
    if name == "findings":  # what check and verify write
        schema = TypeAdapter(list[Finding]).json_schema(mode="serialization")
        definitions = schema.pop("$defs")
        return _object({"target": {"type": "string"}, "findings": schema}) | {"$defs": definitions}
    if name == "error":  # what a command writes that ends with exit code 2 or 3
        text = {"type": "string"}
        return _object({"error": _object({"type": text, "message": text, "remedy": text})})
    if name not in _KINDS:
        raise UserError(f"there is no schema {name!r}", f"name one of {', '.join([*_KINDS, 'findings', 'error'])}")
    kind = _KINDS[name]
    mode: Any = "validation" if kind is Profile else "serialization"
    return TypeAdapter(kind).json_schema(mode=mode, by_alias=True)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
