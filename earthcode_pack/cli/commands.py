"""The commands. Each calls one function of the package and returns its result; imports are delayed until it runs."""
# typer reads these signatures as the program starts, so they are not postponed

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from earthcode_pack.cli.outcome import Outcome
from earthcode_pack.errors import MissingExtra

app = typer.Typer(
    name="earthcode-pack",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: earthcode-pack init raw/*.nc -o profile.yaml; then plan, run, publish.",
)

Json = Annotated[bool, typer.Option("--json", help="Write one JSON object to standard output, and nothing else there.")]
ProfilePath = Annotated[str, typer.Argument(metavar="PROFILE", help="The YAML profile: a path or any fsspec URL.")]
BundlePath = Annotated[str, typer.Argument(metavar="BUNDLE", help="The folder or URL that `run` printed.")]
Workdir = Annotated[
    str | None,
    typer.Option(
        metavar="DIR_OR_URL",
        help="Where bundles are made: a folder or s3://bucket/prefix.  [default: .earthcode-pack by the profile]",
    ),
]
Incomplete = Annotated[bool, typer.Option("--allow-incomplete", help="Publish although some sources failed.")]

PACKAGE, LOOK, BUNDLE, PREFECT = "Make and publish", "Look and prove", "A bundle", "Prefect"


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - only where it is asked for

        typer.echo(f"earthcode-pack {version('earthcode-pack')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[  # read in execute, so that it holds for reading the arguments too
        bool, typer.Option("--debug", help="Say everything, with the traceback of an error.")
    ] = False,
) -> None:
    """Package raw research outputs as cloud-optimised data with measured STAC."""


@app.command(rich_help_panel=PACKAGE)
def init(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Raw files: paths, globs or URLs.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="PROFILE", help="Where to write it.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a profile that is there already.")] = False,
    as_json: Json = False,
) -> Outcome:
    """Look at raw files and write a starter profile.

    It holds what was found, and a comment wherever a person must decide. Without -o it goes to standard output.
    """
    from earthcode_pack.cli.results import start_profile  # noqa: PLC0415

    return start_profile(sources, output, force=force, as_json=as_json)


@app.command(rich_help_panel=PACKAGE)
def plan(profile: ProfilePath, workdir: Workdir = None, as_json: Json = False) -> Outcome:
    """The dry run: what would be read, written and skipped, and every error that can be known now."""
    from earthcode_pack import pipeline  # noqa: PLC0415
    from earthcode_pack.cli.results import planned  # noqa: PLC0415
    from earthcode_pack.profile import load_profile  # noqa: PLC0415

    loaded = load_profile(profile)
    jobs, summary = pipeline.dry_run(loaded, _workdir(profile, workdir))
    return planned(jobs, summary, as_json=as_json)


@app.command(rich_help_panel=PACKAGE)
def run(
    profile: ProfilePath,
    workdir: Workdir = None,
    prepare_only: Annotated[
        bool, typer.Option("--prepare-only", help="Stop before anything leaves the workdir.")
    ] = False,
    allow_incomplete: Incomplete = False,
    as_json: Json = False,
) -> Outcome:
    """Prepare the product, then publish it to what the profile names. A second run goes on where the first ended."""
    from earthcode_pack import pipeline  # noqa: PLC0415
    from earthcode_pack.cli.progress import progress  # noqa: PLC0415
    from earthcode_pack.cli.results import packaged  # noqa: PLC0415
    from earthcode_pack.profile import load_profile  # noqa: PLC0415

    loaded = load_profile(profile)
    with progress() as report:
        bundle = pipeline.prepare(
            loaded,
            _workdir(profile, workdir),
            progress=report,
            ahead=not prepare_only,
            allow_incomplete=allow_incomplete,
        )
        published = None
        if loaded.store is not None and not prepare_only:
            published = pipeline.publish(bundle, allow_incomplete=allow_incomplete, progress=report)
    return packaged(bundle, published, as_json=as_json)


@app.command(rich_help_panel=PACKAGE)
def publish(
    bundle: BundlePath,
    approve: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Publish only if this is still the bundle's digest.")
    ] = None,
    allow_incomplete: Incomplete = False,
    as_json: Json = False,
) -> Outcome:
    """Upload, register and hand off a prepared bundle."""
    from earthcode_pack import pipeline  # noqa: PLC0415
    from earthcode_pack.cli.progress import progress  # noqa: PLC0415
    from earthcode_pack.cli.results import packaged  # noqa: PLC0415

    opened = pipeline.open_bundle(bundle)
    with progress() as report:
        published = pipeline.publish(opened, approve=approve, allow_incomplete=allow_incomplete, progress=report)
    return packaged(opened, published, as_json=as_json)


@app.command(rich_help_panel=LOOK)
def check(
    target: Annotated[
        str,
        typer.Argument(
            help="A bundle, STAC file, COG, Zarr or NetCDF, local or remote; or a checkout of the catalogue."
        ),
    ],
    deep: Annotated[bool, typer.Option("--deep", help="Read everything, not headers and samples.")] = False,
    schemas: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder of JSON schemas, where there is no network.")
    ] = None,
    as_json: Json = False,
) -> Outcome:
    """Check conformance, whoever made it."""
    from earthcode_pack.cli.results import accepted_by, judged  # noqa: PLC0415
    from earthcode_pack.conformance import check as look  # noqa: PLC0415
    from earthcode_pack.remote.workdir import on_disk  # noqa: PLC0415

    near = on_disk(target)
    return judged(target, look(near, deep=deep, schemas=schemas), accepted_by(near), as_json=as_json)


@app.command(rich_help_panel=LOOK)
def verify(
    target: Annotated[str, typer.Argument(metavar="BUNDLE_OR_HREF", help="A bundle, or where a product is published.")],
    read: Annotated[bool, typer.Option("--read", help="Fetch the bytes and open them as a user would.")] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="With --read: so many objects instead of all.")
    ] = None,
    as_json: Json = False,
) -> Outcome:
    """Compare what is published with its manifest: presence, size and checksum."""
    from earthcode_pack.cli.results import accepted_by, judged  # noqa: PLC0415
    from earthcode_pack.remote.workdir import on_disk  # noqa: PLC0415
    from earthcode_pack.upload import verify as compare  # noqa: PLC0415

    near = on_disk(target, data=False)
    return judged(target, compare(near, read or sample is not None, sample=sample), accepted_by(near), as_json=as_json)


@app.command(rich_help_panel=BUNDLE)
def handoff(bundle: BundlePath, as_json: Json = False) -> Outcome:
    """Write the catalogue's change set again, for a catalogue that has moved on, and the documents for the PRR."""
    from earthcode_pack.cli.status import changing, handed_off  # noqa: PLC0415
    from earthcode_pack.remote.workdir import open_bundle  # noqa: PLC0415
    from earthcode_pack.run.publish import hand_off  # noqa: PLC0415

    opened = open_bundle(bundle)
    with changing(opened):
        written = hand_off(opened)
    return handed_off(opened, written, as_json=as_json)


@app.command(rich_help_panel=BUNDLE)
def status(
    bundle: BundlePath,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the storage what is there.")] = False,
    as_json: Json = False,
) -> Outcome:
    """Show where a bundle stands, and its upload."""
    from earthcode_pack.cli.status import standing  # noqa: PLC0415
    from earthcode_pack.remote.workdir import open_bundle  # noqa: PLC0415

    return standing(open_bundle(bundle), offline=offline, as_json=as_json)


@app.command(rich_help_panel=BUNDLE)
def report(bundle: BundlePath, as_json: Json = False) -> Outcome:
    """Write report.html, which a person reads."""
    from earthcode_pack.cli.status import changing  # noqa: PLC0415
    from earthcode_pack.remote.workdir import open_bundle  # noqa: PLC0415
    from earthcode_pack.report import write_report  # noqa: PLC0415

    opened = open_bundle(bundle)
    with changing(opened):
        path = str(write_report(opened))
    return Outcome({"report": path}, lambda console: console.print(path, soft_wrap=True), as_json=as_json)


@app.command(rich_help_panel=BUNDLE)
def clean(bundle: BundlePath, as_json: Json = False) -> Outcome:
    """Remove what interrupted runs left in a bundle's folder, and in its store as long as it is not published.

    In the store goes what the bundle's ledger knows, nothing else. At a URL also the hold of a run on another machine:
    only when it has ended.
    """
    from earthcode_pack.cli.status import cleaned  # noqa: PLC0415
    from earthcode_pack.remote.workdir import open_bundle  # noqa: PLC0415

    return cleaned(open_bundle(bundle), as_json=as_json)


Pool = Annotated[str, typer.Option(metavar="NAME", help="The process work pool that runs them.")]
Roots = Annotated[
    list[str] | None,
    typer.Option("--source-root", metavar="HREF", help="Where triggered runs may read from; repeat for more."),
]
Targets = Annotated[
    list[str] | None,
    typer.Option("--target-root", metavar="HREF", help="Where triggered runs may write to; repeat for more."),
]
Clusters = Annotated[
    list[str] | None,
    typer.Option(
        "--cluster-class", metavar="CLASS", help="What triggered runs may start besides LocalCluster; repeat for more."
    ),
]


@app.command(rich_help_panel=PREFECT)
def deploy(
    pool: Pool = "earthcode",
    source_root: Roots = None,
    target_root: Targets = None,
    cluster_class: Clusters = None,
    as_json: Json = False,
) -> Outcome:
    """Deploy the flows package, publish and batch to a Prefect work pool."""
    names = _flows().deploy(pool, source_root or [], cluster_class or [], target_root or [])
    told = "\n".join([*names, f"Next: prefect worker start --pool {pool}"])
    return Outcome({"deployments": names, "pool": pool}, lambda console: console.print(told), as_json=as_json)


@app.command(rich_help_panel=PREFECT)
def serve(source_root: Roots = None, target_root: Targets = None, cluster_class: Clusters = None) -> None:
    """Serve the same deployments from this process, without a work pool, until Ctrl-C."""
    _flows().serve(source_root or [], cluster_class or [], target_root or [])


@app.command(rich_help_panel=LOOK)
def schema(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of them, such as profile.")] = None,
    as_json: Json = True,  # noqa: ARG001 - there is no other form
) -> Outcome:
    """Print the JSON schemas of the profile and of what --json writes."""
    from earthcode_pack.cli.results import schemas_of  # noqa: PLC0415

    return Outcome(schemas_of(name), as_json=True)


def _workdir(profile: str, given: str | None) -> Any:
    from earthcode_pack.pipeline import default_workdir  # noqa: PLC0415

    return given if given is not None else default_workdir(profile)


def _flows() -> Any:
    """Imports the flows by name: the package does not depend on Prefect, which import-linter enforces."""
    if find_spec("prefect") is None:
        raise MissingExtra("deploying flows", "prefect")
    return import_module("earthcode_flows.deployments")
