"""Two replicas of a module of the folder `pipelines` on one database, of which the leader alone runs flows."""

import re
import signal
from pathlib import Path

from tests.system.serving_process import Process, started

SERVE = ["-m", "piko_flow.cli.main", "serve", "pipelines.replicas", "--port", "0"]
RAN = r"run (\d+) in process (\d+)"


def ran(process: Process) -> list[int]:
    """The numbers of the runs that a process says it has run."""
    found = re.findall(RAN, process.said)
    assert {number for _, number in found} <= {str(process.popen.pid)}
    return [int(run) for run, _ in found]


def test_the_leader_alone_runs_flows_until_it_is_killed_and_then_the_other_one_does(tmp_path: Path) -> None:
    # As long as by default: a machine that is busy for three seconds must not change who leads.
    variables = {"PIKO_EXECUTE": "leader", "PIKO_LEADER_LEASE_S": "9", "PIKO_LEADER_RENEW_INTERVAL_S": "3"}
    with started(SERVE, tmp_path, **variables) as first:
        first.until_said("leads in term 1")
        with started(SERVE, tmp_path, **variables) as second:
            assert second.until_answered("/readyz", 200)["status"] == "standby"
            first.until_said(RAN)
            assert ran(second) == []
            assert first.stop(signal.SIGKILL) == -signal.SIGKILL
            second.until_said("leads in term 2")
            second.until_said(RAN)
            assert second.until_answered("/readyz", 200)["status"] == "ready"
            assert second.stop() == 0
            assert len(set(ran(first))) == len(ran(first)) > 0
            assert len(set(ran(second))) == len(ran(second)) > 0
