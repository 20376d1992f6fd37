/**
 * Evaluates an exported model the way it runs in production: real picture files
 * decoded by sharp, `tokenizer.json`, ONNX Runtime.
 *
 *   node evaluate_files.mjs MODEL_FOLDER --out RESULT.json [--reference reference.json] [--graph onnx/model_int8.onnx] TEST_FOLDER...
 *
 * Needs onnxruntime-node, sharp and @huggingface/tokenizers; they are looked for
 * from the folder in MODULES_FROM (by default from this file).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";

const require = createRequire(process.env.MODULES_FROM ? resolve(process.env.MODULES_FROM, "x.js") : import.meta.url);
const ort = require("onnxruntime-node");
const sharp = require("sharp");
const { Tokenizer } = require("@huggingface/tokenizers");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: "string" }, reference: { type: "string" }, kernel: { type: "string", default: "cubic" },
    graph: { type: "string", default: "onnx/model.onnx" } },
});
const [folder, ...tests] = positionals;
const json = (...path) => JSON.parse(readFileSync(join(...path), "utf8"));
const config = json(folder, "config.json");
const { size, image_mean: mean, image_std: std } = json(folder, "preprocessor_config.json");
const tokenizer = new Tokenizer(json(folder, "tokenizer.json"), json(folder, "tokenizer_config.json"));
const session = await ort.InferenceSession.create(join(folder, values.graph), { intraOpNumThreads: 2 });

const ints = (values, dims) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), dims);

/** One picture as float32 [3, height, width]. */
async function pixels(path) {
  const raw = await sharp(path).rotate().flatten({ background: "#fff" }).toColourspace("srgb")
    .resize(size.width, size.height, { fit: "fill", kernel: values.kernel }).removeAlpha().raw().toBuffer();
  const plane = size.width * size.height;
  const out = new Float32Array(3 * plane);
  for (let i = 0; i < plane; i++)
    for (let c = 0; c < 3; c++) out[c * plane + i] = (raw[3 * i + c] / 255 - mean[c]) / std[c];
  return out;
}

/** Answers of several questions about one picture. */
async function answer(picture, questions) {
  const ids = questions.map((q) => tokenizer.encode(q).ids);
  const length = Math.max(...ids.map((i) => i.length));
  const padded = ids.flatMap((i) => [...i, ...Array(length - i.length).fill(0)]);
  const mask = ids.flatMap((i) => Array.from({ length }, (_, at) => (at < i.length ? 1 : 0)));
  const batch = new Float32Array(picture.length * questions.length);
  questions.forEach((_, i) => batch.set(picture, i * picture.length));
  const { logits } = await session.run({
    pixel_values: new ort.Tensor("float32", batch, [questions.length, 3, size.height, size.width]),
    input_ids: ints(padded, [questions.length, length]),
    attention_mask: ints(mask, [questions.length, length]),
  });
  const [, labels] = logits.dims;
  return questions.map((_, i) => {
    const row = logits.data.subarray(i * labels, (i + 1) * labels);
    return config.id2label[row.indexOf(Math.max(...row))];
  });
}

async function evaluate(test) {
  const entries = json(test, basename(test) === "examples" ? "examples.json" : "test.json");
  const groups = Map.groupBy?.(entries, (e) => e.image) ?? entries.reduce(
    (map, e) => map.set(e.image, [...(map.get(e.image) ?? []), e]), new Map());
  const table = { all: [0, 0] };
  for (const [image, group] of groups) {
    const given = await answer(await pixels(join(test, image)), group.map((e) => e.question));
    group.forEach((e, i) => {
      for (const key of ["all", e.kind ?? "unnamed"]) {
        table[key] ??= [0, 0];
        table[key][0] += given[i] === e.answer;
        table[key][1]++;
      }
    });
  }
  return Object.fromEntries(Object.entries(table).map(([k, [right, count]]) => [k, [right / count, count]]));
}

const result = { files: {}, differences: {} };
for (const batch of values.reference ? json(values.reference) : []) {
  const { size: n, length, image_size: s } = batch;
  const { logits } = await session.run({
    pixel_values: new ort.Tensor("float32", Float32Array.from(batch.pixel_values), [n, 3, s, s]),
    input_ids: ints(batch.input_ids, [n, length]),
    attention_mask: ints(batch.attention_mask, [n, length]),
  });
  const worst = logits.data.reduce((max, v, i) => Math.max(max, Math.abs(v - batch.logits[i])), 0);
  result.differences[n] = worst;
  console.log(`batch ${n}: largest difference from torch ${worst.toExponential(1)}`);
}
for (const test of tests) {
  const table = (result.files[basename(test)] = await evaluate(test));
  console.log(basename(test), Object.entries(table).map(([k, [v]]) => `${k} ${(100 * v).toFixed(1)}`).join(" "));
}
if (values.out) writeFileSync(values.out, `${JSON.stringify(result, null, 2)}\n`);
