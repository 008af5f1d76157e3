#!/usr/bin/env bash
# Finds Chromium (or Chrome) for the tests of the page, or installs the distribution's. Prints one line.
set -euo pipefail
find_it() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

if found=$(find_it); then echo "chromium: $found"; exit 0; fi
root=""; [ "$(id -u)" = 0 ] || root="sudo"
$root apt-get update -qq && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null ||
  { echo "chromium: none found and apt-get could not install it; install Chromium or Chrome by hand" >&2; exit 1; }
echo "chromium: $(find_it)"
