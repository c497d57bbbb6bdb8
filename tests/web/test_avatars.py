"""Pictures of members: what is taken, what is given out, and to whom."""

import io
import zlib
from typing import Any

import httpx
import pytest
from PIL import Image, ImageCms

from onrecord.domain import avatars, members
from onrecord.model.people import AVATAR_SIZES, Picture
from onrecord.store.work import Work
from onrecord.web.avatars import FILE_LIMIT
from tests.cast import Person, butler_of
from tests.every_endpoint.calls import picture
from tests.talk import STRANGER, code_by_hand, start
from tests.world import CHAT, ENTITY, World, accepted, refused

AVATAR = f"{ENTITY}/entity-memberships/avatar"
CONTACT = f"{CHAT}/contacts/avatar"


def upload(world: World, who: Person, content: bytes, **how: Any) -> httpx.Response:
    return world.post(
        f"{AVATAR}/update",
        key=world.cast.system,
        data={"entity_user_xref_uuid": who.uuid},
        files={"file": ("me.png", content, "image/png")},
        **how,
    )


def read(world: World, who: Person, **params: Any) -> httpx.Response:
    params = {"entity_user_xref_uuid": who.uuid, **params}
    return world.get(AVATAR, key=world.cast.system, params=params)


def seen(world: World, who: Person | str, by: Person, **how: Any) -> httpx.Response:
    params = {"entity_user_xref_uuid": who if isinstance(who, str) else who.uuid}
    return world.get(CONTACT, key=world.cast.master, on_behalf_of=by, params=params, **how)


def drawn(response: httpx.Response) -> Image.Image:
    """Give the picture of an answer, decoded."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/webp"
    image = Image.open(io.BytesIO(response.content))
    image.load()
    return image


def saved(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def halves(left: str, right: str, size: tuple[int, int] = (200, 100)) -> Image.Image:
    """Draw a picture with two colours side by side."""
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def is_near(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 40 for one, other in zip(pixel[:3], colour, strict=True))


# -- what is given out ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_picture_is_given_out_as_a_square_of_each_size(world: World, kind: str) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    shown = accepted(upload(world, cast.priya, picture("teal", (300, 200), kind)))
    assert shown["entity_membership"]["has_avatar"] is True
    (entry,) = world.entries(cast.firm, before)
    assert entry["type"] == "member.avatar_changed"
    assert entry["data"] == {"has_avatar": True}
    assert "profile" in entry["content"]
    for size in AVATAR_SIZES:
        assert drawn(read(world, cast.priya, size=size)).size == (size, size)
    assert drawn(read(world, cast.priya)).size == (256, 256)


def test_the_middle_is_kept_and_the_sides_go(sqlite_world: World) -> None:
    world = sqlite_world
    wide = Image.new("RGB", (600, 200), "red")
    wide.paste("blue", (200, 0, 400, 200))
    accepted(upload(world, world.cast.priya, saved(wide)))
    image = drawn(read(world, world.cast.priya, size=64)).convert("RGB")
    assert all(is_near(image.getpixel(place), (0, 0, 255)) for place in ((4, 4), (60, 60)))


def test_a_picture_stands_upright_and_has_lost_all_that_was_hidden_in_it(
    sqlite_world: World,
) -> None:
    world = sqlite_world
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter, as phones store it
    exif[0x010E] = "taken at home"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = saved(
        halves("red", "blue", (100, 100)), "JPEG", exif=exif, icc_profile=profile, comment=b"secret"
    )
    accepted(upload(world, world.cast.priya, content))
    answer = read(world, world.cast.priya)
    image = drawn(answer)
    assert not image.getexif()
    assert not image.info.keys() & {"exif", "icc_profile", "xmp", "comment"}
    assert b"taken at home" not in answer.content
    assert b"secret" not in answer.content
    upright = image.convert("RGB")
    assert is_near(upright.getpixel((128, 20)), (255, 0, 0))
    assert is_near(upright.getpixel((128, 236)), (0, 0, 255))


def test_of_a_picture_that_moves_the_first_moment_is_kept(sqlite_world: World) -> None:
    world = sqlite_world
    frames = [Image.new("RGB", (50, 50), colour) for colour in ("red", "lime")]
    for kind in ("GIF", "WEBP", "PNG"):
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
        accepted(upload(world, world.cast.priya, content))
        image = drawn(read(world, world.cast.priya))
        assert getattr(image, "n_frames", 1) == 1
        assert is_near(image.convert("RGB").getpixel((9, 9)), (255, 0, 0))


def test_what_is_clear_stays_clear_and_odd_modes_are_read(sqlite_world: World) -> None:
    world = sqlite_world
    accepted(upload(world, world.cast.priya, saved(Image.new("RGBA", (40, 40), (255, 0, 0, 0)))))
    image = drawn(read(world, world.cast.priya))
    assert image.mode == "RGBA"
    pixel = image.getpixel((9, 9))
    assert isinstance(pixel, tuple)
    assert pixel[3] == 0
    for mode in ("1", "L", "LA", "P", "I;16", "CMYK"):
        kind = "JPEG" if mode == "CMYK" else "PNG"
        accepted(upload(world, world.cast.priya, saved(Image.new(mode, (30, 40)), kind)))
    accepted(upload(world, world.cast.priya, saved(Image.new("RGB", (1, 1)))))


def test_a_reader_who_has_it_already_is_told_so(world: World) -> None:
    cast = world.cast
    accepted(upload(world, cast.priya, picture("teal")))
    first = read(world, cast.priya)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = seen(world, cast.priya, cast.tomas, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
    accepted(upload(world, cast.priya, picture("red")))
    again = seen(world, cast.priya, cast.tomas, headers={"If-None-Match": etag})
    assert again.status_code == 200
    assert again.headers["etag"] != etag


def test_the_same_picture_again_changes_nothing(world: World) -> None:
    cast = world.cast
    accepted(upload(world, cast.priya, picture("teal")))
    before = world.head(cast.firm)
    accepted(upload(world, cast.priya, picture("teal")))
    assert world.head(cast.firm) == before


def test_a_picture_is_taken_away(world: World) -> None:
    cast = world.cast
    accepted(upload(world, cast.priya, picture("teal")))
    before = world.head(cast.firm)
    body = {"entity_user_xref_uuid": cast.priya.uuid}
    for _ in range(2):
        shown = accepted(world.post(f"{AVATAR}/remove", key=cast.system, json=body))
        assert shown["entity_membership"]["has_avatar"] is False
    (entry,) = world.entries(cast.firm, before)
    assert entry["data"] == {"has_avatar": False}
    refused(read(world, cast.priya), "RN006")


# -- what is refused ------------------------------------------------------------------------------


def oversized_png(width: int, height: int) -> bytes:
    """Give a small file that says it is a large picture."""
    content = bytearray(saved(Image.new("1", (8, 8))))
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


BAD: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "pdf": b"%PDF-1.7\n",
    "bmp": saved(Image.new("RGB", (8, 8)), "BMP"),
    "tiff": saved(Image.new("RGB", (8, 8)), "TIFF"),
    "half a PNG": picture("teal", (300, 300))[:200],
    "half a JPEG": picture("teal", (300, 300), "JPEG")[:300],
    "a broken GIF": b"GIF89a" + b"\xff" * 40,
    "a broken WebP": b"RIFF\x20\x00\x00\x00WEBPVP8 " + b"\xff" * 40,
    "41 megapixels": oversized_png(6403, 6404),
    "a bomb": oversized_png(60_000, 60_000),
}


def test_what_is_no_picture_of_ours_is_refused_in_words(world: World) -> None:
    before = world.head(world.cast.firm)
    for name, content in BAD.items():
        detail = refused(upload(world, world.cast.priya, content), "RB016", 400)["detail"]
        assert "picture" in detail, name
    assert "pixels" in refused(upload(world, world.cast.priya, BAD["a bomb"]), "RB016")["detail"]
    assert world.head(world.cast.firm) == before
    assert world.rows("SELECT 1 FROM avatar") == []


def test_a_file_of_more_than_ten_mebibytes_is_refused(sqlite_world: World) -> None:
    world = sqlite_world
    exact = picture("teal").ljust(FILE_LIMIT, b"\0")
    accepted(upload(world, world.cast.priya, exact))
    for more in (1, 5_000_000):
        body = refused(upload(world, world.cast.priya, exact + b"\0" * more), "RB016", 400)
        assert str(FILE_LIMIT) in body["detail"]


def test_a_size_that_is_not_kept_is_refused(sqlite_world: World) -> None:
    world = sqlite_world
    accepted(upload(world, world.cast.priya, picture()))
    for size in (0, 63, 1024, -64, "large"):
        refused(read(world, world.cast.priya, size=size), "RB003")


# -- who sees it ----------------------------------------------------------------------------------


def test_contacts_see_a_picture_and_strangers_see_nobody(world: World) -> None:
    cast = world.cast
    for who in (cast.priya, cast.olga, cast.tomas):
        accepted(upload(world, who, picture()))
    assert drawn(seen(world, cast.priya, cast.tomas)).size == (256, 256)
    assert seen(world, cast.tomas, cast.priya).status_code == 200
    assert seen(world, cast.priya, cast.priya).status_code == 200
    assert seen(world, cast.olga, cast.tomas).status_code == 200  # colleagues
    refused(seen(world, cast.priya, cast.olga), "RN006")
    refused(seen(world, cast.olga, cast.priya), "RN006")
    refused(seen(world, cast.priya, cast.george), "RN006")
    refused(seen(world, STRANGER, cast.tomas), "RN006")
    refused(seen(world, butler_of(world, cast.firm), cast.tomas), "RN006")
    refused(seen(world, cast.ingrid, cast.tomas), "RN006")  # has none
    nobody = world.get(CONTACT, key=cast.master, on_behalf_of=cast.tomas)
    refused(nobody, "RB785")


def test_who_was_met_in_a_chat_is_seen_though_no_contact(world: World) -> None:
    cast = world.cast
    accepted(upload(world, cast.olga, picture()))
    start(world, cast.tomas, cast.priya, cast.olga, text="hello")
    assert seen(world, cast.olga, cast.priya).status_code == 200
    body = {"entity_user_xref_uuid": cast.olga.uuid}
    accepted(world.post(f"{ENTITY}/entity-memberships/destroy", key=cast.system, json=body))
    assert seen(world, cast.olga, cast.priya).status_code == 200


def test_a_picture_is_not_seen_across_a_barrier(world: World) -> None:
    cast = world.cast
    accepted(upload(world, cast.olga, picture()))
    body = {"name": "Desk", "entity_user_xref_uuids": [cast.olga.uuid]}
    made = accepted(world.post(f"{ENTITY}/groups/create", key=cast.system, json=body))
    body = {"group_uuid": made["group_uuid"], "other_group_uuid": cast.team}
    accepted(world.post(f"{ENTITY}/barriers/create", key=cast.system, json=body))
    refused(seen(world, cast.olga, cast.tomas), "RF007")


def test_people_change_their_own_picture_and_administrators_everybodys(world: World) -> None:
    cast = world.cast
    drawing = [Picture(size, f"{size:032x}", "image/webp", b"x") for size in AVATAR_SIZES]

    def code(by: Person, who: Person) -> str:
        async def deed(work: Work) -> None:
            await avatars.change(work, await members.pick(work, who.uuid, None), drawing)

        return code_by_hand(world, by, deed)

    assert code(cast.priya, cast.priya) == ""
    assert code(cast.priya, cast.tomas) == "RF006"
    assert code(cast.tomas, cast.priya) == "RF006"
    assert code(cast.miriam, cast.tomas) == ""
