"""Independent pieces of work spread over the cores of this machine, or over a Dask cluster.

Pieces are handed out in order, only so many at once that the results wait for nobody's memory,
and come back in order. On a cluster, a piece whose worker is lost is given to another one; that
is Dask's doing, as is everything else about it.
"""

import logging
import multiprocessing
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from bayes_hfgrowth.support.errors import ClusterError

__all__ = ["LOCAL", "Submit", "beside", "in_order", "workers"]

LOCAL = "local"
"""Address that stands for a Dask cluster of this machine's cores, made for the occasion."""

PATIENCE = 10.0
"""Seconds that a scheduler has to answer."""

_LARGE_GRAPH = "1GiB"  # a population posterior travels with the first piece; that is meant


type Submit = Callable[..., Any]
"""Hands a function and its arguments to a worker, and returns a future of the result."""


@contextmanager
def workers(dask: str | None, jobs: int | None = None) -> Iterator[tuple[Submit, Any, int]]:
    """Start threads, or connect to a Dask cluster.

    Parameters
    ----------
    dask : str or None
        Address of a Dask scheduler, or ``local`` for a cluster of this machine's cores. Without
        it, threads of this process do the work.
    jobs : int, optional
        How many threads, or workers of a local cluster; one for each core by default. A cluster
        elsewhere decides for itself.

    Yields
    ------
    submit : callable
        Takes a function and its arguments; see `in_order`.
    share : callable
        Takes an object that many pieces need, and returns what stands for it as an argument.
    number : int
        How many pieces can be worked on at once.

    Raises
    ------
    ClusterError
        When Dask is not installed, no scheduler answers, or the cluster is lost.
    """
    number = jobs or os.cpu_count() or 1
    if dask is None:
        pool = ThreadPoolExecutor(number)
        try:
            yield pool.submit, _same, number
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return
    try:
        import distributed
        from dask import config
        from distributed.comm.core import CommClosedError
    except ImportError as failure:
        raise ClusterError(
            f"--dask needs the package {failure.name}, which is not installed; "
            "pip install 'bayes-hfgrowth[cluster]'"
        ) from failure
    lost = (CancelledError, CommClosedError, TimeoutError)
    quiet = {"distributed.admin.large-graph-warning-threshold": _LARGE_GRAPH}
    with config.set(quiet), _client(distributed, dask, number) as client:
        try:
            yield (
                lambda function, *given: client.submit(function, *given, pure=False),
                # Not scattered: what a task made, Dask makes again when its worker is lost.
                lambda shared: client.submit(_same, shared, pure=False),
                max(1, sum(client.nthreads().values())),
            )
        except distributed.KilledWorker as failure:
            raise ClusterError(
                f"workers of the Dask cluster {dask} died again and again over the same piece "
                "of work; give them more memory"
            ) from failure
        except lost as failure:
            raise ClusterError(
                f"the Dask cluster {dask} went away ({type(failure).__name__}); "
                "see that its scheduler runs and start again"
            ) from failure


def in_order(submit: Submit, pieces: Iterable[tuple[Any, ...]], ahead: int) -> Iterator[Any]:
    """Hand out pieces of work and give their results in the same order.

    Parameters
    ----------
    submit : callable
        From `workers`.
    pieces : iterable of tuple
        A function and its arguments each; taken only as fast as they are worked off.
    ahead : int
        Most pieces that are handed out and whose results have not been taken.
    """
    waiting: deque[Any] = deque()
    for piece in pieces:
        waiting.append(submit(*piece))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def beside(
    function: Callable[..., Any], pieces: Iterable[tuple[Any, ...]]
) -> Iterator[Callable[[], list[Any]]]:
    """Work in other processes of this machine while the body runs, if this one may have some.

    Parameters
    ----------
    function : callable
        Does a piece of work.
    pieces : iterable of tuple
        Its arguments each.

    Yields
    ------
    callable
        Waits for the results and returns them in order.
    """
    if multiprocessing.current_process().daemon:  # as the workers of a Dask cluster are
        yield lambda: [function(*piece) for piece in pieces]
        return
    import joblib  # which most who need this module do not

    processes = joblib.Parallel(
        max(2, joblib.cpu_count()), return_as="generator", prefer="processes"
    )
    running = processes(joblib.delayed(function)(*piece) for piece in pieces)
    try:
        yield lambda: list(running)
    finally:
        with warnings.catch_warnings():  # whoever interrupts knows that they are not finished
            warnings.filterwarnings("ignore", ".* tasks which were still", UserWarning)
            running.close()


@contextmanager
def _client(distributed: Any, address: str, number: int) -> Iterator[Any]:
    """Connect to a scheduler, or to one that is started here."""
    if address == LOCAL:
        with (
            distributed.LocalCluster(
                n_workers=number,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.ERROR,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client
        return
    noisy = logging.getLogger("distributed")
    level = noisy.level
    noisy.setLevel(logging.CRITICAL)  # it prints a traceback for each attempt to connect
    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as failure:
        raise ClusterError(
            f"no Dask scheduler answers at {address} ({type(failure).__name__}); "
            f"start one with dask scheduler and give its address, or give {LOCAL}"
        ) from failure
    finally:
        noisy.setLevel(level)
    with client:
        if not client.nthreads():
            raise ClusterError(
                f"the Dask scheduler at {address} has no workers; start some with dask worker"
            )
        yield client


def _same(shared: Any) -> Any:
    return shared
