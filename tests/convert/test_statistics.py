"""Tallies: one pass over blocks gives what numpy says of all valid values together."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthcode_pack.convert.statistics import RunningStatistics, least_exponent, statistics_of


def said_by_numpy(values: np.ndarray, nodata: float | None, hidden: np.ndarray | None) -> dict[str, float]:
    keep = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    if nodata is not None:
        keep &= values != nodata
    if hidden is not None:
        keep &= ~hidden
    valid = values[keep].astype("f8")
    if not valid.size:
        return {"count": 0}
    return {
        "count": valid.size,
        "minimum": valid.min(),
        "maximum": valid.max(),
        "mean": valid.mean(),
        "stddev": valid.std(),
    }


@given(
    dtype=st.sampled_from(["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"]),
    size=st.integers(1, 200_000),
    nodata=st.sampled_from([None, 0, 5]),
    missing=st.sampled_from([0.0, 0.3, 1.0]),
    is_hidden=st.booleans(),
    offset=st.sampled_from([0, 100]),
    seed=st.integers(0, 99),
)
def test_blocks_add_up_to_the_whole(  # noqa: PLR0917 - drawn
    dtype: str, size: int, nodata: Any, missing: float, is_hidden: bool, offset: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = (
        (rng.standard_normal(size) * 9 + offset).astype("f8").clip(0 if dtype[0] == "u" else -100, 120).astype(dtype)
    )
    gone = rng.random(size) < missing
    if nodata is not None:
        values[gone] = nodata
    elif dtype.startswith("float"):
        values[gone] = np.nan
    hidden = rng.random(size) < 0.2 if is_hidden else None
    cut = size // 3
    parts = [slice(0, cut), slice(cut, size)]
    sums = RunningStatistics()
    for part in parts:
        sums += statistics_of(values[part], nodata, None if hidden is None else hidden[part])
    expected = said_by_numpy(values, nodata, hidden)
    assert (sums.total, sums.count) == (size, expected["count"])
    if sums.count:
        found = sums.statistics(None, None)
        assert found is not None
        assert (found.minimum, found.maximum) == (expected["minimum"], expected["maximum"])
        assert found.mean == pytest.approx(expected["mean"], rel=1e-9, abs=1e-9)
        assert found.stddev == pytest.approx(expected["stddev"], rel=1e-7, abs=1e-7)


def test_a_spike_and_a_large_offset_cancel_nothing_out() -> None:
    """The first value is far from all others, which lie far from zero and close together."""
    values = 1e8 + np.arange(200_000) % 2
    values[0] = -1e12
    found = statistics_of(values, -1e12).statistics(None, None)
    assert found is not None
    assert found.mean == pytest.approx(1e8 + 0.5, abs=1e-5)
    assert found.stddev == pytest.approx(0.5, rel=1e-6)
    with_spike = statistics_of(values, None).statistics(None, None)
    assert with_spike is not None
    assert with_spike.stddev == pytest.approx(float(values.std()), rel=1e-9)


def test_the_bits_of_what_is_missing_do_not_matter() -> None:
    odd = np.array([0x7FC00001, 0xFFC00000, 0x7F800000], "uint32").view("float32")  # two NaN and infinity
    values = np.concatenate([np.full(50, 2.5, "float32"), odd, np.full(50, 3.5, "float32")])
    found = statistics_of(values, float("nan"))
    assert (found.count, found.minimum, found.maximum, found.mean) == (100, 2.5, 3.5, 3.0)


# --- histograms -----------------------------------------------------------------------------------------------------

KINDS = ["bool", "uint8", "int8", "uint16", "int16", "int32", "int64", "uint64", "float16", "float32", "float64"]


def by_definition(values: np.ndarray, exponent: int) -> dict[int, int]:
    """How many values lie in each bin of width 2**exponent, one by one in exact arithmetic."""
    found: dict[int, int] = {}
    for value in values.tolist():
        place = math.floor(Fraction(value) / Fraction(2) ** exponent)
        found[place] = found.get(place, 0) + 1
    return found


def bins_of(sums: RunningStatistics) -> dict[int, int]:
    assert sums.bins is not None
    first = sums.bins.frame.first
    return {first + n: count for n, count in enumerate(sums.bins.counts.tolist()) if count}


@given(
    dtype=st.sampled_from(KINDS),
    size=st.integers(1, 60),
    scale=st.sampled_from([1e-30, 1e-3, 1, 40, 1e4, 1e12]),
    offset=st.sampled_from([0, 1, -1, 100, -30_000, 1e6]),
    seed=st.integers(0, 999),
)
def test_a_histogram_is_that_of_the_whole_however_it_is_cut(
    dtype: str, size: int, scale: float, offset: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal(size) * scale + offset
    ends = np.iinfo(dtype) if dtype[0] in "ui" else np.finfo(dtype) if dtype[0] == "f" else np.iinfo("uint8")
    values = drawn.clip(max(float(ends.min), -1e15), min(float(ends.max), 1e15)).astype(dtype)
    parts = [statistics_of(part, None) for part in np.split(values, np.sort(rng.integers(0, size, 5)))]
    parts = [parts[n] for n in rng.permutation(len(parts))]
    whole, joined = statistics_of(values, None), sum(parts, RunningStatistics())
    assert joined.bins == whole.bins
    assert whole.bins is not None
    exponent = whole.bins.frame.exponent
    assert bins_of(whole) == by_definition(values, exponent)
    assert whole.bins.counts.size <= 256
    narrower = by_definition(values, exponent - 1)
    is_least = max(narrower) - min(narrower) >= 256
    assert is_least or exponent == least_exponent(values.dtype, whole.minimum, whole.maximum)


def test_a_histogram_leaves_out_what_is_missing() -> None:
    values = np.repeat(np.array([1.5, np.nan, -3, 7, np.inf, -99], "float32"), 70_000)
    sums = statistics_of(values, -99.0, np.repeat([False, False, False, True, False, False], 70_000))
    found = sums.statistics(None, None)
    assert found is not None
    assert found.histogram is not None
    assert (found.count, sum(found.histogram.counts)) == (140_000, 140_000)
    assert (found.minimum, found.maximum, found.mean) == (-3, 1.5, -0.75)


def test_bytes_are_counted_one_by_one() -> None:
    values = np.array([[0, 1, 1, 255], [3, 3, 3, 0]], "uint8")
    found = statistics_of(values, 255).statistics(None, None)
    assert found is not None
    assert found.histogram is not None
    assert found.histogram.model_dump() == {"minimum": 0, "maximum": 4, "counts": (2, 2, 0, 3)}
    assert (found.count, found.values) == (7, ())


def test_edges_are_unpacked_and_a_negative_scale_turns_them() -> None:
    sums = statistics_of(np.array([0, 0, 2], "int16"), None)
    found = sums.statistics(0.5, 10)
    turned = sums.statistics(-0.5, 10)
    assert found is not None
    assert turned is not None
    assert found.histogram is not None
    assert turned.histogram is not None
    assert found.histogram.model_dump() == {"minimum": 10, "maximum": 11.5, "counts": (2, 0, 1)}
    assert turned.histogram.model_dump() == {"minimum": 8.5, "maximum": 10, "counts": (1, 0, 2)}


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
def test_names_of_classes_are_counted_each_by_itself(dtype: str) -> None:
    values = np.array([111, 112, 112, 0, 112], dtype)
    sums = statistics_of(values[:2], 0, categorical=True) + statistics_of(values[2:], 0, categorical=True)
    found = sums.statistics(None, None)
    assert found is not None
    assert found.values == ((111, 1), (112, 3))


def test_classes_far_apart_lie_in_no_bins() -> None:
    found = statistics_of(np.array([111, 523, 523], "int16"), None, categorical=True).statistics(None, None)
    assert found is not None
    assert (found.values, found.histogram) == (((111, 1), (523, 2)), None)


def test_more_than_256_classes_are_not_listed_in_any_order() -> None:
    sums = [statistics_of(np.arange(n, n + 100, dtype="int16"), None, categorical=True) for n in (0, 100, 200)]
    for order in ((0, 1, 2), (2, 0, 1)):
        whole = sum((sums[n] for n in order), RunningStatistics())
        assert whole.distinct is None
        found = whole.statistics(None, None)
        assert found is not None
        assert found.values == ()


def test_a_tally_reads_back_from_its_json_and_one_of_before_adds_up() -> None:
    sums = statistics_of(np.array([1, 2, 300], "int16"), None, categorical=True)
    assert RunningStatistics.from_json(sums.to_json()) == sums
    old = RunningStatistics.from_json(
        '{"total": 1, "count": 1, "minimum": 5, "maximum": 5, "mean": 5, "deviations": 0}'
    )
    assert (old + sums).bins is None
    assert (old + sums).count == 4


def test_all_of_float64_is_no_bin_and_no_crash() -> None:
    values = np.array([-1.7e308, 1.7e308, 5e-324, 0.0, np.nan])
    for some in (values, values[:-1]):
        sums = statistics_of(some, None)
        assert sums.bins is not None
        assert int(sums.bins.counts.sum()) == 4
        assert sums.statistics(None, None) is None  # the squares pass float64


@pytest.mark.parametrize("value", [0.0, 5.0, -1e-3, 1e300])
def test_a_constant_lies_in_one_bin(value: float) -> None:
    sums = statistics_of(np.full(1000, value), None)
    assert sums.bins is not None
    assert sums.bins.counts.tolist() == [1000]
