"""A described pipeline as a flat graph, and what is known of its functions before they are called.

Promises: boxes and edges in the order written, the line of the user's code that wrote each stage, the signature of
each function, and whether the type that one stage gives fits what the next one takes.
Does not call a function of the user, and does not know one kind of stage from another.

Start reading in `boxes.py`, then `typing.py`. May know no other room.
"""
