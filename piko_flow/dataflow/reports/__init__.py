"""What people learn of a run: its facts, the texts and pages that show them, and what an observer learns.

Promises: a report is a frozen value; counts are in items, times in seconds; every text is made from the facts alone.
Does not count and does not measure: the operators fill the tallies, and `commit/accounts.py` adds them up.

Start reading in `facts.py`, then `words.py`. May know no other room.
"""
