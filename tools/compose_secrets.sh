#!/bin/sh
# Prints the secrets that docker-compose.yml needs, new ones each time: sh tools/compose_secrets.sh > .env
set -eu
umask 077
for name in POSTGRES_PASSWORD VALKEY_PASSWORD DTI_S3_SECRET_KEY; do
  printf '%s=%s\n' "$name" "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
done
