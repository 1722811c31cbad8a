"""What must add up in every report, said once more in other words than the package's own check."""

from __future__ import annotations

from piko_flow.dataflow.reports.report import RunReport

SEVERAL = {"FlatMap", "Batch", "Fold"}


def assert_balanced(report: RunReport, *, stopped: bool = False) -> None:
    """Every item is accounted for, by each stage, on each edge, and between the two."""
    for stage in report.stages:
        if stage.kind not in SEVERAL:
            ended = stage.emitted + stage.filtered + stage.skipped + stage.dead + stage.dropped
            assert stage.received == ended, stage
        assert stopped or stage.dropped == 0, stage
        incoming = [edge for edge in report.edges if edge.end == stage.name]
        outgoing = [edge for edge in report.edges if edge.start == stage.name]
        if incoming and not stopped:
            assert sum(edge.received for edge in incoming) == stage.received, stage
        if outgoing and not stopped:
            sent = [edge.sent for edge in outgoing]
            assert (
                (set(sent) == {stage.emitted}) if stage.kind == "Broadcast" else sum(sent) == stage.emitted
            ), stage
    for edge in report.edges:
        assert edge.sent == edge.received + edge.left, edge
        assert stopped or edge.left == 0, edge
