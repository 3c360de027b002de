"""What a triggered run may do: nothing but what the deployment's settings list."""

import pytest

from earthcode_flows.limits import CLUSTER_CLASSES, ENDPOINTS, SOURCE_ROOTS, TARGET_ROOTS, refuse_what_is_not_allowed
from earthcode_pack.errors import UserError
from earthcode_pack.profile import load_profile


def reads(profile, *hrefs, **compute):
    source = profile["source"] | {"href": list(hrefs)}
    return load_profile(profile | {"source": source, "compute": compute, "store": None}, "/data/base")


ALLOWED = {SOURCE_ROOTS: "/data", TARGET_ROOTS: "/products, s3://products, prr"}
CATALOG = {"metadata": "/data/osc"}


def publishes(profile, store, catalog=None):
    product = profile["product"] | {"themes": ["land"], "documentation": "https://example.org/a.pdf"}
    source = profile["source"] | {"href": "/data/a.tif"}
    return load_profile(profile | {"product": product, "source": source, "store": store, "catalog": catalog}, "/data")


@pytest.mark.parametrize(
    ("store", "catalog", "more"),
    [
        ({"href": "/products/a"}, None, {}),
        ({"href": "s3://products/a", "ca_bundle": "ca.pem"}, None, {}),
        ({"href": "/products", "public_href": "https://example.org"}, CATALOG, {}),
        ({"prr": {"collection": "a"}}, None, {}),
        ({"href": "s3://products", "endpoint_url": "https://s3.example"}, None, {ENDPOINTS: "https://s3.example"}),
        ({"prr": {"collection": "a", "api": "https://p.example/api"}}, None, {ENDPOINTS: "https://p.example"}),
    ],
)
def test_where_a_run_may_publish(profile, store, catalog, more):
    refuse_what_is_not_allowed(publishes(profile, store, catalog), ALLOWED | more)


@pytest.mark.parametrize(
    ("key", "store", "catalog", "more"),
    [
        ("store.href", {"href": "/etc/cron.d"}, None, {}),
        ("store.href", {"href": "../products/../home"}, None, {}),
        ("store.href", {"href": "s3://others"}, None, {}),
        ("store.href", {"href": "/data/a"}, None, {}),  # it may be read
        ("store.href", {"href": "/products"}, None, {TARGET_ROOTS: ""}),
        ("store.ca_bundle", {"href": "/products", "ca_bundle": "/etc/passwd"}, None, {}),
        ("store.endpoint_url", {"href": "s3://products", "endpoint_url": "http://169.254.169.254"}, None, {}),
        ("store.prr", {"prr": {"collection": "a"}}, None, {TARGET_ROOTS: "/products"}),
        ("store.prr.api", {"prr": {"collection": "a", "api": "https://else.example"}}, None, {}),
        ("store.prr.s3_endpoint", {"prr": {"collection": "a", "s3_endpoint": "https://else.example"}}, None, {}),
        ("store.prr.stac", {"prr": {"collection": "a", "stac": "https://else.example"}}, None, {}),
        ("catalog.metadata", {"href": "/products", "public_href": "https://a.b"}, {"metadata": "/etc"}, {}),
        (
            "catalog.metadata",
            {"href": "/products", "public_href": "https://a.b"},
            {"metadata": "git+https://else.example/osc.git"},
            {},
        ),
    ],
)
def test_where_it_may_not(profile, key, store, catalog, more):
    with pytest.raises(UserError, match=f"^{key}: ".replace(".", r"\.")):
        refuse_what_is_not_allowed(publishes(profile, store, catalog), ALLOWED | more)


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
