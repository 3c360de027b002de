# Prints the newest released Python, 3.12 at least, on the path or in pyenv's versions folder; nothing where there is none.
# Names that are on the path and do not run, as the shims of pyenv for versions that are not chosen, are passed over.
for name in python3.19 python3.18 python3.17 python3.16 python3.15 python3.14 python3.13 python3.12 python3 python \
  "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3; do
  "$name" -c '
import sys, sysconfig
import ensurepip, venv
version = sys.version_info
if version >= (3, 12) and version.releaselevel == "final" and not sysconfig.get_config_var("Py_GIL_DISABLED"):
    print("%04d %04d %04d %s" % (*version[:3], sys.executable))
' 2>/dev/null
done | sort -r | sed -n '1s/^[0-9]* [0-9]* [0-9]* //p'
