"""Parameters of runs: merged, validated, versioned, and shown without what is secret.

Promises: a value that may be a secret is shown with stars, also where it stands in a wrong place; whoever sends the stars back
changes nothing; numbers keep all their digits. Does not decide which version is in force when: the leader does.

Start reading in `params.py`, then `secret_fields.py`. May know the room flows.
"""
