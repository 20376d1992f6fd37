#!/bin/sh
# Everything from an empty folder to a model folder:
#   sh run.sh MODEL_FOLDER [WORK_FOLDER]
# The last step needs Node.js with onnxruntime-node, sharp and @huggingface/tokenizers
# (MODULES_FROM names a folder that has them in node_modules); without them it is skipped.
set -eu
model=$1
here=$(cd "$(dirname "$0")" && pwd)
work=${2:-$here/.work}
python=${PYTHON:-/usr/bin/python3}
export PYTHONDONTWRITEBYTECODE=1

"$python" "$here/dataset.py" --work "$work"
"$python" "$here/train_encoder.py" --work "$work"
"$python" "$here/train_vqa.py" --work "$work"
"$python" "$here/export.py" --work "$work" --model "$model"
"$python" "$here/make_examples.py" --out "$model/examples"
files=
if node -e 'require("module").createRequire((process.env.MODULES_FROM || process.argv[1]) + "/x.js").resolve("onnxruntime-node")' "$here" 2>/dev/null; then
  for size in 320x240 640x480 1000x750 720x1280; do
    "$python" "$here/make_examples.py" --out "$work/$size" --test $size
  done
  node "$here/evaluate_files.mjs" "$model" --out "$work/files.json" --reference "$work/reference.json" \
    "$work/320x240" "$work/640x480" "$work/1000x750" "$work/720x1280" "$model/examples"
  files="--files $work/files.json"
fi
"$python" "$here/evaluate.py" --work "$work" --model "$model" $files
