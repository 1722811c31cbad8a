"""From what the units have prepared to what is published: accounts, journal, decision, commit.

Promises: nothing is published before the counts balance and the decision is stored; what is decided is carried out,
although the run is cancelled or its process dies and another one resumes it. Sinks commit in the order declared.
Does not publish several sinks at one instant, unless they share the last transaction. `commit` of a target may be called
more than once: after a crash it is called again with the same receipts.

Start reading in `commit.py`, then `accounts.py`. May know the rooms plan, stages, graph and reports.
"""
