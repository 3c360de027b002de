"""Thumbnails of files whose picture is known by construction."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pyproj  # noqa: F401 - before anything that may load ecCodes
import pytest
import rasterio
import xarray as xr
from rasterio.io import MemoryFile

from earthcode_pack.describe import preview
from earthcode_pack.describe.preview import LONG_SIDE, MAX_BYTES, picture_size
from earthcode_pack.describe.rendering import named_colormap
from earthcode_pack.errors import ProfileError, Unreadable
from earthcode_pack.model import WrittenVariable

DARK, BRIGHT = (68, 1, 84, 255), (253, 231, 36, 255)  # the ends of viridis
CLEAR = (0, 0, 0, 0)


def draw(path: Path, kind: str, variable: WrittenVariable, **wishes: object) -> bytes:
    return preview.draw(path, kind, variable, **wishes).png


def written(name: str = "v", **facts: object) -> WrittenVariable:
    return WrittenVariable(**({"name": name, "dtype": "float32", "dims": ("y", "x"), "shape": (1, 1)} | facts))


def pixels(png: bytes) -> np.ndarray:
    """(row, column, RGBA), whether or not the PNG has a palette."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with MemoryFile(png) as memory, memory.open() as image:
            bands, table = image.read(), image.colormap(1) if image.count == 1 else {}
    if not table:
        return np.moveaxis(bands, 0, -1)
    return np.array([table[n] for n in range(int(bands.max()) + 1)], dtype="uint8")[bands[0]]


def cog(
    path: Path, bands: np.ndarray, nodata: float | None = None, res: tuple[float, float] = (0.1, 0.1), **more
) -> Path:
    bands = bands if bands.ndim == 3 else bands[np.newaxis]
    layout = {"count": bands.shape[0], "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    transform = rasterio.Affine(res[0], 0, 0, 0, -res[1], 50)
    with rasterio.open(
        path, "w", driver="GTiff", crs="EPSG:4326", transform=transform, nodata=nodata, **layout
    ) as file:
        file.write(bands)
        if "colors" in more:
            file.write_colormap(1, more["colors"])
        if "interp" in more:
            file.colorinterp = more["interp"]
    return path


def cube(values: np.ndarray, lat: np.ndarray, lon: np.ndarray, dims=("time", "lat", "lon"), **attrs) -> xr.Dataset:
    coords = {
        "lat": ("lat", lat, {"units": "degrees_north"}),
        "lon": ("lon", lon, {"units": "degrees_east"}),
        "time": ("time", np.arange(values.shape[dims.index("time")]), {"units": "days since 2020-01-01"}),
    }
    return xr.Dataset({"v": (dims, values, attrs)}, coords)


def store(dataset: xr.Dataset, folder: Path, kind: str, encoding: dict | None = None) -> Path:
    encoding = {"v": encoding} if encoding else {}
    if kind == "netcdf":
        path = folder / "v.nc"
        dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding)
        return path
    path = folder / "v.zarr"
    dataset.to_zarr(path, zarr_format=int(kind[4]), consolidated=kind[4] == "2", encoding=encoding)
    return Path(shutil.make_archive(str(path), "zip", path)) if kind.endswith("zip") else path


def format_of(kind: str) -> str:
    return "netcdf" if kind == "netcdf" else "zarr"


KINDS = ["netcdf", "zarr2", "zarr3", "zarr2zip", "zarr3zip"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ascending", [True, False])
def test_north_is_up_whichever_way_latitude_runs(tmp_path, kind, ascending):
    lat = np.linspace(-45.0, 45.0, 4)
    values = np.where(lat > 0, 1.0, 0.0)[np.newaxis, :, np.newaxis] * np.ones((1, 4, 8))
    dataset = cube(values, lat, np.arange(8) * 30.0)
    path = store(dataset if ascending else dataset.isel(lat=slice(None, None, -1)), tmp_path, kind)
    picture = pixels(draw(path, format_of(kind), written(), dims=("lat", "lon")))
    assert tuple(picture[0, 0]) == BRIGHT
    assert tuple(picture[-1, -1]) == DARK
    assert picture.shape[:2] == (256, 512)


def test_a_longitude_that_runs_west_is_turned(tmp_path):
    values = np.array([[[0.0, 1.0]]]).repeat(2, axis=1)
    path = store(cube(values, np.array([1.0, 0.0]), np.array([10.0, 9.0])), tmp_path, "zarr3")
    picture = pixels(draw(path, "zarr", written()))
    assert tuple(picture[0, 0]) == BRIGHT
    assert tuple(picture[0, -1]) == DARK


def test_a_swath_that_goes_north_is_turned_by_its_two_dimensional_latitude(tmp_path):
    lat, lon = np.meshgrid(np.linspace(0, 30, 4), np.linspace(5, 10, 4), indexing="ij")
    dataset = xr.Dataset(
        {"v": (("row", "col"), np.arange(16.0).reshape(4, 4))},
        {
            "lat": (("row", "col"), lat, {"units": "degrees_north"}),
            "lon": (("row", "col"), lon, {"units": "degrees_east"}),
            "row": np.arange(4)[::-1],
        },
    )
    picture = pixels(draw(store(dataset, tmp_path, "netcdf"), "netcdf", written(), dims=("row", "col")))
    assert tuple(picture[-1, 0]) == DARK
    assert tuple(picture[0, -1]) == BRIGHT


def test_the_first_step_with_data_is_drawn(tmp_path):
    values = np.full((70, 2, 2), np.nan, dtype="float32")
    values[3] = [[0, 1], [np.nan, 1]]
    values[4] = 7
    path = store(cube(values, np.array([1.0, 0.0]), np.array([0.0, 1.0])), tmp_path, "zarr3")
    picture = pixels(draw(path, "zarr", written()))
    assert [tuple(picture[0, 0]), tuple(picture[0, -1]), tuple(picture[-1, 0])] == [DARK, BRIGHT, CLEAR]


def test_time_may_be_the_last_dimension(tmp_path):
    values = np.array([[0.0, 0.0], [1.0, 1.0]])[:, :, np.newaxis] * np.ones((2, 2, 3))
    dataset = cube(values, np.array([1.0, 0.0]), np.array([0.0, 1.0]), dims=("lat", "lon", "time"))
    picture = pixels(draw(store(dataset, tmp_path, "netcdf"), "netcdf", written(), dims=("lat", "lon")))
    assert tuple(picture[0, 0]) == DARK
    assert tuple(picture[-1, -1]) == BRIGHT


@pytest.mark.parametrize("kind", ["netcdf", "zarr2"])
def test_packed_values_are_unpacked_for_the_range(tmp_path, kind):
    values = np.array([[[270.0, 305.0], [np.nan, 287.5]]])
    packing = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -32768}
    path = store(cube(values, np.array([1.0, 0.0]), np.array([0.0, 1.0])), tmp_path, kind, packing)
    variable = written(dtype="int16", nodata=-32768, scale=0.01, offset=280.0)
    picture = pixels(draw(path, format_of(kind), variable, colormap="gray", value_range=(270, 305)))
    assert tuple(picture[0, 0]) == (0, 0, 0, 255)
    assert tuple(picture[0, -1]) == (255, 255, 255, 255)
    assert tuple(picture[-1, 0]) == CLEAR
    assert 125 <= picture[-1, -1, 0] <= 130


def test_a_packed_cog_is_unpacked_by_the_variable_s_scale(tmp_path):
    path = cog(tmp_path / "v.tif", np.array([[0, 100], [-1, 50]], dtype="int16"), nodata=-1)
    png = draw(path, "cog", written(scale=0.1, offset=5.0), colormap="gray", value_range=(5, 15))
    picture = pixels(png)
    assert [picture[0, 0, 0], picture[0, -1, 0]] == [0, 255]
    assert tuple(picture[-1, 0]) == CLEAR


def test_a_reversed_range_turns_the_colours_round(tmp_path):
    path = cog(tmp_path / "v.tif", np.array([[0.0, 1.0]], dtype="float32"))
    picture = pixels(draw(path, "cog", written(), colormap="gray", value_range=(1, 0)))
    assert picture[0, 0, 0] == 255
    assert picture[0, -1, 0] == 0


def test_a_large_cog_is_at_most_512_on_its_long_side_and_leaves_nothing_beside_it(tmp_path):
    values = np.random.default_rng(0).normal(size=(700, 1400)).astype("float32")
    values[:350] = np.nan
    path = cog(tmp_path / "v.tif", values, nodata=np.nan)
    png = draw(path, "cog", written())
    assert pixels(png).shape[:2] == (256, LONG_SIDE)
    assert (pixels(png)[:128, :, 3] == 0).all()
    assert (pixels(png)[128:, :, 3] == 255).all()
    assert len(png) < MAX_BYTES
    assert [file.name for file in tmp_path.iterdir()] == ["v.tif"]


def test_the_same_bytes_each_time_and_neither_time_nor_software_in_them(tmp_path):
    path = cog(tmp_path / "v.tif", np.random.default_rng(0).random((64, 64), dtype="float32"))
    png = draw(path, "cog", written())
    assert png == draw(path, "cog", written())
    assert not any(word in png for word in (b"tIME", b"tEXt", b"iTXt", b"zTXt"))


@pytest.mark.parametrize(("fill", "alpha"), [(5.0, 255), (np.nan, 0), (1e20, 255), (0.0, 255)])
def test_a_field_that_is_everywhere_the_same(tmp_path, fill, alpha):
    path = cog(tmp_path / "v.tif", np.full((4, 4), fill, dtype="float32"), nodata=np.nan)
    assert (pixels(draw(path, "cog", written()))[..., 3] == alpha).all()


def test_a_cube_without_any_data_is_drawn_empty(tmp_path):
    values = np.full((120, 2, 2), np.nan)
    path = store(cube(values, np.array([1.0, 0.0]), np.array([0.0, 1.0])), tmp_path, "netcdf")
    assert not pixels(draw(path, "netcdf", written())).any()


def test_rare_events_on_a_field_of_zeros_are_seen(tmp_path):
    values = np.zeros((100, 100), dtype="float32")
    values[0, 0] = 10  # beyond the 98th percentile, which is zero
    picture = pixels(draw(cog(tmp_path / "v.tif", values), "cog", written()))
    assert tuple(picture[0, 0]) == BRIGHT
    assert tuple(picture[-1, -1]) == DARK


def test_infinity_is_no_data(tmp_path):
    path = cog(tmp_path / "v.tif", np.array([[0, 1], [np.inf, -np.inf]], dtype="float32"))
    picture = pixels(draw(path, "cog", written()))
    assert tuple(picture[0, 0]) == DARK
    assert tuple(picture[-1, 0]) == tuple(picture[-1, -1]) == CLEAR


def test_categories_have_the_colours_of_their_classes_and_grey_where_they_have_none(tmp_path):
    path = cog(tmp_path / "v.tif", np.array([[10, 20], [0, 99]], dtype="uint8"), nodata=0)
    classes = ({"value": 10, "name": "trees", "color": "006400"}, {"value": 20, "name": "shrubs"})
    picture = pixels(draw(path, "cog", written(dtype="uint8", nodata=0, classes=classes)))
    assert tuple(picture[0, 0]) == (0, 100, 0, 255)
    assert tuple(picture[-1, 0]) == CLEAR
    assert tuple(picture[-1, -1]) == (128, 128, 128, 255)
    assert tuple(picture[0, -1]) not in {(0, 100, 0, 255), (128, 128, 128, 255)}


def test_categories_of_a_cube_with_a_fill_value(tmp_path):
    values = np.array([[[10, 20], [255, 10]]], dtype="uint8")
    path = store(cube(values, np.array([1.0, 0.0]), np.array([0.0, 1.0]), _FillValue=np.uint8(255)), tmp_path, "netcdf")
    classes = ({"value": 10, "name": "a", "color": "#FF0000"}, {"value": 20, "name": "b", "color": "0000ff"})
    picture = pixels(draw(path, "netcdf", written(classes=classes)))
    assert [tuple(picture[0, 0]), tuple(picture[0, -1])] == [(255, 0, 0, 255), (0, 0, 255, 255)]
    assert tuple(picture[-1, 0]) == CLEAR


def test_decimated_categories_invent_no_class(tmp_path):
    values = np.indices((2000, 2000)).sum(axis=0).astype("uint8") % 2 * 200
    colors = {0: (1, 2, 3, 255), 200: (4, 5, 6, 255)}
    picture = pixels(draw(cog(tmp_path / "v.tif", values, colors=colors), "cog", written(dtype="uint8")))
    assert {tuple(color) for color in picture.reshape(-1, 4)} <= set(colors.values())


def test_red_green_and_blue_bands_are_a_picture_in_whatever_order(tmp_path):
    from rasterio.enums import ColorInterp

    bands = np.array([[[10, 0]], [[20, 0]], [[30, 0]], [[255, 0]]], dtype="uint8")
    order = ("blue", "red", "green", "alpha")
    path = cog(tmp_path / "v.tif", bands, interp=[ColorInterp[name] for name in order])
    picture = pixels(draw(path, "cog", written(dtype="uint8", colorinterp=order)))
    assert tuple(picture[0, 0]) == (20, 30, 10, 255)
    assert tuple(picture[0, -1]) == CLEAR


def test_a_picture_of_reflectances_is_stretched(tmp_path):
    bands = np.linspace(0, 3000, 3 * 100, dtype="uint16").reshape(3, 10, 10)
    path = cog(tmp_path / "v.tif", bands, nodata=65535)
    picture = pixels(draw(path, "cog", written(dtype="uint16", colorinterp=("red", "green", "blue"))))
    assert picture[..., :3].min() == 0
    assert picture[..., :3].max() == 255


def test_a_noisy_picture_stays_under_500_kb(tmp_path):
    bands = np.random.default_rng(0).integers(0, 256, (3, 600, 600), dtype="uint8")
    png = draw(cog(tmp_path / "v.tif", bands), "cog", written(dtype="uint8", colorinterp=("red", "green", "blue")))
    assert 0 < len(png) < MAX_BYTES


def test_noise_of_a_quantity_stays_under_500_kb(tmp_path):
    values = np.random.default_rng(0).normal(size=(512, 512)).astype("float32")
    png = draw(cog(tmp_path / "v.tif", values), "cog", written())
    assert 100_000 < len(png) < MAX_BYTES


def test_values_about_zero_are_white_at_zero_and_have_a_hue_on_each_side(tmp_path):
    path = cog(tmp_path / "v.tif", np.array([[-3.0, 0.0, 4.0]] * 50, dtype="float32"))
    drawing = preview.draw(path, "cog", written(units="K"))
    below, zero, above = pixels(drawing.png)[0, [0, 15, -1]].astype(int)
    assert below[2] > below[0]
    assert above[0] > above[2]
    assert zero[:3].min() > 240
    assert drawing.words == "v, -4 to 4 K (RdBu_r)"


def test_what_somebody_chose_is_drawn_over_zero_too(tmp_path):
    path = cog(tmp_path / "v.tif", np.array([[-3.0, 4.0]] * 50, dtype="float32"))
    assert preview.draw(path, "cog", written(), colormap="viridis").words == "v, -3 to 4 (viridis)"
    assert preview.draw(path, "cog", written(), value_range=(-1, 9)).words == "v, -1 to 9 (viridis)"
    assert preview.draw(path, "cog", written(), value_range=(-5, 5)).words == "v, -5 to 5 (RdBu_r)"


def test_a_few_outliers_do_not_take_the_colours_of_the_rest(tmp_path):
    values = np.linspace(0, 100, 10_000, dtype="float32").reshape(100, 100)
    values[0, :50] = 1e6
    drawing = preview.draw(cog(tmp_path / "v.tif", values), "cog", written())
    assert drawing.words == "v, 2.5 to 98.5 (viridis)"
    assert tuple(pixels(drawing.png)[0, 0]) == BRIGHT


def test_how_much_of_the_picture_is_data(tmp_path):
    values = np.ones((10, 10), dtype="float32")
    values[:3] = np.nan
    assert preview.draw(cog(tmp_path / "a.tif", values), "cog", written()).share == 0.7
    classes = ({"value": 1, "name": "a"},)
    some = preview.draw(cog(tmp_path / "b.tif", values, nodata=1), "cog", written(classes=classes))
    assert (some.share, some.words) == (0, "v, in the colours of its classes")


def test_a_longitude_and_latitude_grid_of_the_globe_is_twice_as_wide_as_high(tmp_path):
    values = np.arange(18.0 * 36).reshape(1, 18, 36)
    path = store(cube(values, np.arange(-85.0, 90, 10), np.arange(5.0, 360, 10)), tmp_path, "zarr3")
    height, width = pixels(draw(path, "zarr", written(), dims=("lat", "lon"))).shape[:2]
    assert width == 2 * height


def test_cells_that_are_no_squares_keep_their_shape(tmp_path):
    path = cog(tmp_path / "v.tif", np.zeros((10, 10), dtype="float32"), res=(0.2, 0.1))
    assert pixels(draw(path, "cog", written())).shape[:2] == (250, 500)
    assert picture_size((1, 100_000)) == (1, 512)


def test_a_single_dimension_is_no_picture(tmp_path):
    xr.Dataset({"v": ("obs", np.arange(5.0))}).to_netcdf(tmp_path / "v.nc", engine="h5netcdf")
    with pytest.raises(Unreadable, match=r"v\.nc: v .*no picture"):
        draw(tmp_path / "v.nc", "netcdf", written())


def test_text_is_no_picture(tmp_path):
    xr.Dataset({"v": (("y", "x"), np.array([["a", "b"]]))}).to_netcdf(tmp_path / "v.nc", engine="h5netcdf")
    with pytest.raises(Unreadable, match="no picture"):
        draw(tmp_path / "v.nc", "netcdf", written())


def test_a_variable_that_is_not_there_is_named_with_those_that_are(tmp_path):
    path = store(cube(np.zeros((1, 2, 2)), np.array([1.0, 0.0]), np.array([0.0, 1.0])), tmp_path, "zarr3")
    with pytest.raises(Unreadable, match="no variable 'sst'; it has v"):
        draw(path, "zarr", written("sst"))


@pytest.mark.parametrize("kind", ["cog", "netcdf"])
def test_a_file_of_another_kind_is_unreadable(tmp_path, kind):
    path = tmp_path / "v"
    path.write_bytes(b"not what it seems")
    with pytest.raises(Unreadable, match="no preview"):
        draw(path, kind, written())


# https://matplotlib.org/stable/users/explain/colors/colormaps.html and https://matplotlib.org/cmocean
OF_MATPLOTLIB = [
    "viridis", "plasma", "inferno", "magma", "cividis", "Greys", "Blues", "YlOrRd", "YlGnBu", "binary", "gray",
    "bone", "hot", "copper", "PiYG", "RdBu", "RdYlGn", "Spectral", "coolwarm", "bwr", "seismic", "berlin",
    "twilight", "hsv", "Pastel1", "Set3", "tab10", "tab20", "flag", "ocean", "gist_earth", "terrain", "gist_stern",
    "gnuplot", "CMRmap", "cubehelix", "brg", "rainbow", "jet", "turbo", "nipy_spectral",
]  # fmt: skip
OF_CMOCEAN = [
    "algae", "amp", "balance", "curl", "deep", "delta", "dense", "diff", "haline", "ice", "matter", "oxy", "phase",
    "rain", "solar", "speed", "tarn", "tempo", "thermal", "topo", "turbid",
]  # fmt: skip


@pytest.mark.parametrize("name", [*OF_MATPLOTLIB, *OF_CMOCEAN])
def test_every_map_of_matplotlib_and_cmocean_is_known_and_can_be_reversed(name, caplog):
    there, back = (named_colormap(one).lut(256) for one in (name, f"{name}_r"))
    assert np.allclose(there, back[::-1])
    assert ("cmocean:" in named_colormap(name).name) == (name in OF_CMOCEAN)
    assert not caplog.records


def test_thermal_is_that_of_cmocean():
    """The ends of its table (cmocean's rgb/thermal-rgb.txt)."""
    low, high = named_colormap("thermal").lut(256)[[0, -1], :3].tolist()
    assert low == pytest.approx([0.0156, 0.1382, 0.2018], abs=1e-4)
    assert high == pytest.approx([0.9090, 0.9822, 0.3555], abs=1e-4)


def test_an_unknown_colormap_is_refused_with_the_nearest():
    with pytest.raises(ProfileError, match=r"'viridris' is no colour map.*did you mean viridis"):
        named_colormap("viridris")
