/**
 * Accuracy of the exported models on picture files, as in production: sharp, tokenizer.json, ONNX Runtime.
 *
 *   node evaluate_tasks.mjs --models MODELS --out RESULT.json [--variant int8] [--only entailment,caption] [--work WORK] TEST_FOLDER...
 *
 * The test folders have a tasks.json of make_task_tests.py. `--variant int8` takes NAME_int8.onnx instead of NAME.onnx
 * where it exists. `--work` compares with torch by WORK/reference-*.json. Modules are looked for as in evaluate_files.mjs.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";

const require = createRequire(process.env.MODULES_FROM ? resolve(process.env.MODULES_FROM, "x.js") : import.meta.url);
const ort = require("onnxruntime-node");
const sharp = require("sharp");
const { Tokenizer } = require("@huggingface/tokenizers");

const { values, positionals: tests } = parseArgs({
  allowPositionals: true,
  options: {
    models: { type: "string" }, out: { type: "string" }, work: { type: "string" }, variant: { type: "string" },
    only: { type: "string", default: "entailment,caption,classify,clip,detect" },
  },
});
const json = (...path) => JSON.parse(readFileSync(join(...path), "utf8"));
const folderOf = (name) => join(values.models, `shapes-${name}`, "1");
const ints = (data, dims) => new ort.Tensor("int64", BigInt64Array.from(data, BigInt), dims);
const argmax = (row) => row.indexOf(Math.max(...row));

function open(folder, graph) {
  const variant = join(folder, "onnx", `${graph}_${values.variant}.onnx`);
  const path = values.variant && existsSync(variant) ? variant : join(folder, "onnx", `${graph}.onnx`);
  return ort.InferenceSession.create(path, { intraOpNumThreads: 2 });
}

function tokenizerOf(folder) {
  const tokenizer = new Tokenizer(json(folder, "tokenizer.json"), json(folder, "tokenizer_config.json"));
  const encode = (texts) => {
    const ids = texts.map((t) => tokenizer.encode(t).ids);
    const length = Math.max(...ids.map((i) => i.length));
    const dims = [texts.length, length];
    return {
      input_ids: ints(ids.flatMap((i) => [...i, ...Array(length - i.length).fill(0)]), dims),
      attention_mask: ints(ids.flatMap((i) => Array.from({ length }, (_, at) => (at < i.length ? 1 : 0))), dims),
    };
  };
  return { tokenizer, encode };
}

async function pixels(path, { size, image_mean: mean, image_std: std }) {
  const raw = await sharp(path).rotate().flatten({ background: "#fff" }).toColourspace("srgb")
    .resize(size.width, size.height, { fit: "fill", kernel: "cubic" }).removeAlpha().raw().toBuffer();
  const plane = size.width * size.height;
  const out = new Float32Array(3 * plane);
  for (let i = 0; i < plane; i++)
    for (let c = 0; c < 3; c++) out[c * plane + i] = (raw[3 * i + c] / 255 - mean[c]) / std[c];
  return out;
}

function picture(data, preprocessor, count = 1) {
  const { height, width } = preprocessor.size;
  const batch = new Float32Array(data.length * count);
  for (let i = 0; i < count; i++) batch.set(data, i * data.length);
  return new ort.Tensor("float32", batch, [count, 3, height, width]);
}

/** Rows of a [N, M] tensor. */
const rowsOf = ({ data, dims: [count, width] }) => Array.from({ length: count }, (_, i) => data.subarray(i * width, (i + 1) * width));

/**
 * Each task: opens its model and returns a function from (pixels, entry of tasks.json, folder) to [kind, right or share][].
 * Objects are not judged here: average_precision.py does, over all pictures.
 */
const TASKS = {
  async entailment() {
    const folder = folderOf("entailment"), config = json(folder, "config.json"), pre = json(folder, "preprocessor_config.json");
    const session = await open(folder, "model"), { encode } = tokenizerOf(folder);
    return async (data, { statements }) => {
      const { logits } = await session.run({ pixel_values: picture(data, pre, statements.length), ...encode(statements.map((s) => s.text)) });
      return rowsOf(logits).map((row, i) => [statements[i].kind, config.id2label[argmax(row)] === statements[i].label]);
    };
  },
  async caption() {
    const folder = folderOf("caption"), pre = json(folder, "preprocessor_config.json"), { tokenizer } = tokenizerOf(folder);
    const { decoder_start_token_id: start, eos_token_id: stop, max_new_tokens: most } = json(folder, "generation_config.json");
    const [encoder, first, next] = [await open(folder, "encoder_model"), await open(folder, "decoder_model"), await open(folder, "decoder_with_past_model")];
    const last = ({ data, dims }) => argmax(data.subarray(data.length - dims.at(-1)));
    return async (data, { caption, clear, names }) => {
      const { last_hidden_state } = await encoder.run({ pixel_values: picture(data, pre) });
      let out = await first.run({ input_ids: ints([start], [1, 1]), encoder_hidden_states: last_hidden_state });
      const past = {}, said = [];
      for (let token = last(out.logits); token !== stop && said.length < most; token = last(out.logits)) {
        said.push(token);
        for (const [name, value] of Object.entries(out)) if (name !== "logits") past[name.replace("present", "past_key_values")] = value;
        out = await next.run({ input_ids: ints([token], [1, 1]), ...past });
      }
      const text = tokenizer.decode(said, { skip_special_tokens: true });
      // Drawings that no caption was written for: how many of their objects are named.
      if (names) return names.map((name) => ["named", text.includes(name)]);
      return [["exact", text === caption], ...(clear ? [["exact_clear", text === caption]] : []), ["words", [text, caption]]];
    };
  },
  async classify() {
    const folder = folderOf("classify"), config = json(folder, "config.json"), pre = json(folder, "preprocessor_config.json");
    const session = await open(folder, "model");
    return async (data, { label }) => {
      if (!label) return [];
      const { logits } = await session.run({ pixel_values: picture(data, pre) });
      return [["label", config.id2label[argmax(logits.data)] === label]];
    };
  },
  async detect() {
    const folder = folderOf("detect"), { id2label } = json(folder, "config.json"), pre = json(folder, "preprocessor_config.json");
    const session = await open(folder, "model");
    return async (data, { image, objects: truth }, test) => {
      const { width, height } = await sharp(join(test, image)).metadata();
      const { logits, pred_boxes } = await session.run({ pixel_values: picture(data, pre) });
      const [, cells, labels] = logits.dims, found = [];
      for (let i = 0; i < cells * labels; i++) {
        const score = 1 / (1 + Math.exp(-logits.data[i])), at = 4 * Math.floor(i / labels);
        if (score < 0.02) continue; // as good as not found
        const [x, y, w, h] = pred_boxes.data.subarray(at, at + 4);
        found.push({ label: id2label[i % labels], score, box: { xmin: (x - w / 2) * width, ymin: (y - h / 2) * height,
          xmax: (x + w / 2) * width, ymax: (y + h / 2) * height } });
      }
      return [["objects", { found, truth }]];
    };
  },
  async clip() {
    const folder = folderOf("clip"), pre = json(folder, "preprocessor_config.json"), { encode } = tokenizerOf(folder);
    const vision = await open(folder, "vision_model"), text = await open(folder, "text_model");
    return async (data, { phrases }) => {
      const { image_embeds } = await vision.run({ pixel_values: picture(data, pre) });
      const found = [];
      for (const { kind, texts } of phrases) {
        const { text_embeds } = await text.run(encode(texts));
        const scores = rowsOf(text_embeds).map((row) => row.reduce((sum, v, i) => sum + v * image_embeds.data[i], 0));
        found.push([kind, argmax(scores) === 0]);
      }
      return found;
    };
  },
};

const ATTRIBUTES = /\b(small|large|red|orange|yellow|green|cyan|blue|purple|pink|circle|square|triangle|star|cross|heart|white|gray|black|brown|beige)\b/g;

/** F1 of the attribute words, counted with repetition. */
function attributeF1(pairs) {
  let both = 0, all = 0;
  for (const [said, meant] of pairs) {
    const left = meant.match(ATTRIBUTES) ?? [], given = said.match(ATTRIBUTES) ?? [];
    all += left.length + given.length;
    for (const word of given) {
      const at = left.indexOf(word);
      if (at >= 0) both += left.splice(at, 1).length;
    }
  }
  return (2 * both) / all;
}

async function evaluate(judge, test, preprocessor) {
  const table = {}, words = [], objects = [];
  for (const entry of json(test, "tasks.json"))
    for (const [kind, right] of await judge(await pixels(join(test, entry.image), preprocessor), entry, test)) {
      if (kind === "words") words.push(right);
      else if (kind === "objects") objects.push(right);
      else for (const key of kind.startsWith("exact") ? [kind] : ["all", kind]) {
        table[key] ??= [0, 0];
        table[key][0] += right;
        table[key][1]++;
      }
    }
  if (objects.length) return { objects };
  const shares = Object.fromEntries(Object.entries(table).map(([k, [right, count]]) => [k, [right / count, count]]));
  return words.length ? { ...shares, attribute_f1: [attributeF1(words), words.length] } : shares;
}

/** The largest difference from torch over the outputs a session has in the reference. */
async function differences(name) {
  const reference = json(values.work, `reference-${name}.json`);
  const tensor = ({ dims, type, data }) => (type === "int64" ? ints(data, dims) : new ort.Tensor("float32", Float32Array.from(data), dims));
  const graphs = { caption: ["encoder_model", "decoder_model"], clip: ["vision_model", "text_model"] }[name] ?? ["model"];
  let worst = 0;
  for (const graph of graphs) {
    const session = await open(folderOf(name), graph);
    const given = { ...reference, encoder_hidden_states: reference.last_hidden_state };
    const out = await session.run(Object.fromEntries(session.inputNames.map((n) => [n, tensor(given[n])])));
    for (const [key, { data }] of Object.entries(out))
      if (reference[key]) data.forEach((v, i) => (worst = Math.max(worst, Math.abs(v - reference[key].data[i]))));
  }
  return worst;
}

const result = {};
for (const name of values.only.split(",")) {
  const judge = await TASKS[name](), preprocessor = json(folderOf(name), "preprocessor_config.json");
  result[name] = { files: {}, ...(values.work ? { difference: await differences(name) } : {}) };
  if (values.work) console.log(name, "largest difference from torch", result[name].difference.toExponential(1));
  for (const test of tests) {
    const table = (result[name].files[basename(test)] = await evaluate(judge, test, preprocessor));
    const { objects, ...shares } = table;
    console.log(name, basename(test), objects ? `${objects.length} pictures` : "",
      Object.entries(shares).map(([k, [v]]) => `${k} ${(100 * v).toFixed(1)}`).join(" "));
  }
}
if (values.out) writeFileSync(values.out, `${JSON.stringify(result, null, 2)}\n`);
