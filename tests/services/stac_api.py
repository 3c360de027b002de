"""A small STAC API: Collections, and Items that can be posted once. Stands in for the PRR's catalogue."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse


class Catalogue:
    """What is catalogued; Items by Collection and id."""

    def __init__(self, *collections: str) -> None:
        self.items: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in collections}
        self.refuses: int | None = None  # a status that every posting gets

    def post(self, collection: str, item: dict[str, Any]) -> int:
        """201, 409 for an id that is taken, 404 for an unknown Collection."""
        if self.refuses is not None:
            return self.refuses
        if collection not in self.items:
            return 404
        if item["id"] in self.items[collection]:
            return 409
        self.items[collection][item["id"]] = item
        return 201

    def public(self) -> FastAPI:
        """What everybody may ask."""
        api = FastAPI()

        @api.get("/collections/{collection}")
        def of_collection(collection: str) -> JSONResponse:
            if collection not in self.items:
                return JSONResponse({"code": "NotFound", "description": "Collection not found"}, 404)
            return JSONResponse({"type": "Collection", "stac_version": "1.0.0", "id": collection, "links": []})

        @api.get("/collections/{collection}/items/{item}")
        def of_item(collection: str, item: str) -> JSONResponse:
            found = self.items.get(collection, {}).get(item)
            missing = {"code": "NotFound", "description": "identifier not found"}
            return JSONResponse(found, 200) if found else JSONResponse(missing, 404)

        return api

    def private(self) -> FastAPI:
        """The same, with what only the gateway may do: POST and DELETE (STAC API, transactions)."""
        api = self.public()

        @api.post("/collections/{collection}/items")
        async def post(collection: str, request: Request) -> JSONResponse:
            return JSONResponse({}, self.post(collection, await request.json()))

        @api.delete("/collections/{collection}/items/{item}")
        def delete(collection: str, item: str) -> JSONResponse:
            return JSONResponse({}, 200 if self.items.get(collection, {}).pop(item, None) else 404)

        return api
