# Prints the newest released Python, 3.12 at least, on the path or in pyenv's versions folder; nothing where there is none.
# With an argument such as 3.12, the newest of that series. Names that do not run, as shims of pyenv, are passed over.
for name in python3.19 python3.18 python3.17 python3.16 python3.15 python3.14 python3.13 python3.12 python3 python \
  "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3; do
  "$name" -c '
import sys, sysconfig
import ensurepip, venv
version, series = sys.version_info, sys.argv[1]
is_released = version.releaselevel == "final" and not sysconfig.get_config_var("Py_GIL_DISABLED")
if version >= (3, 12) and is_released and series in ("", "%d.%d" % version[:2]):
    print("%04d %04d %04d %s" % (*version[:3], sys.executable))
' "${1:-}" 2>/dev/null
done | sort -r | sed -n '1s/^[0-9]* [0-9]* [0-9]* //p'
