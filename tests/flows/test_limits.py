"""What a triggered run may do: nothing but what the deployment's settings list."""

import pytest

from earthcode_flows.limits import CLUSTER_CLASSES, SOURCE_ROOTS, refuse_what_is_not_allowed
from earthcode_pack.errors import UserError
from earthcode_pack.profile import load_profile


def reads(profile, *hrefs, **compute):
    source = profile["source"] | {"href": list(hrefs)}
    return load_profile(profile | {"source": source, "compute": compute}, "/data/base")


@pytest.mark.parametrize(
    ("roots", "href"),
    [
        ("/data", "/data/a/*.tif"),
        ("/data/", "/data/a/*.tif"),
        ("/other, /data/base", "raw/*.tif"),  # relative to the base
        ("/data", "file:///data/a.tif"),
        ("file:///data", "/data/a.tif"),
        ("s3://bucket/raw", "s3://bucket/raw/a.tif"),
        ("/", "/anywhere.tif"),
    ],
)
def test_what_lies_under_a_root_may_be_read(profile, roots, href):
    refuse_what_is_not_allowed(reads(profile, href), {SOURCE_ROOTS: roots})


@pytest.mark.parametrize(
    ("roots", "href"),
    [
        ("", "/data/a.tif"),
        (" , ", "/data/a.tif"),
        ("/data", "/database/a.tif"),
        ("/data", "/data/../etc/passwd"),
        ("/data", "file:///data/../etc/passwd"),
        ("/data", "file:///data/%2e%2e/etc/passwd"),
        ("https://host/data", "https://host/data/%2E%2E/secret.tif"),
        ("https://host/data", "https://host/data/../secret.tif"),
        ("/data", "zip://a.tif::/data/a.zip"),
        ("s3://bucket/raw", "s3://bucket/rawer/a.tif"),
        ("s3://bucket", "https://host/bucket/a.tif"),
        ("/", "s3://bucket/a.tif"),
        ("/", "local:///a.tif"),
    ],
)
def test_anything_else_may_not(profile, roots, href):
    with pytest.raises(UserError, match=r"source\.href"):
        refuse_what_is_not_allowed(reads(profile, href), {SOURCE_ROOTS: roots})


def test_one_href_outside_is_enough(profile):
    with pytest.raises(UserError, match=r"/etc/a\.tif"):
        refuse_what_is_not_allowed(reads(profile, "/data/a.tif", "/etc/a.tif"), {SOURCE_ROOTS: "/data"})


@pytest.mark.parametrize(
    ("classes", "compute"),
    [
        ("", {}),
        ("", {"cluster_class": "distributed.LocalCluster", "cluster_kwargs": {"n_workers": 2}}),
        ("dask_jobqueue.SLURMCluster", {"cluster_class": "dask_jobqueue.SLURMCluster", "cluster_kwargs": {"cores": 8}}),
        ("a.B, tcp://scheduler:8786", {"address": "tcp://scheduler:8786"}),
    ],
)
def test_a_cluster_that_is_listed_may_be_used(profile, classes, compute):
    settings = {SOURCE_ROOTS: "/data", CLUSTER_CLASSES: classes}
    refuse_what_is_not_allowed(reads(profile, "/data/a.tif", **compute), settings)


@pytest.mark.parametrize(
    "compute",
    [
        {"cluster_class": "dask_jobqueue.SLURMCluster"},
        {"cluster_class": "subprocess.Popen"},
        {"address": "tcp://elsewhere:8786"},
        {"cluster_class": "distributed.LocalCluster", "cluster_kwargs": {"preload": ["import os"]}},
        {"cluster_class": "distributed.LocalCluster", "cluster_kwargs": {"host": "0.0.0.0"}},
    ],
)
def test_no_other_cluster_and_no_argument_that_runs_code(profile, compute):
    with pytest.raises(UserError, match="compute"):
        refuse_what_is_not_allowed(reads(profile, "/data/a.tif", **compute), {SOURCE_ROOTS: "/data"})
