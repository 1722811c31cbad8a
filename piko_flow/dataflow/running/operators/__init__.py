"""One file for each way to work on items: reading, looping, calling side by side, gathering, writing.

Promises: an operator takes chunks from its input, hands on what they give, and counts every item. Items leave in the
order in which they entered, unless the stage is unordered, works by key, or joins branches. A stop ends every wait.
Does not decide when the parts of a sink are opened and prepared (`unit.py` does), nor what becomes of an item that
failed for good (`error_policy.py` does).

Start reading in `reader.py`, then `fused.py` and `concurrent.py`. May know the rooms below running, and in running
what all operators share: channels, task groups, threads, the state of a unit. Not `run.py` and not `engine.py`.
"""
