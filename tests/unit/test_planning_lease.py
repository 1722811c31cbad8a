"""How long a lease is trusted."""

from datetime import timedelta

from piko_flow.planning.lease import trusted_until

SECOND = timedelta(seconds=1)


def test_a_lease_is_trusted_from_before_it_was_asked_for_and_less_than_its_time() -> None:
    assert trusted_until(100.0, 10 * SECOND, 2 * SECOND) == 108.0


def test_a_margin_longer_than_the_lease_means_it_is_not_trusted_at_all() -> None:
    assert trusted_until(100.0, 10 * SECOND, 60 * SECOND) == 100.0
    assert trusted_until(100.0, 10 * SECOND, -60 * SECOND) == 110.0
