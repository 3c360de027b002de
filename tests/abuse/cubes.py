"""Hostile NetCDF, HDF5 and GRIB."""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from abuse.harness import MARKUP, Case, Site
from abuse.making import (
    beside_good,
    bytes_of,
    damaged,
    flipped,
    overwritten,
    truncated,
    write_grib,
    write_nc,
    zeros_deflated,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Write = Callable[[Site, Path], Any]

_NETCDF: dict[str, dict[str, Any]] = {
    "classic": {"fmt": "NETCDF3_CLASSIC"},
    "64bit": {"fmt": "NETCDF3_64BIT_DATA"},
    "hdf5": {},
    "chunked": {"chunksizes": (1, 4, 5), "zlib": True, "shuffle": True},
}


def cases() -> Iterator[Case]:
    for kind, options in _NETCDF.items():
        yield from _damaged(f"nc/{{}}-{kind}", "nc", partial(write_nc, **options))
    for edition in (1, 2):
        yield from _damaged(f"grib/{{}}-{edition}", "grib", partial(write_grib, edition=edition))
    yield from beside_good("nc/leaving", LEAVING, "nc", refused=True)
    yield from beside_good("nc/leaving-to-zarr", LEAVING, "nc", "zarr", refused=True)
    yield from beside_good("nc/refused", REFUSED, "nc", refused=True)
    yield from beside_good("nc/odd", _ODD, "nc")
    yield from beside_good("grib/none", {name: _bytes(data) for name, data in _gribs().items()}, "grib", refused=True)


def _damaged(name: str, ending: str, write: Callable[[Path], Path]) -> Iterator[Case]:
    yield damaged(name.format("truncated"), ending, write, truncated())
    yield damaged(name.format("flipped"), ending, write, flipped())
    yield damaged(name.format("overwritten"), ending, write, overwritten())


def _bytes(data: bytes) -> Write:
    return lambda _site, path: path.write_bytes(data)


def _more(change: Callable[[Any], Any], **given: Any) -> Write:
    """A file whose oddity ``change`` adds while it is open in netCDF4."""
    return lambda _site, path: write_nc(path, more=change, **given)


def _hdf5(change: Callable[[Any, Site], Any]) -> Write:
    """A file whose oddity ``change`` adds with h5py."""

    def write(site: Site, path: Path) -> None:
        write_nc(path)
        with h5py.File(path, "r+") as file:
            change(file, site)

    return write


# --- storage and links that leave the file --------------------------------------------------------------------------


def _external(file: Any, site: Site, name: str = "t", shape: tuple[int, ...] = (1, 8, 10)) -> None:
    """The values of a variable lie in another file, as bytes."""
    old = file[name]
    attrs = {key: value for key, value in old.attrs.items() if key not in _OF_DIMENSIONS}
    size = int(np.prod(shape)) * 4
    del file[name]
    made = file.create_dataset(name, shape, "f4", external=[(str(site.outside / "secret.txt"), 0, size)])
    made.attrs.update(attrs)
    _with_dimensions(file, made)


_OF_DIMENSIONS = ("DIMENSION_LIST", "_Netcdf4Coordinates", "_Netcdf4Dimid", "REFERENCE_LIST", "CLASS", "NAME")


def _with_dimensions(file: Any, made: Any) -> None:
    for number, dim in enumerate(("time", "lat", "lon")[3 - made.ndim :]):
        made.dims[number].attach_scale(file[dim])


def _virtual(file: Any, site: Site) -> None:
    _secret_file(site)
    layout = h5py.VirtualLayout((1, 8, 10), "f4")
    layout[:] = h5py.VirtualSource(str(site.outside / "secret.h5"), "t", (1, 8, 10))
    del file["t"]
    _with_dimensions(file, file.create_virtual_dataset("t", layout))


def _secret_file(site: Site) -> None:
    if (site.outside / "secret.h5").exists():
        return
    with h5py.File(site.outside / "secret.h5", "w") as secret:
        secret["t"] = np.ones((1, 8, 10), "f4")
        secret["lat"] = np.arange(8) + 0.5


def _link(file: Any, site: Site, name: str) -> None:
    _secret_file(site)
    del file[name]
    file[name] = h5py.ExternalLink(str(site.outside / "secret.h5"), f"/{name}")


def _link_upwards(file: Any, site: Site) -> None:
    _secret_file(site)
    del file["t"]
    file["t"] = h5py.ExternalLink("../../outside/secret.h5", "/t")


def _link_of_a_group(file: Any, site: Site) -> None:
    _secret_file(site)
    file["more"] = h5py.ExternalLink(str(site.outside / "secret.h5"), "/")


def _external_latitude(file: Any, site: Site) -> None:
    del file["lat"]
    made = file.create_dataset("lat", (8,), "f8", external=[(str(site.outside / "secret.txt"), 0, 64)])
    made.attrs.update({"standard_name": "latitude", "units": "degrees_north"})
    made.make_scale("lat")


def _external_in_a_group(file: Any, site: Site) -> None:
    group = file.create_group("deep/down")
    group.create_dataset("x", (64,), "u1", external=[(str(site.outside / "secret.txt"), 0, 64)])


LEAVING: dict[str, Write] = {
    "external-storage": _hdf5(_external),
    "external-storage-of-latitude": _hdf5(_external_latitude),
    "external-storage-in-a-group": _hdf5(_external_in_a_group),
    "virtual-dataset": _hdf5(_virtual),
    "external-link": _hdf5(partial(_link, name="t")),
    "external-link-of-latitude": _hdf5(partial(_link, name="lat")),
    "external-link-upwards": _hdf5(_link_upwards),
    "external-link-of-a-group": _hdf5(_link_of_a_group),
}


def _password_file(file: Any, _site: Site) -> None:
    del file["t"]
    made = file.create_dataset("t", (1, 8, 10), "u1", external=[("/etc/passwd", 0, 80)])
    _with_dimensions(file, made)


# --- size, depth and cycles -----------------------------------------------------------------------------------------


def _unwritten(shape: tuple[int, int, int], chunks: tuple[int, int, int] | None) -> Write:
    """A variable of that shape of which nothing is stored, with coordinates of their own."""

    def change(file: Any, _site: Site) -> None:
        for name, size in zip(("lat", "lon"), shape[1:], strict=True):
            attrs = {"standard_name": file[name].attrs["standard_name"], "units": file[name].attrs["units"]}
            del file[name]
            made = file.create_dataset(name, (size,), "f8", chunks=(min(size, 10**6),))
            made.attrs.update(attrs)
            made.make_scale(name)
        del file["t"]
        space = h5py.h5s.create_simple(shape)
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if chunks:
            settings.set_chunk(chunks)
            settings.set_deflate(4)
        else:
            settings.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
        h5py.h5d.create(file.id, b"t", h5py.h5t.IEEE_F32LE, space, settings)
        _with_dimensions(file, file["t"])

    return _hdf5(change)


def _deep_groups(file: Any, _site: Site) -> None:
    group = file
    for _ in range(2_000):
        group = group.create_group("g")


def _cycle(file: Any, _site: Site) -> None:
    file.create_group("a/b")["c"] = file["/"]
    file["a/self"] = h5py.SoftLink("/a/self")


def _deflate_bomb(file: Any, _site: Site) -> None:
    """A chunk of 1.6 GB, stored in 1.6 MB, that no variable of the product needs."""
    made = file.create_dataset("z", (400_000_000,), "f4", chunks=(400_000_000,), compression="gzip")
    made.id.write_direct_chunk((0,), zeros_deflated(1_600_000_000))


def _header(dims: int, variables: int) -> bytes:
    """A NetCDF-3 header that announces so many dimensions and variables."""
    return (
        b"CDF\x01"
        + struct.pack(">IIIII", 0, 10, dims, 1, 0x61000000)
        + struct.pack(">IIIIII", 4, 0, 0, 11, variables, 1)
    )


REFUSED: dict[str, Write] = {
    "external-password-file": _hdf5(_password_file),
    "empty": _bytes(b""),
    "zeros": _bytes(bytes(10_000)),
    "text": _bytes(b"netcdf a {\n}\n"),
    "page-of-html": _bytes(b"<html><body>404</body></html>"),
    "address": lambda site, path: path.write_text(f"{site.url}/a.nc#mode=bytes\n"),
    "signature-of-hdf5-alone": _bytes(b"\x89HDF\r\n\x1a\n"),
    "signature-of-hdf5-late": _bytes(bytes(2**20) + b"\x89HDF\r\n\x1a\n" + b"\xff" * 99),
    "signature-of-netcdf3-alone": _bytes(b"CDF\x01"),
    "header-of-2-31-dimensions": _bytes(_header(2**31 - 1, 1)),
    "header-of-2-31-variables": _bytes(_header(1, 2**31 - 1)),
    "record-count-of-2-32": _bytes(b"CDF\x02\xff\xff\xff\xff" + bytes(100)),
    "unwritten-terabytes": _unwritten((1, 10**6, 10**6), (1, 1000, 1000)),
    "unwritten-contiguous": _unwritten((1, 10**6, 10**6), None),
    "unwritten-coordinates": _unwritten((1, 10**12, 1), (1, 10**6, 1)),
}

# --- attributes and values ------------------------------------------------------------------------------------------


def _set(variable: str, **attrs: Any) -> Write:
    return _more(lambda file: (file[variable] if variable else file).setncatts(attrs))


def _values(variable: str, values: Any) -> Write:
    def change(file: Any) -> None:
        file[variable][:] = values

    return _more(change)


def _latin1(file: Any, _site: Site) -> None:
    for name, place in (("title", file), ("comment", file["t"])):
        place.attrs.create(name, np.bytes_(b"caf\xe9"), dtype=h5py.string_dtype("utf-8", 4))


def _scalars(count: int) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        for number in range(count):
            file.createVariable(f"s{number}", "f4").units = "1"

    return change


def _maps(count: int) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        for number in range(count):
            file.createVariable(f"m{number}", "f4", ("time", "lat", "lon")).units = "1"

    return change


def _variable(name: str) -> Callable[[Any], None]:
    return lambda file: file.createVariable(name, "f4", ("time", "lat", "lon")).setncatts({"units": "1"})


def _named(file: Any, _site: Site, name: str) -> None:
    """A variable of a name that netCDF-C refuses to write."""
    made = file.create_dataset(name, (1, 8, 10), "f4")
    made.attrs["units"] = "1"
    _with_dimensions(file, made)


def _of_type(kind: str) -> Callable[[Any], None]:
    """A variable of a user-defined type."""

    def change(file: Any) -> None:
        if kind == "compound":
            made: Any = file.createCompoundType(np.dtype([("a", "f4"), ("b", "i4")]), "pair")
        elif kind == "enum":
            made = file.createEnumType("u1", "kinds", {f"k{n}": n for n in range(200)})
        elif kind == "vlen":
            made = file.createVLType("f4", "some")
        else:
            made = str
        file.createVariable("odd", made, ("lat",))

    return change


def _crs(wkt: str) -> Write:
    return lambda site, path: write_nc(
        path,
        more=lambda file: file["crs"].setncatts(
            {"crs_wkt": wkt.replace("OUTSIDE", str(site.outside)).replace("URL", site.url)}
        ),
    )


def _attributes(count: int) -> Write:
    def change(file: Any, _site: Site) -> None:
        for number in range(count):
            file["t"].attrs[f"a{number}"] = number

    return _hdf5(change)


_BOUND = (
    'BOUNDCRS[SOURCECRS[GEOGCRS["a",DATUM["d",ELLIPSOID["s",6378137,298]],CS[ellipsoidal,2],AXIS["lat",north],'
    'AXIS["lon",east],ANGLEUNIT["degree",0.0174532925199433]]],TARGETCRS[GEOGCRS["WGS 84",DATUM["WGS84",'
    'ELLIPSOID["WGS 84",6378137,298.257223563]],CS[ellipsoidal,2],AXIS["lat",north],AXIS["lon",east],'
    'ANGLEUNIT["degree",0.0174532925199433]]],ABRIDGEDTRANSFORMATION["t",METHOD["NTv2",ID["EPSG",9615]],'
    'PARAMETERFILE["Latitude and longitude difference file","{0}"]]]'
)
_GRIDS = (
    'GEOGCS["a",DATUM["d",SPHEROID["s",6378137,298],EXTENSION["PROJ4_GRIDS","OUTSIDE/secret.txt"]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]'
)
_ODD: dict[str, Write] = {
    "groups-deep": _hdf5(_deep_groups),
    "groups-cyclic": _hdf5(_cycle),
    "deflate-bomb-unused": _hdf5(_deflate_bomb),
    "latin1-attributes": _hdf5(_latin1),
    "attributes-5000": _attributes(5_000),
    "scalars-250": _more(_scalars(250)),
    "maps-300": _more(_maps(300)),
    "scale-nan": _set("t", scale_factor=float("nan")),
    "scale-0": _set("t", scale_factor=0.0),
    "scale-1e308": _set("t", scale_factor=1e308, add_offset=1e308),
    "scale-words": _set("t", scale_factor="ten"),
    "scale-list": _set("t", scale_factor=[1.0, 2.0]),
    "missing-words": _set("t", missing_value="none"),
    "missing-1000": _set("t", missing_value=np.arange(1000, dtype="f4")),
    "valid-range-reversed": _set("t", valid_range=np.array([10, -10], "f4")),
    "valid-range-of-one": _set("t", valid_range=np.float32(1)),
    "flags-100000": _set("t", flag_values=np.arange(100_000, dtype="f4"), flag_meanings="a " * 100_000),
    "flags-without-words": _set("t", flag_values=np.arange(3, dtype="f4")),
    "values-1e38": _values("t", 3.4e38),
    "values-inf": _values("t", np.inf),
    "latitude-constant": _values("lat", 5.0),
    "latitude-1e300": _values("lat", np.linspace(-1e300, 1e300, 8)),
    "latitude-nan": _values("lat", np.nan),
    "latitude-1e-300": _values("lat", np.arange(8) * 1e-300),
    "longitude-1e9": _values("lon", np.arange(10) * 1e9),
    "longitude-unordered": _values("lon", [0, 5, 1, 4, 2, 3, 9, 8, 7, 6]),
    "time-1e300": _values("time", 1e300),
    "time-nan": _values("time", np.nan),
    "time-inf": _values("time", np.inf),
    "time-2-63": _values("time", 2.0**63),
    "time-units-of-words": _set("time", units="fortnights since yesterday"),
    "time-units-of-year-0": _set("time", units="days since 0000-00-00"),
    "time-units-of-year-99999": _set("time", units="seconds since 99999-01-01"),
    "time-units-of-length": _set("time", units="days since " + "2020-01-01 " * 10_000),
    "time-calendar-unknown": _set("time", calendar="discworld"),
    "time-bounds-of-itself": _set("time", bounds="time"),
    "coordinates-of-itself": _set("t", coordinates="t t t nothing"),
    "coordinates-20000": _set("t", coordinates=" ".join(f"c{n}" for n in range(20_000))),
    "grid-mapping-of-itself": _set("t", grid_mapping="t"),
    "grid-mapping-absent": _set("t", grid_mapping="nowhere"),
    "grid-mapping-of-names": _set("crs", grid_mapping_name="a" * 10_000),
    "grid-mapping-of-infinity": _set("crs", semi_major_axis=float("inf")),
    "grid-mapping-of-0": _set("crs", semi_major_axis=0.0, inverse_flattening=0.0),
    "cell-methods-nested": _set("t", cell_methods="time: mean (" * 5_000),
    "formula-terms-cyclic": _set("lat", standard_name="atmosphere_sigma_coordinate", formula_terms="sigma: lat ps: t"),
    "ancillary-of-itself": _set("t", ancillary_variables="t"),
    "markup": _set("t", long_name=MARKUP, units=MARKUP, comment=MARKUP),
    "markup-global": _set("", title=MARKUP, history=MARKUP, institution=MARKUP),
    "escapes": _set("t", long_name="\x1b[2J\x1b]0;a\x07", comment="a\0b"),
    "attribute-of-megabytes": _set("", history="x" * 5_000_000),
    "units-nested": _set("t", units="(" * 20_000),
    "units-of-powers": _set("t", units="m" + "^9" * 200),
    "units-of-length": _set("t", units="kg m-2 s-1 " * 5_000),
    "standard-name-of-path": _set("t", standard_name="../../../etc/passwd"),
    "crs-nested": _crs("PROJCS[" * 20_000),
    "crs-with-grid-file": _crs(_GRIDS),
    "crs-bound-to-file": _crs(_BOUND.format("OUTSIDE/secret.txt")),
    "crs-bound-to-loopback": _crs(_BOUND.format("URL/a.gsb")),
    "crs-of-a-url": _crs("URL/crs.wkt"),
    "crs-of-proj-pipeline": _crs("+proj=pipeline +step +proj=hgridshift +grids=OUTSIDE/secret.txt"),
    "crs-of-megabytes": _crs('GEOGCRS["' + "a" * 2_000_000),
    "name-markup": _hdf5(partial(_named, name=MARKUP.replace("/", "_"))),
    "name-dots": _hdf5(partial(_named, name="..")),
    "name-of-metadata": _more(_variable("zarr.json")),
    "name-of-255": _more(_variable("x" * 255)),
    "name-of-spaces": _more(_variable("a b c")),
    "type-compound": _more(_of_type("compound")),
    "type-enum": _more(_of_type("enum")),
    "type-vlen": _more(_of_type("vlen")),
    "type-string": _more(_of_type("string")),
}


# --- GRIB -----------------------------------------------------------------------------------------------------------


def _gribs() -> dict[str, bytes]:
    one, two = bytes_of(partial(write_grib, edition=1)), bytes_of(partial(write_grib, edition=2))
    return {
        "empty": b"",
        "signature-alone": b"GRIB",
        "edition-2-of-20-bytes": b"GRIB\0\0\0\2" + struct.pack(">Q", 20) + b"7777",
        "edition-1-of-12-bytes": b"GRIB\0\0\x0c\1" + b"7777",
        "edition-255": b"GRIB\0\0\x0c\xff" + b"7777",
        "length-of-2-64": b"GRIB\0\0\0\2" + b"\xff" * 8 + two[16:],
        "length-of-2-24": b"GRIB\xff\xff\xff\1" + one[8:],
        "length-of-0": b"GRIB\0\0\0\2" + bytes(8) + two[16:],
        "end-missing": two[:-4] + b"8888",
        "section-of-0": two[:16] + bytes(4) + two[20:],
        "section-of-2-32": two[:16] + b"\xff" * 4 + two[20:],
        "points-of-2-32": two.replace(struct.pack(">II", 6, 4), struct.pack(">II", 2**31 - 1, 2**31 - 1)),
        "signatures-100000": b"GRIB" * 100_000,
        "messages-of-20-bytes": (b"GRIB\0\0\0\2" + struct.pack(">Q", 20) + b"7777") * 5_000,
        "page-of-html": b"<html>GRIB</html>",
        "text-before": b"x" * 1_000_000 + b"GRIB",
    }
