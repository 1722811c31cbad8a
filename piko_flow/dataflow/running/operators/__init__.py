"""How each kind of stage works on its items: reading, calling, keeping order, trying again, gathering and writing."""
