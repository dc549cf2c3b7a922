#!/bin/sh
# Makes the pods' own Python environment, as the image has it: runtime.sh FOLDER PYTHON
# It is used at /opt/gpu-watchdog/venv, so that is what its scripts' first lines say.
set -eu
folder=$1
rm -rf "$folder"
"$2" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
echo /opt/gpu-watchdog >"$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/gpu-watchdog.pth"
for script in supervisorctl supervisord; do
    sed -i '1s|^#!.*|#!/opt/gpu-watchdog/venv/bin/python|' "$folder/bin/$script"
done
"$folder/bin/python" -m compileall -q "$folder/lib" || true
