// The dependency graph: whole if it can be read, else what is around a task.

function makeGraph() {
  if (!tasks.count || !tasks.successor.length) return;
  byId("graph").hidden = false;
  const isWhole = tasks.count <= 150 && tasks.successor.length <= 450;
  byId("depthLabel").hidden = isWhole;
  const start = content.path ? content.path.tasks[content.path.tasks.length >> 1] : 0;
  const view = { x: 0, y: 0, width: 100, height: 100 };
  let layout = null;
  let shownFor = null;

  function show() {
    const center = state.task >= 0 ? state.task : start;
    const depth = Number(byId("depth").value);
    const key = isWhole ? "whole" : `${center}/${depth}`;
    if (key !== shownFor) {
      const chosen = isWhole ? whole() : around(center, depth);
      layout = place(chosen.list);
      shownFor = key;
      byId("graphText").textContent = isWhole ? wholeText(chosen.alone) : partText(center, depth, chosen.cut);
      paint(center);
      fit();
    } else paint(center);
  }

  function wholeText(alone) {
    const parts = [
      `${plural(tasks.count, "task")} and ${plural(tasks.successor.length, "edge")},`,
      `from ${content.edgeSource}.`,
      "Dashed: tasks that only allocate or have no kernel.",
      alone ? `${plural(alone, "task")} without dependencies left out.` : "",
    ];
    return parts.join(" ");
  }
  function partText(center, depth, cut) {
    const [count, edges] = [number(tasks.count), number(tasks.successor.length)];
    const shown = cut ? `the first ${layout.nodes.size} tasks` : "the tasks";
    return (
      `The graph has ${count} tasks and ${edges} edges (from ${content.edgeSource}), too many to be read ` +
      `at once. Shown: ${taskName(center)} and ${shown} up to ${plural(depth, "step")} away. ` +
      "Choose another task here, in the timeline, or by searching."
    );
  }

  // All tasks; of many, only those that have dependencies.
  function whole() {
    const all = Array.from({ length: tasks.count }, (_, task) => task);
    const list =
      tasks.count <= 30 ? all : all.filter((task) => predecessors(task).length || successors(task).length);
    return { list, cut: false, alone: all.length - list.length };
  }

  const MOST = 80;
  function around(center, depth) {
    const distance = new Map([[center, 0]]);
    let cut = false;
    for (const task of distance.keys()) {
      if (distance.get(task) === depth) continue;
      for (const other of [...predecessors(task), ...successors(task)]) {
        if (distance.has(other)) continue;
        if (distance.size >= MOST) {
          cut = true;
          continue;
        }
        distance.set(other, distance.get(task) + 1);
      }
    }
    return { list: [...distance.keys()].sort((a, b) => a - b), cut };
  }

  // Layers by the longest way from a task without predecessors; in a layer, tasks near those they belong to.
  function place(list) {
    const inside = new Set(list);
    const before = new Map(
      list.map((task) => [task, [...predecessors(task)].filter((other) => inside.has(other))]),
    );
    const after = new Map(
      list.map((task) => [task, [...successors(task)].filter((other) => inside.has(other))]),
    );
    const layer = new Map();
    const waiting = new Map(list.map((task) => [task, before.get(task).length]));
    const ready = list.filter((task) => !waiting.get(task));
    for (const task of ready) {
      layer.set(
        task,
        before.get(task).reduce((most, other) => Math.max(most, layer.get(other) + 1), 0),
      );
      for (const other of after.get(task)) {
        waiting.set(other, waiting.get(other) - 1);
        if (!waiting.get(other)) ready.push(other);
      }
    }
    // Tasks in a circle have no layer of their own.
    for (const task of list) if (!layer.has(task)) layer.set(task, 0);
    // What has only successors stands next to the first of them.
    for (const task of [...ready].reverse()) {
      if (!before.get(task).length && after.get(task).length) {
        layer.set(task, Math.min(...after.get(task).map((other) => layer.get(other))) - 1);
      }
    }
    const lowest = Math.min(...layer.values());
    const layers = [];
    for (const task of list) (layers[layer.get(task) - lowest] ??= []).push(task);
    for (let i = 0; i < layers.length; i++) layers[i] ??= [];
    const order = new Map();
    const number = () =>
      layers.forEach((column) => column.forEach((task, index) => order.set(task, index - column.length / 2)));
    number();
    for (let sweep = 0; sweep < 8; sweep++) {
      const sides = sweep % 2 ? after : before;
      for (const column of sweep % 2 ? [...layers].reverse() : layers) {
        const weight = new Map(
          column.map((task) => {
            const others = sides.get(task);
            return [
              task,
              others.length
                ? others.reduce((sum, other) => sum + order.get(other), 0) / others.length
                : order.get(task),
            ];
          }),
        );
        column.sort((a, b) => weight.get(a) - weight.get(b) || a - b);
        column.forEach((task, index) => order.set(task, index - column.length / 2));
      }
    }
    // A layer of many tasks takes several columns, so that the picture is about as wide as it is high.
    const rows = Math.max(9, Math.ceil(Math.sqrt(list.length) * 1.3));
    const nodes = new Map();
    let left = 0;
    for (const column of layers) {
      const wide = Math.max(Math.ceil(column.length / rows), 1),
        high = Math.ceil(column.length / wide);
      column.forEach((task, index) =>
        nodes.set(task, {
          x: left + (index % wide) * 152,
          y: (Math.floor(index / wide) - high / 2) * 52 + (index % wide) * (wide > 1 ? 10 : 0),
        }),
      );
      left += (wide - 1) * 152 + 200;
    }
    return { nodes, after };
  }

  const WIDTH = 136,
    HEIGHT = 38;
  const svg = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    element.append(...children);
    return element;
  };

  let picture = null;
  function paint(center) {
    const chosen = state.task;
    picture = svg("svg", { role: "img", "aria-label": "Dependency graph" });
    picture.append(
      svg(
        "defs",
        {},
        svg(
          "marker",
          {
            id: "tip-of-edge",
            viewBox: "0 0 8 8",
            refX: 7,
            refY: 4,
            markerWidth: 7,
            markerHeight: 7,
            orient: "auto",
            markerUnits: "userSpaceOnUse",
          },
          svg("path", { d: "M0 0L8 4L0 8z", fill: "context-stroke" }),
        ),
      ),
    );
    const edges = svg("g", {}),
      nodes = svg("g", {});
    const next = new Map();
    if (content.path)
      content.path.tasks.forEach((task, index) => next.set(task, content.path.tasks[index + 1]));
    for (const [task, { x, y }] of layout.nodes) {
      for (const other of layout.after.get(task)) {
        const to = layout.nodes.get(other);
        const kind =
          other === chosen ? "before" : task === chosen ? "after" : next.get(task) === other ? "path" : "";
        const [x0, y0, x1, y1] = [x + WIDTH, y + HEIGHT / 2, to.x - 2, to.y + HEIGHT / 2];
        const bend = Math.max(30, (x1 - x0) / 2);
        edges.append(
          svg("path", {
            class: `edge ${kind}`,
            d: `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`,
            "marker-end": "url(#tip-of-edge)",
          }),
        );
      }
      nodes.append(node(task, x, y, center));
    }
    picture.append(edges, nodes);
    byId("graphBox").replaceChildren(picture);
    update();
  }

  function node(task, x, y, center) {
    const of = kernelsOf(task);
    const isCenter = task === (isWhole ? state.task : center);
    const group = svg("g", {
      class: `node ${onPath[task] ? "path" : ""} ${isCenter ? "on" : ""}`,
      transform: `translate(${x} ${y})`,
      tabindex: 0,
    });
    const box = svg("rect", { class: "box", width: WIDTH, height: HEIGHT, rx: 6 });
    if (tasks.unrecorded[task]) box.setAttribute("stroke-dasharray", "4 3");
    group.append(box);
    of.forEach((kernel, index) =>
      group.append(
        svg("rect", {
          x: 5,
          y: 5 + ((HEIGHT - 10) / of.length) * index,
          width: 5,
          height: (HEIGHT - 10) / of.length,
          rx: 1.5,
          fill: kernelColor(kernel),
        }),
      ),
    );
    const name = of.length ? of.map((kernel) => kernels[kernel].name).join(" + ") : withoutRecord(task);
    group.append(svg("text", { class: "id", x: 16, y: 16 }, taskName(task)));
    group.append(svg("text", { x: 16, y: 30 }, name.length > 20 ? `${name.slice(0, 19)}…` : name));
    const [first, last] = [firstRecord(task), lastRecord(task)];
    if (first >= 0) {
      const time = svg(
        "text",
        { x: WIDTH - 6, y: 16, "text-anchor": "end" },
        duration(records.end[last] - records.start[first]),
      );
      group.append(time);
    }
    group.append(svg("title", {}, `${taskName(task)}: ${name}`));
    const pick = () => choose({ task, record: firstRecord(task) }, false);
    group.addEventListener("click", () => {
      if (!moved) pick();
    });
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter") pick();
    });
    return group;
  }

  function update() {
    picture.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  }
  function fit() {
    const places = [...layout.nodes.values()];
    const [left, right] = [Math.min(...places.map((p) => p.x)), Math.max(...places.map((p) => p.x)) + WIDTH];
    const [high, low] = [Math.min(...places.map((p) => p.y)), Math.max(...places.map((p) => p.y)) + HEIGHT];
    const box = byId("graphBox").getBoundingClientRect();
    // Few tasks are not blown up, and many stay large enough to be read: what is outside can be moved to.
    const [most, least] = [Math.max(box.width / 0.7, 360), box.width / 1.3];
    const shape = box.height / Math.max(box.width, 1);
    view.width = Math.min(Math.max(right - left + 40, (low - high + 40) / shape, least), most);
    view.height = view.width * shape;
    const center = layout.nodes.get(state.task >= 0 ? state.task : start);
    const middle =
      center && !isWhole ? [center.x + WIDTH / 2, center.y + HEIGHT / 2] : [left, (high + low) / 2];
    const clamp = (value, low, high) =>
      low > high ? (low + high) / 2 : Math.min(Math.max(value, low), high);
    view.x = clamp(middle[0] - view.width / 2, left - 20, right + 20 - view.width);
    view.y = clamp(middle[1] - view.height / 2, high - 20, low + 20 - view.height);
    update();
  }
  function zoom(factor, px = 0.5, py = 0.5) {
    view.x += view.width * px * (1 - factor);
    view.y += view.height * py * (1 - factor);
    view.width *= factor;
    view.height *= factor;
    update();
  }

  const box = byId("graphBox");
  let drag = null,
    moved = false;
  box.addEventListener("pointerdown", (event) => {
    drag = { px: event.clientX, py: event.clientY, x: view.x, y: view.y };
    moved = false;
  });
  box.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const scale = picture.getScreenCTM().a || 1;
    const [dx, dy] = [event.clientX - drag.px, event.clientY - drag.py];
    if (!moved && Math.hypot(dx, dy) < 4) return;
    if (!moved) box.setPointerCapture(event.pointerId);
    moved = true;
    view.x = drag.x - dx / scale;
    view.y = drag.y - dy / scale;
    update();
  });
  box.addEventListener("pointerup", () => {
    drag = null;
  });
  box.addEventListener("pointercancel", () => {
    drag = null;
  });
  box.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const bounds = box.getBoundingClientRect();
      zoom(
        Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.006),
        (event.clientX - bounds.left) / bounds.width,
        (event.clientY - bounds.top) / bounds.height,
      );
    },
    { passive: false },
  );
  byId("graphIn").addEventListener("click", () => zoom(0.7));
  byId("graphOut").addEventListener("click", () => zoom(1 / 0.7));
  byId("graphFit").addEventListener("click", fit);
  byId("depth").addEventListener("change", show);
  watchers.push(show);
  show();
}
