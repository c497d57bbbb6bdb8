"""The logo and the avatar of an organisation: how they come in, and where they are shown."""

import io
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from PIL import Image

from onrecord.domain import organisations
from onrecord.domain.branding import SIZES
from onrecord.model.people import AVATAR_SIZES, LOGO_BOXES
from onrecord.outside.mail import compose
from onrecord.store.work import Work
from onrecord.web.organisation_pictures import FILE_LIMIT
from tests.every_endpoint.calls import picture
from tests.every_endpoint.next_door import NOBODY
from tests.faults.records import check_everything
from tests.jobs.test_post import Postman, deliver
from tests.web.test_avatars import BAD, saved
from tests.world import ENTITY, World, accepted, refused

HERE = f"{ENTITY}/organisation"
PUBLIC = "/app-service/api/organisations"
BOTH = ("logo", "avatar")
WIDE = picture("navy", (3000, 500))


def upload(world: World, which: str, content: bytes = WIDE, **how: Any) -> httpx.Response:
    """Give the firm a picture."""
    return world.post(
        f"{HERE}/{which}/update",
        key=how.pop("key", world.cast.system),
        files={"file": ("a.png", content, "image/png")},
        **how,
    )


def remove(world: World, which: str) -> httpx.Response:
    return world.post(f"{HERE}/{which}/remove", key=world.cast.system, json={})


def drawn(response: httpx.Response) -> Image.Image:
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content))


def by_url(world: World, url: str, **how: Any) -> httpx.Response:
    """Follow an address that an answer told, without any key."""
    parts = urlsplit(url)
    params = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return world.get(parts.path, params={**params, **how.pop("params", {})}, **how)


def urls(world: World) -> dict[str, str | None]:
    shown = accepted(world.get(HERE, key=world.cast.system))["organisation"]
    return {which: shown[f"{which}_url"] for which in BOTH}


# -- coming in ----------------------------------------------------------------------------------


def test_a_logo_keeps_its_shape_and_its_transparency_and_an_avatar_is_a_square(
    world: World,
) -> None:
    through = Image.new("RGBA", (3000, 500), (0, 0, 0, 0))
    through.paste((20, 40, 90, 255), (0, 0, 1500, 500))
    accepted(upload(world, "logo", saved(through)))
    accepted(upload(world, "avatar", WIDE))
    for size, (width, _) in LOGO_BOXES.items():
        params = {"size": size}
        logo = drawn(world.get(f"{HERE}/logo", key=world.cast.system, params=params))
        assert (logo.format, logo.mode, logo.size) == ("PNG", "RGBA", (width, round(width / 6)))
        assert logo.getpixel((width - 5, 20))[3] == 0  # type: ignore[index]  # it has four bands
        assert logo.getpixel((5, 20)) == (20, 40, 90, 255)
    for size in AVATAR_SIZES:
        params = {"size": size}
        avatar = drawn(world.get(f"{HERE}/avatar", key=world.cast.system, params=params))
        assert (avatar.format, avatar.size) == ("WEBP", (size, size))


def test_a_small_logo_is_not_made_larger_and_a_tall_one_fits_the_height(world: World) -> None:
    for content, sizes in (
        (picture("red", (100, 30)), [(100, 30), (100, 30)]),
        (picture("red", (400, 800)), [(80, 160), (160, 320)]),
        (picture("red", (1, 1)), [(1, 1), (1, 1)]),
        (picture("red", (9000, 2)), [(640, 1), (1280, 1)]),
    ):
        accepted(upload(world, "logo", content))
        found = [
            drawn(world.get(f"{HERE}/logo", key=world.cast.system, params={"size": size})).size
            for size in LOGO_BOXES
        ]
        assert found == sizes


def test_nothing_of_the_file_but_its_pixels_is_kept(sqlite_world: World) -> None:
    world = sqlite_world
    image = Image.new("RGB", (300, 100), "teal")
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, comment=b"a secret word")
    for which in BOTH:
        accepted(upload(world, which, out.getvalue()))
    stored = world.rows("SELECT data FROM branding")
    assert len(stored) == len(LOGO_BOXES) + len(AVATAR_SIZES)
    assert not [row for row in stored if b"secret" in bytes(row[0])]


@pytest.mark.parametrize("which", BOTH)
def test_what_is_no_picture_is_refused_in_words(sqlite_world: World, which: str) -> None:
    world = sqlite_world
    before = world.head(world.cast.firm)
    for name, content in BAD.items():
        assert "picture" in refused(upload(world, which, content), "RB016", 400)["detail"], name
    large = picture().ljust(FILE_LIMIT + 1, b"\0")
    assert str(FILE_LIMIT) in refused(upload(world, which, large), "RB016", 400)["detail"]
    for size in (0, 63, 100, 1000, "large"):
        response = world.get(f"{HERE}/{which}", key=world.cast.system, params={"size": size})
        refused(response, "RB003", 400)
    assert world.head(world.cast.firm) == before


# -- on record ----------------------------------------------------------------------------------


@pytest.mark.parametrize("which", BOTH)
def test_each_change_is_an_entry_and_the_same_picture_is_none(world: World, which: str) -> None:
    firm = world.cast.firm
    before = world.head(firm)
    for content in (WIDE, WIDE, picture("red"), None, None):
        accepted(upload(world, which, content) if content else remove(world, which))
    written = world.entries(firm, before)
    assert [entry["type"] for entry in written] == ["entity.picture_changed"] * 3
    assert [entry["data"]["has_picture"] for entry in written] == [True, True, False]
    assert {entry["data"]["which"] for entry in written} == {which}
    assert ["details" in entry["content"] for entry in written] == [True, True, False]
    check_everything(world)
    accepted(upload(world, which))
    check_everything(world)
    exported = accepted(world.get(f"{ENTITY}/export/entities", key=world.cast.system))["entity"]
    assert {name for name in ("logo", "avatar") if exported[f"has_{name}"]} == {which}


def test_the_entity_tag_changes_with_a_picture(world: World) -> None:
    cast = world.cast
    before = world.get(HERE, key=cast.system).headers["etag"]
    accepted(upload(world, "logo"))
    assert world.get(HERE, key=cast.system).headers["etag"] != before
    headers = {"If-Match": before}
    update = {"key": cast.system, "json": {"banner": "x"}, "headers": headers}
    refused(world.post(f"{HERE}/update", **update), "RB027", 412)


# -- going out ----------------------------------------------------------------------------------


@pytest.mark.parametrize("which", BOTH)
def test_everybody_reads_a_picture_at_its_address_and_may_keep_it(world: World, which: str) -> None:
    assert urls(world) == {"logo": None, "avatar": None}
    accepted(upload(world, which))
    url = urls(world)[which]
    assert url is not None
    assert url.startswith(f"http://onrecord{PUBLIC}/{which}?")
    first = by_url(world, url)
    assert drawn(first).format
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert first.headers["x-content-type-options"] == "nosniff"
    again = by_url(world, url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for size in SIZES[which]:
        assert drawn(by_url(world, url, params={"size": size})).height
    accepted(upload(world, which, picture("red")))
    other = urls(world)[which]
    assert other not in {None, url}
    late = by_url(world, url)  # what the old address now gives is not to be kept under it
    assert late.headers["cache-control"] == "public, no-cache"
    assert late.headers["etag"] != first.headers["etag"]
    accepted(remove(world, which))
    assert urls(world)[which] is None
    refused(by_url(world, url), "RN008", 404)


@pytest.mark.parametrize("which", BOTH)
def test_nobody_learns_which_organisations_there_are(world: World, which: str) -> None:
    cast = world.cast
    accepted(upload(world, which))
    world.work(cast.firm, lambda work: organisations.set_state(work, "frozen"))
    assert drawn(world.get(f"{PUBLIC}/{which}", params={"entity_uuid": cast.firm})).format
    world.work(cast.firm, lambda work: organisations.set_state(work, "active"))
    world.work(cast.firm, lambda work: organisations.set_state(work, "inactive"))
    told = set()
    installation = "00000000-0000-0000-0000-000000000000"
    for entity in (cast.firm, cast.other, NOBODY, installation):
        response = world.get(f"{PUBLIC}/{which}", params={"entity_uuid": entity})
        body = refused(response, "RN008", 404)
        told.add((body["detail"], response.headers.get("cache-control")))
    assert len(told) == 1
    refused(world.get(f"{PUBLIC}/{which}", params={"entity_uuid": "firm"}), "RB003", 400)


def test_answers_about_memberships_tell_where_the_pictures_are(world: World) -> None:
    cast = world.cast
    for which in BOTH:
        accepted(upload(world, which))
    found = urls(world)
    wanted = {"avatar_url": found["avatar"], "logo_url": found["logo"]}
    session = accepted(world.get("/app-service/api/session", key=cast.session))
    entity = session["memberships"][0]["entity"]
    assert {name: entity[name] for name in wanted} == wanted
    params = {"primary_email": cast.tomas.email}
    listed = accepted(
        world.get(f"{ENTITY}/sdk/entity-memberships", key=cast.system, params=params)
    )["entity_memberships"]
    assert {name: listed[0]["entity"][name] for name in wanted} == wanted
    params = {"primary_email": cast.karl.email}
    next_door = accepted(
        world.get(f"{ENTITY}/sdk/entity-memberships", key=cast.other_system, params=params)
    )["entity_memberships"]
    assert next_door[0]["entity"]["logo_url"] is None


def test_addresses_begin_with_the_public_one_that_is_set(make_world: Any) -> None:
    world = make_world(public_url="https://chat.example.com")
    accepted(upload(world, "logo"))
    url = urls(world)["logo"]
    assert url is not None
    assert url.startswith(f"https://chat.example.com{PUBLIC}/logo?entity_uuid={world.cast.firm}&v=")


# -- in mails -----------------------------------------------------------------------------------


@pytest.fixture
def postman(world: World) -> Postman:
    made = Postman()
    world.work(None, lambda work: work.db.run("DELETE FROM job"))
    world.app.mailer = made
    return made


def invited(world: World, postman: Postman, number: int) -> EmailMessage:
    """Invite somebody, and give the mail as it goes out."""
    body = {"enum_profile_id": 4, "first_name": "Nell", "primary_email": f"nell{number}@e.com"}
    path = f"{ENTITY}/entity-memberships/create"
    accepted(world.post(path, key=world.cast.system, json=body))
    deliver(world)
    return compose(postman.mails[-1], "office@example.com")


def images(message: EmailMessage) -> list[EmailMessage]:
    return [part for part in message.walk() if part.get_content_maintype() == "image"]


def test_an_invitation_carries_the_logo_until_it_is_removed(world: World, postman: Postman) -> None:
    assert images(invited(world, postman, 1)) == []
    accepted(upload(world, "logo"))
    accepted(upload(world, "avatar"))
    message = invited(world, postman, 2)
    (logo,) = images(message)
    assert (logo.get_content_type(), logo["Content-ID"]) == ("image/png", "<logo>")
    assert Image.open(io.BytesIO(logo.get_content())).size == (640, 107)
    page = message.get_body(("html",))
    assert page is not None
    assert 'src="cid:logo"' in page.get_content()
    token = {"token": (postman.mails[-1].letter.link or "").partition("#token=")[2]}
    shown = accepted(world.get("/app-service/api/invitations", params=token))
    assert shown["entity"]["logo_url"] == urls(world)["logo"]
    accepted(remove(world, "logo"))
    assert images(invited(world, postman, 3)) == []


def test_a_mail_of_the_installation_carries_nobodys_logo(world: World, postman: Postman) -> None:
    accepted(upload(world, "logo"))
    ask = {"username": "tomas.hartley"}
    accepted(world.post("/app-service/api/account/password/forgot", json=ask))
    deliver(world)
    assert [mail.logo for mail in postman.mails] == [None]


def test_a_picture_of_one_organisation_is_not_that_of_another(world: World) -> None:
    cast = world.cast
    accepted(upload(world, "logo"))
    refused(world.get(f"{HERE}/logo", key=cast.other_system), "RN008", 404)
    accepted(upload(world, "logo", picture("red", (50, 50)), key=cast.other_system))
    assert drawn(world.get(f"{HERE}/logo", key=cast.other_system)).size == (50, 50)
    assert drawn(world.get(f"{HERE}/logo", key=cast.system)).size == (640, 107)


def test_two_uploads_at_the_same_time_leave_one_picture_in_every_size(world: World) -> None:
    def sent(colour: str) -> Any:
        return world.request(
            "POST",
            f"{HERE}/logo/update",
            key=world.cast.system,
            files={"file": ("a.png", picture(colour, (2000, 400)), "image/png")},
        )

    for response in world.together(sent("red"), sent("blue"), sent("teal")):
        accepted(response)
    shades = set()
    for size in LOGO_BOXES:
        logo = drawn(world.get(f"{HERE}/logo", key=world.cast.system, params={"size": size}))
        shades.add(logo.convert("RGB").getpixel((5, 5)))
    assert len(shades) == 1
    check_everything(world)


def test_what_was_there_before_is_gone(sqlite_world: World) -> None:
    world = sqlite_world
    accepted(upload(world, "logo"))
    accepted(remove(world, "logo"))

    async def count(work: Work) -> int:
        return len(await work.db.all("SELECT 1 FROM branding"))

    assert world.work(world.cast.firm, count) == 0
