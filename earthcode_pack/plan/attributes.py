"""Attributes that the profile gives to cubes: CF 1.11 (2.6) and ACDD 1.3 for the file, CF for each variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earthcode_pack.profile import Profile
    from earthcode_pack.profile.product import Product, VariableSpec


def global_attributes(profile: Profile) -> dict[str, Any]:
    """Title, summary, licence and provenance; no clock and nothing that the data could contradict."""
    product, creator = profile.product, next(iter(profile.product.contacts), None)
    given = {
        "Conventions": "CF-1.11, ACDD-1.3",
        "id": product.id,
        "title": product.title,
        "summary": product.description,
        "license": product.license if product.license_href is None else f"{product.license} {product.license_href}",
        "product_version": product.version,
        "keywords": ", ".join(product.keywords),
        "project": profile.project.title or profile.project.id,
        "institution": product.institution or (creator and creator.organization),
        "source": product.source,
        "references": _references(product),
        "creator_name": creator and creator.name,
        "creator_email": creator and creator.email,
        "creator_institution": creator and creator.organization,
    }
    return {key: value for key, value in given.items() if value}


def _references(product: Product) -> str:
    """What describes the data or the methods (CF 2.6.2); the documentation is always among it."""
    published = product.references or (f"https://doi.org/{product.doi}" if product.doi else "")
    return "; ".join(
        text for text in (published, product.documentation) if text and (text == published or text not in published)
    )


def described(profile: Profile) -> dict[str, dict[str, Any]]:
    """What the profile says of each variable, in CF's terms, and its classes in STAC's."""
    return {name: _described(spec) for name, spec in profile.product.variables.items()}


def _described(spec: VariableSpec) -> dict[str, Any]:
    words = {"units": spec.units, "standard_name": spec.standard_name, "long_name": spec.long_name}
    out: dict[str, Any] = {key: value for key, value in words.items() if value}
    if spec.classes:
        out["classes"] = [item.model_dump(exclude_none=True) for item in spec.classes]
    return out
