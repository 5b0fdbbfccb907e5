// The timeline: overview, axis, lanes, and what is drawn over them.

function makeTimeline() {
  const lanes = makeLanes();
  if (!lanes.length) return null;
  byId("timeline").hidden = false;
  const coreLanes = new Map(lanes.map((lane, index) => [lane.core ? lane.core.id : `#${index}`, index]));
  const first = lanes.reduce((time, lane) => Math.min(time, lane.start[0]), Infinity);
  const last = lanes.reduce((time, lane) => Math.max(time, lane.end[lane.end.length - 1]), 0);
  const whole = { start: first, end: Math.max(last, first + 1) };
  const pad = (whole.end - whole.start) * 0.01;
  whole.start -= pad;
  whole.end += pad;
  const view = { ...whole };
  const cores = content.cores.length;
  const laneHeight = cores <= 16 ? 24 : cores <= 48 ? 19 : 15;
  // Groups are apart from each other.
  const top = [];
  let total = 4;
  lanes.forEach((lane, index) => {
    const kind = (l) => (l.core ? l.core.kind : l.group);
    if (index && kind(lane) !== kind(lanes[index - 1])) total += 7;
    top.push(total);
    total += laneHeight;
  });
  total += 4;
  let gutter = 118;
  let width = 0;
  let hover = null;
  const OVERVIEW = 36,
    AXIS = 22;
  const layers = {};
  const scroller = byId("scroller"),
    stack = byId("stack"),
    tip = byId("tip"),
    board = byId("board");

  function resize() {
    const room = board.clientWidth;
    gutter = room < 560 ? 74 : 118;
    width = Math.max(room - gutter, 50);
    const scrolled = scroller.offsetWidth - scroller.clientWidth;
    width -= scrolled;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    for (const [id, height] of [
      ["overview", OVERVIEW],
      ["axis", AXIS],
      ["lanes", total],
      ["marks", total],
    ]) {
      const canvas = byId(id);
      canvas.width = Math.round((gutter + width) * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${gutter + width}px`;
      canvas.style.height = `${height}px`;
      const context = canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      layers[id] = context;
    }
    stack.style.height = `${total}px`;
    drawOverviewBase();
    draw();
  }

  const x = (time) => gutter + ((time - view.start) / (view.end - view.start)) * width;
  const timeAt = (px) => view.start + ((px - gutter) / width) * (view.end - view.start);

  // How many cores are busy, over the whole run.
  let overviewImage = null;
  function drawOverviewBase() {
    const bins = Math.max(Math.round(width / 2), 1);
    const busy = new Float64Array(bins);
    const scale = bins / (whole.end - whole.start);
    for (let r = 0; r < records.count; r++) {
      const from = (records.start[r] - whole.start) * scale,
        to = (records.end[r] - whole.start) * scale;
      for (let bin = Math.floor(from); bin <= Math.min(Math.floor(to), bins - 1); bin++) {
        busy[bin] += Math.min(to, bin + 1) - Math.max(from, bin);
      }
    }
    overviewImage = { bins, busy };
  }

  function drawOverview() {
    const context = layers.overview;
    context.clearRect(0, 0, gutter + width, OVERVIEW);
    const { bins, busy } = overviewImage;
    context.fillStyle = theme.accent;
    context.globalAlpha = 0.55;
    const step = width / bins;
    for (let bin = 0; bin < bins; bin++) {
      const height = (busy[bin] / Math.max(cores, 1)) * (OVERVIEW - 6);
      if (height > 0) context.fillRect(gutter + bin * step, OVERVIEW - Math.max(height, 0.7), step, height);
    }
    const left = gutter + ((view.start - whole.start) / (whole.end - whole.start)) * width;
    const right = gutter + ((view.end - whole.start) / (whole.end - whole.start)) * width;
    context.globalAlpha = 0.6;
    context.fillStyle = theme.card;
    context.fillRect(gutter, 0, left - gutter, OVERVIEW);
    context.fillRect(right, 0, gutter + width - right, OVERVIEW);
    context.globalAlpha = 1;
    context.strokeStyle = theme.accent;
    context.lineWidth = 1.5;
    context.strokeRect(left + 0.75, 0.75, Math.max(right - left - 1.5, 2), OVERVIEW - 1.5);
    context.fillStyle = theme.faint;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.fillText(gutter > 100 ? "busy cores" : "busy", 10, OVERVIEW / 2);
  }

  // Ticks at 1, 2, 5 times a power of ten.
  function ticks() {
    const rough = (view.end - view.start) / Math.max(width / 110, 1);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
    const all = [];
    for (let time = Math.ceil(view.start / step) * step; time <= view.end; time += step) all.push(time);
    return { step, all };
  }

  function drawAxis() {
    const context = layers.axis;
    context.clearRect(0, 0, gutter + width, AXIS);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.fillStyle = theme.soft;
    const { step, all } = ticks();
    const [unit, name] = view.end >= 1e7 && step >= 1e4 ? [1e6, "ms"] : [1e3, "µs"];
    const digits = Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9));
    context.fillText(name, 10, AXIS / 2);
    for (const time of all) {
      const at = x(time);
      if (at < gutter - 1) continue;
      context.fillRect(at, AXIS - 5, 1, 5);
      const text = round(Math.abs(time) < step / 2 ? 0 : time / unit, digits);
      context.fillText(
        text,
        Math.min(at + 4, gutter + width - context.measureText(text).width - 2),
        AXIS / 2,
      );
    }
  }

  function visibleLanes() {
    const from = scroller.scrollTop - laneHeight,
      to = scroller.scrollTop + scroller.clientHeight;
    return lanes.map((_, index) => index).filter((index) => top[index] >= from && top[index] <= to);
  }

  function drawLanes() {
    const context = layers.lanes;
    const visible = visibleLanes();
    context.clearRect(0, scroller.scrollTop, gutter + width, scroller.clientHeight);
    context.textBaseline = "middle";
    context.fillStyle = theme.line;
    for (const time of ticks().all)
      if (x(time) >= gutter) context.fillRect(x(time), scroller.scrollTop, 1, scroller.clientHeight);
    context.font = "11px system-ui, sans-serif";
    for (const index of visible) {
      const lane = lanes[index];
      context.fillStyle = theme.lane;
      context.globalAlpha = 0.75;
      context.fillRect(gutter, top[index] + 1, width, laneHeight - 2);
      drawLane(context, lane, view, gutter, width, top[index] + 1, laneHeight - 2, true);
      drawLabel(context, lane, top[index]);
    }
  }

  // The name of a lane, and how much of the run it is busy.
  function drawLabel(context, lane, y) {
    context.fillStyle = theme.soft;
    context.fillText(lane.label, 10, y + laneHeight / 2 + 0.5);
    if (!lane.core || gutter < 100 || !span) return;
    const share = lane.core.busy / span;
    context.fillStyle = theme.line;
    context.fillRect(66, y + laneHeight / 2 - 2, 42, 4);
    context.fillStyle = theme.accent;
    context.fillRect(66, y + laneHeight / 2 - 2, 42 * Math.min(share, 1), 4);
  }

  function laneOf(record) {
    return coreLanes.get(records.core[record]);
  }
  function box(record) {
    const y = top[laneOf(record)] + 1;
    const left = Math.max(x(records.start[record]), gutter),
      right = Math.min(x(records.end[record]), gutter + width);
    return {
      left,
      right: Math.max(right, left + 2),
      y,
      middle: y + laneHeight / 2 - 1,
      shown: x(records.end[record]) >= gutter && x(records.start[record]) <= gutter + width,
    };
  }

  const MOST_ARROWS = 150;
  function drawMarks() {
    const context = layers.marks;
    context.clearRect(0, 0, gutter + width, total);
    const task = hover && hover.record >= 0 ? records.task[hover.record] : state.task;
    context.save();
    context.beginPath();
    context.rect(gutter, 0, width, total);
    context.clip();
    if (state.showPath) drawPath(context);
    if (task >= 0) {
      const own = firstRecord(task),
        lastOwn = lastRecord(task);
      if (own >= 0) {
        for (const other of predecessors(task).subarray(0, MOST_ARROWS))
          arrow(context, lastRecord(other), own, theme.before);
        for (const other of successors(task).subarray(0, MOST_ARROWS))
          arrow(context, lastOwn, firstRecord(other), theme.after);
      }
      for (let r = tasks.firstRecord[task]; r < tasks.firstRecord[task + 1]; r++)
        frame(context, r, theme.ink, 2);
    }
    if (state.task >= 0 && state.task !== task) {
      for (let r = tasks.firstRecord[state.task]; r < tasks.firstRecord[state.task + 1]; r++)
        frame(context, r, theme.accent, 2);
    }
    context.restore();
  }
  // From each task of the critical path to the next, unless so many lines would hide the lanes.
  function drawPath(context) {
    const list = content.path.tasks;
    const lines = [];
    for (let i = 1; i < list.length; i++) {
      const [from, to] = [lastRecord(list[i - 1]), firstRecord(list[i])];
      if (records.start[to] >= view.start && records.end[from] <= view.end) lines.push([from, to]);
    }
    if (lines.length > width / 12) return;
    context.strokeStyle = theme.path;
    context.lineWidth = 1;
    context.globalAlpha = 0.6;
    context.beginPath();
    for (const [from, to] of lines) {
      context.moveTo(x(records.end[from]), box(from).middle);
      context.lineTo(x(records.start[to]), box(to).middle);
    }
    context.stroke();
    context.globalAlpha = 1;
  }
  function frame(context, record, color, thick) {
    const { left, right, y, shown } = box(record);
    if (!shown) return;
    context.strokeStyle = color;
    context.lineWidth = thick;
    context.strokeRect(left - 1, y - 0.5, right - left + 1.5, laneHeight - 1);
  }
  function arrow(context, from, to, color) {
    if (from < 0 || to < 0) return;
    const x0 = x(records.end[from]),
      x1 = x(records.start[to]);
    const y0 = box(from).middle,
      y1 = box(to).middle;
    const bend = Math.max(18, Math.min(Math.abs(x1 - x0) / 2, 120));
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x0, y0);
    context.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1 - 4, y1);
    context.stroke();
    context.beginPath();
    context.moveTo(x1, y1);
    context.lineTo(x1 - 7, y1 - 3.5);
    context.lineTo(x1 - 7, y1 + 3.5);
    context.fill();
    frame(context, records.task[from] === state.task ? to : from, color, 1.5);
    frame(context, to, color, 1.5);
  }

  let wanted = false,
    marksWanted = false;
  function draw() {
    if (wanted) return;
    wanted = true;
    requestAnimationFrame(() => {
      wanted = false;
      drawOverview();
      drawAxis();
      drawLanes();
      drawMarks();
    });
  }
  function drawMarksSoon() {
    if (marksWanted || wanted) return;
    marksWanted = true;
    requestAnimationFrame(() => {
      marksWanted = false;
      drawMarks();
    });
  }

  function show(start, end) {
    const longest = whole.end - whole.start;
    const length = Math.min(Math.max(end - start, Math.min(20, longest)), longest);
    const middle = (start + end) / 2;
    view.start = Math.min(Math.max(middle - length / 2, whole.start), whole.end - length);
    view.end = view.start + length;
    draw();
  }
  // Around a time, else around the chosen task if it is in view, else around the middle.
  function zoom(factor, around) {
    const middle = state.record < 0 ? -1 : (records.start[state.record] + records.end[state.record]) / 2;
    const at = around ?? (middle > view.start && middle < view.end ? middle : (view.start + view.end) / 2);
    show(at - (at - view.start) * factor, at + (view.end - at) * factor);
  }
  const move = (part) =>
    show(view.start + part * (view.end - view.start), view.end + part * (view.end - view.start));

  // Brings a record into view: wide enough to be seen, with what is around it.
  function reveal(record) {
    const length = Math.max(records.end[record] - records.start[record], 1);
    const px = (length / (view.end - view.start)) * width;
    const middle = (records.start[record] + records.end[record]) / 2;
    if (px < 12) show(middle - length * 12, middle + length * 12);
    else if (records.start[record] < view.start || records.end[record] > view.end) {
      const half = Math.max((view.end - view.start) / 2, length);
      show(middle - half, middle + half);
    }
    const y = top[laneOf(record)];
    if (y < scroller.scrollTop || y + laneHeight > scroller.scrollTop + scroller.clientHeight) {
      scroller.scrollTop = y - scroller.clientHeight / 2;
    }
  }

  // What lies at a place of the lanes, with some tolerance for what is narrow.
  function at(px, py) {
    const index = top.findIndex((y) => py >= y && py < y + laneHeight);
    if (index < 0 || px < gutter) return null;
    const lane = lanes[index];
    const time = timeAt(px),
      slack = (3 / width) * (view.end - view.start);
    let best = -1,
      distance = slack;
    for (
      let i = Math.max(firstAfter(lane, time - slack) - 1, 0);
      i < lane.start.length && lane.start[i] <= time + slack;
      i++
    ) {
      const away = time < lane.start[i] ? lane.start[i] - time : time > lane.end[i] ? time - lane.end[i] : 0;
      if (away < distance) {
        distance = away;
        best = i;
      }
      if (away === 0) break;
    }
    if (best < 0) return null;
    const item = lane.item[best];
    return { lane, item, record: lane.group === "core" ? item : -1 };
  }

  function showTip(event) {
    tip.replaceChildren(...(hover.record >= 0 ? recordTip(hover.record) : phaseTip(hover.lane, hover.item)));
    tip.hidden = false;
    const right = event.clientX + 16 + tip.offsetWidth < innerWidth;
    tip.style.left = `${Math.max(right ? event.clientX + 16 : event.clientX - tip.offsetWidth - 12, 4)}px`;
    tip.style.top = `${Math.max(Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8), 4)}px`;
  }
  function hideTip() {
    tip.hidden = true;
    if (hover) {
      hover = null;
      drawMarksSoon();
    }
  }

  // Pointers: a drag moves, a click chooses.
  let drag = null;
  stack.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    drag = {
      px: event.clientX,
      py: event.clientY,
      start: view.start,
      end: view.end,
      top: scroller.scrollTop,
      moved: false,
    };
    stack.setPointerCapture(event.pointerId);
    board.focus({ preventScroll: true });
  });
  stack.addEventListener("pointermove", (event) => {
    const bounds = stack.getBoundingClientRect();
    if (drag) {
      const dx = event.clientX - drag.px,
        dy = event.clientY - drag.py;
      if (!drag.moved && Math.hypot(dx, dy) < 4) return;
      drag.moved = true;
      stack.classList.add("moving");
      hideTip();
      const shift = (dx / width) * (drag.end - drag.start);
      show(drag.start - shift, drag.end - shift);
      if (event.pointerType === "mouse") scroller.scrollTop = drag.top - dy;
      return;
    }
    const found = at(event.clientX - bounds.left, event.clientY - bounds.top);
    if (!found) return hideTip();
    if (!hover || hover.item !== found.item || hover.lane !== found.lane) {
      hover = found;
      drawMarksSoon();
    }
    showTip(event);
  });
  const drop = (event) => {
    if (!drag) return;
    const moved = drag.moved;
    drag = null;
    stack.classList.remove("moving");
    if (moved || event.type === "pointercancel") return;
    const bounds = stack.getBoundingClientRect();
    const found = at(event.clientX - bounds.left, event.clientY - bounds.top);
    if (found && found.record >= 0) choose({ task: records.task[found.record], record: found.record }, false);
    else choose({ task: -1, record: -1 }, false);
  };
  stack.addEventListener("pointerup", drop);
  stack.addEventListener("pointercancel", drop);
  stack.addEventListener("pointerleave", hideTip);
  stack.addEventListener("dblclick", (event) =>
    zoom(0.4, timeAt(event.clientX - stack.getBoundingClientRect().left)),
  );
  board.addEventListener(
    "wheel",
    (event) => {
      const px = event.clientX - board.getBoundingClientRect().left;
      if (event.ctrlKey || event.metaKey || event.altKey) {
        event.preventDefault();
        zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.006), timeAt(Math.max(px, gutter)));
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        move((event.deltaX || event.deltaY) / width);
      }
      hideTip();
    },
    { passive: false },
  );
  board.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      ArrowLeft: () => move(-0.15),
      ArrowRight: () => move(0.15),
      "+": () => zoom(0.6),
      "=": () => zoom(0.6),
      "-": () => zoom(1 / 0.6),
      0: () => show(whole.start, whole.end),
      Escape: () => choose({ task: -1, record: -1, kernel: -1 }, false),
      a: () => move(-0.15),
      d: () => move(0.15),
      w: () => zoom(0.6),
      s: () => zoom(1 / 0.6),
    };
    if (keys[event.key]) {
      keys[event.key]();
      event.preventDefault();
    }
  });

  // The overview: what is dragged over is shown; a click moves the view there.
  const overview = byId("overview");
  let from = null;
  const wholeTime = (event) =>
    whole.start +
    ((event.clientX - overview.getBoundingClientRect().left - gutter) / width) * (whole.end - whole.start);
  overview.addEventListener("pointerdown", (event) => {
    from = { px: event.clientX, time: wholeTime(event) };
    overview.setPointerCapture(event.pointerId);
  });
  overview.addEventListener("pointermove", (event) => {
    if (from && Math.abs(event.clientX - from.px) > 4)
      show(Math.min(from.time, wholeTime(event)), Math.max(from.time, wholeTime(event)));
  });
  overview.addEventListener("pointerup", (event) => {
    if (from && Math.abs(event.clientX - from.px) <= 4) {
      const half = (view.end - view.start) / 2;
      show(wholeTime(event) - half, wholeTime(event) + half);
    }
    from = null;
  });
  scroller.addEventListener("scroll", draw);
  byId("zoomIn").addEventListener("click", () => zoom(0.5));
  byId("zoomOut").addEventListener("click", () => zoom(2));
  byId("fit").addEventListener("click", () => show(whole.start, whole.end));
  new ResizeObserver(resize).observe(board);
  watchers.push((bring) => {
    if (bring && state.record >= 0) reveal(state.record);
    draw();
  });
  resize();
  return { draw };
}
