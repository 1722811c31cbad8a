"""Processes that call plain functions on chunks of items, for the stages that need a core of their own.

Promises: each item of a call gets one result or one error, in the order of the items; a process that dies is replaced,
and an item that ends its process twice is given up, alone. No process outlives its pool.
Does not keep order between calls, and does not call a function only once for each item: after a death it is called
again. It is no sandbox: a function may do whatever the run may do.

Start reading in `pool.py`, then `process.py`. May know the room graph, and no stages.
"""
