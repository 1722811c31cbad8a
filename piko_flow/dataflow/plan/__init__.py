"""From a description to a plan: units, operators, channels and options, all refused or explained before anything runs."""
