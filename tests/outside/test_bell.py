"""The bell: wakes whoever waits, and nobody else."""

import asyncio

from onrecord.outside.bell import LocalBell


def test_a_ring_wakes_those_who_wait_for_the_organisation() -> None:
    async def main() -> list[bool]:
        bell = LocalBell()
        waiting = [asyncio.create_task(bell.wait(number, 0.2)) for number in (1, 1, 2)]
        await asyncio.sleep(0)
        bell.ring(1)
        bell.ring(3)
        woken = list(await asyncio.gather(*waiting))
        assert not bell._waiting
        return woken

    assert asyncio.run(main()) == [True, True, False]


def test_a_stop_wakes_everybody() -> None:
    async def main() -> list[bool]:
        bell = LocalBell()
        waiting = [asyncio.create_task(bell.wait(number, 5)) for number in (1, 2)]
        await asyncio.sleep(0)
        bell.ring_all()
        return list(await asyncio.gather(*waiting))

    assert asyncio.run(main()) == [True, True]


def test_who_gives_up_waiting_is_forgotten() -> None:
    async def main() -> None:
        bell = LocalBell()
        task = asyncio.create_task(bell.wait(1, 5))
        other = asyncio.create_task(bell.wait(1, 5))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        bell.ring(1)
        assert await other
        assert not bell._waiting

    asyncio.run(main())
