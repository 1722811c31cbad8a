"""A demonstration on real data: half a century of Atlantic storms."""
