# shellcheck shell=bash
# What scripts/run, scripts/test and scripts/lock share: saying things, finding Python, and the
# environment in .venv. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
readonly root venv

say() { printf '• %s\n' "$*"; }

die() {
  printf '✗ %s\n' "$*" >&2
  exit 1
}

# Prints the first Python that is new enough and can make environments. A name on the PATH proves
# nothing (version managers leave stand-ins there), so each one is asked. PYTHON=… goes first.
find_python() {
  local name without_venv=""
  for name in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3.14 python3; do
    "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    if "$name" -c 'import ensurepip, venv' 2>/dev/null; then
      printf '%s\n' "$name"
      return
    fi
    without_venv=$name
  done
  [[ -z $without_venv ]] || die "$without_venv is new enough but has no venv module." \
    "On Debian and Ubuntu it is a package of its own: apt-get install python3-venv"
  die "OnRecord needs Python 3.11 or newer, and none is on the PATH." \
    "Install one, or name it: PYTHON=/path/to/python3 $0"
}

# One line that changes when the environment has to: its place, the locks, the project's metadata.
fingerprint() {
  {
    printf '%s\n' "$root"
    cat "$root"/{pyproject.toml,requirements.lock,requirements-dev.lock,scripts/link_source.py}
  } | if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}

# set_up run|test: makes .venv fit for serving, or for serving and testing. Costs next to nothing
# when it fits already. Of two scripts started at once, the second waits for the first.
set_up() {
  local level=$1
  is_current "$level" && return
  (
    if command -v flock >/dev/null; then
      flock 9
    fi
    is_current "$level" || install_packages "$level"
  ) 9>"$root/.venv.lock"
}

# An environment for testing serves as well, so it counts for both.
is_current() {
  local level=$1 now
  now=$(fingerprint)
  "$venv/bin/python" -c '' 2>/dev/null || return
  [[ $(cat "$venv/onrecord-test" 2>/dev/null) == "$now" ]] ||
    [[ $level == run && $(cat "$venv/onrecord-run" 2>/dev/null) == "$now" ]]
}

install_packages() {
  local level=$1 lock=$root/requirements.lock python
  [[ $level == run ]] || lock=$root/requirements-dev.lock
  # A broken environment, or one made for another folder (its programs name that), is made anew.
  if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
    [[ $(cat "$venv/onrecord-root" 2>/dev/null) != "$root" ]]; then
    python=$(find_python)
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
    printf '%s\n' "$root" >"$venv/onrecord-root"
  fi
  rm -f "$venv"/onrecord-{run,test}
  say "installing ${lock##*/}"
  "$venv/bin/python" -m pip --disable-pip-version-check --no-input --quiet --quiet install \
    --progress-bar off --require-hashes --requirement "$lock" || die "${lock##*/}: not installed"
  "$venv/bin/python" "$root/scripts/link_source.py" || die "the project itself: not installed"
  fingerprint >"$venv/onrecord-$level"
}
