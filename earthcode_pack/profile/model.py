"""The profile as a model: what a person states because it cannot be measured (contract 4.2).

Every key has a description: docs/profile.md is made of them.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import yaml
from pydantic import BeforeValidator, Field, model_validator

from earthcode_pack.model import Period
from earthcode_pack.profile.formats import ZARR_3, Target
from earthcode_pack.profile.period import parse_period
from earthcode_pack.profile.product import Experiment, Product, Project  # noqa: TC001 - pydantic reads them
from earthcode_pack.profile.rules import (
    CatalogId,
    ClassPath,
    Crs,
    Dated,
    Duration,
    Href,
    Memory,
    Part,
    Pattern,
    Rate,
    Repository,
    Settings,
    Slug,
    Text,
    Url,
    listed,
    stated,
)


class TimeSpec(Part):
    """Source of the time, one of three ways.

    - `{from: coordinate}`: the files have a time axis.
    - `{from: filename, pattern: "sst_{start:%Y%m%d}_*.tif"}`: the time stands in the names.
    - `{start: 2020-01-01, end: 2020-12-31}`: the product has no time axis, and this is its period of validity.
    """

    from_: Literal["coordinate", "filename"] | None = Field(None, alias="from", description="the first two ways")
    pattern: Pattern | None = Field(
        None,
        description="`{start:…}` and `{end:…}` hold strptime directives, in one place or in several that agree; `*` "
        "matches anything in a name. With folders, as `{start:%Y}/{start:%m}/sst_{start:%d}.nc`, it is the end of the "
        "path, and `**/` stands for any folders. The end is included: a day lasts until its last second; without "
        "`{end:…}` the time is the day, month or year that the name states",
    )
    start: Dated | None = Field(None, description="first moment of a stated period")
    end: Dated | None = Field(None, description="last moment of a stated period: a day, month or year is included")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        stated = self.start is not None or self.end is not None
        if (self.from_ is None) == (not stated):
            raise ValueError("write either {from: coordinate}, {from: filename, pattern: …} or {start: …, end: …}")
        if (self.from_ == "filename") != (self.pattern is not None):
            raise ValueError('pattern goes with {from: filename, pattern: "name_{start:%Y%m%d}.tif"}')
        if stated and (self.start is None or self.end is None):
            raise ValueError("a period of validity needs both start and end")
        if stated and self.period.end < self.period.start:
            raise ValueError(f"end: {self.end} is before start, {self.start}")
        return self

    @property
    def period(self) -> Period:
        """The stated period; only where start and end are given."""
        assert self.start is not None
        assert self.end is not None
        return Period(start=parse_period(self.start).start, end=parse_period(self.end).end)


class CrsSpec(Part):
    """A CRS for files that have none. `crs: EPSG:4326` is short for `crs: {value: EPSG:4326}`."""

    value: Crs = Field(description="of the files")
    override: bool = Field(False, description="true corrects a wrong CRS that the files state")


class NodataSpec(Part):
    """A nodata value for files that state none. `nodata: -9999` is short for `nodata: {value: -9999}`."""

    value: Annotated[float, Field(allow_inf_nan=True)] | int = Field(
        description="as stored in the files; `.nan` for not-a-number"
    )
    override: bool = Field(False, description="true corrects a wrong value that the files state")


class SourceSpec(Part):
    """The raw files."""

    href: Annotated[
        list[Href], BeforeValidator(listed, json_schema_input_type=Href | list[Href]), Field(min_length=1)
    ] = Field(description="a path or any fsspec URL, with `*` for many files; or a list of them")
    variables: Annotated[list[Text], Field(min_length=1)] | None = Field(
        None, description="which to package, by their names in the files; all data variables where left out"
    )
    time: TimeSpec = Field(description="where the time comes from")
    crs: Annotated[CrsSpec, BeforeValidator(stated, json_schema_input_type=Crs | CrsSpec)] | None = Field(
        None, description="only where the files have none"
    )
    nodata: Annotated[NodataSpec, BeforeValidator(stated, json_schema_input_type=float | NodataSpec)] | None = Field(
        None, description="only where the files state none"
    )
    follow: Annotated[list[Text], BeforeValidator(listed, json_schema_input_type=Text | list[Text])] = Field(
        [],
        description="folders to which links inside a Zarr store may lead; without it they must stay in the store. A "
        "file or folder that `href` itself matches may be a link",
    )


class PrrSpec(Part):
    """ESA's Project Results Repository. User name and password come from the environment."""

    collection: Slug = Field(description="id of the Collection that the operator registered")
    api: Url | None = Field(None, description="of the registration gateway, where it is not the PRR's own")
    s3_endpoint: Url | None = Field(None, description="of the stage-in storage, where it is not the PRR's own")
    bucket: Text | None = Field(None, description="of the stage-in storage, where it is not the user's own")
    stac: Url | None = Field(None, description="of the STAC API, where it is not the PRR's own")
    batch: int = Field(100, gt=0, description="Items in one request to the gateway")
    pause: float = Field(1, ge=0, description="seconds between two requests to the gateway")
    patience: float = Field(120, ge=0, description="seconds that files may take to appear after the last one that did")
    part_size: Memory | None = Field(
        None, description="bytes of a part, such as `64MiB`, where larger files go to the stage-in storage in parts"
    )


class StoreSpec(Part):
    """Place of publication: a path, `s3://bucket/prefix`, or the PRR.

    Keys come from the environment or the AWS files, never from a profile.
    """

    href: Href | None = Field(None, description="a path or `s3://bucket/prefix`; this or `prr`")
    endpoint_url: Url | None = Field(None, description="of S3 storage that is not Amazon's")
    region: Text | None = Field(None, description="of S3 storage")
    profile: Text | None = Field(None, description="name of a profile in the AWS files")
    ca_bundle: Text | None = Field(None, description="file of certificates, for storage with its own authority")
    access: Literal["public", "private"] = Field(
        "private", description="whether readers need credentials; of private data in S3 storage STAC says how to get in"
    )
    rate: Rate | None = Field(None, description="the most that S3 storage is sent, such as `50 MB/s` or `100 Mbit/s`")
    public_href: Url | None = Field(
        None, description="where readers find it; makes the hrefs in STAC absolute. A `catalog` needs it"
    )
    wait: Duration = Field(
        "10min",
        description="how long storage, or the PRR's gateway, may fail or say nothing before the run ends, such as "
        "`90 s`, `10min`, `2h`",
    )
    prr: PrrSpec | None = Field(None, description="publishes through the gateway of the PRR; this or `href`")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if (self.href is None) == (self.prr is None):
            raise ValueError("name one place: href, or prr")
        return self


class NewEntry(Part):
    """A variable or mission that the catalogue lacks."""

    title: Text = Field(description="for people")
    description: Text = Field(description="one or two sentences")
    href: Url = Field(description="of a page that explains it")
    themes: list[CatalogId] = Field([], description="of a variable: ids of the Open Science Catalog")


class NewEntries(Part):
    """Only what the catalogue lacks: an unknown id that is not here is refused, with the nearest ones."""

    variables: dict[Slug, NewEntry] = Field({}, description="by id")
    missions: dict[Slug, NewEntry] = Field({}, description="by id")


class CatalogSpec(Part):
    """The Open Science Catalog's metadata, and how the change set is delivered."""

    metadata: Href = Field(description="a checkout, an archive or the git URL of the catalogue's metadata")
    deliver: Literal["folder", "branch", "pull-request"] = Field(
        "folder", description="files to lay over a checkout, a branch of it, or a pull request"
    )
    repository: Repository | None = Field(None, description="where a pull request goes")
    new: NewEntries = Field(NewEntries(), description="what the catalogue lacks")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.deliver == "pull-request" and self.repository is None:
            raise ValueError("deliver: pull-request needs repository, owner/name")
        return self


class Compute(Part):
    """Use of Dask; without it the work runs on the cores of this machine."""

    memory_limit: Memory | None = Field(
        None, description="of a worker, such as `4GiB`: bounds how much of a cube it has in hand at once"
    )
    max_decoded: Memory | None = Field(
        None,
        description="the most that the values of one input may come to, such as `200GB`. Where left out, what is both "
        "above 10 GB and above 1,100 times its stored bytes is refused: no compression makes so much of real data",
    )
    address: Text | None = Field(None, description="of a Dask scheduler that runs already, such as `tcp://host:8786`")
    cluster_class: ClassPath | None = Field(
        None, description="a Dask cluster to start, such as `dask_jobqueue.SLURMCluster`; this or `address`"
    )
    cluster_kwargs: Settings = Field({}, description="arguments of the cluster class")
    adapt_kwargs: Settings | None = Field(
        None, description="arguments of its `adapt`, such as `{minimum: 1, maximum: 8}`"
    )
    wait: Duration = Field(
        "10min",
        description="how long no worker may work on anything before the run ends, such as `90 s`, `10min`, or `1d` "
        "where workers stand in the queue of a batch system",
    )

    @model_validator(mode="after")
    def _one_cluster(self) -> Self:
        if self.address and self.cluster_class:
            raise ValueError("name one cluster: address, or cluster_class")
        return self


class Profile(Part):
    """A product to package."""

    product: Product = Field(description="the product as the catalogue and its readers see it")
    project: Project = Field(description="the project that made it")
    source: SourceSpec = Field(description="the raw files")
    target: Target = Field(description="the format to make")
    store: StoreSpec | None = Field(None, description="where the product is published; nothing is where left out")
    catalog: CatalogSpec | None = Field(None, description="the hand-off to the Open Science Catalog")
    experiment: Experiment | None = Field(None, description="what made the product")
    compute: Compute = Field(Compute(), description="where the work is done; on this machine where left out")
    accept: dict[str, Text] = Field(
        {}, description="findings that a person takes responsibility for: the rule and the reason"
    )

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        _prr_takes_zarr_2(self)
        _catalog_has_what_it_needs(self)
        _names_are_those_of_the_product(self)
        _lerc_has_a_tolerance(self)
        return self

    def to_yaml(self) -> str:
        """The profile as YAML that ``load_profile`` reads back."""
        data = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _prr_takes_zarr_2(profile: Profile) -> None:
    zarr = profile.target.zarr
    prr = profile.store is not None and profile.store.prr is not None
    if prr and profile.target.format == "zarr" and (zarr.version == ZARR_3 or not zarr.zipped):
        raise ValueError("target.zarr: the PRR takes zipped Zarr v2 only: write {version: 2, zipped: true}")


def _catalog_has_what_it_needs(profile: Profile) -> None:
    if profile.catalog is None:
        return
    if profile.store is None or (profile.store.public_href is None and profile.store.prr is None):
        raise ValueError("catalog: needs store.public_href, where readers find the product")
    missing = [key for key in ("themes", "documentation") if not getattr(profile.product, key)]
    if missing:
        raise ValueError(f"catalog: needs product.{missing[0]}")


def _names_are_those_of_the_product(profile: Profile) -> None:
    """A variable need not be described; but one that is renamed has its new name everywhere."""
    product, target = profile.product, profile.target
    renamed = {spec.from_: name for name, spec in product.variables.items() if spec.from_ != name}
    named = [("product.preview.variable", product.preview.variable)] if product.preview else []
    for key, name in [*named, *(("target.tolerance", name) for name in target.tolerance)]:
        if name in renamed and name not in product.variables:
            raise ValueError(f"{key}: {name} is renamed by product.variables; write {renamed[name]}")


def _lerc_has_a_tolerance(profile: Profile) -> None:
    target = profile.target
    if target.format == "cog" and target.cog.compression == "lerc" and not target.tolerance:
        raise ValueError(
            "target.cog.compression: lerc is lossy; allow it with target.tolerance: {<variable>: {absolute: …}}"
        )
