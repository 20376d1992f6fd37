#!/bin/sh
# Everything from an empty folder to the model folders:
#   sh run.sh MODELS_FOLDER [WORK_FOLDER]
# The evaluation on picture files and INT8 need Node.js with onnxruntime-node, sharp and
# @huggingface/tokenizers (MODULES_FROM names a folder that has them in node_modules);
# without them these steps are skipped.
set -eu
models=$1
vqa=$models/shapes-vqa/1
here=$(cd "$(dirname "$0")" && pwd)
work=${2:-$here/.work}
python=${PYTHON:-/usr/bin/python3}
export PYTHONDONTWRITEBYTECODE=1
run() { script=$1; shift; "$python" "$here/$script.py" "$@"; }

# The scenes, the picture encoder, shapes-vqa
run dataset --work "$work"
run train_encoder --work "$work"
run train_vqa --work "$work"
run export --work "$work" --model "$vqa"
run make_examples --out "$vqa/examples"

# The other models, on the same scenes and the same encoder
for what in statements captions phrases; do run make_texts --work "$work" --what $what; done
run train_entailment --work "$work"
run train_caption --work "$work"
run train_classify --work "$work"
run train_clip --work "$work"
run export_more --work "$work" --models "$models"
run make_task_tests --models "$models"

node -e 'require("module").createRequire((process.env.MODULES_FROM || process.argv[1]) + "/x.js").resolve("onnxruntime-node")' "$here" 2>/dev/null || {
  run evaluate --work "$work" --model "$vqa"
  echo "no onnxruntime-node: no evaluation on files, no INT8" >&2
  exit 0
}
tests=
for size in 320x240 640x480 1000x750 720x1280; do
  run make_examples --out "$work/$size" --test $size
  run make_task_tests --tests "$work/$size" --size $size
  tests="$tests $work/$size"
done
webp=$work/480x360-webp
run make_examples --out "$webp" --test 480x360 --format webp --scenes 150
run make_task_tests --tests "$webp" --size 480x360 --format webp --scenes 150

# shellcheck disable=SC2086
{
  node "$here/evaluate_files.mjs" "$vqa" --out "$work/files.json" --reference "$work/reference.json" $tests "$vqa/examples"
  run evaluate --work "$work" --model "$vqa" --files "$work/files.json"
  run feeds --work "$work" --out "$work/feeds"
  run quantize_all graphs --models "$models" --work "$work"
  node "$here/evaluate_tasks.mjs" --models "$models" --work "$work" --out "$work/files-tasks.json" $tests "$webp"
  run write_cards --models "$models" --work "$work" --files "$work/files-tasks.json"
  run quantize_all report --models "$models" --work "$work" --out "$here/../docs/int8.md" --tests $tests
}
