"""Reading a profile: the contract's own example, and every way of getting one wrong."""

import copy
import re

import fsspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from earthcode_pack.errors import OutsideError, ProfileError
from earthcode_pack.profile import Profile, load_profile

# The example of the contract, with everything that is optional.
FULL = """\
product:
  id: demo-sst
  title: DEMO Sea surface temperature
  description: Daily sea surface temperature of the demonstration project.
  license: CC-BY-4.0
  version: "1.0"
  status: completed
  region: North Atlantic
  keywords: [ocean, temperature]
  themes: [oceans]
  missions: [sentinel-3]
  documentation: https://example.org/handbook.pdf
  doi: 10.5281/zenodo.1234567
  contacts:
    - {name: Jane Doe, organization: Example Institute, email: jane@example.org, roles: [producer]}
  footprint: bbox
  preview: {variable: sst, colormap: thermal, range: [270, 305]}
  variables:
    sst:
      from: analysed_sst
      osc: sea-surface-temperature
      standard_name: sea_surface_temperature
      units: K
      long_name: Sea surface temperature
    cover:
      from: 2
      classes: [{value: 10, name: tree-cover, title: Tree cover, color: "006400"}]
project:
  id: demo-project
source:
  href: raw/*.nc
  variables: [analysed_sst]
  time: {from: coordinate}
  crs: EPSG:4326
  nodata: -9999
target:
  format: zarr
  zarr: {version: 3, chunks: {time: 30, lat: 256, lon: 256}, shards: null, zipped: false, multiscales: false}
  tolerance: {sst: {absolute: 0.001}}
store:
  href: published
  public_href: https://example.org/data
catalog:
  metadata: ../osc
  deliver: folder
  new:
    variables: {swell-height: {title: Swell height, description: Height, themes: [oceans], href: https://example.org}}
    missions: {demo-sat: {title: DemoSat, description: A satellite, href: https://example.org}}
experiment:
  id: demo-run
  title: Demonstration run
  workflow: {id: demo-workflow, title: Demonstration workflow, kind: notebook, href: https://example.org/w.ipynb}
  inputs: [{href: https://example.org/in, title: Input}]
  parameters: {window: 7}
accept: {STAC-REC-06: "non-georeferenced tracks"}
compute: {memory_limit: 4GiB, address: "tcp://localhost:8786"}
"""

LEAST = """\
product: {id: demo, title: T, description: D, license: CC-BY-4.0, version: "1", status: completed}
project: {id: demo-project}
source: {href: raw/*.nc, time: {from: coordinate}}
target: {format: cog}
"""


@pytest.fixture
def said(tmp_path):
    """What is said of a profile that has one text in place of another: message and remedy."""

    def said(old: str, new: str, text: str = FULL) -> str:
        assert text.count(old) >= 1, old
        path = tmp_path / "profile.yaml"
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(ProfileError) as caught:
            load_profile(path)
        assert caught.value.exit_code == 2
        assert caught.value.remedy
        return caught.value.message

    return said


@pytest.fixture
def loaded(tmp_path):
    def loaded(text: str) -> Profile:
        path = tmp_path / "profile.yaml"
        path.write_text(text)
        return load_profile(path)

    return loaded


def test_the_example_of_the_contract_loads(loaded) -> None:
    profile = loaded(FULL)
    assert profile.product.variables["sst"].from_ == "analysed_sst"
    assert profile.product.variables["cover"].from_ == 2
    assert profile.source.crs.value == "EPSG:4326"
    assert (profile.source.nodata.value, profile.source.nodata.override) == (-9999, False)
    assert profile.target.zarr.chunks == {"time": 30, "lat": 256, "lon": 256}
    assert profile.accept == {"STAC-REC-06": "non-georeferenced tracks"}


def test_the_example_in_the_design_loads_where_it_is_at_hand(shared, loaded) -> None:
    example = re.search(r"### 4\.2 .*?```yaml\n(.*?)```", (shared / "design.md").read_text(), re.DOTALL)[1]
    text = example.replace("https://…", "https://example.org").replace("description: …", "description: D")
    assert loaded(text.replace("title: …", "title: T").replace("compute: {…}", "compute: {}")).product.id == "demo-sst"


def test_what_is_optional_may_be_left_out(loaded) -> None:
    profile = loaded(LEAST)
    assert (profile.store, profile.catalog, profile.experiment) == (None, None, None)
    assert profile.target.cog.resampling is None
    assert profile.product.footprint == "bbox"


def test_a_profile_reads_back_from_its_own_yaml(loaded) -> None:
    profile = loaded(FULL)
    assert loaded(profile.to_yaml()) == profile


def test_a_nodata_of_nan_reads_back(loaded) -> None:
    profile = loaded(loaded(FULL.replace("nodata: -9999", "nodata: .nan")).to_yaml())
    assert profile.source.nodata.value != profile.source.nodata.value


def test_a_mapping_is_a_profile_too(tmp_path) -> None:
    profile = load_profile(yaml.safe_load(FULL), tmp_path)
    assert profile.source.href == [str(tmp_path / "raw/*.nc")]
    assert load_profile(yaml.safe_load(FULL)).store.href.endswith("/published")


@pytest.mark.parametrize("text", [FULL, LEAST, FULL.replace("{from: coordinate}", "{start: 2020, end: 2020-12}")])
def test_the_json_schema_takes_what_the_profile_takes(loaded, text) -> None:
    schema = Draft202012Validator(Profile.model_json_schema())
    data = yaml.safe_load(text.replace("2020-12}", '"2020-12"}'))
    assert loaded(text)
    assert [error.message for error in schema.iter_errors(data)] == []
    assert not schema.is_valid({**data, "stor": {}})


# --- the line, the key, the nearest valid one


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  region:", "  regoin:", "profile.yaml:8: product.regoin: unknown key; did you mean region?"),
        (
            "      osc: sea",
            "      osk: sea",
            "profile.yaml:21: product.variables.sst.osk: unknown key; did you mean osc?",
        ),
        ("\nstore:", "\nstor:", "profile.yaml:40: stor: unknown key; did you mean store or source?"),
        ("lat: 256, lon: 256}, shards", "lat: 256}, shard", ".zarr.shard: unknown key; did you mean shards?"),
        (
            "title: Tree",
            "titel: Tree",
            "profile.yaml:27: product.variables.cover.classes[0].titel: unknown key; did you",
        ),
        (
            "roles: [producer]",
            "role: producer",
            "profile.yaml:15: product.contacts[0].role: unknown key; did you mean rol",
        ),
        ("themes: [oceans], href", "theme: x, href", "catalog.new.variables.swell-height.theme: unknown key; did you"),
        ("{from: coordinate}", "{form: coordinate}", "source.time.form: unknown key; did you mean from?"),
        ("region:", "xyzzy:", "product.xyzzy: unknown key; known keys: id, title, description"),
        ("  region: N", "  crs: N", "profile.yaml:8: product.crs: unknown key; known keys:"),
        ("  region: N", "  crs: N", "(crs belongs under source)"),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest(said, old, new, message) -> None:
    assert message in said(old, new)


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("  license: CC-BY-4.0\n", "profile.yaml:1: product.license: missing"),
        ("  time: {from: coordinate}\n", "profile.yaml:30: source.time: missing"),
        ("name: Jane Doe, ", "profile.yaml:15: product.contacts[0].name: missing"),
        ("project:\n  id: demo-project\n", "profile.yaml: project: missing"),
        (", href: https://example.org/w.ipynb", "experiment.workflow.href: missing"),
        ("absolute: 0.001", "target.tolerance.sst.absolute: missing"),
    ],
)
def test_a_missing_key_is_named(said, old, message) -> None:
    assert message in said(old, "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('version: "1.0"', "version: 1.0", 'profile.yaml:6: product.version: must be text: put it in quotes, "1.0"'),
        ('version: "1.0"', "version: 1.10", 'put it in quotes, "1.10"'),
        ('color: "006400"', "color: 006400", 'classes[0].color: must be text: put it in quotes, "006400"'),
        (
            "region: North Atlantic",
            "region: NO",
            'profile.yaml:8: product.region: must be text: put it in quotes, "NO"',
        ),
        ("units: K", "units: 1", 'product.variables.sst.units: must be text: put it in quotes, "1"'),
        ("title: DEMO Sea surface temperature", "title:", "profile.yaml:3: product.title: is empty"),
        ("title: DEMO Sea surface temperature", "title: ''", "product.title: must not be empty"),
        ("keywords: [ocean, temperature]", "keywords: ocean", "must be a list, such as [one, two] (given: 'ocean')"),
        ("project:\n  id: demo-project", "project: demo", "profile.yaml:28: project: must be a mapping of keys"),
        (
            "    cover:\n      from: 2",
            "    cover: 2\n    x:\n      from: 2",
            "product.variables.cover: must be a mapping of",
        ),
        ("zipped: false", "zipped: perhaps", "target.zarr.zipped: must be true or false (given: 'perhaps')"),
        (
            "value: 10,",
            "value: ten,",
            "product.variables.cover.classes[0].value: must be a whole number (given: 'ten')",
        ),
        ("nodata: -9999", "nodata: none", "profile.yaml:35: source.nodata: must be a number or a whole number"),
        ("absolute: 0.001", "absolute: small", "target.tolerance.sst.absolute: must be a number (given: 'small')"),
        ("absolute: 0.001", "absolute: 0", "must be greater than 0 (given: 0)"),
        ("range: [270, 305]", "range: [270]", "product.preview.range[1]: missing"),
        ("range: [270, 305]", "range: [270, 280, 290]", "product.preview.range: must be a list of two"),
        ("from: analysed_sst", "from: {a: 1}", "product.variables.sst.from: must be text or a whole number"),
        ("variables: [analysed_sst]", "variables: []", "source.variables: must not be empty"),
        ("href: raw/*.nc", "href: []", "source.href: must not be empty"),
        ("href: raw/*.nc", "href: [raw/*.nc, 1]", 'source.href[1]: must be text: put it in quotes, "1"'),
    ],
)
def test_a_wrong_type_is_named_with_what_was_given(said, old, new, message) -> None:
    assert message in said(old, new)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "status: completed",
            "status: complete",
            "'ongoing' or 'completed'; did you mean completed? (given: 'complete')",
        ),
        ("status: completed", "status: x", "must be 'planned', 'ongoing' or 'completed' (given: 'x')"),
        ("format: zarr", "format: zar", "target.format: must be 'cog', 'zarr' or 'netcdf'; did you mean zarr?"),
        ("version: 3", "version: 4", "target.zarr.version: must be 2 or 3 (given: 4)"),
        (
            "{time: 30, lat: 256, lon: 256}",
            "map",
            "must be a mapping of keys or 'time-series', 'maps' or 'balanced'; did",
        ),
        (
            "{time: 30, lat: 256, lon: 256}",
            "{time: 0, lat: 2}",
            "target.zarr.chunks.time: must be greater than 0 (given: 0)",
        ),
        (
            "from: coordinate",
            "from: filenames",
            "source.time.from: must be 'coordinate' or 'filename'; did you mean filen",
        ),
    ],
)
def test_a_word_that_is_none_of_the_allowed_gets_the_nearest(said, old, new, message) -> None:
    assert message in said(old, new)


def test_all_problems_are_told_at_once_each_on_its_line(said) -> None:
    message = said('version: "1.0"\n  status: completed', "version: 1.0\n  status: done")
    assert [line.split(": ")[0] for line in message.splitlines()] == ["profile.yaml:6", "profile.yaml:7"]


def test_a_mapping_has_keys_and_no_lines() -> None:
    data = yaml.safe_load(FULL)
    data["product"]["regoin"] = data["product"].pop("region")
    with pytest.raises(ProfileError, match=r"^profile: product\.regoin: unknown key; did you mean region\?") as caught:
        load_profile(data)
    assert caught.value.remedy == "correct or remove product.regoin"


@pytest.mark.parametrize("name", ["list", "dict", "int", "float", "str", "literal"])
def test_a_variable_with_the_name_of_a_type_keeps_its_place_in_messages(said, name) -> None:
    assert f"product.variables.{name}.osk: unknown key; did you mean osc?" in said(
        "    sst:\n", f"    {name}:\n      osk: x\n"
    )


# --- editorial rules


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "license: CC-BY-4.0",
            "license: CC BY 4.0",
            "product.license: 'CC BY 4.0' is not an SPDX id; did you mean CC-BY-4.0?",
        ),
        ("license: CC-BY-4.0", "license: cc-by-4.0", "did you mean CC-BY-4.0?"),
        (
            "license: CC-BY-4.0",
            "license: other",
            "is not an SPDX id (https://spdx.org/licenses), nor proprietary or various",
        ),
        ("license: CC-BY-4.0", "license: MIT OR Apache-2.0", "is not an SPDX id"),
        ("license: CC-BY-4.0", "license: proprietary", "product.license: proprietary needs license_href"),
        (
            "id: demo-sst",
            "id: demo sst",
            "product.id: must be 1 to 100 of the characters A-Z a-z 0-9 . _ - (given: 'demo sst')",
        ),
        ("id: demo-sst", "id: ../up", "product.id: must be 1 to 100 of the characters"),
        ("id: demo-sst", "id: ..", "product.id: must not be . or .."),
        ("id: demo-sst", "id: " + "x" * 101, "must be 1 to 100 of the characters"),
        (
            "    sst:\n",
            "    my sst:\n",
            "profile.yaml:19: product.variables.my sst: must be 1 to 100 of the characters",
        ),
        ("doi: 10", "doi: https://doi.org/10", "product.doi: write the DOI without its URL: 10.5281/zenodo.1234567"),
        ("doi: 10.5281", "doi: zenodo", "is not a DOI such as 10.5281/zenodo.1234567"),
        ("https://example.org/handbook", "example.org/handbook", "must be a URL that begins with https:// or http://"),
        ("jane@example.org", "jane", "product.contacts[0].email: must be an e-mail address (given: 'jane')"),
        ('"006400"', '"green"', "must be six hexadecimal digits in quotes, such as \"006400\" (given: 'green')"),
        (
            "units: K",
            "units: ''",
            'product.variables.sst.units: must not be empty; a quantity without dimension has units: "1"',
        ),
        ("crs: EPSG:4326", "crs: EPSG:999999", "source.crs: 'EPSG:999999' is no EPSG code, WKT or PROJ string"),
        (
            "from: 2\n",
            "from: 0\n",
            "profile.yaml:26: product.variables.cover.from: 0 is no band; bands are counted from 1",
        ),
        ("from: 2\n", "from: analysed_sst\n", "product.variables: two of them have from: analysed_sst"),
        ("[{value: 10,", "[{value: 10, name: x}, {value: 10,", "cover.classes: two of them have the value 10"),
        ("range: [270, 305]", "range: [305, 270]", "profile.yaml:17: product.preview.range: 305 is not below 270"),
        (
            "variable: sst,",
            "variable: analysed_sst,",
            "product.preview.variable: analysed_sst is renamed by product.variables; write sst",
        ),
        (
            "tolerance: {sst:",
            "tolerance: {analysed_sst:",
            "target.tolerance: analysed_sst is renamed by product.variables",
        ),
    ],
)
def test_an_editorial_rule_says_what_would_be_right(said, old, new, message) -> None:
    assert message in said(old, new)


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ("{start: 2020-13-01, end: 2020-12-31}", "source.time.start: '2020-13-01' is no date of the calendar"),
        ("{start: 2020-02-30, end: 2020-12-31}", "'2020-02-30' is no date of the calendar: day is out of range"),
        ("{start: soon, end: 2020-12-31}", "source.time.start: 'soon' is not an ISO 8601 date such as 2020"),
        ("{start: 2020-03-01, end: 2020-02}", "source.time.end: 2020-02 is before start, 2020-03-01"),
        ("{start: 2020-03-01}", "source.time: a period of validity needs both start and end"),
        ("{from: filename}", "source.time.pattern: goes with {from: filename"),
        ("{from: coordinate, start: 2020-01-01, end: 2020-12-31}", "source.time: write either {from: coordinate}"),
        ("{}", "source.time: write either {from: coordinate}"),
        ('{from: filename, pattern: "a_*.tif"}', "source.time.pattern: the pattern 'a_*.tif' names no time"),
        ('{from: filename, pattern: "a_{start:%Q}"}', "%Q in the pattern"),
        ("{from: coordinate, pattern: x}", "source.time.pattern: the pattern 'x' names no time"),
    ],
)
def test_a_time_that_makes_no_sense_is_refused(said, time, message) -> None:
    assert message in said("{from: coordinate}", time).replace("source.time: pattern goes", "source.time.pattern: goes")


@pytest.mark.parametrize(
    ("written", "start", "end"),
    [
        ("2020-01-01, end: 2020-12-31", "2020-01-01T00:00:00Z", "2020-12-31T23:59:59Z"),
        ("2020, end: 2021-02", "2020-01-01T00:00:00Z", "2021-02-28T23:59:59Z"),
        ('"2020-01-01T06:00:00+02:00", end: 2020-01-01T12:30', "2020-01-01T04:00:00Z", "2020-01-01T12:30:59Z"),
        ("2020-01-01 06:00:00, end: 9999-12-31", "2020-01-01T06:00:00Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_a_stated_period_keeps_the_precision_it_is_written_with(loaded, written, start, end) -> None:
    period = loaded(FULL.replace("{from: coordinate}", f"{{start: {written}}}")).source.time.period
    assert period.model_dump(mode="json") == {"start": start, "end": end}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  public_href: https://example.org/data\n", "", "profile.yaml:42: catalog: needs store.public_href"),
        ("  themes: [oceans]\n", "", "catalog: needs product.themes"),
        ("  documentation: https://example.org/handbook.pdf\n", "", "catalog: needs product.documentation"),
        ("deliver: folder", "deliver: pull-request", "catalog.deliver: pull-request needs repository, owner/name"),
        ("deliver: folder", "repository: nobody", "catalog.repository: must be owner/name (given: 'nobody')"),
        ("href: published", "ca_bundle: x", "profile.yaml:40: store: name one place: href, or prr"),
        ("href: published", "href: published\n  prr: {collection: x}", "store: name one place: href, or prr"),
        ("href: published", "prr: {collection: x}", "target.zarr: the PRR takes zipped Zarr v2 only"),
        ("address: ", "cluster_class: a.B, address: ", "compute: name one cluster: address, or cluster_class"),
        (
            "address: ",
            "cluster_class: os, address: ",
            "must be a module and a class, such as dask_jobqueue.SLURMCluster",
        ),
        (
            "version: 3, chunks: {time: 30, lat: 256, lon: 256}, shards: null",
            "version: 2, shards: {time: 1}",
            "shards: Zarr 2 has",
        ),
    ],
)
def test_parts_that_contradict_each_other_are_refused(said, old, new, message) -> None:
    assert message in said(old, new)


@pytest.mark.parametrize(
    ("cog", "message"),
    [
        ("{compression: lerc}", "target.cog.compression: lerc is lossy; allow it with target.tolerance"),
        ("{compression: lzw, level: 3}", "target.cog.level: lzw has none"),
        ("{level: 22}", "target.cog.level: deflate ends at 12, not 22"),
        ("{compression: zstd, level: 23}", "must be less than or equal to 22 (given: 23)"),
        ("{blocksize: 300}", "target.cog.blocksize: must be 256 or 512 (given: 300)"),
    ],
)
def test_options_of_cog_that_do_not_go_together_are_refused(said, cog, message) -> None:
    assert message in said("{format: cog}", f"{{format: cog, cog: {cog}}}", LEAST)


@pytest.mark.parametrize("license_", ["CC-BY-4.0", "CC0-1.0", "MIT", "ODbL-1.0"])
def test_an_spdx_id_is_a_licence(loaded, license_) -> None:
    assert loaded(FULL.replace("CC-BY-4.0", license_)).product.license == license_


def test_a_preview_may_show_a_variable_that_is_not_described(loaded) -> None:
    assert loaded(FULL.replace("variable: sst,", "variable: quality,")).product.preview.variable == "quality"


# --- YAML that is none


@pytest.mark.parametrize(
    ("old", "new", "message", "remedy"),
    [
        (
            "title: DEMO Sea",
            "title: DEMO: Sea",
            "profile.yaml:3: not YAML: mapping values",
            "put a text with a colon in quotes",
        ),
        ("  status:", "\tstatus:", "profile.yaml:7: not YAML: found character", "indent with spaces, not with tabs"),
        ("href: raw/*.nc", "href: *.nc", "profile.yaml:31: not YAML", "put a text that begins with * in quotes"),
        (
            "href: raw/*.nc",
            "href: !!python/name:os.system",
            "profile.yaml:31: not YAML: could not determine",
            "correct the line",
        ),
        (
            "  status: completed",
            "  status: completed\n  status: planned",
            "profile.yaml:8: product.status is written twice",
            "keep",
        ),
        ("keywords: [ocean, temperature]", "keywords: [ocean", "profile.yaml:10: not YAML", "correct the line"),
        ("region: North", "region: \x01North", "profile.yaml: not YAML", "correct the line"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(tmp_path, old, new, message, remedy) -> None:
    assert old in FULL
    path = tmp_path / "profile.yaml"
    path.write_text(FULL.replace(old, new, 1))
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    assert message in caught.value.message
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("text", ["", "# nothing\n", "just words", "[a, list]", "42"])
def test_a_file_that_is_no_mapping_says_how_to_begin(tmp_path, text) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ProfileError, match=r"p\.yaml: the profile is not a mapping of keys — begin with product:"):
        load_profile(tmp_path / "p.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)),
        "a: &a [*a]\n",
        "a: " + "[" * 3000,
        "a: " + "{b: " * 50 + "1" + "}" * 50,
    ],
    ids=["aliases that unfold to 10^8", "an alias of itself", "3000 brackets", "50 levels"],
)
def test_yaml_made_to_exhaust_the_reader_is_refused(tmp_path, text) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ProfileError, match=r"^p\.yaml"):
        load_profile(tmp_path / "p.yaml")


def test_a_file_that_is_data_is_not_read_as_a_profile(tmp_path) -> None:
    (tmp_path / "big.yaml").write_text("#" * 1_000_002)
    with pytest.raises(ProfileError, match="larger than 1000000 characters"):
        load_profile(tmp_path / "big.yaml")
    (tmp_path / "data.nc").write_bytes(b"\x89HDF\r\n\x1a\n\xff\xff")
    with pytest.raises(ProfileError, match=r"data\.nc: the profile cannot be read"):
        load_profile(tmp_path / "data.nc")


def test_a_file_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(ProfileError, match=r"none\.yaml: the profile cannot be read .* name an existing YAML file"):
        load_profile(tmp_path / "none.yaml")


# --- secrets

SECRET = "hunter2-wJalrXUtnFEMI"
KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # the example of AWS's documentation


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("href: raw/*.nc", f"href: https://me:{SECRET}@example.org/*.nc"),
        ("href: raw/*.nc", f"href: [raw/a.nc, 's3://{SECRET}@bucket/a.nc']"),
        ("href: raw/*.nc", f"href: https://example.org/a.nc?X-Amz-Credential=me&X-Amz-Signature={SECRET}"),
        ("href: raw/*.nc", f"href: az://a/b.nc?sv=1&sig={SECRET}"),
        ("metadata: ../osc", f"metadata: https://x-access-token:{SECRET}@github.com/a/b"),
        ("public_href: https://example.org", f"public_href: https://{SECRET}@example.org"),
        ("public_href: https://example.org/data", f"endpoint_url: me:{SECRET}@example.org"),
        ("public_href: https://example.org/data", f"secret_access_key: {SECRET}"),
        ("public_href: https://example.org/data", f"public_href: https://example.org/?access_token={SECRET}"),
        ("parameters: {window: 7}", f"parameters: {{api_key: {SECRET}}}"),
        ("parameters: {window: 7}", f"parameters: {{input: 'https://me:{SECRET}@example.org/a.nc'}}"),
        ("parameters: {window: 7}", f"parameters: {{input: 'https://example.org/a.nc?token={SECRET}'}}"),
        ("parameters: {window: 7}", f"parameters: {{a: [[{{b: ['s3://k:{SECRET}@bucket/a']}}]]}}"),
        ("parameters: {window: 7}", f"parameters: {{'https://me:{SECRET}@example.org/a.nc': 1}}"),
        ("parameters: {window: 7}", f"parameters: {{command: 'run --password {SECRET} --all'}}"),
        ("parameters: {window: 7}", f"parameters: {{environment: ['TOKEN={SECRET}']}}"),
        ("parameters: {window: 7}", f"parameters: {{headers: 'Authorization: Bearer {SECRET}'}}"),
        ("parameters: {window: 7}", f"parameters: {{credentials: {{user: {SECRET}}}}}"),
        ("parameters: {window: 7}", f"parameters: {{x: {KEY}}}"),
        ("parameters: {window: 7}", f"parameters: {{x: ghp_{SECRET.replace('-', '')}}}"),
        ("status: completed", f"status: completed\n  institution: 'see https://example.org/a?sig={SECRET}'"),
        ("address: ", f"cluster_kwargs: {{env: [{{AWS_SECRET_ACCESS_KEY: {SECRET}}}]}}, address: "),
        ("license: CC-BY-4.0", f"license: me:{SECRET}@example.org"),
        ("crs: EPSG:4326", f"crs: https://me:{SECRET}@example.org/crs"),
        ("status: completed", f"status: https://me:{SECRET}@example.org"),
    ],
)
def test_a_secret_is_refused_and_never_shown(tmp_path, old, new) -> None:
    path = tmp_path / "profile.yaml"
    assert old in FULL
    path.write_text(FULL.replace(old, new, 1))
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    assert not any(secret in str(caught.value) for secret in (SECRET, KEY, SECRET.replace("-", "")))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan"])
@pytest.mark.parametrize(
    "key",
    [
        "target: {format: cog, tolerance: {sst: {absolute: @}}}",
        "target: {format: cog}\nstore: {prr: {collection: a, pause: @}}",
        "target: {format: cog}\nstore: {prr: {collection: a, patience: @}}",
    ],
)
def test_numbers_of_a_profile_are_finite(loaded, key, number) -> None:
    with pytest.raises(ProfileError, match=r"finite|greater"):
        loaded(LEAST.replace("target: {format: cog}", key.replace("@", number), 1))


@pytest.mark.parametrize("href", ["http://me:{}@127.0.0.1:9/profile.yaml", "http://127.0.0.1:9/profile.yaml?sig={}"])
def test_the_address_of_a_profile_is_shown_without_its_secret(href) -> None:
    with pytest.raises(
        OutsideError, match=r"^http://127\.0\.0\.1:9/profile\.yaml: the profile cannot be read"
    ) as caught:
        load_profile(href.format(SECRET))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("metadata: ../osc", "metadata: ssh://git@github.com/a/b"),
        ("metadata: ../osc", "metadata: git@github.com:a/b"),
        ("href: raw/*.nc", "href: https://example.org/wcs?coverage=sst&format=nc"),
        ("parameters: {window: 7}", "parameters: {max_tokens: 7, token: 3, secret_santa: true}"),
        ("parameters: {window: 7}", "parameters: {commit: da39a3ee5e6b4b0d3255bfef95601890afd80709}"),
        ("parameters: {window: 7}", "parameters: {input: 'https://example.org/wms?layers=sst', mail: me@example.org}"),
        ("parameters: {window: 7}", "parameters: {folder: /data/projects/sst/version2/input/global/x}"),
        ("parameters: {window: 7}", "parameters: {ratio: .nan, limit: -.inf, text: 'the token of appreciation'}"),
    ],
)
def test_what_only_looks_like_a_secret_is_allowed(loaded, old, new) -> None:
    assert old in FULL
    loaded(FULL.replace(old, new, 1))


# --- paths


def test_relative_paths_stand_on_the_folder_of_the_profile(tmp_path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "profile.yaml").write_text(
        FULL.replace("href: raw/*.nc", "href: ['../raw/**/a?[0-9].nc', /abs/b.nc]")
    )
    profile = load_profile(tmp_path / "deep" / "profile.yaml")
    assert profile.source.href == [str(tmp_path / "raw/**/a?[0-9].nc"), "/abs/b.nc"]
    assert profile.store.href == str(tmp_path / "deep/published")
    assert profile.catalog.metadata == str(tmp_path / "osc")


def test_base_stands_in_for_the_folder(tmp_path) -> None:
    (tmp_path / "profile.yaml").write_text(FULL)
    assert load_profile(tmp_path / "profile.yaml", "/elsewhere/").source.href == ["/elsewhere/raw/*.nc"]


def test_a_profile_in_a_bucket_finds_its_files_there() -> None:
    with fsspec.open("memory://bucket/profiles/p.yaml", "wt") as file:
        file.write(FULL.replace("href: raw/*.nc", "href: [raw/*.nc, ../../b/c.nc, s3://other/*.nc, /local/d.nc]"))
    profile = load_profile("memory://bucket/profiles/p.yaml")
    assert profile.source.href == [
        "memory://bucket/profiles/raw/*.nc",
        "memory://bucket/b/c.nc",
        "s3://other/*.nc",
        "/local/d.nc",
    ]
    assert profile.catalog.metadata == "memory://bucket/osc"


# --- whatever it holds, it is a profile or a ProfileError

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from([[], {}, [[]]])
)


def _places(data, loc=()):
    yield loc
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from _places(value, (*loc, key))


PLACES = list(_places(yaml.safe_load(FULL)))[1:]


@given(st.sampled_from(PLACES), LEAVES)
def test_any_value_in_any_place_is_taken_or_told_with_its_key(place, value) -> None:
    data = yaml.safe_load(FULL)
    part = data
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = copy.deepcopy(value)
    message, remedy = _told(data)
    assert message == "" or re.match(r"profile: [A-Za-z]", message)
    assert bool(message) == bool(remedy)


def _told(data) -> tuple[str, str]:
    try:
        load_profile(data)
    except ProfileError as error:
        return error.message, error.remedy
    return "", ""
