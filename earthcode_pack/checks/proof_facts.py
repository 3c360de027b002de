"""Findings on the proof of conversions: outputs and sources as readers of other projects decode them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earthcode_pack.checks import rules
from earthcode_pack.model import Proof

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from earthcode_pack.model import Artifact, Finding

_SHOWN = 20  # limits
_SUBJECT = "data"


def proof_findings(artifacts: Iterable[Artifact]) -> Iterator[Finding]:
    """One finding on all that was compared, and one for each thing that a reader could not tell; of level info."""
    total = sum((artifact.proof for artifact in artifacts), Proof())
    if total != Proof():  # made by a version that proved nothing
        yield from proof_words(total)


def proof_words(total: Proof, blocks: str = "") -> Iterator[Finding]:
    """Findings on one proof; ``blocks`` says which were compared, where it was not some of them."""
    yield rules.PROOF.finding(_SUBJECT, in_words(total, blocks), total.model_dump(mode="json", exclude={"limits"}))
    for limit in total.limits[:_SHOWN]:
        yield rules.PROOF.finding(_SUBJECT, f"not compared: {limit}")
    if len(total.limits) > _SHOWN:
        yield rules.PROOF.finding(_SUBJECT, f"and {len(total.limits) - _SHOWN} more of the kind")


def in_words(proof: Proof, blocks: str = "") -> str:
    """Returns a sentence on all that was compared."""
    if not proof.blocks:
        return "no block of the data could be compared by a reader of another project"
    count = f"{blocks}, {proof.blocks:,} of them" if blocks else f"{proof.blocks:,} blocks"
    said = (
        f"{count} ({proof.cells:,} cells) of {', '.join(proof.variables)} and of their sources have the same values "
        f"and missing cells, as decoded by {', '.join(proof.readers)}"
    )
    if proof.times:
        said += f"; {proof.times:,} times are those of the sources"
    return said + (f"; {proof.masks:,} cells count as valid or missing as netCDF4 has it" if proof.masks else "")
