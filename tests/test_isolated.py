"""Libraries in C that crash, do not end or take all memory: the failure of one input, in a process of its own."""

from __future__ import annotations

import base64
import logging
import os
import signal
import sys
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xarray as xr
from builders import PERIOD, make_grib, make_nc, make_tiff, profile_of, ramp, run

from earthcode_pack import storage
from earthcode_pack.errors import Unreadable
from earthcode_pack.execution import child_process as module
from earthcode_pack.execution.child_process import Limits, isolated, ready
from earthcode_pack.sources.discover import discover

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMITS = Limits(60)
FEW = Limits(1)
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits and replaced processes are those of Linux")


@pytest.fixture(autouse=True, scope="module")
def _no_process_of_another_module() -> Iterator[None]:
    while module._IDLE:
        module._IDLE.pop().end()
    yield
    while module._IDLE:
        module._IDLE.pop().end()


# One bit of a NetCDF-3 header flipped: netCDF-C counts 2**30 elements and corrupts its heap, or crashes at once.
FLIPPED = zlib.decompress(
    base64.b85decode(
        "c-no`Ux-Xm9Ki82vzFO0WBptI|4j1Wff}0!4{GoIo!ME%g9pij8n>O>x-~ny?%XL`9wteWBuSDaNs=T<k|b@CBuSElBuSFANs@f;"
        "+%xSonA?8#+<Wf1=lss^ckk$2KBkn4BUw|bgLX>b4ZA8jI!e2Puuas@N6O)OQcWJy!|_ee#7uumMRRpl%U)24`ocAOiq2RiQ}N1!"
        "Zl*Wen_ZJ#%U^UqT?w3W(eaCgveO74-ZXb&&?&j$0MnmnjOTo66l45zJx-?{bIeGY@vX6>i|&x`x|KqC#1D40k0HUFUQjK%W-W{E"
        "9ZflD<nVuMrOaAyT&EJWS*MHnh8hc*wYG5Ubht)fYGQKSyk=N~WFhaBO52=LHF~%+95X(4SN$WN*rxXT?RGrB5V*smuI~g@zka74"
        "TkAO6^D`~uST`2tXTr)w1Fc*wYWvM~zq!tv>%6%hFxLY$)qM1QHT~w=N|<)0Y3G`DfoYeRHe=cq>aU}(7R_hz&kE1af>c>=m9pu#"
        "ncL=hI}66xRKebfQ83;<h@&_Op0zLHDsF;#><4&)7YOJ42=-zBP)e9zsF<)1p?bnv!XAY9h1i94WhGW&HHbmhVLdj0c!b=_Mr;PL"
        "$yRI!Z>12Y@Kp#ewUj{2!pkFjuouKH`>-Dez+U7K4&w;emmI@!oB(^2Q{XL>Gn4fY_ATdd9v46k<Pt993do0C!*$#MxshAAjXNMu"
        "au4IU4{|0C@d%GW{^Tj1;W@~qyu>TK26>ftc#jVt$MOmM3dk1_r+mW%z9Y>2PyE7fr8Ilcd_|f!S@TtCYNC02HD8^c2I`}`z%QQW"
        "mrheFoyH7wgSzQin2kB0hPnsyFdx)YFT^4&2DQ~ou?)+V`U9E-;!y"
    )
)
# A message in which ecCodes looks for the next section for ever.
ENDLESS = zlib.decompress(
    base64.b85decode(
        "c-lSCK}(fU5XSM}dovXYQ%MOC5vh<65fcqpaf?zB5s{E^Ard7LAtDhHd65W-kc&h_ghWI}xDb&D7vXns)1svxz_pv#bB^f1d6+Y2"
        "=KN>o!T3-y&lM!g4uUjhW~h)=9cJ035J-;~qD)7r%%kS#7A`TX`Yc*FJ}O1OyHIZ1xA|}1<>H-mg0)wilH@Tbi{8^Hh4a4}FP?(#"
        "E>WuIYGOuccD*XN|3`0yP-Q~ZBy=rxG;oEcRM1Qdt+WLq*SJ9kH|eA+^hOW8^l_U3mJ>bnSmYk}8Dy9dMj2zA2_7=ZBc{$u!mb|k"
        "gjwcz#&hObV38NRB#iQk*I^)5c*9#(dB=O!D6`H7KJtmrd|`vHeB(Pm_{lG}(%{?du*+}$u$NZ)m;PWUE09^B"
    )
)
# A message without a section: ecCodes frees it twice.
EMPTY = b"GRIB\0\0\0\2" + b"\0" * 7 + b"\x14" + b"7777"


_NOTE_AND_CRASH = """
import os
with open("{}", "a") as file:
    file.write(".")
os.abort()
"""


# --- calls ----------------------------------------------------------------------------------------------------------


def test_results_errors_and_log_lines_come_back(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("earthcode_pack.tried")
    assert isolated(divmod, 7, 2, subject="a", limits=LIMITS) == (3, 1)
    with pytest.raises(ZeroDivisionError, match="zero"):
        isolated(divmod, 7, 0, subject="a", limits=LIMITS)
    with caplog.at_level("WARNING", "earthcode_pack"):
        isolated(logger.warning, "seen %s", "there", subject="a", limits=LIMITS)
    assert [(line.name, line.getMessage()) for line in caplog.records] == [("earthcode_pack.tried", "seen there")]


def test_it_is_another_process_with_our_environment_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isolated(os.getpid, subject="a", limits=LIMITS) != os.getpid()
    monkeypatch.setenv("EARTHCODE_PACK_TRIED", "1")
    monkeypatch.chdir(tmp_path)
    assert isolated(os.getenv, "EARTHCODE_PACK_TRIED", subject="a", limits=LIMITS) == "1"
    assert isolated(os.getcwd, subject="a", limits=LIMITS) == str(tmp_path)
    monkeypatch.delenv("EARTHCODE_PACK_TRIED")
    assert isolated(os.getenv, "EARTHCODE_PACK_TRIED", subject="a", limits=LIMITS) is None


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGKILL"])
def test_crash_is_named_and_the_next_call_goes_on(name: str) -> None:
    isolated(divmod, 7, 2, subject="a", limits=LIMITS)
    with pytest.raises(Unreadable, match=rf"a\.nc: the library that reads it crashed \({name}\)"):
        isolated(signal.raise_signal, signal.Signals[name], subject="a.nc", limits=LIMITS)
    assert isolated(divmod, 7, 2, subject="a", limits=LIMITS) == (3, 1)


def test_what_ends_the_process_is_no_answer() -> None:
    with pytest.raises(Unreadable, match=r"a\.nc: the process that read it ended with 3"):
        isolated(os._exit, 3, subject="a.nc", limits=LIMITS)


@linux
def test_what_does_not_end_is_ended() -> None:
    with pytest.raises(Unreadable, match=r"a\.nc: reading it does not end: stopped after 1 s of computing"):
        isolated(sum, range(10**15), subject="a.nc", limits=FEW)


@linux
def test_processor_time_is_that_of_the_call() -> None:
    for _ in range(3):
        isolated(sum, range(10**7), subject="a", limits=Limits(10))
    with pytest.raises(Unreadable, match="does not end"):
        isolated(sum, range(10**15), subject="a.nc", limits=FEW)
    assert isolated(divmod, 7, 2, subject="a", limits=LIMITS) == (3, 1)


@linux
def test_memory_is_bounded_by_the_call_alone() -> None:
    with pytest.raises(Unreadable, match=r"a\.nc: reading it takes more than 100 MB of memory"):
        isolated(bytearray, 10**9, subject="a.nc", limits=Limits(60, 10**8))
    assert len(isolated(bytes, 2 * 10**8, subject="a", limits=LIMITS)) == 2 * 10**8


@linux
def test_process_in_which_a_library_failed_is_replaced() -> None:
    before = isolated(os.getpid, subject="a", limits=LIMITS)
    assert isolated(os.getpid, subject="a", limits=LIMITS) == before, "it is kept"
    with pytest.raises(ZeroDivisionError):
        isolated(divmod, 7, 0, subject="a", limits=LIMITS)
    assert isolated(os.getpid, subject="a", limits=LIMITS) != before


@linux
def test_crash_in_a_process_that_has_read_before_is_tried_in_another(tmp_path: Path) -> None:
    isolated(divmod, 7, 2, subject="a", limits=LIMITS)
    with pytest.raises(Unreadable, match="crashed"):
        isolated(exec, _NOTE_AND_CRASH.format(tmp_path / "notes"), subject="a", limits=LIMITS)
    assert (tmp_path / "notes").read_text() == "..", "what an earlier file had damaged is no fault of this one"


def test_processes_are_started_for_calls_at_once() -> None:
    ready(2)
    assert 1 <= len(module._IDLE) <= 2


# --- files ----------------------------------------------------------------------------------------------------------


@linux
@pytest.mark.parametrize("fmt", ["cog", "netcdf"])
def test_files_that_crash_libraries_fail_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fmt: str) -> None:
    monkeypatch.setattr(module, "_SECONDS", 3)
    for name, data in {"flipped.nc": FLIPPED, "empty.grib2": EMPTY, "endless.grib2": ENDLESS}.items():
        (tmp_path / name).write_bytes(data)
    xr.load_dataset(make_nc(tmp_path / "new", ramp(1, 3, 4)), decode_cf=False).to_netcdf(
        tmp_path / "good.nc", format="NETCDF3_CLASSIC", engine="netcdf4"
    )
    held = make_grib(tmp_path / "weather.grib", hours=(6,))
    profile = profile_of(
        [tmp_path / "*.nc", tmp_path / "*.grib*"], fmt, crs={"value": "EPSG:4326", "override": True},
        described={"t2m": {"units": "K"}},
    )  # fmt: skip
    made = run(profile, tmp_path / "out")
    said = {failure.source.rpartition("/")[2]: failure.error for failure in made.failures}
    assert said.keys() == {"flipped.nc", "empty.grib2", "endless.grib2"}
    assert "endless.grib2: reading it does not end: stopped after 3 s of computing" in said["endless.grib2"]
    assert all("\n" not in text and name in text for name, text in said.items())
    assert len(made.artifacts) == 2
    assert held.size == 24


def test_conversion_of_grib_is_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def seen(work: object, *given: object, **more: object) -> object:
        calls.append(work)
        return isolated(work, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(sys.modules["earthcode_pack.convert"], "isolated", seen)
    held = make_grib(tmp_path / "a.grib")
    made = run(profile_of(tmp_path / "a.grib", "zarr", crs={"value": "EPSG:4326", "override": True}), tmp_path / "out")
    assert [getattr(work, "__name__", "") for work in calls] == ["begin", "write"]
    with xr.open_zarr(made.path) as written:
        assert np.array_equal(written.t2m.values.ravel(), held.ravel())


def test_contradictions_come_from_there_too(tmp_path: Path) -> None:
    make_tiff(tmp_path / "a.tif", ramp(3, 4))
    found = discover(profile_of(tmp_path / "a.tif"), storage.IdentityCache())
    assert "source.time says {from: coordinate}" in found.failures[0].error
    assert discover(profile_of(tmp_path / "a.tif", time=PERIOD), storage.IdentityCache()).sources
