"""The tests' own rule: nothing but this machine answers."""

import socket
import subprocess
import sys
import urllib.request

import pytest
import pytest_socket
from clockless import LONG

OUTSIDE = "192.0.2.1"  # TEST-NET-1 (RFC 5737): nobody's


def test_python_sockets_reach_this_machine_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), LONG):
        pass
    refused = (pytest_socket.SocketConnectBlockedError, UserWarning)  # it warns first, and warnings are errors here
    with pytest.raises(refused, match=OUTSIDE):
        socket.create_connection((OUTSIDE, 80), 2)


def test_a_process_that_a_test_starts_gets_a_proxy_that_is_not_there() -> None:
    script = f"import urllib.request as u; u.urlopen('http://{OUTSIDE}/', timeout={LONG})"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LONG, check=False)
    assert "refused" in result.stderr
    assert urllib.request.getproxies()["https"] == "http://127.0.0.1:9"
