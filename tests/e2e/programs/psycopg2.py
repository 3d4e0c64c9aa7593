"""Talk to libpq; nobody listens on port 1, so it gets as far as a refused connection."""

import psycopg2

assert psycopg2.extensions.libpq_version() >= 90_000
assert psycopg2.extensions.make_dsn("host=a", dbname="b") == "host=a dbname=b"
try:
    psycopg2.connect("host=127.0.0.1 port=1 dbname=x user=x sslmode=require connect_timeout=5")
    raise AssertionError("something listens on port 1")
except psycopg2.OperationalError as error:
    if "Connection refused" not in str(error):
        raise
