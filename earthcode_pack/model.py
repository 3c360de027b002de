"""Frozen values that pass between the verbs; each is written to JSON and read back."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

JsonValue = Any  # whatever json.dumps takes; pydantic's own JsonValue refuses tuples

Format = Literal["cog", "zarr", "netcdf"]
Driver = Literal["GTiff", "netCDF", "GRIB", "Zarr"]
GridKind = Literal["grid", "curvilinear", "track", "points"]


def rfc3339(moment: datetime) -> str:
    """Formats a time in UTC with ``Z``, and a fraction of a second only where there is one (RFC 3339, section 5.6).

    >>> rfc3339(datetime(2020, 1, 2, tzinfo=UTC))
    '2020-01-02T00:00:00Z'
    >>> rfc3339(datetime(2016, 12, 19, 10, 27, 29, 687763, tzinfo=UTC))
    '2016-12-19T10:27:29.687763Z'
    """
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_utc), PlainSerializer(rfc3339, when_used="json")]


class Value(BaseModel):
    """Frozen value; ``model_copy(update=…)`` makes a changed one."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    def to_json(self) -> str:
        """Formats the value as all files of this package: JSON indented by two spaces, with a final newline."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Reads a value that ``to_json`` wrote."""
        return cls.model_validate_json(text)


class Period(Value):
    """A closed interval in UTC; an instant where both ends agree."""

    start: Moment
    end: Moment

    @property
    def is_instant(self) -> bool:
        """True where both ends are the same moment."""
        return self.start == self.end


class Grid(Value):
    """Position of the cells of a grid, in the CRS of the data.

    ``bounds`` are the outer cell *edges* (xmin, ymin, xmax, ymax) in the units and the axis order x, y of the CRS.
    ``transform`` is GDAL's affine (a, b, c, d, e, f) where the cells are regular, None where they are not.
    ``digest`` identifies the coordinate values: two grids with one digest are the same grid.

    A ``kind`` other than ``grid`` places its data by longitudes and latitudes instead: ``curvilinear`` cells (and
    swaths) by two-dimensional ones, ``track`` and ``points`` by those of single places along one dimension, the last
    of ``dims`` (both are empty for a single place, the first for several). Then ``lonlat`` holds the true box (west,
    south, east, north; RFC 7946), ``bounds`` the same with east ≥ west, and ``outline`` the footprint in longitude and
    latitude as WKT, cut at ±180, where it has been drawn: of what was written.
    """

    crs: str
    shape: tuple[int, int]
    dims: tuple[str, str]
    bounds: tuple[float, float, float, float]
    transform: tuple[float, float, float, float, float, float] | None
    digest: str
    lonlat: tuple[float, float, float, float] | None = None
    kind: GridKind = "grid"
    outline: str | None = None


class Variable(Value):
    """One data variable of a source: ``name`` in the product, ``source_name`` in the file.

    ``chunks`` is what one decoding gives (a chunk, a tile, a message), in the order of ``dims``; empty where any part
    can be read by itself, as of values that are not compressed, or where nothing is known.

    ``nodata`` is the stored value that means missing, ``missing`` are further ones (CF 2.5.1). ``valid_range`` holds
    the least and the greatest number that is valid, packed, without a sign where ``_Unsigned`` says so.
    """

    name: str
    source_name: str
    bands: tuple[int, ...] = ()  # of a GeoTIFF, counted from one; more than one is an RGB picture
    masks: tuple[int, ...] = ()  # of a GeoTIFF: bands of transparency that say which cells are valid; 0 for its mask
    dtype: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...] = ()
    nodata: float | int | None = None
    missing: tuple[float | int, ...] = ()
    valid_range: tuple[float | int | None, float | int | None] = (None, None)
    scale: float | None = None
    offset: float | None = None
    units: str | None = None
    attrs: dict[str, JsonValue] = {}
    categorical: bool = False  # flags or a colour table: values are names, not amounts


class Level(StrEnum):
    """Level of a finding; only an error blocks publishing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Finding(Value):
    """A rule that something breaks, with the measured and the allowed value."""

    rule: str
    level: Level
    subject: str
    message: str
    measured: JsonValue = None
    allowed: JsonValue = None
    remedy: str = ""


class Clock(Value):
    """A time coordinate of a file: its numbers, units and calendar (CF 4.4)."""

    name: str
    units: str
    calendar: str
    values: tuple[int | float, ...]


class Source(Value):
    """One input file or store, with the facts of its header.

    ``times`` has one period for each step of ``time_dim``; exactly one where there is no such dimension. ``labels`` are
    the dates of the steps in a model's own calendar, where the Gregorian one lacks some of them and periods coincide.
    ``scene`` tells apart files of one time: the stem of the name, or what the wildcards of a variable's pattern stand
    for. ``shapes`` are the sizes by dimension of all variables that are no data, ``clocks`` those along ``time_dim``
    or of one value that count time.
    """

    href: str
    driver: Driver
    size: int
    sha256: str
    scene: str
    grid: Grid
    variables: tuple[Variable, ...]
    times: tuple[Period, ...]
    labels: tuple[str, ...] = ()
    time_dim: str | None = None
    shapes: dict[str, dict[str, int]] = Field(default_factory=dict)
    clocks: tuple[Clock, ...] = ()
    stated_period: bool = False  # the period is the profile's, for want of any in the data
    notes: tuple[Finding, ...] = ()  # what the file leaves open, such as times that name an interval and have no bounds


class Failure(Value):
    """A source or a job that failed: error and remedy."""

    source: str
    error: str
    remedy: str = ""


class Sources(Value):
    """Result of ``discover``: the usable sources, and the failures."""

    sources: tuple[Source, ...]
    failures: tuple[Failure, ...] = ()


class Input(Value):
    """Part of a source that a job reads: variables, and steps of the time axis in the order of writing.

    ``steps`` is empty where the source has no time axis; then ``periods`` holds its one period.
    """

    href: str
    driver: Driver
    sha256: str
    grid: Grid
    variables: tuple[Variable, ...]
    time_dim: str | None = None
    steps: tuple[int, ...] = ()
    periods: tuple[Period, ...] = ()


class CogEncoding(Value):
    """Encoding of a COG; ``max_error`` bounds LERC, 0 where the compression is lossless."""

    blocksize: int
    compression: Literal["deflate", "zstd", "lzw", "lerc"]
    level: int | None
    resampling: Literal["average", "nearest", "mode", "bilinear"]
    max_error: float


class ZarrEncoding(Value):
    """Encoding of a Zarr store; sizes by variable and dimension.

    ``time`` is the time dimension, ``regions`` are read and written at once, and at most ``region_bytes`` of stored
    values are in memory.
    """

    chunks: dict[str, dict[str, int]]
    shards: dict[str, dict[str, int]] | None
    version: Literal[2, 3]
    zipped: bool
    multiscales: bool
    time: str | None
    regions: dict[str, dict[str, int]]
    region_bytes: int

    def write_unit(self, variable: str) -> dict[str, int]:
        """Sizes by dimension of one object of the store: a shard, else a chunk."""
        return (self.shards or self.chunks)[variable]


class NetcdfEncoding(Value):
    """Encoding of a NetCDF-4 file; ``level`` is that of deflate, the rest as of ``ZarrEncoding``."""

    chunks: dict[str, dict[str, int]]
    level: int
    time: str | None
    regions: dict[str, dict[str, int]]
    region_bytes: int

    def write_unit(self, variable: str) -> dict[str, int]:
        """Sizes by dimension of what is written at once: a chunk."""
        return self.chunks[variable]


class Job(Value):
    """One output file or store, and all that a worker needs to make it."""

    format: Format
    item: str
    asset: str
    key: str  # relative to product/
    inputs: tuple[Input, ...]
    period: Period
    grid: Grid  # of the output: north-up and within ±180 for COG
    options: CogEncoding | ZarrEncoding | NetcdfEncoding
    attributes: dict[str, JsonValue] = {}  # global attributes to add (CF, ACDD), from the profile
    described: dict[str, dict[str, JsonValue]] = {}  # attributes and classes the profile adds, by variable
    fingerprint: str = ""

    @property
    def cog(self) -> CogEncoding:
        """The encoding of a job that makes a COG."""
        assert isinstance(self.options, CogEncoding)
        return self.options

    @property
    def zarr(self) -> ZarrEncoding:
        """The encoding of a job that makes a Zarr store."""
        assert isinstance(self.options, ZarrEncoding)
        return self.options

    @property
    def netcdf(self) -> NetcdfEncoding:
        """The encoding of a job that makes a NetCDF file."""
        assert isinstance(self.options, NetcdfEncoding)
        return self.options

    @property
    def cube(self) -> ZarrEncoding | NetcdfEncoding:
        """The encoding of a job that makes a cube, whichever its format."""
        assert not isinstance(self.options, CogEncoding)
        return self.options


class Plan(Value):
    """Plan of a product: the jobs, and the sources that cannot be used."""

    product: str
    version: str
    jobs: tuple[Job, ...]
    failures: tuple[Failure, ...] = ()


class PartSums(Value):
    """The sha256 (hex) of each part of ``size`` bytes of a file, the last one as long as the file lasts."""

    size: int
    sha256: tuple[str, ...]


class File(Value):
    """One file of the product, as written; ``parts`` of a large one, which is uploaded in parts."""

    key: str
    size: int
    sha256: str
    parts: PartSums | None = None


class Histogram(Value):
    """Counts of valid values in bins of one width, from the lower edge of the first to the upper edge of the last.

    Edges are unpacked (scale and offset applied); at most 256 bins, each from its lower edge up to the next.
    """

    minimum: float
    maximum: float
    counts: tuple[int, ...]


class Statistics(Value):
    """Statistics of the valid values, unpacked (scale and offset applied).

    ``count`` is how many are valid; ``values`` holds those of categorical data as stored, each with its count, and is
    empty for quantities and where more than 256 differ.
    """

    minimum: float
    maximum: float
    mean: float
    stddev: float
    valid_percent: float
    count: int | None = None
    histogram: Histogram | None = None
    values: tuple[tuple[int, int], ...] = ()


class WrittenVariable(Value):
    """A variable as read back from the output; ``dims`` in the order of ``shape``."""

    name: str
    dtype: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...] = ()
    nodata: float | int | str | None = None
    scale: float | None = None
    offset: float | None = None
    units: str | None = None
    standard_name: str | None = None
    long_name: str | None = None
    classes: tuple[dict[str, JsonValue], ...] = ()
    bitfields: tuple[dict[str, JsonValue], ...] = ()  # as classification:bitfields has them
    colorinterp: tuple[str, ...] = ()
    statistics: Statistics | None = None


class Dimension(Value):
    """A dimension of a cube: ends, step where regular, values where few and irregular."""

    name: str
    size: int
    axis: Literal["x", "y", "z", "t"] | None
    units: str | None = None
    extent: tuple[float | str | None, float | str | None] = (None, None)
    step: float | str | None = None
    values: tuple[float | str, ...] | None = None
    description: str | None = None


class Proof(Value):
    """Agreement of an output with its sources as readers of other projects decode both; two of them add up.

    ``cells`` in ``blocks`` of ``variables`` have equal values and masks, ``times`` steps of time axes are the same
    instants, and ``masks`` cells of NetCDF sources count as valid or missing as netCDF4-python has it. ``readers`` are
    names and versions; ``limits`` say what a reader could not tell, or does not know.
    """

    variables: tuple[str, ...] = ()
    blocks: int = 0
    cells: int = 0
    times: int = 0
    masks: int = 0
    readers: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    def __add__(self, other: Proof) -> Proof:
        def both(one: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(dict.fromkeys((*one, *more)))

        return Proof(
            variables=both(self.variables, other.variables),
            blocks=self.blocks + other.blocks,
            cells=self.cells + other.cells,
            times=self.times + other.times,
            masks=self.masks + other.masks,
            readers=both(self.readers, other.readers),
            limits=both(self.limits, other.limits),
        )


class Artifact(Value):
    """Output of a job, measured on what was written."""

    fingerprint: str
    item: str
    asset: str
    key: str
    format: Format
    files: tuple[File, ...]
    grid: Grid
    period: Period
    variables: tuple[WrittenVariable, ...]
    dimensions: tuple[Dimension, ...] = ()
    sources: tuple[tuple[str, str], ...]  # href, sha256
    compared: int  # cells that were read back and compared
    max_error: float  # 0 where lossless
    proof: Proof = Proof()  # of what other readers make of it
    changes: tuple[str, ...] = ()  # what was added, changed or dropped, in words
    engine: str = ""
    facts: dict[str, JsonValue] = {}  # what only describe needs, such as zarr_format
    processed: Moment

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


class ManifestEntry(Value):
    """One line of ``manifest.json``: ``sha256`` is a multihash in hex, ``1220`` and the digest."""

    key: str
    size: int
    sha256: str
    media_type: str
    sources: tuple[dict[str, str], ...] = ()


class Receipt(Value):
    """One object as published and verified."""

    key: str
    size: int
    sha256: str
    etag: str | None = None
    verified_at: Moment


class Summary(Value):
    """The object of ``run --json`` (contract 4.1)."""

    bundle: str
    digest: str | None
    items: int
    assets: int
    skipped: int
    failed: tuple[Failure, ...]
    findings: dict[str, int]
    published: str | None
    difference: dict[str, int] | None = None  # of a dry run: objects that are new, same, changed, stray; bytes to put
