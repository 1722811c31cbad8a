"""How people and programs come in, and how they go out again."""

from pathlib import Path

from piko_flow.store.ops_records import Role
from tests.system.doors import served


async def test_a_link_logs_a_browser_in_once(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.browser(Role.VIEWER) as browser:
        answer = await browser.get("/nowhere")
        assert answer.status_code == 404
