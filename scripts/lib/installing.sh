# shellcheck shell=bash
# Putting a version of the box on this machine, beside others. To be sourced after environment.sh, release.sh and box.sh.
# It sets COMMAND, the command on the PATH, and MARK, by which what scripts/install put somewhere is known, and offers
#   step WHAT               says what happens now, and after how many seconds
#   be_alone                ends the script where another one installs, updates or removes the box
#   choose_python           sets PYTHON and PYTHON_IS to one that can run the box
#   install_release FOLDER  this clone or bundle, whole, in that folder
#   turn LINK RELEASE       a link in OPT leads to that release from now on
#   put SOURCE TARGET [MODE]
#   install_command

COMMAND=/usr/local/bin/edgebox
MARK="# put here by scripts/install"

step() { say "[$SECONDS s] $*"; }

# The lock is on the folder with all versions, and ends with the process.
# shellcheck disable=SC2154 # ROOT, OPT, OWNER and UNITS are set by environment.sh and box.sh
be_alone() {
    exec 8<"$OPT"
    flock -n 8 || die "The box is being installed or updated by somebody else at this moment; nothing was done."
}

# The system's own Python: one of a user's home folder could not be read by the box.
choose_python() {
    local candidates=(/usr/bin/python3 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11)
    [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
    find_python "${candidates[@]}" || [[ $PYTHON_IS == *' bare '* ]] && return
    # Debian packs a part apart that is not needed here: "bare" is good enough.
    if apt_install python3; then
        find_python "${candidates[@]}" || [[ $PYTHON_IS == *' bare '* ]] && return
    fi
    die "There is no Python 3.11 or later, and it could not be installed; nothing was done. Connect this machine to the" \
        "internet for that once: sudo apt-get install python3"
}

check_bundle() {
    (cd "$1" && sha256sum --quiet --check SHA256SUMS >&2) ||
        die "The bundle $1 is not whole; nothing was changed: copy it again."
}

# Everything is installed at its place, as a virtual environment cannot be moved; that it is whole is written last. Sets
# is_new where there is something new.
install_release() {
    local home=$1 bundle=$ROOT work pip
    if [[ -e $home/edgebox-installed ]] && as_owner "$home/bin/edgebox" --version >/dev/null 2>&1; then
        step "edgebox ${home##*/} is installed already."
        return
    fi
    if [[ ! -e $ROOT/RELEASE ]]; then
        step "Downloading and packing edgebox ${home##*/}."
        # For this, the part is needed that Debian packs apart.
        [[ $PYTHON_IS != *' bare '* ]] || apt_install python3-venv || true
        work=$(mktemp -d)
        # shellcheck disable=SC2064 # this folder, now
        trap "rm -rf '$work'" EXIT
        PYTHON=$PYTHON EDGEBOX_BUNDLE_IN_PASSING=yes "$ROOT/scripts/bundle" "$work/bundle" || die "Nothing was installed."
        bundle=$work/bundle
    fi
    check_bundle "$bundle"
    step "Installing edgebox ${home##*/} with Python ${PYTHON_IS%% *} in $home."
    # shellcheck disable=SC2034 # for scripts/install
    is_new=yes # also where it repairs what a box runs from at this moment
    rm -rf "$home"
    mkdir -p "$home"
    "$PYTHON" -I -m venv --without-pip "$home" || die "Python could not make the virtual environment $home."
    pip=$(find "$bundle/wheels" -name 'pip-*.whl')
    # Isolated: no settings of this machine's pip, and no network.
    "$home/bin/python" -I "$pip/pip" --isolated install --quiet --no-input --disable-pip-version-check --no-index \
        --root-user-action ignore --find-links "$bundle/wheels" -r "$bundle/requirements.txt" edgebox >&2 ||
        die "The wheels in $bundle/wheels could not be installed for this machine; the box that was in use still is." \
            "The bundle may be for another machine: scripts/bundle --help says how to make one for" \
            "$(dpkg --print-architecture) with Python ${PYTHON_IS%%.*}.$(cut -d . -f 2 <<<"$PYTHON_IS")."
    as_owner "$home/bin/edgebox" --version >/dev/null ||
        die "The program in $home does not run for the user $OWNER; the box that was in use still is."
    touch "$home/edgebox-installed"
}

# At once, for whoever looks, and on the disk before what starts from it writes there.
turn() {
    ln -sfn "versions/$2" "$OPT/$1.new"
    mv -T "$OPT/$1.new" "$OPT/$1"
    sync "$OPT"
}

# True where that changed something.
put() {
    ! cmp -s "$1" "$2" || return 1
    install -D -m "${3:-644}" "$1" "$2"
}

install_command() {
    if [[ -e $COMMAND ]] && ! grep -qx "$MARK" "$COMMAND"; then
        say "Note: $COMMAND is somebody else's and was left as it is; the command is $OPT/current/bin/edgebox."
        return
    fi
    put "$ROOT/scripts/lib/edgebox-command" "$COMMAND" 755 || true
}
