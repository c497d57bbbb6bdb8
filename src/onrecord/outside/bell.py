"""The bell: wakes whoever waits for news of an organisation. It only saves waiting."""

import asyncio


class LocalBell:
    """A bell within one process."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._waiting: dict[int, set[asyncio.Future[None]]] = {}

    def ring(self, entity_id: int) -> None:
        """Wake everybody who waits for the organisation."""
        for future in self._waiting.pop(entity_id, ()):
            if not future.done():
                future.set_result(None)

    def ring_all(self) -> None:
        """Wake everybody, as when the server stops."""
        for entity_id in list(self._waiting):
            self.ring(entity_id)

    async def wait(self, entity_id: int, seconds: float) -> bool:
        """Wait for the next ring, at most so long; whether it rang."""
        future = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(entity_id, set())
        waiting.add(future)
        try:
            await asyncio.wait_for(future, seconds)
        except TimeoutError:
            return False
        finally:
            waiting.discard(future)
            if not waiting and self._waiting.get(entity_id) is waiting:
                del self._waiting[entity_id]
        return True
