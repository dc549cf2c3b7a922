#!/bin/sh
# Makes the product's own Python environment: make-venv.sh FOLDER PYTHON REQUIREMENTS
# It is used at /opt/gpu-watchdog/venv wherever it is made, so that is what its scripts' first lines say.
set -eu
folder=$1
python=$2
requirements=$3
rm -rf "$folder"
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile --require-hashes \
    -r "$requirements"
packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo /opt/gpu-watchdog >"$packages/gpu-watchdog.pth"
"$folder/bin/python" -m pip uninstall --quiet --yes setuptools pip
find "$folder/bin" -name '[Aa]ctivate*' -delete
for script in supervisorctl supervisord; do
    sed -i '1s|^#!.*|#!/opt/gpu-watchdog/venv/bin/python|' "$folder/bin/$script"
done
rm -rf "$packages"/supervisor/tests "$packages"/*/__pycache__
"$folder/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$packages"
