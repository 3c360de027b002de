"""Tallies: one pass over blocks gives what numpy says of all valid values together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthcode_pack.convert.statistics import Tally, tally


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
    sums = Tally()
    for part in parts:
        sums += tally(values[part], nodata, None if hidden is None else hidden[part])
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
    found = tally(values, -1e12).statistics(None, None)
    assert found is not None
    assert found.mean == pytest.approx(1e8 + 0.5, abs=1e-5)
    assert found.stddev == pytest.approx(0.5, rel=1e-6)
    with_spike = tally(values, None).statistics(None, None)
    assert with_spike is not None
    assert with_spike.stddev == pytest.approx(float(values.std()), rel=1e-9)


def test_the_bits_of_what_is_missing_do_not_matter() -> None:
    odd = np.array([0x7FC00001, 0xFFC00000, 0x7F800000], "uint32").view("float32")  # two NaN and infinity
    values = np.concatenate([np.full(50, 2.5, "float32"), odd, np.full(50, 3.5, "float32")])
    found = tally(values, float("nan"))
    assert (found.count, found.minimum, found.maximum, found.mean) == (100, 2.5, 3.5, 3.0)
