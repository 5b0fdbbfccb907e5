// The lanes of the timeline, and how one is drawn.

const phaseColors = {
  complete: "#5f9ed1",
  dispatch: "#e0a030",
  scan: "#8c7fc9",
  idle: "#b9c0c9",
  orch_submit: "#4f9a6b",
  unknown: "#d9534f",
};
function phaseColor(kind) {
  return (
    phaseColors[kind] ||
    (kind.startsWith("orch_")
      ? palette[2 + ([...kind].reduce((sum, c) => sum + c.charCodeAt(0), 0) % 8)]
      : "#888888")
  );
}

// A lane has items by start: `start`, `end`, and `item`, the place in the columns.
function makeLane(group, label, indices, column) {
  indices.sort((a, b) => column.start[a] - column.start[b]);
  return {
    group,
    label,
    column,
    item: indices,
    start: Float64Array.from(indices, (i) => column.start[i]),
    end: Float64Array.from(indices, (i) => column.end[i]),
  };
}

// The indices of a column by the value of a key.
function buckets(keys, count) {
  const sizes = new Uint32Array(count + 1);
  for (const key of keys) sizes[key]++;
  const all = Array.from(sizes, (size) => new Uint32Array(size));
  const next = new Uint32Array(count + 1);
  keys.forEach((key, index) => {
    all[key][next[key]++] = index;
  });
  return all;
}

function makeLanes() {
  const lanes = [];
  const threads = (group, name, column) => {
    if (!column.start.length) return;
    column.color = column.kinds.map(phaseColor);
    const most = column.thread.reduce((most, thread) => Math.max(most, thread), 0);
    buckets(column.thread, most).forEach((indices, thread) => {
      if (indices.length) lanes.push(makeLane(group, `${name} ${thread}`, indices, column));
    });
  };
  threads("orchestrator", "Orch", decodeAll(content.orchestrator));
  threads("scheduler", "Sched", decodeAll(content.scheduler));
  const last = content.cores.reduce((last, core) => Math.max(last, core.id), 0);
  const ofCores = records.count ? buckets(records.core, last) : [];
  for (const core of content.cores) {
    const lane = makeLane("core", `${core.kind} ${core.id}`, ofCores[core.id], records);
    lane.core = core;
    lanes.push(lane);
  }
  return lanes;
}

// The first item that ends after a time; the items of a lane follow each other.
function firstAfter(lane, time) {
  let low = 0,
    high = lane.end.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lane.end[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function itemColor(lane, item) {
  if (lane.group === "core") return kernelColor(records.kernel[item]);
  return lane.column.color[lane.column.kind[item]];
}
// Whether an item stands out, if something has to.
function isLit(lane, item) {
  if (lane.group !== "core") return state.kernel < 0 && !state.showPath;
  if (state.kernel >= 0 && records.kernel[item] !== state.kernel) return false;
  return !state.showPath || onPath[records.task[item]] === 1;
}
function itemText(lane, item) {
  if (lane.group === "core") return `${kernels[records.kernel[item]].name} ${taskName(records.task[item])}`;
  const kind = lane.column.kinds[lane.column.kind[item]];
  return lane.column.tasks ? `${kind} (${lane.column.tasks[item]})` : kind.replace("orch_", "");
}

// Narrower items are drawn together, as blocks of about this width.
const BLOCK = 3;

// A number from 0 to 1 that looks random, always the same for an item.
function dice(item) {
  let mixed = Math.imul(item ^ (item >>> 15), 0x2c1b3c6d);
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 4294967296;
}

// Draws the part of a lane that is in view; `y` and `height` are those of its items. What is too narrow to be
// seen is put together: a block is as strong as it is full. Its colour is that of one of its items, by chance,
// longer ones more likely: so the colours of many blocks have the shares that they have in the run. Where
// blocks begin does not depend on where the view begins, so that nothing flickers when it moves.
function drawLane(context, lane, view, left, width, y, height, withText) {
  const scale = width / (view.end - view.start);
  const { start, end, item } = lane;
  const grid = 2 ** Math.ceil(Math.log2(BLOCK / scale));
  const block = { cell: -1, x0: 0, x1: 0, busy: 0, weight: 0, lit: false, item: 0 };
  const flush = () => {
    if (block.cell < 0) return;
    const wide = Math.max(block.x1 - block.x0, 1);
    context.globalAlpha = (block.lit ? 1 : 0.16) * Math.max(0.35, Math.min(1, block.busy / wide));
    context.fillStyle = itemColor(lane, block.item);
    context.fillRect(left + block.x0, y, wide, height);
    block.cell = -1;
  };
  for (let i = firstAfter(lane, view.start); i < start.length && start[i] < view.end; i++) {
    const x0 = Math.max((start[i] - view.start) * scale, 0);
    const x1 = Math.min((end[i] - view.start) * scale, width);
    const wide = x1 - x0;
    const lit = isLit(lane, item[i]);
    if (wide >= BLOCK) {
      flush();
      const color = itemColor(lane, item[i]);
      context.globalAlpha = lit ? 1 : 0.16;
      context.fillStyle = color;
      context.fillRect(left + x0, y, wide > 8 ? wide - 1 : wide - 0.5, height);
      if (withText && lit && wide > 44 && height >= 11)
        drawText(context, itemText(lane, item[i]), left + x0 + 4, y + height / 2, wide - 8, color);
      continue;
    }
    const cell = Math.floor(start[i] / grid);
    if (cell !== block.cell) {
      flush();
      Object.assign(block, { cell, x0, x1, busy: 0, weight: 0, lit: false, item: item[i] });
    }
    block.x1 = Math.max(block.x1, x1);
    block.busy += wide;
    // What stands out is seen before what does not.
    if (lit && !block.lit) block.weight = 0;
    if (lit === block.lit || lit) {
      block.lit = lit;
      block.weight += wide;
      if (dice(item[i]) * block.weight <= wide) block.item = item[i];
    }
  }
  flush();
  context.globalAlpha = 1;
}

function drawText(context, text, x, y, room, color) {
  const letters = Math.floor(room / 6.1);
  if (letters < 4) return;
  context.fillStyle = wantsDarkText(color) ? "#15181d" : "#ffffff";
  context.globalAlpha = 1;
  // Wide letters are squeezed a little, so that none stands outside of its item.
  context.fillText(text.length > letters ? `${text.slice(0, letters - 1)}…` : text, x, y + 0.5, room);
}
