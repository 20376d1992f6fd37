/**
 * Runs a graph in ONNX Runtime on feeds written by feeds.py.
 *
 *   node calibrate.mjs ranges MODEL.onnx FEEDS.json OUT.json   # smallest and largest value of every float output
 *   node calibrate.mjs speed OUT.json FEEDS.json MODEL.onnx... # milliseconds per run at batch 1, 8 and 32, one thread
 *
 *   node calibrate.mjs labels MODEL.onnx FEEDS.json OUT.json   # which value of the first output is largest, per feed
 *
 * onnxruntime-node is looked for from the folder in MODULES_FROM (by default from this file).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const require = createRequire(process.env.MODULES_FROM ? resolve(process.env.MODULES_FROM, "x.js") : import.meta.url);
const ort = require("onnxruntime-node");

const TYPES = { float32: Float32Array, int64: BigInt64Array };
const BATCHES = [1, 8, 32];
const ROUNDS = 7;

/** The feeds as [{ name: { type, dims, data } }]; the numbers lie in one file beside the description. */
function loadFeeds(path) {
  const bytes = readFileSync(path.replace(/\.json$/, ".bin"));
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  return JSON.parse(readFileSync(path, "utf8")).map((feed) => Object.fromEntries(Object.entries(feed).map(
    ([name, { type, dims, offset }]) => [name, { type, dims, data: new TYPES[type](buffer, offset, dims.reduce((a, b) => a * b, 1)) }])));
}

const tensors = (feed) => Object.fromEntries(Object.entries(feed).map(
  ([name, { type, dims, data }]) => [name, new ort.Tensor(type, data, dims)]));

/** The first `count` rows of a feed, going round where it has fewer. */
function rows(feed, count) {
  return Object.fromEntries(Object.entries(feed).map(([name, { type, dims, data }]) => {
    const length = data.length / dims[0];
    const out = new TYPES[type](length * count);
    for (let i = 0; i < count; i++) out.set(data.subarray((i % dims[0]) * length, (i % dims[0] + 1) * length), i * length);
    return [name, { type, dims: [count, ...dims.slice(1)], data: out }];
  }));
}

async function ranges(model, feedsPath, out) {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, graphOptimizationLevel: "basic" });
  const found = {};
  const see = (name, { type, data }) => {
    if (type !== "float32") return;
    let [low, high] = found[name] ?? [Infinity, -Infinity];
    for (const v of data) {
      if (v < low) low = v;
      if (v > high) high = v;
    }
    found[name] = [low, high];
  };
  for (const feed of loadFeeds(feedsPath)) {
    for (const [name, value] of Object.entries(feed)) see(name, value);
    for (const [name, value] of Object.entries(await session.run(tensors(feed)))) see(name, value);
  }
  writeFileSync(out, JSON.stringify(found));
}

/** Models take turns, so that a busy machine is equally unfair to all; the fastest round counts. */
async function speed(out, feedsPath, ...models) {
  const [feed] = loadFeeds(feedsPath);
  const fixed = process.env.FIXED_BATCH ? [Number(process.env.FIXED_BATCH)] : BATCHES;
  const sessions = [];
  for (const path of models)
    sessions.push(await ort.InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: "sequential" }));
  const result = {};
  for (const batch of fixed) {
    const given = tensors(rows(feed, batch));
    const best = models.map(() => Infinity);
    const runs = Math.max(3, Math.ceil(200 / batch));
    for (const session of sessions) for (let i = 0; i < 5; i++) await session.run(given);
    for (let round = 0; round < ROUNDS; round++)
      for (const [i, session] of sessions.entries()) {
        const start = performance.now();
        for (let n = 0; n < runs; n++) await session.run(given);
        best[i] = Math.min(best[i], (performance.now() - start) / runs);
      }
    result[batch] = best;
  }
  writeFileSync(out, JSON.stringify(result));
}

async function labels(model, feedsPath, out) {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1 });
  const found = [];
  for (const feed of loadFeeds(feedsPath)) {
    const { data } = (await session.run(tensors(feed)))[session.outputNames[0]];
    found.push(data.reduce((best, v, i) => (v > data[best] ? i : best), 0));
  }
  writeFileSync(out, JSON.stringify(found));
}

const [, , what, ...rest] = process.argv;
await { ranges, speed, labels }[what](...rest);
