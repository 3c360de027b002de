"""Variables of a file that are not in the product, and why: reported at the plan, and among the changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack.cf.axes import data_variables
from earthcode_pack.cf.roles import bounds_of
from earthcode_pack.checks import rules

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import xarray as xr

    from earthcode_pack.model import Finding

_KINDS = "iufbSUOT"  # of numpy: numbers, truth values, text
UNSELECTED, OTHER_TYPE, NOT_EVERYWHERE = (
    "it is not among the variables selected", "no format here has its type", "not every file holds it",
)  # fmt: skip


def reasons(dataset: xr.Dataset, data: Collection[str]) -> dict[str, str]:
    """Returns why each variable of a file would be missing from a cube; ``data`` are its data variables."""
    why = {str(name): OTHER_TYPE for name, v in dataset.variables.items() if v.dtype.kind not in _KINDS}
    return dict.fromkeys(map(str, dataset.variables), NOT_EVERYWHERE) | dict.fromkeys(data, UNSELECTED) | why


def beside_a_map(dataset: xr.Dataset, name: str, mapping: str | None) -> list[str]:
    """Returns variables that a GeoTIFF of one variable cannot hold: no data, axes, bounds nor its grid mapping.

    Args:
        dataset: the file, undecoded.
        name: of the variable that the GeoTIFF holds.
        mapping: name of its grid mapping, None without one.

    """
    bounds = {bounds_of(v.attrs) for v in dataset.variables.values()}
    own = {*data_variables(dataset), *dataset[name].dims, *bounds, mapping}
    return [str(each) for each in dataset.variables if each not in own]


def notes(dataset: xr.Dataset, data: Collection[str], chosen: Collection[str], name: str) -> Iterator[Finding]:
    """Yields findings on what is not packaged: data that the profile does not select, and types that no format has.

    The former have the same words for every file, so that they are reported once.

    Args:
        dataset: the file, undecoded.
        data: names of its data variables.
        chosen: names of those that are packaged.
        name: of the file, in messages.

    """
    why = reasons(dataset, data)
    unselected = [each for each in data if each not in chosen and why[each] == UNSELECTED]
    if unselected:
        message = f"{', '.join(unselected)} left out: source.variables does not select them"
        yield rules.SOURCE_LEFT_OUT.finding("sources", message, unselected)
    for each in (each for each, reason in why.items() if reason == OTHER_TYPE):
        dtype = dataset.variables[each].dtype
        kind = "complex" if dtype.kind == "c" else "compound"
        yield rules.CF_TYPES.finding(name, f"{name}: {each} is of a {kind} type and is not packaged", str(dtype))
