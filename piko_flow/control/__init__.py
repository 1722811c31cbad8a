"""Flows, and the loops that own tasks: leader, replica, runs, and what people ask of them.

Promises: what is due becomes runs exactly once while a database and one replica work. Does not promise that a run is executed
only once: a process that dies or loses its lease leaves work that another does again.

Start reading in `service.py`, the control half of one process, then in the rooms `leader` and `runs`. Beside the rooms are the
small things that several of them share: options, threads with loops, the database's time, and who watches.
"""
