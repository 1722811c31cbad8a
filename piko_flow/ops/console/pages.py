"""All pages of the console."""

from __future__ import annotations

from fastapi import APIRouter

from piko_flow.ops.console.assets import assets_router
from piko_flow.ops.console.backfill_pages import BackfillPages
from piko_flow.ops.console.flow_page import FlowPage
from piko_flow.ops.console.flow_pages import FlowPages
from piko_flow.ops.console.form_addresses import form_address_router
from piko_flow.ops.console.letter_pages import LetterPages
from piko_flow.ops.console.message_closing import message_router
from piko_flow.ops.console.overview_pages import OverviewPages
from piko_flow.ops.console.params_pages import ParamsPages
from piko_flow.ops.console.replica_pages import ReplicaPages
from piko_flow.ops.console.run_pages import RunPages
from piko_flow.ops.console.schedule_pages import SchedulePages
from piko_flow.ops.console.trigger_pages import TriggerPages
from piko_flow.ops.console.view import View
from piko_flow.ops.process import Process

KINDS = (OverviewPages, BackfillPages, RunPages, LetterPages, ReplicaPages)
OF_FLOWS = (FlowPages, SchedulePages, ParamsPages, TriggerPages)


def console_router(process: Process) -> APIRouter:
    """The pages at `/`, and what they are made of at `/static`. The door has let in whoever asks."""
    view = View(name=process.name, version=process.version)
    router = APIRouter(include_in_schema=False)
    router.include_router(assets_router())
    router.include_router(message_router(view))
    for pages in KINDS:
        router.include_router(pages(process, view).router())
    page = FlowPage(process, view)
    for pages_of_flow in OF_FLOWS:
        router.include_router(pages_of_flow(process, view, page).router())
    router.include_router(form_address_router(view))
    return router
