"""What code registers, and what a row means for it.

Promises: a mistake in a flow's options is refused where it is written; a row that cannot be followed gives its reason;
a flow is judged healthy or not in one place for pages, API and commands. Does not look at the store.

Start reading in `flow.py`, then `schedule_rows.py`. May know no other room of control.
"""
