#!/bin/sh
# Prints the path of the bench's Python environment, made anew if it is missing or requirements.txt has changed.
# It lies outside the checkout, so that a clean checkout does not install again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${REDSHIFT_LINK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/redshift-link}
venv=$cache/venv
mkdir -p "$cache"

# Two runs at once must not build the same environment.
exec 9>"$cache/venv.lock"
flock 9

if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    python=$(command -v python3.11 || command -v python3)
    echo "bench: installing Python packages into $venv (once, about a minute)" >&2
    rm -rf "$venv"
    "$python" -m venv "$venv"
    # The file pins every package, the ones that others need too; ministack's own pins contradict moto's.
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
echo "$venv"
