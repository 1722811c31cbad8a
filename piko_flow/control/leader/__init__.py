"""What only the leader does: what is due becomes rows, what waits and fits gets a replica.

Promises: each step is one transaction that the lease's term guards; memory is made anew when a term begins.
Does not execute runs, and does not promise that two leaders never think at once: only one of them can write.

Start reading in `leadership.py`, then `scheduler.py`. May know the rooms runs, params and flows.
"""
