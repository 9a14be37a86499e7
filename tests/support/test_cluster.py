"""Work in other processes beside one's own."""

import multiprocessing
import os
from typing import Any

import pytest

from bayes_hfgrowth.support.cluster import beside


def with_process(value: int) -> tuple[int, int]:
    return value**2, os.getpid()


def fail(_: int) -> None:
    raise ValueError("no")


def daemons_do_it_themselves(answer: Any) -> None:
    with beside(with_process, [(3,), (4,)]) as results:
        answer.put((os.getpid(), results()))


def test_results_come_from_other_processes_in_order() -> None:
    with beside(with_process, ((i,) for i in range(6))) as results:
        found = results()
    assert [value for value, _ in found] == [0, 1, 4, 9, 16, 25]
    assert os.getpid() not in {process for _, process in found}


def test_a_daemon_which_may_have_no_processes_works_by_itself() -> None:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=daemons_do_it_themselves, args=(answer,), daemon=True)
    process.start()
    own, found = answer.get(timeout=120)
    process.join(60)
    assert process.exitcode == 0
    assert found == [(9, own), (16, own)]


def test_what_goes_wrong_there_is_told_here() -> None:
    with pytest.raises(ValueError, match="no"), beside(fail, [(1,)]) as results:
        results()


def test_nothing_to_do() -> None:
    with beside(fail, []) as results:
        assert results() == []
