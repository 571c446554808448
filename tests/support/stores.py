"""The stores of one test: their addresses as the service's environment, and new databases on a PostgreSQL server."""

import secrets
from dataclasses import dataclass

import sqlalchemy


@dataclass(frozen=True)
class S3:
    """An S3 server's address and the name of a bucket that does not exist yet."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str = ""

    def new_bucket(self):
        return S3(self.endpoint, self.access_key, self.secret_key, bucket=f"test-{secrets.token_hex(6)}")


def store_environment(home, database_url, valkey_url, s3):
    """The service's environment variables for a set of stores."""
    return {
        "DTI_HOME": str(home),
        "DTI_DATABASE_URL": database_url,
        "DTI_BROKER_URL": valkey_url,
        "DTI_S3_ENDPOINT": s3.endpoint,
        "DTI_S3_ACCESS_KEY": s3.access_key,
        "DTI_S3_SECRET_KEY": s3.secret_key,
        "DTI_S3_BUCKET": s3.bucket,
    }


def create_postgres_database(server, template="template0"):
    """A new database on a PostgreSQL server, as a copy of another; returns its address."""
    name = f"t_{secrets.token_hex(8)}"
    engine = sqlalchemy.create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'))
    return f"{server}/{name}"
