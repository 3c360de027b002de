"""The mappers: every item comes back once, whatever befalls it."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextvars import ContextVar

import pytest
from clockless import LONG

from earthcode_pack import compute
from earthcode_pack.compute import cores, mapper, serial, threads
from earthcode_pack.errors import Contradiction, OutsideError, SourceError, UserError
from earthcode_pack.profile.model import Compute

LOCAL = Compute(cluster_class="distributed.LocalCluster", cluster_kwargs={"n_workers": 2, "threads_per_worker": 1})
NAME: ContextVar[str] = ContextVar("NAME", default="nobody")


@pytest.fixture(autouse=True)
def _quiet_distributed():
    logger = logging.getLogger("distributed")
    before, logger.level = logger.level, logging.CRITICAL
    yield
    logger.level = before


def odd_fails(number):
    if number % 2:
        raise Contradiction(f"{number} is odd", "take an even one")
    return number * number


@pytest.mark.parametrize("each", [serial, threads])
def test_every_item_comes_back_once_and_nothing_is_raised(each):
    outcomes = dict(each(odd_fails, list(range(7))))
    assert {index: outcome for index, outcome in outcomes.items() if index % 2 == 0} == {0: 0, 2: 4, 4: 16, 6: 36}
    errors = {index: outcome for index, outcome in outcomes.items() if index % 2}
    assert {index: (type(e), e.message, e.remedy) for index, e in errors.items()} == {
        index: (Contradiction, f"{index} is odd", "take an even one") for index in (1, 3, 5)
    }


@pytest.mark.parametrize("each", [serial, threads])
def test_nothing_to_do(each):
    assert list(each(odd_fails, [])) == []


def test_without_compute_the_work_runs_in_threads():
    with mapper(Compute()) as each:
        assert each is threads


def test_the_first_to_finish_comes_first():
    if cores() < 2:
        pytest.skip("one core runs one after the other")
    second_was_seen = threading.Event()
    outcomes = threads(lambda index: index == 1 or second_was_seen.wait(LONG), [0, 1])
    assert next(outcomes) == (1, True)
    second_was_seen.set()
    assert list(outcomes) == [(0, True)]


def test_a_long_list_is_not_taken_ahead_of_its_turn():
    started = []
    outcomes = threads(started.append, range(10_000))
    next(outcomes)
    time.sleep(0.05)
    assert 1 <= len(started) <= 3 * cores()
    outcomes.close()


def test_work_sees_the_context_of_its_caller():
    token = NAME.set("a run")
    try:
        assert dict(threads(lambda _: NAME.get(), [1, 2, 3])) == {0: "a run", 1: "a run", 2: "a run"}
    finally:
        NAME.reset(token)


def test_gdal_gets_the_cores_that_few_items_leave_idle(monkeypatch):
    monkeypatch.delenv("GDAL_NUM_THREADS", raising=False)
    monkeypatch.setattr(compute, "cores", lambda: 8)
    assert dict(threads(os.getenv, ["GDAL_NUM_THREADS"])) == {0: "8"}
    assert dict(threads(os.getenv, ["GDAL_NUM_THREADS"] * 16))[15] == "1"
    assert "GDAL_NUM_THREADS" not in os.environ


def test_a_persons_own_number_of_threads_stays(monkeypatch):
    monkeypatch.setenv("GDAL_NUM_THREADS", "3")
    assert dict(threads(os.getenv, ["GDAL_NUM_THREADS"])) == {0: "3"}
    assert os.environ["GDAL_NUM_THREADS"] == "3"


def test_a_local_dask_cluster_works_and_its_workers_keep_to_one_thread(monkeypatch, tmp_path):
    monkeypatch.delenv("GDAL_NUM_THREADS", raising=False)
    with mapper(LOCAL) as each:
        assert {i: str(outcome) for i, outcome in each(int, ["1", "two", "3"])} == {
            0: "1",
            1: "invalid literal for int() with base 10: 'two'",
            2: "3",
        }
        assert dict(each(os.getenv, ["GDAL_NUM_THREADS", "OMP_NUM_THREADS"])) == {0: "1", 1: "1"}
        files = [f"{tmp_path}/{number}" for number in range(6)]
        pids = {outcome for _, outcome in each(_pid_once_two_are_at_work, files)}
    assert len(pids) == 2
    assert os.getpid() not in pids


def _pid_once_two_are_at_work(path):
    """Of this process, which says in a file that it is here."""
    import os
    import time
    from pathlib import Path

    Path(path).write_text(str(os.getpid()))
    end = time.monotonic() + 200
    while len({file.read_text() for file in Path(path).parent.iterdir()} - {""}) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    return os.getpid()


def test_an_error_of_the_package_keeps_its_remedy_across_dask():
    with mapper(
        LOCAL.model_copy(update={"cluster_kwargs": {"n_workers": 1, "processes": False, "protocol": "tcp://"}})
    ) as each:
        ((_, error),) = each(odd_fails, [3])
    assert isinstance(error, Contradiction)
    assert (error.message, error.remedy) == ("3 is odd", "take an even one")


def test_an_adaptive_cluster_starts_its_workers_when_there_is_work():
    adaptive = LOCAL.model_copy(
        update={
            "cluster_kwargs": {"n_workers": 0, "processes": False, "protocol": "tcp://"},
            "adapt_kwargs": {"minimum": 0, "maximum": 1},
        }
    )
    with mapper(adaptive) as each:
        assert dict(each(abs, [-1, -2])) == {0: 1, 1: 2}


def test_a_scheduler_by_its_address():
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=1, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0") as cluster,
        mapper(Compute(address=cluster.scheduler_address)) as each,
    ):
        assert dict(each(abs, [-1])) == {0: 1}


def start(named):
    with mapper(named) as each:
        list(each(abs, [-1]))


def test_nothing_to_do_starts_no_cluster():
    with mapper(Compute(cluster_class="no_such_module.Cluster")) as each:
        assert list(each(abs, [])) == []


def test_no_scheduler_answers(monkeypatch):
    monkeypatch.setattr(compute, "CONNECT_SECONDS", 0.3)
    with pytest.raises(OutsideError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1 ") as caught:
        start(Compute(address="tcp://127.0.0.1:1"))
    assert "compute.address" in caught.value.remedy


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no_such_module.Cluster", "cannot be imported"),
        ("distributed.NoSuchCluster", "cannot be imported"),
        ("subprocess.Popen", "is no Dask cluster"),
        ("os.system", "is no Dask cluster"),
    ],
)
def test_a_class_that_is_no_cluster_is_refused_before_it_runs(path, said):
    with pytest.raises(UserError, match=said):
        start(Compute(cluster_class=path, cluster_kwargs={"args": "true"}))


def test_an_argument_that_the_cluster_does_not_know():
    wrong = LOCAL.model_copy(update={"cluster_kwargs": {"n_wrkers": 2, "processes": False, "protocol": "tcp://"}})
    with pytest.raises(UserError, match="n_wrkers") as caught:
        start(wrong)
    assert "compute.cluster_kwargs" in caught.value.remedy


def test_what_goes_wrong_inside_leaves_no_process_behind():
    before, during = _children(), set()

    def fail_at_work():
        with mapper(LOCAL) as each:
            during.update(_children() for _ in each(abs, [-1]))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_at_work()
    assert len(max(during)) > len(before)
    assert _children() == before


def _children():
    import psutil

    return frozenset(c.pid for c in psutil.Process().children() if "resource_tracker" not in " ".join(c.cmdline()))


def test_an_item_that_kills_its_workers_is_a_failure_and_the_others_go_on():
    with mapper(LOCAL) as each:
        outcomes = dict(each(_kill_or_square, [1, 2, -1, 4]))
    assert {index: outcomes[index] for index in (0, 1, 3)} == {0: 1, 1: 4, 3: 16}
    assert isinstance(outcomes[2], SourceError)
    assert "memory" in outcomes[2].remedy


def test_a_cluster_whose_last_worker_is_gone_is_given_up(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(compute, "WORKERLESS_SECONDS", 2.0)
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-nanny", "--nthreads", "1", "--no-dashboard"]
    with (
        LocalCluster(n_workers=0, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0") as cluster,
        subprocess.Popen([*worker, cluster.scheduler_address], stderr=subprocess.DEVNULL) as process,
        mapper(Compute(address=cluster.scheduler_address)) as each,
    ):
        outcomes = dict(each(_kill_or_square, [-1, -2]))
        process.kill()
    assert sorted(outcomes) == [0, 1]
    assert {type(outcome) for outcome in outcomes.values()} == {OutsideError}
    assert "no worker for 2 s" in outcomes[0].message
    assert "run again" in outcomes[0].remedy


def _kill_or_square(number):
    import os

    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number
