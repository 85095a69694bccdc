# shellcheck shell=bash
# The box that scripts/install has put on this machine. To be sourced after environment.sh. It sets OPT, DATA, UNITS and
# OWNER, where it lives and whose it is, and offers
#   has_systemd           whether systemd runs this machine
#   as_owner COMMAND...   as the box's own user
#   box_python ARGUMENT...  Python with the box's modules, as that user
#   configured_port       which port its settings say

# shellcheck disable=SC2034 # for whoever sources this
OPT=/opt/edgebox DATA=/var/lib/edgebox UNITS=/etc/systemd/system OWNER=edgebox

# Where an image is made in a chroot it does not, and starts the box later.
has_systemd() { [[ -d /run/systemd/system ]]; }

as_owner() { setpriv --reuid="$OWNER" --regid="$OWNER" --clear-groups -- env HOME="$DATA" "$@"; }

box_python() { as_owner "$OPT/current/bin/python" -I "$@"; }

# Of its file; the drop-ins of the unit are not looked at.
configured_port() {
    box_python -c '
import pathlib, sys
from edgebox.config import Config, ConfigError
try:
    print(Config.load(pathlib.Path(sys.argv[1]), {}, {}).port)
except ConfigError as error:
    sys.exit(str(error))
' "$DATA"
}
