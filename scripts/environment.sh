# Sourced by the scripts beside it, with their real path in $self: where things are, and
# how to make $venv what constraints.txt and pyproject.toml ask for.

root=${self%/*/*}
venv=${FDL_VENV:-.venv}
venv=${venv%/}
case $venv in
/*) ;;
*) venv=$root/$venv ;;
esac

# One stamp and one comparison, since every call of fdl pays for it. The path is part of
# the stamp because an environment stops working when its folder is moved.
is_ready() {
    [ -x "$venv/bin/python" ] && [ -f "$venv/stamp" ] &&
        { printf '%s\n' "$venv" && cat "$root/constraints.txt" "$root/pyproject.toml"; } |
        cmp -s - "$venv/stamp"
}

# Run, not just looked up: the name may be a stub of a version manager, and some systems
# ship Python without what makes environments.
probe='
import sys
version = ".".join(map(str, sys.version_info[:3]))
if not (3, 11) <= sys.version_info < (3, 14):
    sys.exit("is Python " + version)
try:
    import ensurepip, venv
except ImportError as error:
    sys.exit("is Python " + version + " without " + error.name)
'

find_python() {
    if [ -n "${FDL_PYTHON:-}" ]; then
        set -- "$FDL_PYTHON"
    else
        set -- python3.13 python3.12 python3.11 python3 python
    fi
    found=
    for python in "$@"; do
        if ! command -v "$python" >/dev/null; then
            found="$found
  $python: not found"
        elif why=$("$python" -I -c "$probe" 2>&1); then
            return
        else
            found="$found
  $python: $(printf '%s\n' "$why" | head -n 1)"
        fi
    done
    cat >&2 <<EOF
fdl needs Python 3.11, 3.12 or 3.13, with its venv module. There is:$found
Install one (on Debian or Ubuntu: python3 and python3-venv), or name one in FDL_PYTHON.
EOF
    exit 1
}

set_up() {
    is_ready && return
    find_python
    "$python" -I "$root/scripts/bootstrap.py" "$venv" || exit
}
