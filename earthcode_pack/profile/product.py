"""The product, the project and the experiment behind it, as the catalogue sees them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from earthcode_pack.profile.rules import (
    CatalogId,
    Dated,
    Doi,
    Email,
    HexColor,
    Href,
    License,
    Part,
    Settings,
    Slug,
    Text,
    Units,
    Url,
)


class Contact(Part):
    """A person or organisation that readers may turn to."""

    name: Text = Field(description="of the person or organisation")
    organization: Text | None = Field(None, description="where the person works")
    email: Email | None = Field(None, description="published with the product")
    roles: list[Text] = Field([], description="such as producer, processor or principal_investigator")


class ClassSpec(Part):
    """One class of a categorical variable. List every value that can occur, but not nodata."""

    value: int = Field(description="as stored in the data")
    name: Text = Field(description="short name for machines, such as `tree-cover`")
    title: Text | None = Field(None, description="name for people, such as `Tree cover`; the name where left out")
    description: Text | None = Field(None, description="what belongs to the class")
    color: HexColor | None = Field(None, description="in legends; in quotes, or YAML reads some as numbers")


class VariableSpec(Part):
    """Description of a variable; it may rename it, while `source.variables` selects."""

    from_: str | int | None = Field(
        None,
        alias="from",
        description="where it is in the raw files: the name in the file, a band number counted from one, or a "
        "file-name pattern such as `*_sst.tif` (`*` for anything, `?` for one sign), whose wildcards name the scene "
        "where files of several variables make one; the name in the product where left out",
    )
    osc: CatalogId | None = Field(None, description="id of the variable in the Open Science Catalog")
    standard_name: Text | None = Field(
        None, description="of the CF standard name table; must not contradict that of the files"
    )
    units: Units | None = Field(
        None,
        description='as UDUNITS reads them; `"1"` where there is no dimension. Needed where the files have none; where '
        "they have some, both must denote one unit, and a spelling of the files that UDUNITS cannot read (`psu`) is "
        "written as it is here. Units that it does not know at all (`DN`) are kept, and a finding says so",
    )
    long_name: Text | None = Field(None, description="what plots and readers show")
    classes: list[ClassSpec] | None = Field(None, description="makes the variable categorical: what its values mean")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if isinstance(self.from_, int) and self.from_ < 1:
            raise ValueError(f"from: {self.from_} is no band; bands are counted from 1")
        values = [spec.value for spec in self.classes or []]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ValueError(f"classes: two of them have the value {twice}")
        return self


class Preview(Part):
    """Style of the thumbnails."""

    variable: Text = Field(description="name of the variable in the product")
    colormap: Text = Field(
        "viridis", description="a colour map of matplotlib or cmocean; classes keep their own colours"
    )
    range: tuple[float, float] | None = Field(
        None, description="values at the ends of the colour map, in the unit of the variable; measured where left out"
    )

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"range: {self.range[0]:g} is not below {self.range[1]:g}")
        return self


class Product(Part):
    """The product as the catalogue and its readers see it."""

    id: Slug = Field(description="of the STAC Collection and of folders, such as `demo-sst`")
    title: Text = Field(description="EarthCODE asks that it begins with the abbreviation of the project")
    description: Text = Field(description="a few sentences for someone who has not heard of the project")
    license: License = Field(description="whose text `license_href` gives for proprietary and various")
    version: Slug = Field(description="in quotes; a published version never changes, so raise it for new data")
    status: Literal["planned", "ongoing", "completed"] = Field(description="whether more data will come")
    region: Text | None = Field(None, description="in words, such as North Atlantic; the box itself is measured")
    keywords: list[Text] = Field([], description="for searching")
    themes: list[CatalogId] = Field([], description="ids of the Open Science Catalog; a `catalog` needs one at least")
    missions: list[CatalogId] = Field(
        [], description="ids of the Open Science Catalog: where the observations come from"
    )
    documentation: Url | None = Field(
        None, description="direct link to a handbook or paper, not to a landing page; a `catalog` needs it"
    )
    doi: Doi | None = Field(None, description="of the product, without `https://doi.org/`")
    institution: Text | None = Field(None, description="ACDD: where the product was made")
    source: Text | None = Field(None, description="ACDD: what the product was made from")
    references: Text | None = Field(None, description="ACDD: papers or pages that describe how it was made")
    license_href: Url | None = Field(None, description="where the text of the licence is")
    contacts: list[Contact] = Field([], description="whom readers may turn to")
    footprint: Literal["bbox", "data"] = Field(
        "bbox", description="geometry of the Items: the box of the grid, or the outline of the valid pixels"
    )
    preview: Preview | None = Field(None, description="how thumbnails are drawn")
    variables: dict[Slug, VariableSpec] = Field({}, description="by their name in the product")

    @property
    def folder(self) -> str:
        """Path of the published product below its store, ``<product id>/v<version>`` (contract 4.4)."""
        return f"{self.id}/v{self.version}"

    @model_validator(mode="after")
    def _licence_text(self) -> Self:
        if self.license in ("proprietary", "various") and self.license_href is None:
            raise ValueError(f"license: {self.license} needs license_href, where its text is")
        return self

    @model_validator(mode="after")
    def _one_from_each(self) -> Self:
        origins = [spec.from_ for spec in self.variables.values() if spec.from_ is not None]
        twice = next((origin for origin in origins if origins.count(origin) > 1), None)
        if twice is not None:
            raise ValueError(f"variables: two of them have from: {twice}")
        return self


class Officer(Part):
    """ESA's technical officer of a project."""

    name: Text = Field(description="of the technical officer")
    email: Email = Field(description="of the technical officer")


class Project(Part):
    """The project. One that the catalogue knows needs no more than its id; a new one needs everything."""

    id: CatalogId = Field(description="of the Open Science Catalog")
    title: Text | None = Field(None, description="full name of the project")
    description: Text | None = Field(None, description="what the project is for")
    website: Url | None = Field(None, description="of the project")
    contract_number: Text | None = Field(None, description="ESA's number, in quotes")
    initiative: Literal["earthcode", "apex"] | None = Field(None, description="under which the project runs")
    technical_officer: Officer | None = Field(None, description="at ESA")
    start: Dated | None = Field(None, description="of the project")
    end: Dated | None = Field(None, description="of the project, included")


class Workflow(Part):
    """The workflow of an experiment."""

    id: Slug = Field(description="of the workflow in the Open Science Catalog")
    title: Text = Field(description="for people")
    kind: Text = Field(description="such as notebook or openeo-process")
    href: Url = Field(description="where the workflow is")


class LinkSpec(Part):
    """A titled link."""

    href: Href = Field(description="where it is")
    title: Text = Field(description="what it is")


class Experiment(Part):
    """Experiment that made the product, for the Open Science Catalog."""

    id: Slug = Field(description="of the experiment in the Open Science Catalog")
    title: Text = Field(description="for people")
    workflow: Workflow = Field(description="what was run")
    inputs: list[LinkSpec] = Field([], description="what it was run on")
    parameters: Settings = Field({}, description="with what it was run")
