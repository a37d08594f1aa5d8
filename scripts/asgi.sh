#!/usr/bin/env bash
# Gets uvicorn with uvloop and httptools for the Python of the runtime image, from
# the same Debian release, into .cache/asgi: a baseline of the benchmarks. It does
# nothing where it is there. Without it the benchmarks leave that baseline out.
cd "$(dirname "$0")/.."
. scripts/lib.sh

target=.cache/asgi
[ ! -e "$target/uvicorn" ] || exit 0
say "getting uvicorn, a baseline of the benchmarks, from Debian"
work=$(mktemp -d)
trap 'as_root rm -rf "$work"' EXIT
PATH=$PATH:/usr/sbin:/sbin
as_root mmdebstrap --quiet --variant=extract --include=python3-uvicorn,python3-uvloop,python3-httptools \
  trixie "$work/root" \
  'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main' >&2 || {
  echo "uvicorn is not to be had; the benchmarks leave it out" >&2
  exit 0
}
mkdir -p "$work/asgi/lib"
cp -r "$work"/root/usr/lib/python3/dist-packages/* "$work/asgi/"
# What the modules in C are linked with and the image has not.
cp -P "$work"/root/usr/lib/*-linux-gnu/lib{uv,http_parser,llhttp}*.so* "$work/asgi/lib/" 2>/dev/null || true
chmod -R a+rX "$work/asgi"
rm -rf "$target"
mkdir -p .cache
mv "$work/asgi" "$target"
