# shellcheck shell=bash
# The box that scripts/install has put on this machine. To be sourced after environment.sh. It sets OPT, DATA, UNITS and
# OWNER, where it lives and whose it is, and offers
#   has_systemd           whether systemd runs this machine
#   as_owner COMMAND...   as the box's own user
#   box_python ARGUMENT...  Python with the box's modules, as that user
#   configured SETTING... what its settings say, such as host and port, in one line

# shellcheck disable=SC2034 # for whoever sources this
OPT=/opt/edgebox DATA=/var/lib/edgebox UNITS=/etc/systemd/system OWNER=edgebox

# Where an image is made in a chroot it does not, and starts the box later.
has_systemd() { [[ -d /run/systemd/system ]]; }

as_owner() { setpriv --reuid="$OWNER" --regid="$OWNER" --clear-groups -- env HOME="$DATA" "$@"; }

box_python() { as_owner "$OPT/current/bin/python" -I "$@"; }

# By its file, and by the unit with its drop-ins, where systemd knows it.
configured() {
    local environment=
    ! has_systemd || environment=$(systemctl show --property=Environment --value edgebox)
    box_python -c '
import pathlib, shlex, sys
from edgebox.config import Config, ConfigError
directory, environment, *settings = sys.argv[1:]
environment = dict(each.split("=", 1) for each in shlex.split(environment))
try:
    config = Config.load(pathlib.Path(directory), environment, {})
except ConfigError as error:
    sys.exit(str(error))
print(*(getattr(config, setting) for setting in settings))
' "$DATA" "$environment" "$@"
}
