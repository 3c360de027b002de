"""One Prefect server for all tests of the flows; it takes ten seconds to start, then a flow takes half a second."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from services.certificates import signed

# Before Prefect is imported, for it reads them then: nothing of a person's own Prefect, and nothing sent anywhere.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="prefect-")
atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"
# Each client of the server, which speaks http, reads all authorities first: a fortieth of a second for the usual 150.
os.environ["PREFECT_API_SSL_CERT_FILE"] = str(signed(Path(os.environ["PREFECT_HOME"])).ca)

import pytest  # noqa: E402 - see above


@pytest.fixture(scope="session")
def prefect():
    """A server with an empty database. Without the heartbeat, whose thread each run waits a second for."""
    from prefect.settings import (
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_SERVER_ANALYTICS_ENABLED,
        temporary_settings,
    )
    from prefect.testing.utilities import prefect_test_harness

    with (
        temporary_settings({PREFECT_SERVER_ANALYTICS_ENABLED: False}),  # it asks the network
        prefect_test_harness(server_startup_timeout=200),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield


@pytest.fixture
def profile(tmp_path):
    """A small map for each of two years, as an object; paths relative to the folder."""
    import numpy as np
    import rasterio
    from affine import Affine

    (tmp_path / "raw").mkdir()
    options = {"width": 40, "height": 30, "count": 1, "dtype": "int16", "nodata": -9, "crs": "EPSG:32631"}
    for year in (2019, 2020):
        path = tmp_path / "raw" / f"ndvi_{year}0701.tif"
        with rasterio.open(path, "w", driver="GTiff", transform=Affine(10, 0, 5e5, 0, -10, 5e6), **options) as file:
            file.write(np.arange(1200, dtype="int16").reshape(1, 30, 40))
    return {
        "product": {
            "id": "demo-ndvi",
            "title": "DEMO Vegetation",
            "description": "Invented numbers.",
            "license": "CC-BY-4.0",
            "version": "1.0",
            "status": "ongoing",
            "variables": {"ndvi": {"from": 1, "units": "1"}},
        },
        "project": {"id": "demo-project"},
        "source": {"href": "raw/*.tif", "time": {"from": "filename", "pattern": "ndvi_{start:%Y%m%d}.tif"}},
        "target": {"format": "cog"},
        "store": {"href": "published"},
    }
