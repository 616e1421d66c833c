# shellcheck shell=bash
# Functions that the scripts share. Source this file: it changes to the root of
# the repository.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1

bold='' dim='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

headline() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s%s%s\n' "$dim" "$*" "$plain"; }
fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# build PRESET [TARGET...]: configures and builds.
build() {
  local preset=$1 log=build/$1/configure.log
  shift
  mkdir -p "${log%/*}"
  if ! cmake --preset "$preset" ${CI:+-DSLUICE_WERROR=ON} >"$log" 2>&1; then
    cat "$log" >&2
    return 1
  fi
  cmake --build --preset "$preset" ${1:+--target "$@"}
}
