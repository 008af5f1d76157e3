#!/usr/bin/env bash
# Finds or makes a Vulkan driver that SAPIEN can use. Idempotent; prints one line; exit status 1 with a remedy if it cannot.
# Order: an NVIDIA driver; an installed Mesa >= 25; as root the distribution's (backports') package; else the same packages
# unpacked into .pirig/vulkan without touching the system.
set -euo pipefail
cd "$(dirname "$0")/.."
icd_folders=(/usr/share/vulkan/icd.d /etc/vulkan/icd.d)
own=.pirig/vulkan

say() { echo "vulkan: $*"; }
installed_mesa() { dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null | sed 's/^[0-9]*://' | cut -d. -f1; }
mesa_works() { [ "$(installed_mesa || true)" ] && [ "$(installed_mesa)" -ge 25 ] 2>/dev/null; }

if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1 &&
  find "${icd_folders[@]}" -name 'nvidia*.json' 2>/dev/null | grep -q .; then
  say "NVIDIA driver"; exit 0
fi
if mesa_works; then say "installed Mesa $(installed_mesa) (lavapipe)"; exit 0; fi
if [ -f $own/lvp_icd.json ]; then say "Mesa in $own (lavapipe)"; exit 0; fi
if ! command -v apt-get >/dev/null 2>&1; then
  say "no driver that works: install a Vulkan driver, Mesa 25 or newer (lavapipe) or NVIDIA's" >&2; exit 1
fi

# The machine's own sources, with the suite changed to backports, in a private folder.
. /etc/os-release
private=$PWD/.pirig/apt
mkdir -p "$private/lists/partial" "$private/archives/partial" "$private/parts"
cat /etc/apt/sources.list.d/*.sources 2>/dev/null > "$private/parts/own.sources" || true
cat /etc/apt/sources.list.d/*.list /etc/apt/sources.list 2>/dev/null > "$private/parts/own.list" || true
sed "s/\b$VERSION_CODENAME\(-updates\)\?\b/$VERSION_CODENAME-backports/g" "$private/parts/own.sources" |
  sed 's/\('"$VERSION_CODENAME"'-backports\)\( '"$VERSION_CODENAME"'-backports\)*/\1/; /security/!b' |
  awk 'BEGIN { RS = ""; ORS = "\n\n" } !/security/ && /-backports/' > "$private/parts/backports.sources"
sed -n "s/ $VERSION_CODENAME / $VERSION_CODENAME-backports /p" "$private/parts/own.list" | grep -v security > "$private/parts/backports.list" || true
options=(-oDir::State::Lists="$private/lists" -oDir::Etc::sourcelist=/dev/null -oDir::Etc::sourceparts="$private/parts"
  -oDir::Cache="$private" -oDir::Cache::archives="$private/archives" -oAPT::Sandbox::User= -qq)

install_as_root() {
  DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" install -y --no-install-recommends -t "$1" \
    mesa-vulkan-drivers libvulkan1 >/dev/null 2>&1
}
suite=$VERSION_CODENAME
if apt-get "${options[@]}" update >/dev/null 2>&1 || true; then
  if apt-cache "${options[@]}" policy 2>/dev/null | grep -q "$VERSION_CODENAME-backports"; then suite=$VERSION_CODENAME-backports; fi
fi
if [ "$(id -u)" = 0 ] && install_as_root "$suite" && mesa_works; then say "installed Mesa $(installed_mesa) from $suite"; exit 0; fi

# Without root: download the driver and what it needs that is missing, and unpack it here.
stage=$own.part; rm -rf "$stage"; mkdir -p "$stage/debs"
needed=$(apt-cache "${options[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
  --no-enhances -t "$suite" mesa-vulkan-drivers libvulkan1 2>/dev/null | grep -E '^[a-z0-9]' |
  grep -E '^(mesa-|libvulkan|libllvm|libdrm|libxcb|libx11|libxshmfence|libwayland|libz3|libedit|libelf|libdisplay|libxau|libxdmcp|libbsd|libmd|libtinfo|libxml2|libicu|libsensors|spirv|libzstd|libexpat|libffi)' | sort -u)
(cd "$stage/debs" && apt-get "${options[@]}" -t "$suite" download $needed) >/dev/null 2>&1 || true
for deb in "$stage"/debs/*.deb; do [ -f "$deb" ] && dpkg -x "$deb" "$stage"; done
driver=$(find "$stage" -name 'libvulkan_lvp.so' | head -1)
if [ -z "$driver" ]; then
  say "no driver that works and none could be fetched: install mesa-vulkan-drivers 25 or newer" >&2; exit 1
fi
final=$PWD/$own/${driver#"$stage"/}
printf '{"ICD": {"api_version": "1.4.0", "library_path": "%s"}, "file_format_version": "1.0.1"}\n' "$final" > "$stage/lvp_icd.json"
rm -rf "$own" "$stage/debs"; mv "$stage" "$own"
say "Mesa unpacked in $own (lavapipe)"
