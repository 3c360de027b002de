"""The mappers: every item comes back once, whatever befalls it."""

import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from itertools import islice
from typing import ClassVar

import dask
import pytest
from clockless import LONG, until
from distributed import LocalCluster

from earthcode_pack.errors import Contradiction, OutsideError, SourceError, UserError
from earthcode_pack.execution import dask_cluster
from earthcode_pack.execution import mapper as compute
from earthcode_pack.execution.mapper import cores, mapper, serial, threads
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
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 0.3)
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


# --- clusters that die, stop, or never come ---------------------------------------------------------------------------

BRIEF = 4  # s of compute.wait


@pytest.fixture
def hasty(monkeypatch):
    """What takes half a minute at work."""
    monkeypatch.setattr(compute, "SILENT_SECONDS", 3.0)
    monkeypatch.setattr(compute, "SCALE_SECONDS", 1.0)
    monkeypatch.setattr(dask_cluster, "CLOSE_SECONDS", 3.0)
    monkeypatch.setattr(compute, "_CANCEL_SECONDS", 1.0)


@contextmanager
def program(*command):
    """A process of Dask's command line, killed at the end, stopped or not."""
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}  # noqa: PTH120 - for the functions below
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(
        [sys.executable, "-m", *command], env=environment, start_new_session=True, **quiet
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def scheduler(folder):
    """A scheduler in a process of its own, and its address."""
    file = folder / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    with program("distributed.cli.dask_scheduler", *options) as process:
        yield (
            process,
            until(lambda: file.is_file() and file.read_text() and json.loads(file.read_text())["address"], "it"),
        )


def worker(address, *options):
    """A worker process of one thread, by default without a nanny."""
    how = ["--nthreads", "1", "--no-dashboard", "--local-directory", tempfile.gettempdir()]
    return program("distributed.cli.dask_worker", *(options or ["--no-nanny"]), *how, address)


def given_up(each, function, items):
    """The message and remedy with which every item comes back that did not before the run ended."""
    outcomes = dict(each(function, items))
    assert sorted(outcomes) == list(range(len(items)))
    failures = {(o.message, o.remedy) for o in outcomes.values() if isinstance(o, OutsideError)}
    assert len(failures) == 1, outcomes
    return failures.pop()


@pytest.mark.usefixtures("hasty")
def test_a_scheduler_that_never_has_a_worker_is_given_up(tmp_path):
    with scheduler(tmp_path) as (_, address), mapper(Compute(address=address, wait=BRIEF)) as each:
        message, remedy = given_up(each, abs, [-1, -2])
    assert message == f"waited {BRIEF} s for a first worker to join the Dask scheduler at {address}"
    assert "start some" in remedy
    assert "compute.wait" in remedy


@pytest.mark.usefixtures("hasty")
def test_a_cluster_whose_last_worker_is_gone_is_given_up(tmp_path):
    with (
        scheduler(tmp_path) as (_, address),
        worker(address) as process,
        mapper(Compute(address=address, wait=BRIEF)) as each,
    ):
        message, remedy = given_up(each, _kill_or_square, [-1, -2])
        process.wait(LONG)
    assert "another worker, for the last one is gone" in message
    assert "run again" in remedy


@pytest.mark.usefixtures("hasty")
def test_a_worker_that_stands_still_is_named_and_given_up(tmp_path):
    with (
        scheduler(tmp_path) as (_, address),
        worker(address) as process,
        mapper(Compute(address=address, wait=2 * BRIEF)) as each,
    ):
        assert dict(each(abs, [-1])) == {0: 1}
        process.send_signal(signal.SIGSTOP)
        message, _ = given_up(each, abs, [-1, -2])
    assert "a sign of the Dask worker tcp://127.0.0.1:" in message


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
@pytest.mark.usefixtures("hasty")
def test_a_scheduler_that_stands_still_or_dies_at_work_is_given_up(tmp_path, how):
    with (
        scheduler(tmp_path) as (process, address),
        worker(address),
        mapper(Compute(address=address, wait=2 * BRIEF)) as each,
    ):
        outcomes = each(_slow_after_the_first, [0, LONG])
        assert next(outcomes) == (0, 0)
        process.send_signal(how)
        ((index, error),) = outcomes
    assert (index, type(error)) == (1, OutsideError)
    assert "the Dask scheduler" in error.message
    assert "run again" in error.remedy


def _slow_after_the_first(seconds):
    import time

    time.sleep(seconds)
    return seconds


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
def test_the_part_of_a_worker_that_stands_still_goes_to_another(tmp_path):
    """The scheduler of a cluster that was started here replaces it after a quarter of ``compute.wait`` and 30 s."""
    local = LOCAL.model_copy(update={"wait": 160})
    with mapper(local) as each:
        outcomes = each(_stop_the_first_time, [(str(tmp_path / "was-here"), number) for number in range(4)])
        assert dict(outcomes) == {0: 0, 1: 1, 2: 4, 3: 9}


def _stop_the_first_time(item):
    import os
    import signal

    path, number = item
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return number * number
    os.kill(os.getpid(), signal.SIGSTOP)
    return None


def test_what_a_worker_waits_for_is_said_by_the_run(caplog):
    with caplog.at_level(logging.INFO, "earthcode_pack.waiting"), mapper(LOCAL) as each:
        assert dict(each(_wait_a_moment, [1])) == {0: 1}
        until(lambda: "waiting for the tide" in caplog.text, "the words of a worker")
    assert re.search(r"waiting for the tide: .* \(the Dask worker tcp://127\.0\.0\.1:\d+\)", caplog.text)


def _wait_a_moment(number):
    import time

    from earthcode_pack.execution import waiting

    waiting.FIRST_SECONDS = 0.1
    with waiting.spoken(waiting.Wait("the tide")):
        time.sleep(2)
    return number


class Fragile(LocalCluster):
    """A cluster whose nannies a test can have give up, as they do on a machine that is too busy."""

    made: ClassVar = []

    def __init__(self, **kwargs):
        super().__init__(dashboard_address="127.0.0.1:0", **kwargs)
        self.made.append(self)

    def lose_all(self):
        async def close():
            for nanny in list(self.workers.values()):
                await nanny.close()

        self.sync(close)


@pytest.mark.usefixtures("hasty")
def test_a_cluster_whose_nannies_all_gave_up_is_scaled_again():
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"}):
        compute_ = LOCAL.model_copy(update={"cluster_class": "test_compute.Fragile", "wait": LONG})
        with mapper(compute_) as each:
            assert dict(each(abs, [-1])) == {0: 1}
            import_module("test_compute").Fragile.made.pop().lose_all()
            assert dict(each(abs, [-1, -2, -3])) == {0: 1, 1: 2, 2: 3}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("seed", range(int(os.environ.get("KILLS", "1"))))
def test_whatever_dies_or_stands_still_at_a_random_moment_each_item_comes_back_once(seed, tmp_path):
    """Right where one worker dies, for the others do its part; else right, or an error that says what to do."""
    chance, numbers = random.Random(seed), list(range(60))
    how = chance.choice([signal.SIGKILL, signal.SIGSTOP])
    with (
        scheduler(tmp_path) as (process, address),
        worker(address) as lone,
        worker(address, "--nanny") as nanny,
        mapper(Compute(address=address, wait=8)) as each,
    ):
        victim = chance.choice([lone, nanny, process])
        outcomes = each(_slow_square, numbers)
        found = list(islice(outcomes, chance.randrange(1, 40)))
        os.killpg(victim.pid, how)
        found += outcomes
    assert sorted(index for index, _ in found) == numbers
    errors = [outcome for _, outcome in found if isinstance(outcome, Exception)]
    assert {index: outcome for index, outcome in found if outcome not in errors}.items() <= {
        number: number * number for number in numbers
    }.items()
    assert {type(error) for error in errors} <= {OutsideError}
    assert all(error.remedy for error in errors)
    assert errors == [] or how == signal.SIGSTOP or victim is process


def _slow_square(number):
    import time

    time.sleep(0.05)
    return number * number


def _kill_or_square(number):
    import os

    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number
