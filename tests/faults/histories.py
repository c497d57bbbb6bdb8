"""Random histories of acts: what the actors do, and what they were told."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.faults.acting import Acting
from tests.faults.processes import (
    BARRIERS,
    CHATS,
    CREATE_CHAT,
    CREATE_MEMBER,
    CREATE_MEMBER_V2,
    DISCARD,
    GROUPS,
    INVITE,
    LEAVE,
    LONG,
    MEMBERS,
    REMOVE,
    RENAME,
    SAY,
    SEND,
)
from tests.faults.readers import read_along, read_as
from tests.sending import SEND_FILES, UPLOAD

Choice = tuple[int, Callable[[], Awaitable[None]]]
ACTORS = 8
ACTS = 60 if LONG else 25


@dataclass(frozen=True, slots=True)
class Said:
    """A text that was acknowledged."""

    chat_uuid: str
    seq: int
    text: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A text the Butler was told to have said to a member."""

    member: str
    chat_uuid: str
    seq: int
    text: str


@dataclass(slots=True)
class History(Acting):
    """Random acts of many actors, and what they were told."""

    said: list[Said] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    drafts: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    barriers: list[dict[str, str]] = field(default_factory=list)
    once: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """Text of each request with an idempotency key → every place it was answered with."""
    said_once: dict[str, list[Any]] = field(default_factory=dict)
    """The same for the Butler: text → every answer."""
    members: set[str] = field(default_factory=set)
    acts: int = ACTS
    """How often each actor acts."""
    over: bool = False

    async def act(self) -> None:
        """Do something at random."""
        weights, choices = zip(*self.choices(), strict=True)
        await self.chance.choices(choices, weights)[0]()

    def choices(self) -> list[Choice]:
        """Give what can be done, and how often it is beside the rest."""
        return [
            (14, self.send),
            (4, self.send_once),
            (2, self.send_file),
            (5, self.start_chat),
            (3, self.rename),
            (5, self.invite),
            (3, self.remove),
            (3, self.leave),
            (3, self.step_out),
            (2, self.discard),
            (3, self.look_after),
            (2, self.say),
            (1, self.say_once),
            (2, self.pause_member),
            (2, self.lose_member),
            (2, self.change_member),
            (3, self.make_member),
            (2, self.make_member_in_group),
            (2, self.make_group),
            (2, self.change_group),
            (2, self.fill_group),
            (3, self.empty_group),
            (1, self.bar),
            (3, self.unbar),
            (1, self.part_company),
            (2, self.misbehave),
            (1, self.make_key),
            (1, self.change_key),
            (1, self.freeze),
            (1, self.look_at_checkpoint),
        ]

    async def run(self) -> tuple[list[list[int]], list[tuple[str, list[dict[str, Any]]]]]:
        """Let everybody act, while the organisation's feed and those of members are read.

        Gives what readers of the former saw, and members with what each of them was told.
        """
        cast = self.world.cast
        people = [cast.tomas, cast.miriam, cast.priya]

        async def actor() -> None:
            for _ in range(self.acts):
                await self.act()

        async def actors() -> None:
            try:
                await asyncio.gather(*(actor() for _ in range(ACTORS)))
            finally:
                self.over = True

        def is_over() -> bool:
            return self.over

        async def reading() -> list[list[dict[str, Any]]]:
            each = itertools.cycle(self.worlds)
            return await asyncio.gather(
                *(read_as(next(each), person, self.chance, is_over) for person in people)
            )

        while len(self.chats) < 4:  # before barriers and empty groups keep people apart
            await self.start_chat()
        feeds = [read_along(world, self.chance, is_over) for world in self.worlds]
        _, mine, *seen = await asyncio.gather(actors(), reading(), *feeds)
        late = await reading()  # who comes afterwards is told the same
        return seen, [
            (person.uuid, one)
            for read in (mine, late)
            for person, one in zip(people, read, strict=True)
        ]

    # -- chats -----------------------------------------------------------------------------------

    async def in_a_chat(self, path: str, writes: str | None = None, **json: Any) -> httpx.Response:
        """Act in some chat, most often as one of those who were in it at first."""
        chat_uuid = json.setdefault("chat_uuid", self.a_chat())
        first = self.chats.get(chat_uuid, [])
        actor = self.chance.choice([*first[:1], *first, self.somebody()])
        return await self.post(path, key=self.a_key(), on_behalf_of=actor, json=json, writes=writes)

    async def send(self) -> None:
        text = self.a_text()
        json: dict[str, Any] = {"text": text}
        if self.chance.random() < 0.3:
            json["reply_to_seq"] = self.chance.randrange(12)
        answer = await self.in_a_chat(SEND, "message.sent", **json)
        if answer.status_code == 200:
            told = answer.json()
            self.said.append(Said(told["chat_uuid"], told["seq"], text))

    async def send_file(self) -> None:
        """Upload a file and send it, in one call or in two."""
        chat_uuid = self.a_chat()
        actor = self.chance.choice([*self.chats.get(chat_uuid, [])[:1], self.somebody()])
        how: dict[str, Any] = {"key": self.a_key(), "on_behalf_of": actor}
        text = self.a_text() if self.chance.random() < 0.5 else None
        json: dict[str, Any] = {"chat_uuid": chat_uuid, **({"text": text} if text else {})}
        files = {"file": ("letter.txt", self.a_text().encode(), "text/plain")}
        if self.chance.random() < 0.5:
            answer = await self.post(
                SEND_FILES, data=json, files=files, writes="message.sent", **how
            )
        else:
            made = await self.post(UPLOAD, data={"chat_uuid": chat_uuid}, files=files, **how)
            if made.status_code != 200:
                return
            json["attachment_uuid"] = made.json()["attachment_uuid"]
            answer = await self.post(SEND_FILES, json=json, writes="message.sent", **how)
        if answer.status_code == 200 and text:
            told = answer.json()
            self.said.append(Said(told["chat_uuid"], told["seq"], text))

    async def send_once(self) -> None:
        """Send with an idempotency key, several times, at once and again."""
        if not self.chats:
            return
        chat_uuid = self.chance.choice(list(self.chats))
        author, text = self.chats[chat_uuid][0], self.a_text()
        how: dict[str, Any] = {
            "key": self.world.cast.master,
            "on_behalf_of": author,
            "json": {"chat_uuid": chat_uuid, "text": text},
            "headers": {"Idempotency-Key": f"once {text!a}"},
        }
        answers = await asyncio.gather(*(self.post(SEND, **how) for _ in range(3)))
        answers.append(await self.post(SEND, **how))
        told = [one.json() for one in answers if one.status_code == 200]
        self.once[text] = [(one["chat_uuid"], one["seq"]) for one in told]
        other = {**how, "json": {"chat_uuid": chat_uuid, "text": f"{text} other"}}
        if told:
            assert (await self.post(SEND, **other)).status_code in {422, 404, 403}

    async def start_chat(self) -> None:
        creator = self.somebody()
        cast = self.world.cast
        others = self.chance.sample(cast.people, self.chance.randint(1, 3))
        json: dict[str, Any] = {
            "entity_user_xref_uuids": [other.uuid for other in others],
            "title": f"Matter {next(self.numbers)}",
            "is_staff_only": self.chance.random() < 0.2,
        }
        text = self.a_text()
        if self.chance.random() < 0.6:
            json["text"] = text
        answer = await self.post(
            CREATE_CHAT, key=self.a_key(), on_behalf_of=creator, json=json, writes="chat.created"
        )
        if answer.status_code == 200:
            chat_uuid = answer.json()["chat_uuid"]
            inside = [creator, *(other for other in others if other != creator)]
            self.chats[chat_uuid] = inside
            if "text" in json:
                self.said.append(Said(chat_uuid, 0, text))
            else:
                self.drafts.append(chat_uuid)

    async def rename(self) -> None:
        await self.in_a_chat(RENAME, "chat.renamed", title=f"Renamed {next(self.numbers)}")

    async def invite(self) -> None:
        await self.in_a_chat(INVITE, entity_user_xref_uuids=self.some(3))

    async def remove(self) -> None:
        """Take somebody out of a chat, now and then of a draft; most often who is in it."""
        chat_uuid = self.chance.choice([*self.drafts[-1:], *self.chats] or [""])
        first = self.chats.get(chat_uuid, [])
        who = self.chance.choice([*first[1:], *first[1:], self.somebody()])
        await self.in_a_chat(REMOVE, chat_uuid=chat_uuid, entity_user_xref_uuids=[who.uuid])

    async def leave(self) -> None:
        await self.in_a_chat(LEAVE, "participant.left")

    async def step_out(self) -> None:
        """Leave a chat, and come back after others have spoken."""
        if not self.chats:
            return
        chat_uuid = self.chance.choice(list(self.chats))
        first, *others = self.chats[chat_uuid]
        who = self.chance.choice(others or [first])
        key, place = self.world.cast.master, {"chat_uuid": chat_uuid}
        await self.post(LEAVE, key=key, on_behalf_of=who, json=place)
        await self.post(SEND, key=key, on_behalf_of=first, json={**place, "text": self.a_text()})
        back = {**place, "entity_user_xref_uuids": [who.uuid]}
        await self.post(INVITE, key=key, on_behalf_of=first, json=back)

    async def discard(self) -> None:
        """Throw a draft away, when nobody was quicker to begin it."""
        chat_uuid = self.drafts.pop() if self.drafts else ""
        await self.in_a_chat(DISCARD, "chat.discarded", chat_uuid=chat_uuid)

    async def look_after(self) -> None:
        """Archive, mute or read: personal views, of which the record knows nothing."""
        kinds: list[tuple[str, dict[str, Any]]] = [
            ("archive", {"archived": self.chance.random() < 0.7}),
            ("mute", {"muted": True}),
            ("read", {"seq": self.chance.randrange(4)}),
        ]
        name, how = self.chance.choice(kinds)
        await self.in_a_chat(f"{CHATS}/{name}", **how)

    # -- the Butler ------------------------------------------------------------------------------

    def an_audience(self) -> dict[str, Any]:
        return self.chance.choice(
            [
                {"entity_user_xref_uuids": self.some(5)},
                {"identifier": "CL-1"},
                {"audience": {"everyone": True}},
                {"audience": {"enum_profile_ids": [4, 5], "group_uuids": [self.a_group()]}},
            ]
        )

    async def say(self) -> None:
        json = {"text": f"{self.a_text()} <First Name>", **self.an_audience()}
        answer = await self.post(SAY, key=self.a_key(), json=json)
        if answer.status_code == 200:
            self._hear(json["text"], answer.json())

    def _hear(self, text: str, told: dict[str, Any]) -> None:
        assert told["sent"] + told["failed"] == len(told["results"]) > 0
        for one in told["results"]:
            if "error_code" not in one:
                member = one["entity_user_xref_uuid"]
                self.heard.append(Heard(member, one["chat_uuid"], one["seq"], text))

    async def say_once(self) -> None:
        """Let the Butler say a text under an idempotency key, twice at once and again."""
        text = f"{self.a_text()} <First Name>"
        how: dict[str, Any] = {
            "key": self.world.cast.master,
            "json": {"text": text, **self.an_audience()},
            "headers": {"Idempotency-Key": f"once {text!a}"},
        }
        answers = await asyncio.gather(*(self.post(SAY, **how) for _ in range(2)))
        answers.append(await self.post(SAY, **how))
        told = [one.json() for one in answers if one.status_code == 200]
        self.said_once[text] = told
        for one in told[:1]:
            self._hear(text, one)

    # -- members, groups, barriers ---------------------------------------------------------------

    def a_group(self) -> str:
        return self.chance.choice([self.world.cast.team, *self.groups])

    async def make_member(self) -> None:
        await self._member(CREATE_MEMBER, {"group_uuids": [self.a_group()]})

    async def make_member_in_group(self) -> None:
        group = {
            "new_group_name": f"Household {next(self.numbers)}",
            "new_group_entity_user_xref_uuids": [self.world.cast.priya.uuid],
        }
        await self._member(CREATE_MEMBER_V2, group)

    async def _member(self, path: str, more: dict[str, Any]) -> None:
        number = self.chance.randrange(60)  # so small that two actors meet
        json = {
            "enum_profile_id": self.chance.choice([3, 4, 4, 5]),
            "first_name": "Nora",
            "primary_email": f"nora.{number}@example.net",
            "identifier": f"N-{number}",
            **more,
        }
        answer = await self.post(
            path, key=self.world.cast.system, json=json, writes="member.created"
        )
        if answer.status_code == 200:
            uuid = answer.json()["entity_user_xref_uuid"]
            assert uuid not in self.members
            self.members.add(uuid)

    def an_expendable(self) -> str:
        """Give somebody whose feed nobody reads: those who read must go on being members."""
        cast = self.world.cast
        own = [cast.ingrid, cast.ingrid, cast.olga, cast.george, cast.petra]
        return self.chance.choice([*(one.uuid for one in own), *sorted(self.members)[:2]])

    async def pause_member(self) -> None:
        """Suspend somebody, let the others go on, and bring the member back."""
        who = {"entity_user_xref_uuid": self.an_expendable()}
        await self._system(f"{MEMBERS}/suspend", "member.suspended", **who)
        await self.chance.choice([self.send, self.invite, self.remove, self.fill_group])()
        await self._system(f"{MEMBERS}/unsuspend", "member.unsuspended", **who)

    async def lose_member(self) -> None:
        """End a membership, and most often bring the member back."""
        who = {"entity_user_xref_uuid": self.an_expendable()}
        await self._system(f"{MEMBERS}/destroy", **who)
        if self.chance.random() < 0.8:
            await self._system(f"{MEMBERS}/restore", "member.restored", **who)

    async def change_member(self) -> None:
        """Change what a member is called, how the member is reached, or the role."""
        number = next(self.numbers)
        acts: list[tuple[str, dict[str, Any]]] = [
            ("update", {"last_name": f"Name {number}", "emails": [f"e{number}@example.net"]}),
            ("update", {"identifier": f"N-{self.chance.randrange(60)}"}),
            ("emails/update", {"primary_email": f"nora.{number % 60}@example.net"}),
            ("phone-numbers/update", {"primary_phone_number": f"+4420{number:06}"}),
            ("profile/update", {"enum_profile_id": self.chance.choice([1, 2, 3, 4, 5])}),
            ("profile/update", {"data_reviewer_level": self.chance.randrange(4)}),
        ]
        act, new = self.chance.choice(acts)
        people = [*self.world.cast.people, self.world.cast.petra]
        who = self.chance.choice([*(one.uuid for one in people), *sorted(self.members)[:2]])
        await self._system(f"{MEMBERS}/{act}", entity_user_xref_uuid=who, **new)

    async def _system(self, path: str, writes: str | None = None, **json: Any) -> httpx.Response:
        return await self.post(path, key=self.world.cast.system, json=json, writes=writes)

    async def make_group(self) -> None:
        number = self.chance.randrange(30)  # so small that two actors meet
        json: dict[str, Any] = {"name": "Desk", "identifier": f"G-{number}"}
        if self.chance.random() < 0.6:
            json["entity_user_xref_uuids"] = self.some(3)
        answer = await self._system(f"{GROUPS}/create", "group.created", **json)
        if answer.status_code == 200:
            self.groups.append(answer.json()["group_uuid"])

    async def change_group(self) -> None:
        group = self.a_group()
        if self.chance.random() < 0.3:
            await self._system(f"{GROUPS}/destroy", group_uuid=group)
            return
        new = {
            "name": f"Desk {next(self.numbers)}",
            "description": self.a_text(),
            "new_identifier": self.chance.choice(["", f"G-{self.chance.randrange(30)}"]),
            "state": self.chance.choice(["active", "active", "inactive"]),
        }
        chosen = dict(self.chance.sample(sorted(new.items()), 2))
        await self._system(f"{GROUPS}/update", group_uuid=group, **chosen)

    async def fill_group(self) -> None:
        how: dict[str, Any] = {"group_uuid": self.a_group(), "entity_user_xref_uuids": self.some(3)}
        await self._system(f"{GROUPS}/group-members/create", **how)

    async def empty_group(self) -> None:
        how: dict[str, Any] = {"group_uuid": self.a_group(), "entity_user_xref_uuids": self.some(3)}
        await self._system(f"{GROUPS}/group-members/destroy", **how)

    async def bar(self) -> None:
        between = {"group_uuid": self.a_group(), "other_group_uuid": self.a_group()}
        answer = await self._system(f"{BARRIERS}/create", **between)
        if answer.status_code == 200:
            self.barriers.append(between)

    async def unbar(self) -> None:
        """Lift a barrier; most often one that somebody has made."""
        if self.barriers:
            between = self.chance.choice(self.barriers)
            answer = await self._system(f"{BARRIERS}/destroy", "barrier.destroyed", **between)
            if answer.status_code == 200 and between in self.barriers:
                self.barriers.remove(between)

    async def part_company(self) -> None:
        """Bring two of the staff to groups with a barrier between them, the second one after it."""
        cast = self.world.cast
        one, other = self.chance.sample([cast.miriam, cast.tomas, cast.ingrid, cast.olga], 2)
        sides = []
        for inside in ([one.uuid], []):
            made = await self._system(
                f"{GROUPS}/create", name="Desk", entity_user_xref_uuids=inside or None
            )
            if made.status_code != 200:  # frozen, or across a barrier
                return
            sides.append(made.json()["group_uuid"])
        between = {"group_uuid": sides[0], "other_group_uuid": sides[1]}
        made = await self._system(f"{BARRIERS}/create", **between)
        if made.status_code == 200:
            self.barriers.append(between)
        whom: dict[str, Any] = {"group_uuid": sides[1], "entity_user_xref_uuids": [other.uuid]}
        await self._system(f"{GROUPS}/group-members/create", **whom)
        if self.chance.random() < 0.3:
            await self._system(f"{GROUPS}/group-members/destroy", **whom)
