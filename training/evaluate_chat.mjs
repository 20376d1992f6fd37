/**
 * Accuracy of shapes-chat by kind of question, through its graphs in ONNX Runtime with greedy decoding.
 *
 *   node evaluate_chat.mjs --model FOLDER --tests FOLDER --out RESULT.json [--variant fp16] [--rows 12]
 *
 * The test folder is make_chat_tests.py's. Rows of unequal length are decoded together: padded left, or right where
 * the decoder has GroupQueryAttention (`--variant fp16`). The tokenizer must give the ids that training had.
 * Modules are looked for as in evaluate_files.mjs.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const require = createRequire(process.env.MODULES_FROM ? resolve(process.env.MODULES_FROM, "x.js") : import.meta.url);
const ort = require("onnxruntime-node");
const { Tokenizer } = require("@huggingface/tokenizers");

const { values } = parseArgs({
  options: {
    model: { type: "string" }, tests: { type: "string" }, out: { type: "string" }, variant: { type: "string" },
    from: { type: "string", default: "0" }, limit: { type: "string", default: "100000" }, show: { type: "string", default: "0" },
  },
});
const json = (...path) => JSON.parse(readFileSync(join(...path), "utf8"));
const config = json(values.model, "config.json");
const { eos_token_id: ends, max_new_tokens: most } = json(values.model, "generation_config.json");
const { num_hidden_layers: layers, num_key_value_heads: heads, head_dim: width } = config.text_config;
const tests = json(values.tests, "tests.json");
const bytes = readFileSync(join(values.tests, "pieces.bin"));
const tokenizer = new Tokenizer(json(values.model, "tokenizer.json"), json(values.model, "tokenizer_config.json"));
const grouped = values.variant === "fp16";
const open = (name) => ort.InferenceSession.create(join(values.model, "onnx", `${name}.onnx`), { intraOpNumThreads: 1 });
const [vision, embed, decoder] = await Promise.all(
  [open("vision_encoder"), open("embed_tokens"), open(`decoder_model_merged${grouped ? "_fp16" : ""}`)]);
const ints = (data, dims) => new ort.Tensor("int64", BigInt64Array.from(data, BigInt), dims);

/** [pieces * cells, width] image features of some pieces. */
async function featuresOf(pieces) {
  const plane = tests.size * tests.size, pixels = new Float32Array(pieces.length * 3 * plane);
  pieces.forEach((piece, n) => {
    for (let i = 0; i < plane; i++)
      for (let c = 0; c < 3; c++) pixels[(3 * n + c) * plane + i] = bytes[3 * (piece * plane + i) + c] / 127.5 - 1;
  });
  const side = [tests.size, tests.size];
  const { image_features } = await vision.run({
    pixel_values: new ort.Tensor("float32", pixels, [1, pieces.length, 3, ...side]),
    pixel_attention_mask: new ort.Tensor("bool", new Uint8Array(pieces.length * plane).fill(1), [1, pieces.length, ...side]),
  });
  return image_features.data;
}

async function embedded(rows, features) {
  const length = rows[0].length;
  const { inputs_embeds } = await embed.run({ input_ids: ints(rows.flat(), [rows.length, length]) });
  const hidden = inputs_embeds.dims[2];
  rows.forEach((row, n) => {
    let taken = 0;
    row.forEach((id, at) => {
      if (id !== config.image_token_id || !features) return;
      inputs_embeds.data.set(features.subarray(taken * hidden, ++taken * hidden), (n * length + at) * hidden);
    });
  });
  return inputs_embeds;
}

const argmax = (data, start, count) => {
  let best = start;
  for (let i = start + 1; i < start + count; i++) if (data[i] > data[best]) best = i;
  return best - start;
};

/** Greedy answers to prompts of any lengths, decoded together. */
async function answer(prompts, features) {
  const count = prompts.length, longest = Math.max(...prompts.map((p) => p.length));
  const pad = prompts.map((p) => Array(longest - p.length).fill(config.pad_token_id));
  const rows = prompts.map((p, n) => (grouped ? [...p, ...pad[n]] : [...pad[n], ...p]));
  const masks = prompts.map((p, n) => (grouped ? [...p.map(() => 1), ...pad[n].map(() => 0)] : [...pad[n].map(() => 0), ...p.map(() => 1)]));
  let feeds = { inputs_embeds: await embedded(rows, features) };
  let positions = masks.map((mask) => mask.map((_, i) => Math.max(0, mask.slice(0, i).reduce((a, b) => a + b, 0))));
  const kind = grouped ? "float16" : "float32", none = grouped ? new Uint16Array(0) : new Float32Array(0);
  for (let i = 0; i < layers; i++)
    for (const part of ["key", "value"]) feeds[`past_key_values.${i}.${part}`] = new ort.Tensor(kind, none, [count, heads, 0, width]);
  const said = prompts.map(() => []), done = prompts.map(() => false);
  for (let step = 0; step < most && done.includes(false); step++) {
    const length = positions[0].length;
    feeds.attention_mask = ints(masks.flat(), [count, masks[0].length]);
    if (!grouped) feeds.position_ids = ints(positions.flat(), [count, length]);
    const out = await decoder.run(feeds);
    const words = out.logits.dims[2];
    const next = prompts.map((p, n) => argmax(out.logits.data, (n * length + (grouped && step === 0 ? p.length - 1 : length - 1)) * words, words));
    next.forEach((id, n) => {
      if (ends.includes(id)) done[n] = true;
      if (!done[n]) said[n].push(id);
    });
    if (grouped && step > 0) masks.forEach((m) => m);
    feeds = { inputs_embeds: await embedded(next.map((id) => [id]), null) };
    for (let i = 0; i < layers; i++)
      for (const part of ["key", "value"]) feeds[`past_key_values.${i}.${part}`] = out[`present.${i}.${part}`];
    // With GroupQueryAttention new keys go behind the real ones, so a row's ones stay in front.
    if (grouped) masks.forEach((m) => { const real = m.filter((v) => v).length; m.fill(0); m.push(0); m.fill(1, 0, real + 1); });
    else masks.forEach((m) => m.push(1));
    positions = prompts.map((p) => [p.length + step]);
  }
  return said.map((ids) => tokenizer.decode(ids, { skip_special_tokens: true }));
}

const found = {}, wrong = [];
for (const entry of tests.cases.slice(+values.from, +values.from + +values.limit)) {
  const features = await featuresOf(entry.pieces);
  const prompts = entry.rows.map((row) => tokenizer.encode(row.prompt).ids);
  prompts.forEach((ids, n) => {
    if (ids.join() !== entry.rows[n].ids.join()) throw new Error(`other ids than in training: ${entry.rows[n].prompt}`);
  });
  const said = await answer(prompts, features);
  entry.rows.forEach((row, n) => {
    const of = (found[row.kind] ??= { right: 0, total: 0 }), right = said[n] === row.answer;
    of.total++;
    of.right += right;
    if (row.kind === "list") { of.valid ??= 0; try { JSON.parse(said[n]); of.valid++; } catch { /* counted */ } }
    if (!right) wrong.push({ kind: row.kind, ask: row.prompt.slice(row.prompt.lastIndexOf(">", row.prompt.lastIndexOf("<end")) + 1), answer: row.answer, said: said[n] });
  });
}
const right = Object.values(found).reduce((a, f) => a + f.right, 0), total = Object.values(found).reduce((a, f) => a + f.total, 0);
for (const [kind, f] of Object.entries(found)) console.log(kind.padEnd(16), (100 * f.right / f.total).toFixed(1), f.total, f.valid === undefined ? "" : `valid ${f.valid}`);
console.log("all", (100 * right / total).toFixed(2), total);
for (const w of wrong.slice(0, +values.show)) console.log(JSON.stringify(w));
if (values.out) writeFileSync(values.out, JSON.stringify({ variant: values.variant ?? "float32", all: right / total, total, found, wrong }, null, 1));
