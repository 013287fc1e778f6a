"""Locks for what two different events share."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import MakeStore

from postrider_receiver import LeaseLost, Lock, LockHeld, with_lock
from postrider_receiver.stores.memory import MemoryStore

STORES = ["memory", "sqlite", "postgres", "redis"]


@pytest.mark.parametrize("store_name", STORES)
def test_one_holder_at_a_time_and_fences_rise(store_name: str, make_store: MakeStore) -> None:
    store = make_store(store_name)
    fences: list[int] = []
    inside = threading.Semaphore()

    def work(_number: int) -> None:
        with with_lock(store, "repo:1", 30, wait_seconds=30) as lock:
            assert inside.acquire(blocking=False)
            lock.check()
            fences.append(lock.fence)
            time.sleep(0.001)
            inside.release()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(12)))
    assert len(set(fences)) == 12
    assert fences == sorted(fences)


@pytest.mark.parametrize("store_name", STORES)
def test_a_held_lock_is_not_waited_for(store_name: str, make_store: MakeStore) -> None:
    store = make_store(store_name)
    with with_lock(store, "repo:1", 30):
        with pytest.raises(LockHeld) as caught, with_lock(store, "repo:1", 30):
            pass
        assert 25 <= caught.value.retry_after_seconds <= 30
        with with_lock(store, "repo:2", 30):
            pass
    with with_lock(store, "repo:1", 30):
        pass


def test_a_lock_is_extended_while_it_is_held() -> None:
    store = MemoryStore()
    with with_lock(store, "repo:1", 0.3) as lock:
        deadline = time.monotonic() + 0.8
        while time.monotonic() < deadline:
            with pytest.raises(LockHeld), with_lock(store, "repo:1", 0.3):
                pass
            time.sleep(0.02)
        lock.check()


def test_a_lock_that_was_lost_is_told_in_the_end() -> None:
    store = MemoryStore()

    def lose(lock: Lock) -> None:
        store._locks["repo:1"].token = "another's"
        deadline = time.monotonic() + 30
        while not lock.is_lost:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    with pytest.raises(LeaseLost), with_lock(store, "repo:1", 0.2) as lock:
        lose(lock)


def test_an_error_inside_comes_through_and_releases() -> None:
    store = MemoryStore()
    with pytest.raises(OSError, match="no disk"), with_lock(store, "repo:1", 30):
        raise OSError("no disk")
    with with_lock(store, "repo:1", 30):
        pass
