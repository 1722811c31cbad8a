"""Databases for the tests: private MariaDB and PostgreSQL servers, or the ones that a variable names."""
