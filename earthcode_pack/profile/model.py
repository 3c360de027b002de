"""The profile as a model: what a person states because it cannot be measured (contract 4.2)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from earthcode_pack.model import Format, Period
from earthcode_pack.period import parse_period
from earthcode_pack.profile.rules import (
    Crs,
    Dated,
    Doi,
    Email,
    HexColor,
    Href,
    License,
    Pattern,
    Size,
    Slug,
    Text,
    Units,
    Url,
    listed,
    stated,
)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, str_strip_whitespace=True)


class Contact(_Part):
    """A person or organisation, with roles such as producer or principal_investigator."""

    name: Text
    organization: Text | None = None
    email: Email | None = None
    roles: list[Text] = []


class ClassSpec(_Part):
    """One class of a categorical variable."""

    value: int
    name: Text
    title: Text | None = None
    description: Text | None = None
    color: HexColor | None = None


class VariableSpec(_Part):
    """What a person knows of a variable; it describes and renames, and selects nothing."""

    from_: str | int | None = Field(
        None, alias="from", description="name in the file, band number, or file-name pattern"
    )
    osc: Slug | None = Field(None, description="id of the variable in the Open Science Catalog")
    standard_name: Text | None = Field(None, description="of the CF standard name table")
    units: Units | None = Field(None, description="as UDUNITS writes them; 1 where there is no dimension")
    long_name: Text | None = None
    classes: list[ClassSpec] | None = None


class Preview(_Part):
    """How thumbnails are drawn."""

    variable: Text
    colormap: Text = "viridis"
    range: tuple[float, float] | None = None


class Product(_Part):
    """The product as the catalogue and its readers see it."""

    id: Slug
    title: Text
    description: Text
    license: License
    version: Slug
    status: Literal["planned", "ongoing", "completed"]
    region: Text | None = None
    keywords: list[Text] = []
    themes: list[Slug] = Field([], description="ids of the Open Science Catalog")
    missions: list[Slug] = Field([], description="ids of the Open Science Catalog")
    documentation: Url | None = None
    doi: Doi | None = None
    institution: Text | None = None
    source: Text | None = Field(None, description="ACDD: what the product was made from")
    references: Text | None = None
    license_href: Url | None = None
    contacts: list[Contact] = []
    footprint: Literal["bbox", "data"] = "bbox"
    preview: Preview | None = None
    variables: dict[Slug, VariableSpec] = {}

    @model_validator(mode="after")
    def _licence_text(self) -> Self:
        if self.license in ("proprietary", "various") and self.license_href is None:
            raise ValueError(f"license {self.license} needs license_href, where its text is")
        return self


class Officer(_Part):
    """ESA's technical officer of a project."""

    name: Text
    email: Email


class Project(_Part):
    """The project; a new one to the catalogue needs everything."""

    id: Slug
    title: Text | None = None
    description: Text | None = None
    website: Url | None = None
    contract_number: Text | None = None
    initiative: Literal["earthcode", "apex"] | None = None
    technical_officer: Officer | None = None
    start: Dated | None = None
    end: Dated | None = None


class TimeSpec(_Part):
    """Where the time comes from: the coordinate, the file names, or a stated period of validity."""

    from_: Literal["coordinate", "filename"] | None = Field(None, alias="from")
    pattern: Pattern | None = None
    start: Dated | None = None
    end: Dated | None = None

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
            raise ValueError(f"end {self.end} is before start {self.start}")
        return self

    @property
    def period(self) -> Period:
        """The stated period; only where start and end are given."""
        assert self.start is not None and self.end is not None
        return Period(start=parse_period(self.start).start, end=parse_period(self.end).end)


class CrsSpec(_Part):
    """A CRS for files that have none; ``override`` corrects a wrong one."""

    value: Crs
    override: bool = False


class NodataSpec(_Part):
    """A nodata value for files that state none; ``override`` corrects a wrong one."""

    value: float | int
    override: bool = False


class SourceSpec(_Part):
    """The raw files."""

    href: Annotated[list[Href], BeforeValidator(listed), Field(min_length=1)]
    variables: Annotated[list[Text], Field(min_length=1)] | None = None
    time: TimeSpec
    crs: Annotated[CrsSpec, BeforeValidator(stated)] | None = None
    nodata: Annotated[NodataSpec, BeforeValidator(stated)] | None = None


class CogOptions(_Part):
    """Cloud-optimised GeoTIFF. Without ``resampling``: mode for categories, average for quantities."""

    blocksize: Literal[256, 512] = 512
    compression: Literal["deflate", "zstd", "lzw", "lerc"] = "deflate"
    level: int | None = Field(None, ge=1, le=22)
    resampling: Literal["average", "nearest", "mode", "bilinear"] | None = None


Chunks = dict[str, Size] | Literal["time-series", "maps", "balanced"]


class ZarrOptions(_Part):
    """Zarr. Without ``chunks``: balanced."""

    version: Literal[2, 3] = 3
    chunks: Chunks = "balanced"
    shards: dict[str, Size] | None = None
    zipped: bool = False
    multiscales: bool = False


class NetcdfOptions(_Part):
    """NetCDF-4. Without ``chunks``: balanced."""

    chunks: Chunks = "balanced"
    compression: Literal["deflate"] = "deflate"
    level: int = Field(4, ge=1, le=9)
    split: Literal["source", "none", "year", "month"] = "source"


class Tolerance(_Part):
    """The largest error that a lossy encoding may make, in the units of the stored values."""

    absolute: float = Field(gt=0)


class Target(_Part):
    """The format to make."""

    format: Format
    cog: CogOptions = CogOptions()
    zarr: ZarrOptions = ZarrOptions()
    netcdf: NetcdfOptions = NetcdfOptions()
    tolerance: dict[str, Tolerance] = {}


class PrrSpec(_Part):
    """The PRR's registration gateway."""

    collection: Slug
    api: Url | None = None
    s3_endpoint: Url | None = None
    bucket: Text | None = None
    stac: Url | None = None


class StoreSpec(_Part):
    """Where the product is published: a path, s3://bucket/prefix, or the PRR."""

    href: Href | None = None
    endpoint_url: Url | None = None
    region: Text | None = None
    profile: Text | None = Field(None, description="name of a profile in the AWS files")
    ca_bundle: Text | None = None
    access: Literal["public", "private"] = "private"
    public_href: Url | None = Field(None, description="where readers find it; makes the hrefs in STAC absolute")
    prr: PrrSpec | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if (self.href is None) == (self.prr is None):
            raise ValueError("name one place: href, or prr")
        return self


class NewEntry(_Part):
    """A variable or mission that the catalogue lacks."""

    title: Text
    description: Text
    href: Url
    themes: list[Slug] = []


class NewEntries(_Part):
    """What the catalogue lacks."""

    variables: dict[Slug, NewEntry] = {}
    missions: dict[Slug, NewEntry] = {}


class CatalogSpec(_Part):
    """The Open Science Catalog's metadata, and how the change set is delivered."""

    metadata: Href
    deliver: Literal["folder", "branch", "pull-request"] = "folder"
    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    new: NewEntries = NewEntries()


class Workflow(_Part):
    """The workflow of an experiment."""

    id: Slug
    title: Text
    kind: Text
    href: Url


class LinkSpec(_Part):
    """A titled link."""

    href: Href
    title: Text


class Experiment(_Part):
    """What made the product."""

    id: Slug
    title: Text
    workflow: Workflow
    inputs: list[LinkSpec] = []
    parameters: dict[str, Any] = {}


class Compute(_Part):
    """Where Dask runs; without it, threads on this machine's cores."""

    memory_limit: str | int | None = None
    address: Text | None = None
    cluster_class: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*\.[A-Za-z_]\w*$")] | None = None
    cluster_kwargs: dict[str, Any] = {}
    adapt_kwargs: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_cluster(self) -> Self:
        if self.address and self.cluster_class:
            raise ValueError("name one cluster: address, or cluster_class")
        return self


class Profile(_Part):
    """A product to package."""

    product: Product
    project: Project
    source: SourceSpec
    target: Target
    store: StoreSpec | None = None
    catalog: CatalogSpec | None = None
    experiment: Experiment | None = None
    compute: Compute = Compute()
    accept: dict[str, Text] = Field({}, description="findings a person takes responsibility for: rule → reason")

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        _prr_takes_zarr_2(self)
        _catalog_has_what_it_needs(self)
        _preview_is_a_variable(self)
        _lerc_has_a_tolerance(self)
        return self

    def to_yaml(self) -> str:
        """The profile as YAML that ``load_profile`` reads back."""
        data = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _prr_takes_zarr_2(profile: Profile) -> None:
    zarr = profile.target.zarr
    prr = profile.store is not None and profile.store.prr is not None
    if prr and profile.target.format == "zarr" and not (zarr.version == 2 and zarr.zipped):
        raise ValueError("the PRR takes zipped Zarr v2 only: set target.zarr: {version: 2, zipped: true}")


def _catalog_has_what_it_needs(profile: Profile) -> None:
    if profile.catalog is None:
        return
    if profile.store is None or (profile.store.public_href is None and profile.store.prr is None):
        raise ValueError("a catalog needs store.public_href, where readers find the product")
    missing = [key for key in ("themes", "documentation") if not getattr(profile.product, key)]
    if missing:
        raise ValueError(f"a catalog needs product.{missing[0]}")


def _preview_is_a_variable(profile: Profile) -> None:
    preview, names = profile.product.preview, profile.product.variables
    if preview and names and preview.variable not in names:
        raise ValueError(f"product.preview.variable: {preview.variable!r} is none of product.variables")


def _lerc_has_a_tolerance(profile: Profile) -> None:
    target = profile.target
    if target.format == "cog" and target.cog.compression == "lerc" and not target.tolerance:
        raise ValueError("lerc is lossy: say how far it may go, target.tolerance: {<variable>: {absolute: …}}")
