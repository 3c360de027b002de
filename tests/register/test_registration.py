"""Registration at the double of the gateway: what is sent, what is not, what a run that ended leaves to the next."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import osc_bundles as made
import pytest
import yaml
from clockless import LONG
from prr_places import BUCKET, COLLECTION, PASSWORD, USER, place

from earthcode_pack.catalogs.prr import difference, register, verify
from earthcode_pack.errors import OutsideError, UserError
from earthcode_pack.model import Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from prr_places import StageIn
    from services.gateway import Gateway

    from earthcode_pack.bundle import Bundle
    from earthcode_pack.model import Finding

ONE, TWO = "demo-sst_20200101", "demo-sst_20200102"
ARCHIVE = {
    f"/d/{COLLECTION}/2020/01/0{day}/demo-sst_2020010{day}/demo-sst_2020010{day}{end}": content
    for day in (1, 2)
    for end, content in ((".png", made.PNG), ("_sst.tif", b"tiff"))
}


def rules(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(finding.rule, finding.subject) for finding in findings]


def set_up(bundle: Bundle, prr: Gateway, storage: StageIn, **more: Any) -> None:
    """Other settings of ``store.prr``."""
    store = {"prr": place(prr, storage, **more), "access": "public"}
    stated = made.profile(project=made.NEW_PROJECT, catalog=None, store=store)
    made._write(bundle.root / "profile.yaml", json.dumps(stated))


def change(bundle: Bundle, name: str, work: Callable[[dict[str, Any]], Any]) -> None:
    """Changes an Item of the bundle."""
    path = bundle.product / "items" / f"{name}.json"
    item = json.loads(path.read_bytes())
    work(item)
    path.write_text(json.dumps(item))


def assert_registered(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    """Both Items, once, whole, and nothing left behind."""
    assert sorted(prr.catalogue.items[COLLECTION]) == [ONE, TWO]
    assert prr.files() == ARCHIVE
    assert storage.keys() == []
    assert [receipt.key for receipt in bundle.receipts()] == [
        f"{folder}{name}{end}"
        for name in (ONE, TWO)
        for folder, end in ((f"data/{name}/", "_sst.tif"), ("previews/", ".png"))
    ]
    assert verify(bundle) == ()


# --- what goes right --------------------------------------------------------------------------------------------------


def test_two_items_are_registered_in_one_request(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    told: list[tuple[int, int]] = []
    assert register(bundle, progress=lambda done, every: told.append((done, every))) == ()
    assert_registered(bundle, prr, storage)
    assert prr.batches == [2]
    assert told == [(0, 2), (2, 2)]
    assert prr.line.seen[0] == f"GET /stac/collections/{COLLECTION}", "the catalogue is asked first"


def test_a_second_run_sends_nothing_and_changes_nothing(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    register(bundle)
    before = {path: path.read_bytes() for path in bundle.root.rglob("*") if path.is_file()}
    storage.line.seen.clear()
    assert register(bundle) == ()
    assert {path: path.read_bytes() for path in bundle.root.rglob("*") if path.is_file()} == before
    assert (prr.batches, storage.line.seen) == ([2], [])
    assert prr.line.count("HEAD") == 4, "those of the first run"


@pytest.mark.parametrize(("batch", "batches"), [(1, [1, 1]), (2, [2]), (100, [2])])
def test_batches(batch: int, batches: list[int], bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    set_up(bundle, prr, storage, batch=batch)
    assert register(bundle) == ()
    assert prr.batches == batches


def test_what_is_posted_is_the_item_with_absolute_links(bundle: Bundle, prr: Gateway) -> None:
    register(bundle)
    links = prr.catalogue.items[COLLECTION][ONE]["links"]
    assert links == [{"rel": "collection", "href": f"{prr.stac}/collections/{COLLECTION}", "type": "application/json"}]


def test_the_answers_are_kept(bundle: Bundle, prr: Gateway) -> None:
    register(bundle)
    answer = json.loads((bundle.root / "prr" / "answers" / f"{ONE}.json").read_bytes())
    assert answer["status"] == 201
    assert answer["body"] == prr.catalogue.items[COLLECTION][ONE]
    assert answer["published"]


def test_files_go_to_the_bucket_that_is_named(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    from services.gateway import BucketStageIn

    storage.client.create_bucket(Bucket="sg-project")
    prr.writers[USER, COLLECTION] = BucketStageIn(storage.client, "sg-project")
    set_up(bundle, prr, storage, bucket="sg-project")
    assert register(bundle) == ()
    assert storage.line.count(f"PUT /{BUCKET}/demo") == 0


# --- large files ------------------------------------------------------------------------------------------------------


LARGE = bytes(6 * 2**20)


@pytest.fixture
def large(bundle: Bundle) -> Bundle:
    """The bundle with a file of 6 MiB."""
    items = [made.item(1, payload=LARGE), made.item(2)]
    made._write(bundle.product / "data" / ONE / f"{ONE}_sst.tif", LARGE)
    made._write(bundle.product / "items" / f"{ONE}.json", json.dumps(items[0]))
    made._write(bundle.product / "manifest.json", json.dumps(made._manifest(bundle.product)))
    return bundle


def test_large_files_go_in_one_request_unless_told(large: Bundle, storage: StageIn) -> None:
    assert register(large) == ()
    assert storage.line.count(f"PUT /{BUCKET}/{ONE}/{ONE}_sst.tif") == 1


def test_large_files_go_in_parts_where_told(large: Bundle, prr: Gateway, storage: StageIn) -> None:
    set_up(large, prr, storage, part_size="5MiB")
    assert register(large) == ()
    assert storage.line.count(f"PUT /{BUCKET}/{ONE}/{ONE}_sst.tif") == 2
    assert len(prr.files()[f"/d/{COLLECTION}/2020/01/01/{ONE}/{ONE}_sst.tif"]) == len(LARGE)


def test_refused_multipart_falls_back_to_one_request(large: Bundle, prr: Gateway, storage: StageIn) -> None:
    storage.whole_only = True
    set_up(large, prr, storage, part_size="5MiB")
    assert register(large) == ()
    assert storage.line.count(f"PUT /{BUCKET}/{ONE}/{ONE}_sst.tif") == 1
    assert len(prr.files()[f"/d/{COLLECTION}/2020/01/01/{ONE}/{ONE}_sst.tif"]) == len(LARGE)


# --- refused before anything is sent ----------------------------------------------------------------------------------


def _asset(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def work(item: dict[str, Any]) -> None:
        asset = item["assets"]["sst"]
        for key, value in changes.items():
            asset.pop(key, None)
            asset |= {} if value is ... else {key: value}

    return work


def _second(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda item: item["assets"].update(more={**item["assets"]["sst"], "href": f"../data/other/{name}"})


WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "id": (lambda item: item.update(id="a b"), "ID"),
    "no times": (lambda item: item.update(properties={"datetime": None}), "TIME"),
    "time in words": (lambda item: item["properties"].update(start_datetime="in January"), "TIME"),
    "no type": (_asset(type=...), "ASSET"),
    "no roles": (_asset(roles=...), "ASSET"),
    "roles as text": (_asset(roles="data"), "ASSET"),
    "no size": (_asset(**{"file:size": ...}), "ASSET"),
    "another size": (_asset(**{"file:size": 5}), "SIZE"),
    "no data": (_asset(roles=["overview"]), "DATA-ROLE"),
    "absent file": (_asset(href="../data/none.tif"), "ABSENT"),
    "blank in the name": (_asset(href="../data/a b.tif"), "NAME"),
    "two of one name": (_second(f"{ONE}_sst.tif"), "NAME-UNIQUE"),
    "names that begin alike": (_second(f"{ONE}_sst.tif.xml"), "NAME-UNIQUE"),
}


@pytest.mark.parametrize(("work", "rule"), WRONG.values(), ids=WRONG)
def test_what_the_gateway_would_refuse_is_never_sent(
    work: Callable[[dict[str, Any]], Any], rule: str, bundle: Bundle, prr: Gateway, storage: StageIn
) -> None:
    change(bundle, ONE, work)
    found = register(bundle)
    assert f"PRR-GATEWAY-{rule}" in [finding.rule for finding in found]
    assert all(finding.level is Level.ERROR for finding in found)
    assert (prr.line.seen, storage.line.seen) == ([], [])


def test_no_collection_no_sending(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    prr.catalogue.items.clear()
    with pytest.raises(UserError, match=f"no Collection {COLLECTION}") as caught:
        register(bundle)
    assert "letter.md" in caught.value.remedy
    assert (storage.line.seen, prr.posted) == ([], [])


def test_without_credentials_nothing_is_asked(bundle: Bundle, prr: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAPI_PASSWORD")
    with pytest.raises(OutsideError, match="no credentials") as caught:
        register(bundle)
    assert "RAPI_USERNAME and RAPI_PASSWORD" in caught.value.remedy
    assert prr.line.seen == []


# --- what the catalogue has already -----------------------------------------------------------------------------------


def _ingest(prr: Gateway, bundle: Bundle, name: str) -> dict[str, Any]:
    """As if an Item had been registered before, by another way."""
    item = copy.deepcopy(made.item(int(name[-1])))
    for asset in item["assets"].values():
        href = f"/d/{COLLECTION}/old/{asset['href'].rpartition('/')[2]}"
        target = prr.archive / href.removeprefix("/d/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((bundle.product / "items" / asset["href"]).resolve().read_bytes())
        asset["href"] = href
    prr.catalogue.items[COLLECTION][name] = item
    return item


def test_an_item_that_is_there_is_left_alone(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    _ingest(prr, bundle, ONE)
    assert register(bundle) == ()
    assert prr.posted == [TWO]
    assert storage.line.count(f"PUT /{BUCKET}/{ONE}") == 0
    assert len(bundle.receipts()) == 4
    answer = json.loads((bundle.root / "prr" / "answers" / f"{ONE}.json").read_bytes())
    assert answer["status"] is None


def test_another_file_under_an_id_stops_everything(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    other = "1220" + "ab" * 32
    _ingest(prr, bundle, ONE)["assets"]["sst"] |= {"file:size": 5, "file:checksum": other}
    found = register(bundle)
    assert [(f.rule, f.level, f.measured, f.allowed) for f in found] == [
        ("PRR-INGESTED-DATA", Level.ERROR, other, made.item(1)["assets"]["sst"]["file:checksum"]),
        ("PRR-INGESTED-DATA", Level.ERROR, 5, 4),
    ]
    assert "administrator" in found[0].remedy
    assert (prr.posted, storage.line.seen) == ([], [])
    assert difference(bundle) == found
    assert bundle.receipts() == ()


def test_an_accepted_difference_lets_the_others_through(bundle: Bundle, prr: Gateway) -> None:
    _ingest(prr, bundle, ONE)["assets"]["sst"]["file:size"] = 5
    stated = yaml.safe_load((bundle.root / "profile.yaml").read_text())
    made._write(bundle.root / "profile.yaml", json.dumps(stated | {"accept": {"PRR-INGESTED-DATA": "an old trial"}}))
    assert rules(register(bundle)) == [("PRR-INGESTED-DATA", ONE)]
    assert prr.posted == [TWO]
    assert {receipt.key.split("/")[-1].split(".")[0] for receipt in bundle.receipts()} == {f"{TWO}_sst", TWO}


def test_a_lacking_and_a_further_asset_are_other_data(bundle: Bundle, prr: Gateway) -> None:
    assets = _ingest(prr, bundle, ONE)["assets"]
    assets["more"] = assets.pop("thumbnail")
    assert [finding.message for finding in difference(bundle)] == [
        "only the ingested Item has an asset 'more'", "the ingested Item has no asset 'thumbnail'"
    ]  # fmt: skip


def test_other_metadata_is_told_and_changes_nothing(bundle: Bundle, prr: Gateway) -> None:
    item = _ingest(prr, bundle, ONE)
    item["properties"] |= {"title": "Old title", "created": "2020-01-01T00:00:00Z"}
    item["properties"]["start_datetime"] = "2020-01-01T01:00:00+01:00"  # the same moment
    item["bbox"] = [0, 0, 1, 1]
    found = register(bundle)
    assert {(f.rule, f.level, f.message.rpartition(" ")[2]) for f in found} == {
        ("PRR-INGESTED-METADATA", Level.WARNING, "bbox"), ("PRR-INGESTED-METADATA", Level.WARNING, "title"),
    }  # fmt: skip
    assert prr.posted == [TWO]


def test_an_ingested_item_without_checksums_is_compared_by_size(bundle: Bundle, prr: Gateway) -> None:
    del _ingest(prr, bundle, ONE)["assets"]["sst"]["file:checksum"]
    (found,) = register(bundle)
    assert (found.rule, found.level) == ("PRR-INGESTED-UNSTATED", Level.INFO)


def test_a_difference_needs_no_credentials(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAPI_PASSWORD")
    assert difference(bundle) == ()
    assert rules(verify(bundle)) == [("PRR-REGISTERED", ONE), ("PRR-REGISTERED", TWO)]


# --- what goes wrong on the way ---------------------------------------------------------------------------------------


def test_a_lost_answer_is_asked_for_in_the_catalogue(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    prr.line.lost.append("POST")
    assert register(bundle) == ()
    assert prr.batches == [2]
    assert_registered(bundle, prr, storage)


def test_a_slow_gateway_that_is_given_up_and_works_on(
    bundle: Bundle, prr: Gateway, storage: StageIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second posting meets the first: 409, or the files have gone."""
    monkeypatch.setattr("earthcode_pack.catalogs.prr.http_client._INGESTED", 0.3)
    prr.slow = 0.6

    def soon_fast(_number: int, _request: str) -> None:
        if prr.line.count("POST"):
            monkeypatch.setattr("earthcode_pack.catalogs.prr.http_client._INGESTED", LONG)  # for those after the first
        prr.slow = prr.slow if prr.line.count("POST") < 2 else 0

    prr.line.watch = soon_fast
    assert register(bundle) == ()
    assert_registered(bundle, prr, storage)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_what_passes_is_tried_again(status: int, bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    prr.line.early += [("POST", status), ("GET", status), ("HEAD", status)]
    assert register(bundle) == ()
    assert_registered(bundle, prr, storage)


def test_a_gateway_that_stays_away_ends_the_run(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    prr.line.early += [("POST", 503)] * 20
    with pytest.raises(OutsideError, match="503"):
        register(bundle)
    assert len(storage.keys()) == 4, "staged files wait for the next run"
    prr.line.mend()
    storage.line.seen.clear()
    assert register(bundle) == ()
    assert storage.line.count("PUT .*demo") == 0, "they are not sent again"
    assert_registered(bundle, prr, storage)


def test_an_item_that_the_gateway_stumbles_over_does_not_stop_the_others(bundle: Bundle, prr: Gateway) -> None:
    prr.stumbles.add(ONE)
    found = register(bundle)
    assert rules(found) == [("PRR-REFUSED", ONE)]
    assert "answers 500" in found[0].message
    assert list(prr.catalogue.items[COLLECTION]) == [TWO]
    prr.stumbles.clear()
    assert register(bundle) == ()


@pytest.mark.parametrize("status", [403, 404, 413, 301])
def test_what_does_not_pass_is_not_tried_again(status: int, bundle: Bundle, prr: Gateway) -> None:
    prr.line.early.append(("POST", status))
    with pytest.raises(OutsideError, match=str(status)) as caught:
        register(bundle)
    assert caught.value.remedy
    assert prr.line.count("POST") == 1


def test_a_wrong_password_is_told_without_it(bundle: Bundle, prr: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    prr.users[USER] = "another"
    with pytest.raises(OutsideError, match="Incorrect username or password") as caught:
        register(bundle)
    assert "RAPI_PASSWORD" in caught.value.remedy
    assert prr.posted == []
    texts = [
        str(caught.value),
        caplog.text,
        *(p.read_text(errors="replace") for p in bundle.root.rglob("*") if p.is_file()),
    ]
    assert not any(PASSWORD in text for text in texts)


def test_a_user_of_another_collection_is_told_whom_to_ask(bundle: Bundle, prr: Gateway) -> None:
    prr.writers.clear()
    with pytest.raises(OutsideError, match=f"may not write to the Collection {COLLECTION}") as caught:
        register(bundle)
    assert "operator" in caught.value.remedy


def test_one_bad_item_of_a_batch_does_not_stop_the_other(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    prr.own_rules[ONE] = "no Mondays"
    found = register(bundle)
    assert rules(found) == [("PRR-REFUSED", ONE)]
    assert "no Mondays" in found[0].message
    assert list(prr.catalogue.items[COLLECTION]) == [TWO]
    prr.own_rules.clear()
    assert register(bundle) == ()
    assert prr.posted == [ONE, TWO, ONE]
    assert_registered(bundle, prr, storage)


def test_another_bucket_than_the_collection_s_is_named_as_the_cause(
    bundle: Bundle, prr: Gateway, storage: StageIn
) -> None:
    from services.gateway import BucketStageIn

    storage.client.create_bucket(Bucket="sg-elsewhere")
    prr.writers[USER, COLLECTION] = BucketStageIn(storage.client, "sg-elsewhere")
    found = register(bundle)
    assert rules(found) == [("PRR-REFUSED", ONE), ("PRR-REFUSED", TWO)]
    assert all("store.prr.bucket" in finding.remedy for finding in found)


def test_an_item_that_another_one_registers_meanwhile(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    """409: the catalogue got it after it was asked; what was staged for it is taken back."""

    def meanwhile(_number: int, request: str) -> None:
        if request.startswith("POST") and not prr.catalogue.items[COLLECTION]:
            _ingest(prr, bundle, ONE)

    prr.line.watch = meanwhile
    assert register(bundle) == ()
    assert storage.keys() == []
    assert len(bundle.receipts()) == 4


def test_a_catalogue_that_is_behind_is_waited_for(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    """Posted, the answer lost, not in the index yet: the files are staged again, and it says that it has the Item."""
    prr.line.lost.append("POST")

    def behind(_number: int, request: str) -> None:
        if request.startswith("POST") and prr.line.count("POST") == 1:
            prr.line.early += [("GET .*items", 404)] * 2

    prr.line.watch = behind
    assert register(bundle) == ()
    assert prr.batches == [2, 1, 1]
    assert_registered(bundle, prr, storage)


# --- publication is not atomic ----------------------------------------------------------------------------------------


def test_files_that_come_late_are_waited_for(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    set_up(bundle, prr, storage, patience=LONG)
    prr.late = 0.4
    assert register(bundle) == ()
    assert len(bundle.receipts()) == 4


def test_a_file_that_never_comes_is_told(bundle: Bundle, prr: Gateway) -> None:
    prr.never.add(f"{ONE}_sst.tif")
    (found,) = register(bundle)
    url = f"{prr.url}/d/{COLLECTION}/2020/01/01/{ONE}/{ONE}_sst.tif"
    assert (found.rule, found.level, found.message) == ("PRR-PUBLISHED", Level.ERROR, f"{url} answers 404")
    assert [receipt.key for receipt in bundle.receipts()] == [f"data/{TWO}/{TWO}_sst.tif", f"previews/{TWO}.png"]
    assert rules(verify(bundle)) == [("PRR-PUBLISHED", ONE)]
    prr.never.clear()
    assert register(bundle) == ()
    assert prr.batches == [2]
    assert len(bundle.receipts()) == 4


def test_a_file_that_was_cut_is_told_with_both_sizes(bundle: Bundle, prr: Gateway) -> None:
    prr.cut.add(f"{ONE}_sst.tif")
    (found,) = register(bundle)
    assert (found.rule, found.measured, found.allowed) == ("PRR-PUBLISHED", 3, 4)


def test_an_item_that_an_administrator_deleted_is_registered_again(
    bundle: Bundle, prr: Gateway, storage: StageIn
) -> None:
    register(bundle)
    del prr.catalogue.items[COLLECTION][ONE]
    prr.line.early.append(("POST", 401))
    with pytest.raises(OutsideError):
        register(bundle)
    assert [receipt.key for receipt in bundle.receipts()] == [f"data/{TWO}/{TWO}_sst.tif", f"previews/{TWO}.png"]
    assert register(bundle) == ()
    assert_registered(bundle, prr, storage)


def test_every_byte_can_be_read_again(bundle: Bundle, prr: Gateway) -> None:
    register(bundle)
    assert verify(bundle, read=True) == ()
    (prr.archive / COLLECTION / "2020/01/01" / ONE / f"{ONE}_sst.tif").write_bytes(b"tifg")
    assert verify(bundle) == ()
    (found,) = verify(bundle, read=True)
    assert (found.rule, found.subject, found.allowed) == ("PRR-PUBLISHED", ONE, hashlib.sha256(b"tiff").hexdigest())


def test_signed_hrefs_that_have_expired(bundle: Bundle, prr: Gateway) -> None:
    register(bundle)
    for item in prr.catalogue.items[COLLECTION].values():
        for asset in item["assets"].values():
            asset["href"] += "?Expires=1&Signature=n0t-to-be-shown"
    assert verify(bundle, read=True) == ()
    prr.line.early += [("HEAD", 403)] * 4
    found = verify(bundle)
    assert {f.rule for f in found} == {"PRR-PUBLISHED-UNSEEN"}
    assert not any("Signature" in f.message for f in found)
    prr.line.early += [("GET /d/", 403)] * 4
    with pytest.raises(OutsideError, match=r"the link has expired \(1970-01-01T00:00:01Z\) — get a new link"):
        verify(bundle, read=True)


def test_an_item_whose_files_could_not_be_moved(bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    """The gateway says 422, the catalogue has the Item: nothing is posted again, nothing staged is thrown away."""
    prr.unmovable.add(f"{ONE}_sst.tif")
    found = register(bundle)
    assert {rule for rule, _ in rules(found)} == {"PRR-PUBLISHED"}
    assert f"{ONE}/{ONE}_sst.tif" in storage.keys()  # noqa: SIM118 - objects of a bucket
    assert prr.posted == [ONE, TWO]


def test_readers_that_need_credentials_are_no_error(bundle: Bundle, prr: Gateway) -> None:
    prr.line.early += [("HEAD", 403)] * 4
    found = register(bundle)
    assert {(f.rule, f.level) for f in found} == {("PRR-PUBLISHED-UNSEEN", Level.INFO)}


# --- interruptions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("through", "batch"), [*((each, 1) for each in range(10)), (2, 100), (4, 100), (6, 100)])
def test_a_run_that_ends_after_any_request_is_gone_on_with(
    through: int, batch: int, bundle: Bundle, prr: Gateway, storage: StageIn
) -> None:
    set_up(bundle, prr, storage, batch=batch)
    prr.line.through = through
    try:
        register(bundle)
    except OutsideError:
        assert len(prr.line.seen) > through
    prr.line.mend()
    assert register(bundle) == ()
    assert_registered(bundle, prr, storage)
    assert sorted(prr.posted) == [ONE, TWO]


@pytest.mark.parametrize("through", [0, 3, 5, 8])
def test_staging_that_ends_after_any_request_is_gone_on_with(
    through: int, bundle: Bundle, prr: Gateway, storage: StageIn
) -> None:
    storage.line.through = through
    with pytest.raises(OutsideError):
        register(bundle)
    assert prr.posted == []
    storage.line.mend()
    assert register(bundle) == ()
    assert_registered(bundle, prr, storage)


KILLED: dict[str, tuple[str, str]] = {
    "while staging": ("storage", f"PUT /{BUCKET}/demo"),
    "before posting": ("prr", "POST"),
    "before the files are seen": ("prr", "HEAD"),
}


@pytest.mark.parametrize(("side", "request_"), KILLED.values(), ids=KILLED)
def test_a_killed_run_is_gone_on_with(side: str, request_: str, bundle: Bundle, prr: Gateway, storage: StageIn) -> None:
    script = "import sys; from earthcode_pack.bundle import open_bundle; "
    script += "from earthcode_pack.catalogs.prr import register; "
    script += "register(open_bundle(sys.argv[1]))"
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(bundle.root)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    line = {"storage": storage.line, "prr": prr.line}[side]

    def kill(_number: int, request: str) -> None:
        if request.startswith(request_):
            run.send_signal(signal.SIGKILL)
            run.wait(LONG)

    line.watch = kill
    assert run.wait(LONG) == -signal.SIGKILL
    line.watch = lambda _number, _request: None
    assert register(bundle) == ()
    assert_registered(bundle, prr, storage)
