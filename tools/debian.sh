#!/bin/sh
# Installs Debian packages if this user may, else prints the command for it: debian.sh "Their purpose" package...
set -eu
why=$1
shift

if ! command -v apt-get >/dev/null; then as=none
elif [ "$(id -u)" = 0 ]; then as=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as=sudo
else as=none
fi
if [ "$as" = none ]; then
    echo "$why needs $*. Install what is missing, on Debian with: sudo apt-get install $*" >&2
    exit 1
fi
$as apt-get update -qq
$as apt-get install -y -qq --no-install-recommends "$@"
