"""Items that failed for good: how they are kept, and how they become items again.

Promises: an item is kept whole or said to be cut; what the code of today cannot take back is refused with its reason.
Does not run replays: a replay is a run like any other, see the room runs.

Start reading in `dead_letters.py`, then `replaying.py`. May know the rooms params and flows.
"""
