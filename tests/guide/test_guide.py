"""Every call of the guide is made, in order, and answered as the page shows."""

import re
from pathlib import Path

import httpx
import pytest

from onrecord.jobs import worker
from onrecord.web.endpoint import Endpoint
from tests.cast import ApiKey
from tests.conftest import MakeWorld
from tests.every_endpoint.calls import picture
from tests.guide import pages
from tests.guide.pages import Block
from tests.guide.shell import Shell
from tests.world import World

HOST = "http://127.0.0.1:8080"
PAGES = {page.name: page for page in pages.read() if page.blocks}
SECRET = "known to the mail provider"


def _key_file(key: ApiKey) -> str:
    return "".join(f"{name}: {value}\n" for name, value in key.headers.items())


def begin(world: World, folder: Path) -> Shell:
    """Give the shell of somebody who has read the first page and works at the cast's firm."""
    cast = world.cast
    folder.mkdir()
    (folder / "sys.key").write_text(_key_file(cast.system), "utf-8")
    (folder / "chat.key").write_text(_key_file(cast.master), "utf-8")
    (folder / "portrait.png").write_bytes(picture())
    world.run(worker.run_due(world.app))
    return Shell(
        world,
        folder,
        {
            "HOST": HOST,
            "ORG": cast.firm,
            "TEAM": cast.team,
            "TOMAS": cast.tomas.uuid,
            "PRIYA": cast.priya.uuid,
            "BOUNCE_SECRET": SECRET,
        },
    )


def play(shell: Shell, block: Block) -> tuple[Endpoint, bool] | None:
    """Do what a block says, and hold the answer against the one shown.

    Gives the row that was called, and whether a key was good enough for it.
    """
    response, told = shell.run(block.script)
    shell.world.run(worker.run_due(shell.world.app))
    assert (response is not None) == (block.status is not None), f"{block.place}: no `# →`"
    if response is not None:
        assert response.status_code == block.status, f"{block.place}: {response.text}"
        assert _code_of(response) == block.code, f"{block.place}: {response.text}"
    if block.kind == "json":
        real = pages.parsed(told, block)
        pages.compare(pages.answer_of(block), real, shell.known, block.place)
    elif block.kind:
        pages.compare_text(block.answer, told, shell.known, block.place)
    if response is None:
        return None
    asked = response.request
    with_key = any(name.endswith("api-key") for name in asked.headers) or _is_scim(response)
    row = shell.world.server.routes.find(asked.method, asked.url.path)
    return row, with_key and response.is_success


def _is_scim(response: httpx.Response) -> bool:
    return response.request.url.path.startswith("/scim/")


def _code_of(response: httpx.Response) -> str | None:
    """Give the code of a refusal, which SCIM puts before its detail."""
    if response.is_success:
        return None
    problem = response.json()
    return str(problem["detail"][:5] if _is_scim(response) else problem["error_code"])


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_answered_as_it_says(make_world: MakeWorld, tmp_path: Path, name: str) -> None:
    page = PAGES[name]
    world = make_world(dev_outbox=True, bounce_secret=SECRET)
    shell = begin(world, tmp_path / "reader")
    calls = [call for block in page.blocks if (call := play(shell, block))]
    wanted = {one for row, by_key in calls if by_key for one in row.permissions}
    told = set(re.findall(r"\bcan_\w+", page.needs))
    assert wanted == told, "the permissions under **Needs** are those of the calls"
    declared = {code for row, _ in calls for code in row.codes}
    assert page.codes <= declared, "a code that no call of the page answers with"
