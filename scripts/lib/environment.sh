# shellcheck shell=bash
# The virtual environment that scripts/demo and scripts/test share: made when it is missing, repaired when a set-up
# was interrupted, made anew when the requirements, the Python or this file change.
#
# To be sourced by a script that runs under `set -euo pipefail`. It sets ROOT (the repository) and VENV, and offers
#   set_up_environment run|test    afterwards $VENV/bin/python is ready for the box, or for the tests too
#   apt_install PACKAGE...         as root on Debian; fails elsewhere
#   say, die                       a line on standard error; die also ends the script
#
# Variables of the environment that it obeys:
#   PYTHON                     the Python to use; else the first one of 3.11 or later that is found
#   EDGEBOX_VENV               the virtual environment; else .venv in the repository
#   EDGEBOX_RETRY_PAUSES_S     seconds to wait before each new try of a download; else "2 5 15"

ROOT=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
VENV=${EDGEBOX_VENV:-$ROOT/.venv}
RETRY_PAUSES_S=${EDGEBOX_RETRY_PAUSES_S:-2 5 15}
[[ $VENV == /* ]] || VENV=$PWD/$VENV

say() { printf '%s\n' "$*" >&2; }
die() {
    say "$@"
    exit 1
}

# Downloads fail now and then, and more often at a venue.
with_retries() {
    local pause_s
    for pause_s in $RETRY_PAUSES_S; do
        "$@" && return
        say "That did not work; trying again in $pause_s s."
        sleep "$pause_s"
    done
    "$@"
}

apt_install() {
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
    say "Installing with apt-get: $*"
    with_retries apt-get -qq update </dev/null >/dev/null || return 1
    DEBIAN_FRONTEND=noninteractive with_retries apt-get -qq install -y --no-install-recommends "$@" </dev/null >/dev/null
}

# Says in one line what a Python is: its version, "ready", "old" or "bare" (it cannot make virtual environments, which
# Debian packs apart), and where it lives. Old Pythons must understand this too.
DESCRIBE='
import sys
state = "ready" if sys.version_info >= (3, 11) else "old"
if state == "ready":
    try:
        import ensurepip, venv
    except ImportError:
        state = "bare"
print("%d.%d.%d" % sys.version_info[:3] + " " + state + " " + getattr(sys, "base_prefix", sys.prefix))
'

# Looks for a ready Python and sets PYTHON and PYTHON_IS to it and its description. Where there is none it fails, and
# they tell of the one that comes closest, if any.
find_python() {
    local candidate is
    PYTHON='' PYTHON_IS=''
    for candidate in "$@"; do
        is=$("$candidate" -I -c "$DESCRIBE" 2>/dev/null) || continue
        if [[ -z $PYTHON || $is == *' ready '* || ($is == *' bare '* && $PYTHON_IS == *' old '*) ]]; then
            PYTHON=$candidate PYTHON_IS=$is
        fi
        [[ $is != *' ready '* ]] || return 0
    done
    return 1
}

require_python() {
    local named=${PYTHON:-} again="and then run this again."
    local candidates=(python3 python3.14 python3.13 python3.12 python3.11)
    [[ -z $named ]] || candidates=("$named")

    find_python "${candidates[@]}" && return
    if [[ -z $named ]] && apt_install python3-venv; then
        hash -r
        find_python "${candidates[@]}" && return
    fi

    case $PYTHON_IS in
        *' bare '*)
            say "$PYTHON (${PYTHON_IS%% *}) cannot make virtual environments: Debian packs that part apart."
            die "Please run 'sudo apt-get install python3-venv' $again"
            ;;
        *' old '*) say "edgebox needs Python 3.11 or later, and $PYTHON is ${PYTHON_IS%% *}." ;;
        *) say "edgebox needs Python 3.11 or later, and ${named:-python3} is not there or does not run." ;;
    esac
    say "On Debian and Raspberry Pi OS 12 or later, please run 'sudo apt-get install python3-venv' $again"
    die "Where another Python is installed already, name it: PYTHON=/path/to/python3.12 $0"
}

# What an environment with these requirements must have been made from. Its own path and the repository's are in it
# because it holds both: a folder that was moved gets a new environment.
fingerprint() {
    { printf '%s\n' "$ROOT" "$VENV" "$PYTHON_IS" && cat "$ROOT/scripts/lib/environment.sh" "$@"; } |
        sha256sum | cut -d ' ' -f 1
}

make_environment() {
    if [[ -e $VENV && $VENV != "$ROOT/.venv" && ! -e $VENV/pyvenv.cfg && -n $(ls -A "$VENV") ]]; then
        die "$VENV holds something else than a virtual environment. Please name another place in EDGEBOX_VENV."
    fi
    say "Making the virtual environment $VENV with Python ${PYTHON_IS%% *}."
    "$PYTHON" -I -m venv --clear "$VENV" || die "Python could not make the virtual environment $VENV."
    # The box is run from the repository: python -m edgebox works from every folder.
    "$VENV/bin/python" -I -c 'import pathlib, sys, sysconfig
pathlib.Path(sysconfig.get_path("purelib"), "edgebox.pth").write_text(sys.argv[1] + "\n")' "$ROOT"
}

install_requirements() {
    say "Installing what $1 lists (a minute or two)."
    with_retries "$VENV/bin/python" -I -m pip install --quiet --no-input --disable-pip-version-check -r "$ROOT/$1" >&2 ||
        die "Could not install what $1 lists. Is there a connection to the internet? Run this again; it starts afresh."
}

# The stamp says which requirements are installed whole. It is taken away before anything is installed and written
# last, so that a set-up that was interrupted, however hard, is not mistaken for a good one: pip would believe a
# package to be there whose files are half missing.
set_up_environment() {
    local purpose=$1 stamp=$VENV/edgebox-ready run_is test_is
    # pip answers Ctrl-C by failing, which must not look like a hiccup of the network.
    trap 'exit 130' INT
    require_python
    run_is="run $(fingerprint "$ROOT/requirements.txt")"
    test_is="test $(fingerprint "$ROOT/requirements.txt" "$ROOT/tests/requirements.txt")"

    # One set-up at a time: the lock is on this file, and ends with the descriptor.
    exec 9<"$ROOT/scripts/lib/environment.sh"
    flock -n 9 || { say "Another set-up is running; waiting for it." && flock 9; }

    if ! stamped "$run_is" "$stamp"; then
        rm -f "$stamp"
        make_environment
        install_requirements requirements.txt
        write_stamp "$stamp" "$run_is"
    fi
    if [[ $purpose == test ]] && ! stamped "$test_is" "$stamp"; then
        rm -f "$stamp"
        install_requirements tests/requirements.txt
        write_stamp "$stamp" "$run_is" "$test_is"
    fi
    exec 9<&-
    trap - INT

    # What was meant for this file ends here: the box reads EDGEBOX_* variables as its configuration.
    unset EDGEBOX_VENV EDGEBOX_RETRY_PAUSES_S
    export -n PYTHON
}

stamped() { [[ -e $2 ]] && grep -qxF "$1" "$2"; }

write_stamp() {
    local stamp=$1
    shift
    printf '%s\n' "$@" >"$stamp.new"
    mv "$stamp.new" "$stamp"
}
