import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from qloom.errors import Misuse
from qloom.programs.direct import DirectRecorder
from qloom.programs.lanes import Lanes

ADVICE = 'wrap it in `with ctx.lane("name"):` so that a resumed job can replay it'


@pytest.fixture
def lanes() -> Lanes:
    return Lanes(DirectRecorder(1).lane)


def in_thread(call: Callable[[], Any]) -> Any:
    """What a call gives in a thread of its own."""
    with ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
        return pool.submit(call).result(timeout=30)


# ---- threads


def test_the_main_thread_has_the_main_lane(lanes: Lanes) -> None:
    assert lanes.current().name == "main"
    assert lanes.current() is lanes.current()


def test_another_thread_needs_a_lane_of_its_own(lanes: Lanes) -> None:
    with pytest.raises(Misuse) as caught:
        in_thread(lanes.current)
    assert str(caught.value) == f"this call comes from thread 'pool_0' outside any lane; {ADVICE}"


def test_each_thread_gets_the_lane_it_entered(lanes: Lanes) -> None:
    both = threading.Barrier(2, timeout=30)

    def work(name: str) -> str:
        with lanes.enter(name):
            both.wait()
            return lanes.current().name

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, ["a", "b"])) == ["a", "b"]


def test_the_main_thread_may_enter_lanes_and_comes_back(lanes: Lanes) -> None:
    with lanes.enter("a"), lanes.enter("b"):
        assert lanes.current().name == "b"
    with lanes.enter("a"):
        assert lanes.current().name == "a"
    assert lanes.current().name == "main"


def test_a_lane_is_not_inherited_with_a_copied_context(lanes: Lanes) -> None:
    with lanes.enter("a"):
        copied = contextvars.copy_context()
    with pytest.raises(Misuse, match="outside any lane"):
        in_thread(lambda: copied.run(lanes.current))


def test_a_lane_is_held_by_one_at_a_time(lanes: Lanes) -> None:
    def work() -> None:
        with lanes.enter("a"):
            pass

    with lanes.enter("a"), pytest.raises(Misuse, match="lane 'a' is held by thread 'MainThread'"):
        in_thread(work)
    in_thread(work)


def test_a_lane_is_free_again_after_an_error(lanes: Lanes) -> None:
    with pytest.raises(ZeroDivisionError), lanes.enter("a"):
        raise ZeroDivisionError
    with lanes.enter("a") as lane:
        assert lane.name == "a"


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101, 3, None, "main"])
def test_a_name_that_cannot_be_a_lane_is_refused(lanes: Lanes, name: Any) -> None:
    with pytest.raises(Misuse), lanes.enter(name):
        pass


def test_lanes_of_two_programs_do_not_mix(lanes: Lanes) -> None:
    other = Lanes(DirectRecorder(1).lane)
    with lanes.enter("a"), other.enter("a"):
        assert lanes.current() is not other.current()
    with lanes.enter("a"):
        assert other.current().name == "main"


def test_the_thread_that_made_the_context_is_its_main_one() -> None:
    assert in_thread(lambda: Lanes(DirectRecorder(1).lane).current().name) == "main"


# ---- asyncio


def test_the_first_task_has_the_main_lane_until_it_is_done(lanes: Lanes) -> None:
    async def one() -> str:
        return lanes.current().name

    assert asyncio.run(one()) == asyncio.run(one()) == "main"
    assert lanes.current().name == "main"


def test_a_second_task_needs_a_lane_of_its_own(lanes: Lanes) -> None:
    async def child() -> str:
        return lanes.current().name

    async def main() -> None:
        lanes.current()
        task = asyncio.create_task(child(), name="child 1")
        with pytest.raises(Misuse, match=r"from asyncio task 'child 1' outside any lane"):
            await task

    asyncio.run(main())


def test_tasks_keep_their_lanes_while_they_take_turns(lanes: Lanes) -> None:
    async def child(name: str) -> list[str]:
        seen = []
        with lanes.enter(name):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(lanes.current().name)
        return seen

    async def main() -> list[list[str]]:
        lanes.current()
        return list(await asyncio.gather(child("a"), child("b")))

    assert asyncio.run(main()) == [["a"] * 3, ["b"] * 3]


def test_a_task_does_not_inherit_the_lane_it_was_started_in(lanes: Lanes) -> None:
    async def child() -> None:
        lanes.current()

    async def main() -> None:
        lanes.current()
        with lanes.enter("a"), pytest.raises(Misuse, match="outside any lane"):
            await asyncio.create_task(child())

    asyncio.run(main())


def test_a_thread_started_by_a_task_needs_a_lane(lanes: Lanes) -> None:
    def work() -> str:
        with lanes.enter("worker"):
            return lanes.current().name

    async def main() -> str:
        lanes.current()
        with pytest.raises(Misuse, match="outside any lane"):
            await asyncio.to_thread(lanes.current)
        return await asyncio.to_thread(work)

    assert asyncio.run(main()) == "worker"


def test_a_bare_callback_of_the_loop_has_no_lane(lanes: Lanes) -> None:
    async def main() -> None:
        said: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def callback() -> None:
            try:
                lanes.current()
            except Misuse as error:
                said.set_result(str(error))

        asyncio.get_running_loop().call_soon(callback)
        assert "from a callback of the event loop outside any lane" in await asyncio.wait_for(said, 30)

    asyncio.run(main())


def test_a_task_in_a_loop_of_another_thread_needs_a_lane(lanes: Lanes) -> None:
    async def one() -> str:
        with lanes.enter("far"):
            inside = lanes.current().name
        with pytest.raises(Misuse, match="outside any lane"):
            lanes.current()
        return inside

    assert in_thread(lambda: asyncio.run(one())) == "far"
