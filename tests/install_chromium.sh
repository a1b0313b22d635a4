#!/bin/sh
# Chromium and its driver from Debian's packages, for the tests of pages; says in its last line why where it cannot.
set -eu
if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then exit 0; fi
if ! command -v apt-get >/dev/null; then echo "no apt-get here: install chromium and chromedriver by hand"; exit 1; fi
root=""
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null; then echo "apt-get needs root: sudo sh tests/install_chromium.sh"; exit 1; fi
  root="sudo -n"
fi
wait="-o DPkg::Lock::Timeout=300"
$root apt-get $wait update -qq
DEBIAN_FRONTEND=noninteractive $root apt-get $wait install -y -qq --no-install-recommends chromium chromium-driver
