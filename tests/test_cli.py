"""The command line: what it writes, where, and with which exit code."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from clockless import LONG

from earthcode_pack import cli
from earthcode_pack.bundle import Bundle, values_to_json
from earthcode_pack.cli import progress
from earthcode_pack.cli.results import packaged, schemas_of
from earthcode_pack.errors import OutsideError
from earthcode_pack.files import to_json
from earthcode_pack.model import (
    CogEncoding,
    Failure,
    Finding,
    Grid,
    Input,
    Job,
    Level,
    ManifestEntry,
    Period,
    Plan,
    Receipt,
    Variable,
)

PERIOD = Period(start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2020, 1, 2, tzinfo=UTC))
GRID = Grid(
    crs="EPSG:4326", shape=(3, 4), dims=("y", "x"), bounds=(0, 0, 4, 3), transform=(1, 0, 0, 0, -1, 3), digest="d"
)
PROFILE = """
product: {id: demo, title: DEMO, description: Numbers., license: CC-BY-4.0, version: "1.0", status: ongoing}
project: {id: demo-project}
source: {href: raw/*.tif, time: {start: 2020, end: 2020}}
target: {format: cog}
store: {href: published}
accept: {STAC-REC-06: swath data}
"""


def finding(rule: str = "CF-01", level: Level = Level.ERROR, subject: str = "sst") -> Finding:
    return Finding(rule=rule, level=level, subject=subject, message="has no units", remedy="set units")


def job(item: str, asset: str) -> Job:
    sst = Variable(name=asset, source_name=asset, dtype="int16", dims=("y", "x"), shape=(3, 4))
    one = Input(href=f"/raw/{item}.tif", driver="GTiff", sha256="", grid=GRID, variables=(sst,), periods=(PERIOD,))
    key = f"data/{item}/{item}_{asset}.tif"
    encoding = CogEncoding(blocksize=512, compression="deflate", level=6, resampling="average", max_error=0.0)
    return Job(
        format="cog", item=item, asset=asset, key=key, inputs=(one,), period=PERIOD, grid=GRID, options=encoding,
        fingerprint=f"{item}-{asset}",
    )  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Three jobs of two Items, of which the last is not made yet; one accepted and one standing error."""
    made = Bundle(tmp_path / "demo" / "v1.0")
    jobs = (job("demo_1", "ndvi"), job("demo_1", "sst"), job("demo_2", "sst"))
    for one in jobs[:2]:
        path = made.product / one.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1500)
    (made.root / "profile.yaml").write_text(PROFILE)
    (made.root / "plan.json").write_text(Plan(product="demo", version="1.0", jobs=jobs).to_json())
    failed = Failure(source="/raw/bad.tif", error="states no CRS", remedy="set source.crs")
    (made.root / "provenance.json").write_text(to_json({"failed": [failed.model_dump()], "skipped": 0}))
    findings = [finding(), finding("STAC-REC-06"), finding("STAC-R-02", Level.INFO), finding(subject="ndvi")]
    (made.root / "findings.json").write_text(values_to_json(findings))
    return made


def whole(bundle: Bundle) -> Bundle:
    """The same with its manifest, and everything published."""
    entries = [
        ManifestEntry(key=one.key, size=1500, sha256="1220" + "0" * 64, media_type="image/tiff")
        for one in bundle.plan().jobs[:2]
    ]
    (bundle.product / "manifest.json").write_text(values_to_json(entries))
    receipts = [Receipt(key=e.key, size=1500, sha256="0" * 64, verified_at=PERIOD.start) for e in entries]
    (bundle.root / "receipts.json").write_text(values_to_json(receipts))
    return bundle


def run(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.execute([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.fixture
def call(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    return lambda *arguments: run(*arguments, capsys=capsys)


# --- help and mistakes ----------------------------------------------------------------------------------------------


def command(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("earthcode-pack")
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False, **options)


HEAVY = {
    *("asyncio", "boto3", "botocore", "cfgrib", "dask", "distributed", "earthcode_flows", "fsspec", "h5py", "httpx"),
    *(
        "jinja2",
        "jsonschema_rs",
        "matplotlib",
        "netCDF4",
        "numcodecs",
        "numpy",
        "pandas",
        "prefect",
        "pyarrow",
        "pydantic",
    ),
    *("pyproj", "pystac", "rasterio", "scipy", "shapely", "urllib3", "xarray", "yaml", "zarr"),
}


def test_help_answers_at_once_as_it_brings_little():
    """Of the program as it is installed: some 340 modules, a third of a second on a slow machine."""
    program = Path(sys.executable).with_name("earthcode-pack")
    watched = [sys.executable, "-X", "importtime", str(program), "--help"]
    ended = subprocess.run(watched, capture_output=True, text=True, check=True)
    assert "Usage" in ended.stdout
    modules = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines() if line.startswith("import time:")}
    assert "earthcode_pack.cli.commands" in modules
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()
    assert len(modules) < 500
    assert sum(name.startswith("earthcode_pack") for name in modules) < 20


def test_help_brings_nothing_heavy():
    code = f"import sys, earthcode_pack.cli; print(set(sys.modules) & {HEAVY})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"


def test_help_names_every_command(call):
    _, out, _ = call("--help")
    named = ["init", "plan", "run", "publish", "check", "verify", "schema"]
    named += ["handoff", "status", "report", "clean", "deploy", "serve"]
    assert [name for name in named if re.search(rf"│ {name} ", out)] == named


@pytest.mark.parametrize(
    "name", ["init", "plan", "run", "publish", "check", "verify", "handoff", "status", "report", "clean", "deploy"]
)
def test_every_command_takes_json_after_its_name(call, name):
    code, out, _ = call(name, "--help")
    assert code == 0
    assert "--json" in out


def test_the_version_is_that_of_the_package(call):
    from importlib.metadata import version

    assert call("--version") == (0, f"earthcode-pack {version('earthcode-pack')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["rn"], "No such command 'rn'"), (["run"], "PROFILE"), (["run", "a.yaml", "--workdr", "x"], "--workdr")],
)
def test_what_is_typed_wrongly_is_2(call, arguments, said):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "--help" in err


def test_what_is_typed_wrongly_is_an_object_with_json(call):
    code, out, _ = call("run", "--json", "--workdr", "x")
    told = json.loads(out)
    jsonschema.validate(told, schemas_of("error"))
    assert code == 2
    assert "--workdr" in told["error"]["message"]


def test_a_profile_that_is_wrong_by_itself(call, tmp_path):
    path = tmp_path / "profile.yaml"
    path.write_text(PROFILE.replace("status: ongoing", "statsu: ongoing"))
    code, out, err = call("plan", path)
    assert (code, out) == (2, "")
    assert "did you mean status?" in err
    assert "→" in err
    code, out, err = call("plan", path, "--json")
    told = json.loads(out)
    jsonschema.validate(told, schemas_of("error"))
    assert (code, err, told["error"]["type"]) == (2, "", "ProfileError")


def test_a_folder_that_is_no_bundle(call, tmp_path):
    code, out, _ = call("status", tmp_path, "--json")
    assert code == 2
    assert "no bundle" in json.loads(out)["error"]["message"]


def test_what_should_not_happen_is_1_with_a_hint_and_a_traceback_only_on_demand(call, bundle, monkeypatch):
    monkeypatch.setattr("earthcode_pack.bundle.Bundle.plan", lambda _: {}["a fault of this program"])
    code, out, err = call("status", bundle.root)
    assert (code, out) == (1, "")
    assert f"earthcode-pack --debug status {bundle.root}" in err
    assert "Traceback" not in err
    code, out, err = call("--debug", "status", bundle.root, "--json")
    assert code == 1
    assert json.loads(out)["error"]["type"] == "KeyError"
    assert "Traceback" in err


def test_a_reader_that_goes_away_is_no_failure():
    program = Path(sys.executable).with_name("earthcode-pack")
    ended = subprocess.run(f"{program} schema | head -1", shell=True, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("{\n", "")


# --- a bundle -------------------------------------------------------------------------------------------------------


def test_status_of_a_bundle_that_is_not_whole(call, bundle):
    code, out, _ = call("status", bundle.root, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["jobs"] == {"done": 2, "total": 3}
    assert told["findings"] == {"error": 3, "warning": 0, "info": 1}
    assert (told["standing"], told["digest"]) == (2, None)
    assert [failure["source"] for failure in told["failed"]] == ["/raw/bad.tif"]
    _, out, _ = call("status", bundle.root)
    assert "2 of 3 done" in out
    assert "not whole" in out


def test_status_of_a_published_bundle(call, bundle):
    _, out, _ = call("status", whole(bundle).root)
    assert str(bundle.digest) in out
    assert "2 of 3 objects" in out


def test_status_before_there_is_a_plan(call, bundle):
    for name in ("plan.json", "findings.json"):
        (bundle.root / name).unlink()
    code, out, _ = call("status", bundle.root, "--json")
    assert (code, json.loads(out)["jobs"]) == (0, {"done": 0, "total": 0})


def test_clean_removes_what_was_never_whole_and_nothing_else(call, bundle):
    leave(bundle.root / ".plan.json.17.part", 3)
    leave(bundle.product / "data" / ".demo.zarr.tmp" / "c" / "0", 5)
    leave(bundle.root / ".work" / "jobs" / "of-another-plan" / "part-0" / "a.tif", 7)
    leave(bundle.root / ".work" / "jobs" / "demo_2-sst" / "a.part", 11)  # what the next run goes on with
    leave(bundle.root.parent / "elsewhere.part", 13)
    (bundle.root / "link").symlink_to("product")
    before = set(bundle.root.rglob("*"))
    code, out, _ = call("clean", bundle.root, "--json")
    assert code == 0
    gone = [".plan.json.17.part", ".work/jobs/of-another-plan", "product/data/.demo.zarr.tmp"]
    assert json.loads(out) == {"removed": gone, "bytes": 15, "store": {"objects": [], "open_uploads": 0}}
    kept = {path for path in before if not any(path.is_relative_to(bundle.root / name) for name in gone)}
    assert set(bundle.root.rglob("*")) - {bundle.root / ".work" / "lock"} == kept
    assert (bundle.root.parent / "elsewhere.part").is_file()
    assert "0 leftovers removed" in call("clean", bundle.root)[1]


def leave(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


def test_clean_waits_for_no_run(call, bundle):
    from earthcode_pack.run.workspace import Workspace

    with Workspace(bundle).held():
        code, out, _ = call("clean", bundle.root, "--json")
    assert (code, json.loads(out)["error"]["type"]) == (3, "Locked")


def test_what_came_of_a_run_fits_sixty_columns(bundle, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    from earthcode_pack import pipeline

    summary = pipeline.summarise(whole(bundle), None)
    outcome = packaged(bundle, None, as_json=False)
    assert outcome.code == 1
    outcome.write()
    out = capsys.readouterr().out
    assert "demo_1" in out
    assert "ndvi, sst" in out
    assert "3.0 kB" in out
    assert "demo_2" not in out  # nothing of it was made
    assert re.search(r"failed +bad\.tif: states no CRS\n +→ set source.crs", out)
    assert re.search(r"error +CF-01 sst: has no units \(and 1 more\)", out)
    assert re.search(r"accepted +STAC-REC-06", out)
    assert str(summary.digest) in out
    whole_lines = ("Bundle", "Report", "Digest", "Published", "Next")  # to be copied whole
    assert all(len(line) <= 60 for line in out.splitlines() if not line.startswith(whole_lines))


# --- check ----------------------------------------------------------------------------------------------------------


def test_check_finds_what_is_wrong_with_a_collection(call, tmp_path):
    target = tmp_path / "collection.json"
    target.write_text(to_json({"type": "Collection", "stac_version": "1.1.0", "id": "x", "links": []}))
    code, out, _ = call("check", target, "--json")
    told = json.loads(out)
    jsonschema.validate(told, schemas_of("findings"))
    assert code == 1
    assert told["target"] == str(target)
    assert any(one["level"] == "error" and "description" in str(one) for one in told["findings"])
    code, out, _ = call("check", target)
    assert code == 1
    assert "error" in out


def test_check_of_something_that_is_not_there(call, tmp_path):
    code, out, _ = call("check", tmp_path / "none.tif", "--json")
    assert code in (2, 3)
    assert json.loads(out)["error"]["message"]


# --- schema ---------------------------------------------------------------------------------------------------------


def test_schemas_describe_what_is_written(call, bundle):
    import yaml

    code, out, _ = call("schema")
    schemas = json.loads(out)
    assert code == 0
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    profile = yaml.safe_load(PROFILE)
    jsonschema.validate(profile, schemas["profile"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(profile | {"prodcut": {}}, schemas["profile"])
    jsonschema.validate(json.loads((bundle.root / "plan.json").read_text()), schemas["plan"])
    jsonschema.validate(json.loads(finding().to_json()), schemas["finding"])


def test_a_schema_that_there_is_not(call):
    code, _, err = call("schema", "prfile")
    assert code == 2
    assert "profile" in err


# --- progress -------------------------------------------------------------------------------------------------------


def test_progress_is_a_few_lines_where_there_is_no_terminal(capsys):
    with progress.progress() as report:
        for done in range(1001):
            report("convert", done, 1000)
        report("check", 0, 1)
        report("check", 1, 1)
        report("check", 1, 1)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["convert 0/1000", "convert 1000/1000", "check 0/1", "check 1/1"]


def test_progress_speaks_again_after_a_while(capsys):
    lines = progress.Lines(seconds=0)
    for done in range(3):
        lines("upload", done * 1_500_000, 3_000_000)
    assert capsys.readouterr().err.splitlines() == [
        "upload 0 bytes/3.0 MB",
        "upload 1.5 MB/3.0 MB",
        "upload 3.0 MB/3.0 MB",
    ]


def test_progress_is_a_bar_on_a_terminal():
    out = in_terminal(
        "from earthcode_pack.cli.progress import progress\n"
        "with progress() as report:\n"
        "    for stage in ('discover', 'convert'):\n"
        "        for done in range(13): report(stage, done, 12)\n"
    )
    assert "discover" in out
    assert "12/12" in out
    assert "━" in out


def in_terminal(code: str, columns: int = 60) -> str:
    """What Python writes to a terminal of that width."""
    import fcntl
    import pty
    import struct
    import termios

    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")} | {"TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-c", code], stderr=child, env=environment) as process:
        process.wait(LONG)
    os.close(child)
    text = b""
    try:
        while block := os.read(parent, 65536):
            text += block
    except OSError:  # the other end is closed: all was read
        pass
    os.close(parent)
    return text.decode()


# --- init -----------------------------------------------------------------------------------------------------------


def test_init_writes_a_profile_once(call, root, tmp_path):
    output = tmp_path / "profile.yaml"
    code, out, _ = call("init", root / "sample_data" / "scenes" / "*.tif", "-o", output)
    assert code == 0
    assert "earthcode-pack plan" in out
    first = output.read_text()
    assert "ndvi_*_{start:%Y%m%d}.tif" in first
    output.write_text("mine")
    code, _, err = call("init", root / "sample_data" / "scenes" / "*.tif", "-o", output)
    assert (code, output.read_text()) == (2, "mine")
    assert "--force" in err
    code, out, _ = call("init", root / "sample_data" / "scenes" / "*.tif", "-o", output, "--force", "--json")
    assert (code, json.loads(out)["profile"], output.read_text()) == (0, str(output), first)


def test_init_without_a_file_name_writes_to_standard_output(call, root):
    code, out, err = call("init", root / "sample_data" / "landcover" / "*.tif")
    assert (code, err) == (0, "")
    assert out.startswith("# A starter profile: 1 of 1 file looked at.\n")


# --- the whole way --------------------------------------------------------------------------------------------------


@pytest.fixture
def profile(root: Path, tmp_path: Path) -> Path:
    """Two small maps, one of each year."""
    import rasterio

    (tmp_path / "raw").mkdir()
    with rasterio.open(next((root / "sample_data" / "scenes").glob("*.tif"))) as source:
        values, options = source.read(), source.profile
    for year in (2019, 2020):
        with rasterio.open(tmp_path / "raw" / f"ndvi_{year}0701.tif", "w", **options) as file:
            file.write(values)
    path = tmp_path / "profile.yaml"
    text = PROFILE.replace(
        "time: {start: 2020, end: 2020}", 'time: {from: filename, pattern: "ndvi_{start:%Y%m%d}.tif"}'
    )
    units = 'product: {variables: {ndvi: {from: 1, units: "1"}}, '
    path.write_text(text.replace("product: {", units))
    return path


def test_plan_then_run_then_run_again_then_verify(call, profile):
    before = sorted(profile.parent.rglob("*"))
    code, out, _ = call("plan", profile, "--json")
    planned = json.loads(out)
    jsonschema.validate(planned, schemas_of("summary"))
    assert (code, planned["items"], planned["digest"], planned["published"]) == (0, 2, None, None)
    assert sorted(profile.parent.rglob("*")) == before

    code, out, err = call("run", profile, "--json")
    first = json.loads(out)
    jsonschema.validate(first, schemas_of("summary"))
    assert (code, first["items"], first["assets"], first["skipped"], first["failed"]) == (0, 2, 2, 0, [])
    assert "convert 2/2" in err
    assert first["published"]
    assert first["bundle"] == str(profile.parent / ".earthcode-pack" / "demo" / "v1.0")

    code, out, _ = call("run", profile, "--json")
    second = json.loads(out)
    assert (code, second["skipped"], second["digest"]) == (0, 2, first["digest"])

    code, out, _ = call("verify", first["bundle"], "--read", "--json")
    assert (code, json.loads(out)["findings"]) == (0, [])
    code, out, _ = call("verify", first["bundle"], "--sample", 2, "--json")
    assert (code, json.loads(out)["findings"]) == (0, [])
    code, out, _ = call("report", first["bundle"], "--json")
    assert Path(json.loads(out)["report"]).is_file()


def test_plan_and_status_say_what_an_upload_would_do(call, profile):
    made = json.loads(call("run", profile, "--prepare-only", "--json")[1])
    bundle = Path(made["bundle"])
    objects = len(json.loads((bundle / "product/manifest.json").read_text())) + 1
    told = json.loads(call("status", bundle, "--json")[1])
    assert told["upload"] is None
    assert (told["difference"]["new"], told["difference"]["same"], told["unreachable"]) == (objects, 0, None)
    assert json.loads(call("plan", profile, "--json")[1])["difference"] == told["difference"]
    assert "objects" not in call("plan", profile)[1]
    assert f"{objects} new, 0 same, 0 changed, 0 stray" in call("plan", profile)[1]

    assert json.loads(call("publish", bundle, "--json")[1])["difference"] is None
    (profile.parent / "published/demo/v1.0/notes.txt").write_text("theirs")
    told = json.loads(call("status", bundle, "--json")[1])
    assert told["difference"] == {"new": 0, "same": objects, "changed": 0, "stray": 1, "bytes": 0}
    assert (told["upload"]["objects"]["committed"], told["upload"]["error"]) == (objects, None)
    assert json.loads(call("status", bundle, "--offline", "--json")[1])["difference"] is None
    out = call("status", bundle)[1]
    assert f"{objects} committed" in out
    assert f"0 new, {objects} same, 0 changed, 1 stray; 0 bytes to send" in out


def test_a_store_that_cannot_be_asked_does_not_fail_status(call, profile):
    bundle = Path(json.loads(call("run", profile, "--prepare-only", "--json")[1])["bundle"])
    (profile.parent / "published").write_text("a file stands here")
    code, out, _ = call("publish", bundle, "--json")
    assert code == 3
    error = json.loads(out)["error"]
    assert "published" in error["message"]
    told = json.loads(call("status", bundle, "--json")[1])
    assert told["upload"]["error"].startswith(error["message"])
    (profile.parent / "published").unlink()
    assert call("publish", bundle, "--json")[0] == 0
    assert json.loads(call("status", bundle, "--json")[1])["upload"]["error"] is None


def test_clean_takes_back_what_was_never_published(call, profile, monkeypatch):
    from earthcode_pack.storage import LocalStore

    bundle = Path(json.loads(call("run", profile, "--prepare-only", "--json")[1])["bundle"])
    put = LocalStore.put

    def broken(self, local, key, **more):
        if key.endswith("manifest.json"):
            raise OutsideError("the line is cut", "run again")
        return put(self, local, key, **more)

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "put", broken)
        assert call("publish", bundle)[0] == 3
    folder = profile.parent / "published/demo/v1.0"
    (folder / "notes.txt").write_text("theirs")
    went_up = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.suffix != ".txt")
    assert went_up
    told = json.loads(call("clean", bundle, "--json")[1])
    assert told["store"] == {"objects": went_up, "open_uploads": 0}
    assert [path.name for path in folder.rglob("*")] == ["notes.txt"]
    assert call("publish", bundle)[0] == 0
    assert json.loads(call("clean", bundle, "--json")[1])["store"] == {"objects": [], "open_uploads": 0}


def test_run_tells_a_person_what_there_is_and_what_is_next(call, profile):
    code, out, _ = call("run", profile, "--prepare-only", "--workdir", profile.parent / "work")
    assert code == 0
    assert not (profile.parent / "published").exists()
    digest = re.search(r"sha256:[0-9a-f]{64}", out)[0]
    bundle = profile.parent / "work" / "demo" / "v1.0"
    assert f"earthcode-pack publish {bundle} --approve {digest}" in out
    code, out, _ = call("publish", bundle, "--approve", "sha256:" + "0" * 64, "--json")
    assert (code, json.loads(out)["error"]["type"]) == (2, "NotApproved")
    code, out, _ = call("publish", bundle, "--approve", digest)
    assert code == 0
    assert "earthcode-pack verify" in out


def test_a_bad_file_is_1_and_holds_the_product_back_until_told_otherwise(call, profile):
    (profile.parent / "raw" / "ndvi_20210701.tif").write_bytes(b"II*\0 no more")
    code, out, _ = call("run", profile, "--json")
    told = json.loads(out)
    assert (code, told["published"], len(told["failed"])) == (1, None, 1)
    assert "ndvi_20210701.tif" in told["failed"][0]["source"]
    code, out, _ = call("run", profile, "--allow-incomplete", "--json")
    told = json.loads(out)
    assert (code, told["items"], bool(told["published"])) == (1, 2, True)


def test_no_matching_file_is_2(call, profile):
    profile.write_text(profile.read_text().replace("raw/*.tif", "rw/*.tif"))
    for name in ("plan", "run"):
        code, out, _ = call(name, profile, "--json")
        assert code == 2
        assert "rw/*.tif" in json.loads(out)["error"]["message"]


def test_ctrl_c_ends_a_run_at_once_and_the_next_goes_on(profile):
    import signal

    first = next((profile.parent / "raw").iterdir())
    for day in range(1, 31):  # enough to be at work when the signal comes
        shutil.copy(first, first.with_name(f"ndvi_202106{day:02d}.tif"))
    program = Path(sys.executable).with_name("earthcode-pack")
    with subprocess.Popen(
        [program, "run", profile],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - ignored in the background
    ) as process:
        process.stderr.readline()  # it is at work
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LONG)
    assert process.returncode == 130
    assert "Run it again" in err
    assert "Traceback" not in err
    assert command("run", str(profile)).returncode == 0
