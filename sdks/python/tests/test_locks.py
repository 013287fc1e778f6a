"""Locks for what two different events share."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import MakeStore

from postrider_receiver import LeaseLost, LockHeld, with_lock
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
    class Extended(MemoryStore):
        def extend(self, *given: Any) -> bool:
            is_held = super().extend(*given)
            extended.release()
            return is_held

    extended = threading.Semaphore(0)
    store = Extended()
    with with_lock(store, "repo:1", 1.5) as lock:
        # longer than its time to live
        for _ in range(5):
            assert extended.acquire(timeout=30)
            with pytest.raises(LockHeld), with_lock(store, "repo:1", 1.5):
                pass
        lock.check()


def test_a_lock_that_was_lost_is_told_in_the_end() -> None:
    store = MemoryStore()

    def lose_it() -> None:
        with with_lock(store, "repo:1", 0.2) as lock:
            store._locks["repo:1"].token = "another's"
            assert lock.wait_until_lost(30)
            assert lock.is_lost

    with pytest.raises(LeaseLost):
        lose_it()


def test_an_error_inside_comes_through_and_releases() -> None:
    store = MemoryStore()
    with pytest.raises(OSError, match="no disk"), with_lock(store, "repo:1", 30):
        raise OSError("no disk")
    with with_lock(store, "repo:1", 30):
        pass
