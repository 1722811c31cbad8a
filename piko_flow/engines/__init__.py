"""Engines beyond the local one: `SubprocessEngine` runs each unit in an interpreter of its own.

Promises: stages run as they do in the process of the run; a unit whose interpreter dies is tried again, twice at the
most; a stop reaches every interpreter, and none outlives its run by more than a few seconds.
Does not share memory or resources between units, does not start interpreters on other machines, and does not commit:
commits happen in the process of the run, from receipts alone.

Start reading in `subprocess.py`, then `unit_process.py`. May know dataflow, and no other floor above the base.
"""
