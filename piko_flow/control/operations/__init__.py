"""What people and programs ask of the control half: the one place behind commands, endpoints and pages.

Promises: whoever asks gets a value or one refusal that says what to do; every change is kept with who made it.
Does not render anything.

Start reading in `plane.py`, then `plane_part.py`. May know every room but notices and replica.
"""
