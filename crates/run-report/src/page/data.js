// What the page knows: columns of numbers, and what follows from them.

const content = JSON.parse(document.getElementById("content").textContent);
const byId = (id) => document.getElementById(id);

function decode(text) {
  const kind = text.slice(0, 2);
  const binary = atob(text.slice(3));
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const arrays = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f8: Float64Array };
  return new arrays[kind](bytes.buffer);
}

function decodeAll(object) {
  const all = {};
  for (const key in object) {
    const value = object[key];
    all[key] = typeof value === "string" && /^(u[124]|f8):/.test(value) ? decode(value) : value;
  }
  return all;
}

const records = decodeAll(content.records);
records.count = records.start.length;
const tasks = decodeAll(content.tasks);
tasks.count = tasks.ring.length;
const kernels = content.kernels;
const span = content.makespan ? content.makespan[1] - content.makespan[0] : 0;

// The task of each record, and the predecessors of each task.
records.task = new Uint32Array(records.count);
for (let task = 0; task < tasks.count; task++) {
  records.task.fill(task, tasks.firstRecord[task], tasks.firstRecord[task + 1]);
}
tasks.firstPredecessor = new Uint32Array(tasks.count + 1);
tasks.predecessor = new Uint32Array(tasks.successor.length);
for (const task of tasks.successor) tasks.firstPredecessor[task + 1]++;
for (let task = 0; task < tasks.count; task++)
  tasks.firstPredecessor[task + 1] += tasks.firstPredecessor[task];
{
  const next = tasks.firstPredecessor.slice();
  for (let task = 0; task < tasks.count; task++) {
    for (const other of successors(task)) tasks.predecessor[next[other]++] = task;
  }
}
const onPath = new Uint8Array(tasks.count);
if (content.path) for (const task of content.path.tasks) onPath[task] = 1;

function successors(task) {
  return tasks.successor.subarray(tasks.firstSuccessor[task], tasks.firstSuccessor[task + 1]);
}
function predecessors(task) {
  return tasks.predecessor.subarray(tasks.firstPredecessor[task], tasks.firstPredecessor[task + 1]);
}
function firstRecord(task) {
  return tasks.firstRecord[task] < tasks.firstRecord[task + 1] ? tasks.firstRecord[task] : -1;
}
// The record of a task that ends last, -1 if it has none.
function lastRecord(task) {
  let last = -1;
  for (let r = tasks.firstRecord[task]; r < tasks.firstRecord[task + 1]; r++) {
    if (last < 0 || records.end[r] > records.end[last]) last = r;
  }
  return last;
}
function taskName(task) {
  return `r${tasks.ring[task]}t${tasks.number[task]}`;
}
function taskId(task) {
  return (BigInt(tasks.ring[task]) << 32n) | BigInt(tasks.number[task]);
}
// Kernels of a task, each once.
function kernelsOf(task) {
  const of = new Set();
  for (let r = tasks.firstRecord[task]; r < tasks.firstRecord[task + 1]; r++) of.add(records.kernel[r]);
  return [...of];
}

// Why a task has no kernels here.
function withoutRecord(task) {
  const reasons = [records.count ? "no record" : "", "only allocates", "no kernel"];
  return reasons[tasks.unrecorded[task]];
}

// Text.

const round = (value, digits) =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
function duration(ns) {
  const size = Math.abs(ns);
  if (size < 1000) return `${Math.round(ns)} ns`;
  if (size < 1e6) return `${round(ns / 1e3, size < 1e4 ? 2 : size < 1e5 ? 1 : 0)} µs`;
  if (size < 1e9) return `${round(ns / 1e6, size < 1e7 ? 2 : size < 1e8 ? 1 : 0)} ms`;
  return `${round(ns / 1e9, 2)} s`;
}
const moment = (ns) => `${round(ns / 1000, 3)} µs`;
const number = (value) => value.toLocaleString("en-US");
const percent = (part, whole) =>
  whole > 0 ? `${round((100 * part) / whole, part < whole / 10 ? 1 : 0)} %` : "–";
function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < 4) {
    count /= 1024;
    unit++;
  }
  return `${round(count, unit && count < 100 ? 1 : 0)} ${units[unit]}`;
}
// "1 task", "2 tasks".
const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

// An element with attributes and children; texts are never markup.
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const key in attributes) {
    if (key === "onclick") element.addEventListener("click", attributes[key]);
    else if (attributes[key] !== undefined) element.setAttribute(key, attributes[key]);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// Colours.

const palette = [
  "#4269d0",
  "#efb118",
  "#e8604c",
  "#5ab8a4",
  "#3ca951",
  "#e377b0",
  "#9a63e8",
  "#7ea6ee",
  "#9c6b4e",
  "#7d8794",
];
function kernelColor(kernel) {
  if (kernel < palette.length) return palette[kernel];
  return `hsl(${Math.round((kernel * 137.508) % 360)} 48% ${kernel % 2 ? 46 : 60}%)`;
}
const dot = (kernel) => {
  const element = make("span", { class: "dot" });
  element.style.background = kernelColor(kernel);
  return element;
};
// Whether dark text is better on a colour.
const bright = new Map();
function wantsDarkText(color) {
  if (!bright.has(color)) {
    const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
    bright.set(color, 0.299 * r + 0.587 * g + 0.114 * b > 140);
  }
  return bright.get(color);
}
const theme = {};
function readTheme() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["card", "ink", "soft", "faint", "line", "lane", "accent", "before", "after", "path"]) {
    theme[name] = style.getPropertyValue(`--${name}`).trim();
  }
}

// What is chosen; everything that shows it is told.
const state = { task: -1, record: -1, kernel: -1, showPath: false };
const watchers = [];
function choose(change, reveal) {
  Object.assign(state, change);
  for (const watcher of watchers) watcher(reveal);
}
function chooseTask(task, record) {
  choose({ task, record: record ?? firstRecord(task) }, true);
}
function taskLink(task) {
  return make("button", { class: "link", type: "button", onclick: () => chooseTask(task) }, taskName(task));
}
