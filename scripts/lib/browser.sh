# shellcheck shell=bash
# The browser in which the staff pages are tested and shown. To be sourced after environment.sh. It offers
#   find_chromium    true where there is one; root on Debian gets it installed
# and sets NO_CHROMIUM, which says what is missing. CHROMIUM of the environment names a program of another name.

# shellcheck disable=SC2034 # for whoever sources this
NO_CHROMIUM="there is no Chromium. Please run 'sudo apt-get install chromium', or name its program in CHROMIUM."

find_chromium() {
    local name
    if [[ -n ${CHROMIUM:-} ]]; then
        command -v "$CHROMIUM" >/dev/null
        return
    fi
    for name in chromium chromium-browser google-chrome; do
        command -v "$name" >/dev/null && return
    done
    apt_install chromium && command -v chromium >/dev/null
}
