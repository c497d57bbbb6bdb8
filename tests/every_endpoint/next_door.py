"""What the organisation next door has, and what must never be seen of it."""

from dataclasses import dataclass

from tests.cast import butler_of, join
from tests.world import CHAT, World, accepted

SECRET = "a word that was only said next door"
IDENTIFIER = "NEXT-DOOR-7"
NOBODY = "0b5c3f5e-0000-4000-8000-00000000dead"
"""A uuid that is well-formed and nobody's."""


@dataclass(slots=True)
class NextDoor:
    """Ids of the other organisation, by what they are of, and everything that is private there."""

    ids: dict[str, str]
    private: list[str]

    def check(self, text: str, asked: str = "") -> None:
        """Assert that an answer shows nothing of it that was not in the question."""
        shown = [word for word in self.private if word in text and word not in asked]
        assert not shown, (shown, text)


def furnish_next_door(world: World) -> NextDoor:
    """Give the other organisation a chat, a member with an identifier of its own, and a group."""
    cast = world.cast
    other = world.run(join(world.app, cast.other, 3, "Ursula", "Quill", identifier=IDENTIFIER))
    made = accepted(
        world.post(
            f"{CHAT}/chats/create",
            key=cast.other_master,
            on_behalf_of=cast.karl,
            json={"entity_user_xref_uuids": [cast.nadia.uuid], "text": SECRET, "title": SECRET},
        )
    )
    group = world.rows(
        "SELECT g.uuid FROM client_group g JOIN entity e ON e.id = g.entity_id WHERE e.uuid = $1",
        cast.other,
    )[0][0]
    ids = {
        "organisation": cast.other,
        "chat": made["chat_uuid"],
        "group": group,
        "staff": cast.karl.uuid,
        "client": cast.lena.uuid,
        "identified": other.uuid,
        "administrator": cast.nadia.uuid,
        "butler": butler_of(world, cast.other),
        "key": cast.other_system.uuid,
    }
    words = ["Birch Partners", "Frost", "Stone", "Quill", "karl.frost", "lena.park", SECRET]
    return NextDoor(ids, [*ids.values(), *words])
