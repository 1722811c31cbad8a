"""Services that tests call over HTTP: real servers on the loopback."""
