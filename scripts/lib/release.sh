# shellcheck shell=bash
# What a version of the box is called. To be sourced after environment.sh. It offers
#   release_name    of the code in this clone or bundle, such as 0.1.0-3f2a9c1e: its version and what it is made from

# shellcheck disable=SC2154 # ROOT is set by environment.sh
release_name() {
    local version
    if [[ -e $ROOT/RELEASE ]]; then # a bundle, which has no code but the wheel
        cat "$ROOT/RELEASE"
        return
    fi
    version=$(sed -n 's/^__version__ = "\([^"]*\)"$/\1/p' "$ROOT/edgebox/__init__.py")
    [[ -n $version ]] || die "edgebox/__init__.py does not say which version this is; nothing was done."
    printf '%s-%s\n' "$version" "$(sources | (cd "$ROOT" && xargs -0 sha256sum) | sha256sum | cut -c 1-8)"
}

# The files that the wheel is made from, in one order everywhere, each ended by a zero byte.
sources() {
    (
        cd "$ROOT" || exit
        find edgebox -name __pycache__ -prune -o -type f ! -name '*.md' -print0
        printf '%s\0' setup.cfg pyproject.toml requirements.txt README.md LICENSE
    ) | LC_ALL=C sort -z
}
