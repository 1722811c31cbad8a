"""One process of the control half, as steps and as loops that take them in real time.

Promises: a replica counts as alive while it gives signs in time, works, and leads when nobody else does.
Does not know what people ask of it: that is the room operations.

Start reading in `replica.py`, then `replica_loops.py`. May know the rooms leader, runs and flows.
"""
