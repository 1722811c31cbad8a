"""From what the units have prepared to what is published: accounts, journal, decision, and sweeping up."""
