"""One run from its start to its end: units, operators, channels, tasks, threads and cancellation.

Promises: a run ends with one report or one error. A stop ends every wait; each task and thread has an owner
that waits for it; what has not ended within the time of `teardown` is named in the report and left alone.
Does not outlive its process: what must survive is in the journal of the room commit. It starts no run by itself.

Start reading in `run.py`, then `engine.py` and `unit.py`. May know all rooms of dataflow.
"""
