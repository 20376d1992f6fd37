#!/bin/sh
# Everything from an empty folder to the model folders:
#   sh run.sh MODELS_FOLDER [WORK_FOLDER]
# START=MODELS_FOLDER goes on from the weights of shipped models in a third of the steps (see README.md).
# The evaluation on picture files and INT8 need Node.js with onnxruntime-node, sharp and
# @huggingface/tokenizers (MODULES_FROM names a folder that has them in node_modules);
# without them these steps are skipped.
set -eu
models=$1
vqa=$models/shapes-vqa/1
here=$(cd "$(dirname "$0")" && pwd)
work=${2:-$here/.work}
mkdir -p "$work"
work=$(cd "$work" && pwd)
python=${PYTHON:-/usr/bin/python3}
export PYTHONDONTWRITEBYTECODE=1
start= encoder_steps=6000 vqa_steps=3000 entailment_steps=2000 caption_steps=3000 classify_steps=1000 clip_steps=2000 detect_steps=2200 tune_steps=3000
if [ -n "${START:-}" ]; then
  start="--start $START" encoder_steps=2000 vqa_steps=1000 entailment_steps=700 caption_steps=1000 classify_steps=500 clip_steps=700 detect_steps=700 tune_steps=1000
fi
run() { script=$1; shift; "$python" "$here/$script.py" "$@"; }

# The scenes, more of them in files of a few hundred (see README.md, "On a GPU"), and the picture encoder
run dataset --work "$work"
run scene_chunks --work "$work"
# shellcheck disable=SC2086
run train_encoder --work "$work" --steps $encoder_steps $start
run train_encoder --work "$work" --more --chunks --steps $encoder_steps --rate 3e-4
run train_encoder --work "$work" --more --steps 0  # its output for the scenes, which the others read

for what in statements captions phrases; do run make_texts --work "$work" --what $what; done
# shellcheck disable=SC2086
{
  run train_vqa --work "$work" --steps $vqa_steps $start
  run train_entailment --work "$work" --steps $entailment_steps $start
  run train_caption --work "$work" --steps $caption_steps $start
  run train_classify --work "$work" --steps $classify_steps $start
  run train_clip --work "$work" --steps $clip_steps $start
  run train_detect --work "$work" --steps $detect_steps $start
}
run make_examples --out "$vqa/examples"
run tune_detect --work "$work" --steps $tune_steps
run export --work "$work" --model "$vqa"
run export_more --work "$work" --models "$models"

# shapes-chat, from the encoder and arranger that shapes-caption has now; it sees twice as many pixels
chat=$models/shapes-chat/1
run make_chats --work "$work"
run train_encoder --work "$work" --more --chunks --fine --steps $encoder_steps --rate 6e-4
run train_chat --work "$work" --models "$models" --encoder "$work/fine.pt"
run export_chat --work "$work" --out "$chat"
run make_chat_examples --models "$models"
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

# Drawings of another program, which no training sees: a folder for each style
(cd "$here/.." && node --import tsx tests/evaluate/drawings/write.ts "$work/drawn" --scenes 150)
drawn=$(echo "$work"/drawn/*)

# shellcheck disable=SC2086
{
  run feeds --work "$work" --out "$work/feeds"
  run quantize_all graphs --models "$models" --work "$work"
  for variant in "" _int8; do
    node "$here/evaluate_files.mjs" "$vqa" --graph onnx/model$variant.onnx --out "$work/drawn$variant.json" $drawn
    node "$here/evaluate_tasks.mjs" --models "$models" ${variant:+--variant int8} --out "$work/drawn-tasks$variant.json" $drawn
  done
  node "$here/evaluate_files.mjs" "$vqa" --out "$work/files.json" --reference "$work/reference.json" $tests "$vqa/examples"
  run evaluate --work "$work" --model "$vqa" --files "$work/files.json" --drawn "$work/drawn.json" "$work/drawn_int8.json"
  node "$here/evaluate_tasks.mjs" --models "$models" --work "$work" --out "$work/files-tasks.json" $tests "$webp"
  run write_cards --models "$models" --work "$work" --files "$work/files-tasks.json" \
    --drawn "$work/drawn-tasks.json" "$work/drawn-tasks_int8.json"
  run quantize_all report --models "$models" --work "$work" --out "$here/../docs/int8.md" --tests $tests

  run make_chat_tests --work "$work" --out "$work/chat-tests"
  run make_chat_tests --work "$work" --out "$work/chat-tiles" --longest-edge 512
  run make_chat_tests --work "$work" --out "$work/chat-blind" --blind
  node "$here/evaluate_chat.mjs" --model "$chat" --tests "$work/chat-tests" --out "$work/chat.json"
  node "$here/evaluate_chat.mjs" --model "$chat" --tests "$work/chat-tests" --variant fp16 --out "$work/chat-fp16.json"
  node "$here/evaluate_chat.mjs" --model "$chat" --tests "$work/chat-tiles" --out "$work/chat-tiles.json"
  node "$here/evaluate_chat.mjs" --model "$chat" --tests "$work/chat-blind" --out "$work/chat-blind.json"
  run write_chat_card --work "$work" --model "$chat" --plain "$work/chat.json" --grouped "$work/chat-fp16.json" \
    --tiles "$work/chat-tiles.json" --blind "$work/chat-blind.json"
}
