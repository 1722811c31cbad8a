"""From a claimed run to its outcome.

Promises: user code never holds the loop that keeps the lease; every attempt ends as exactly one outcome; ends are written in
groups, in one transaction each. Does not decide which run may start, nor what follows from its end.

Start reading in `worker.py`, then `execution.py`. May know the rooms dead_letters, params and flows.
"""
