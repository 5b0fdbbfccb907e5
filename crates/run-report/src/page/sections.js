// Figures and tables.

// A table; columns are {name, left, cell(row), value(row)}, those with a value can be sorted by.
function table(columns, list, limit = 100) {
  let shown = list.slice(),
    by = -1,
    down = true,
    most = limit;
  const head = make("tr", {}),
    body = make("tbody", {});
  const more = make("button", {
    class: "link",
    type: "button",
    onclick: () => {
      most = most >= 1000 ? most + 1000 : 1000;
      fill();
    },
  });
  function fill() {
    body.replaceChildren(
      ...shown.slice(0, most).map((row) =>
        make(
          "tr",
          {},
          columns.map((column) => make("td", { class: column.left ? "left" : undefined }, column.cell(row))),
        ),
      ),
    );
    more.hidden = shown.length <= most;
    more.textContent = `${number(shown.length - most)} more…`;
  }
  columns.forEach((column, index) => {
    const sort = () => {
      down = by === index ? !down : true;
      by = index;
      shown = list.slice().sort((a, b) => (down ? -1 : 1) * (column.value(a) - column.value(b)));
      for (const cell of head.children) cell.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      fill();
    };
    const cell = make(
      "th",
      {
        class: `${column.left ? "left" : ""} ${column.value ? "sort" : ""}`,
        title: column.title,
        scope: "col",
        onclick: column.value ? sort : () => {},
      },
      column.name,
    );
    head.append(cell);
  });
  fill();
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), body), more);
}

function meter(part, whole) {
  const share = whole > 0 ? part / whole : 0;
  const fill = make("i", {});
  fill.style.width = `${Math.min(share * 100, 100)}%`;
  return make("span", { class: `meter ${share > 0.9 ? "full" : ""}` }, fill);
}

function stacked(parts, whole) {
  return make(
    "div",
    { class: "stacked" },
    parts
      .filter((part) => part.value > 0)
      .map((part) => {
        const piece = make("i", {
          title: `${part.name}: ${duration(part.value)}, ${percent(part.value, whole)}`,
          class: part.color ? undefined : "idle",
        });
        piece.style.width = `${(100 * part.value) / whole}%`;
        if (part.color) piece.style.background = part.color;
        return piece;
      }),
  );
}

function open(id, ...children) {
  byId(id).hidden = false;
  byId(id)
    .querySelector(".body")
    .replaceChildren(...children.flat().filter((child) => child));
}

function showVerdict() {
  const missing = Object.keys(content.files).filter((file) => !content.files[file]);
  const without = missing.length ? ` Not there: ${missing.join(", ")}.` : "";
  if (!content.findingCount) {
    byId("verdict").replaceChildren(
      make("div", { class: "verdict good" }, `The records are consistent.${without}`),
    );
    return;
  }
  const more =
    content.findingCount > content.findings.length
      ? `, the first ${content.findings.length} of them here`
      : "";
  byId("verdict").replaceChildren(
    make(
      "details",
      { class: "verdict bad" },
      make(
        "summary",
        {},
        `The records are not consistent: ${plural(content.findingCount, "finding")}${more}.${without}`,
      ),
      make(
        "ol",
        {},
        content.findings.map((finding) => make("li", {}, finding)),
      ),
    ),
  );
}

function showTiles() {
  const busy = (kind) => {
    const cores = content.cores.filter((core) => core.kind === kind);
    return cores.length
      ? `${kind} ${percent(
          cores.reduce((sum, core) => sum + core.busy, 0),
          cores.length * span,
        )}`
      : null;
  };
  const all = content.cores.reduce((sum, core) => sum + core.busy, 0);
  const ran =
    tasks.count -
    Array.from({ length: tasks.count }, (_, task) => firstRecord(task)).filter((r) => r < 0).length;
  const tile = (name, value, note) =>
    make(
      "div",
      { class: "tile" },
      make("span", {}, name),
      make("b", {}, value),
      make("small", {}, note || " "),
    );
  const tiles = [];
  if (records.count) {
    tiles.push(tile("Makespan", duration(span), "first start to last end"));
    tiles.push(
      tile(
        "Tasks",
        number(ran),
        records.count === ran ? "one kernel each" : plural(records.count, "kernel") + " run",
      ),
    );
    tiles.push(
      tile(
        "Cores used",
        content.coreCount
          ? `${number(content.cores.length)} of ${number(content.coreCount)}`
          : number(content.cores.length),
        ["AIC", "AIV"]
          .map((kind) => `${content.cores.filter((core) => core.kind === kind).length} ${kind}`)
          .join(" · "),
      ),
    );
    tiles.push(
      tile(
        "Utilisation of these cores",
        percent(all, content.cores.length * span),
        [busy("AIC"), busy("AIV")].filter(Boolean).join(" · "),
      ),
    );
  }
  if (content.path && tasks.successor.length)
    tiles.push(
      tile(
        "Critical path",
        duration(content.path.length),
        `${percent(content.path.length, span)} of the makespan`,
      ),
    );
  if (tasks.successor.length)
    tiles.push(tile("Dependencies", number(tasks.successor.length), `from ${content.edgeSource}`));
  byId("tiles").replaceChildren(...tiles);
}

function showLegend() {
  byId("legend").replaceChildren(
    ...kernels.map((kernel, index) => {
      const chip = make(
        "button",
        {
          class: "chip",
          type: "button",
          title: "Show only this kernel",
          onclick: () => choose({ kernel: state.kernel === index ? -1 : index }, false),
        },
        dot(index),
        kernel.name,
      );
      watchers.push(() => chip.classList.toggle("on", state.kernel === index));
      return chip;
    }),
  );
}

function showKernels() {
  if (!kernels.length) return;
  const total = kernels.reduce((sum, kernel) => sum + kernel.total, 0);
  const list = kernels.map((kernel, index) => ({ ...kernel, index }));
  open(
    "kernels",
    table(
      [
        { name: "kernel", cell: (k) => [dot(k.index), k.name], left: true },
        { name: "core", cell: (k) => k.kind, left: true },
        { name: "count", cell: (k) => number(k.count), value: (k) => k.count },
        { name: "total", cell: (k) => duration(k.total), value: (k) => k.total },
        { name: "share", cell: (k) => percent(k.total, total), value: (k) => k.total },
        { name: "mean", cell: (k) => duration(k.mean), value: (k) => k.mean },
        {
          name: "max",
          cell: (k) =>
            make(
              "button",
              {
                class: "link",
                type: "button",
                title: "Show the longest",
                onclick: () => chooseTask(records.task[k.longest], k.longest),
              },
              duration(k.max),
            ),
          value: (k) => k.max,
        },
      ],
      list,
    ),
  );
}

function showCores() {
  if (!content.cores.length) return;
  const groups = ["AIC", "AIV"].map((kind) => {
    const cores = content.cores.filter((core) => core.kind === kind);
    if (!cores.length) return null;
    const bars = cores.map((core) => {
      const fill = make("i", {});
      fill.style.height = `${Math.min((100 * core.busy) / span, 100)}%`;
      const thread = core.thread === null || core.thread < 0 ? "" : `, scheduled by thread ${core.thread}`;
      const busy = `${percent(core.busy, span)} busy, ${plural(core.kernels, "kernel")}`;
      const text = `${kind} ${core.id}: ${busy}${thread}`;
      return make("button", { type: "button", title: text, "aria-label": text }, fill);
    });
    const shares = cores.map((core) => core.busy).sort((a, b) => a - b);
    return [
      make(
        "h3",
        {},
        `${kind}: ${percent(
          shares.reduce((sum, busy) => sum + busy, 0),
          cores.length * span,
        )} on average, ${percent(shares[0], span)} to ${percent(shares[shares.length - 1], span)}`,
      ),
      make("div", { class: `cores ${kind.toLowerCase()}` }, bars),
      make("div", { class: "caption" }, `cores ${cores[0].id} to ${cores[cores.length - 1].id}`),
    ];
  });
  open("cores", groups.flat());
}

function showPath() {
  const path = content.path;
  byId("pathLabel").hidden = !path || !tasks.successor.length;
  if (!path || !tasks.successor.length) return;
  const list = path.tasks.map((task) => {
    const [first, last] = [firstRecord(task), lastRecord(task)];
    let start = records.start[first];
    for (let r = first; r < tasks.firstRecord[task + 1]; r++) start = Math.min(start, records.start[r]);
    return { task, kernel: records.kernel[last], start, length: records.end[last] - start };
  });
  const by = new Map();
  for (const { kernel, length } of list) by.set(kernel, (by.get(kernel) || 0) + length);
  const parts = [...by]
    .sort((a, b) => b[1] - a[1])
    .map(([kernel, value]) => ({ name: kernels[kernel].name, value, color: kernelColor(kernel) }));
  const many = `${number(list.length)} tasks that depend on each other take`;
  const who = list.length === 1 ? "one task takes" : many;
  open(
    "path",
    make(
      "p",
      { class: "note" },
      make("span", { class: "big" }, percent(path.length, span)),
      ` of the makespan: ${who} ${duration(path.length)}. No number of cores makes the run shorter than that.`,
    ),
    stacked([...parts, { name: "not on the path", value: span - path.length }], Math.max(span, path.length)),
    table(
      [
        { name: "task", cell: (row) => taskLink(row.task), left: true },
        { name: "kernel", cell: (row) => [dot(row.kernel), kernels[row.kernel].name], left: true },
        { name: "start", cell: (row) => moment(row.start), value: (row) => row.start },
        { name: "takes", cell: (row) => duration(row.length), value: (row) => row.length },
      ],
      list,
    ),
  );
}

function showChain() {
  const chain = content.chain;
  if (!chain.length) return;
  const first = chain.steps[0][0],
    last = chain.steps[chain.steps.length - 1][0];
  const complete = chain.steps.length === chain.length;
  const whole = records.end[last] - (complete ? records.start[first] : content.makespan[0]);
  const running = whole - chain.dependencyGaps - chain.coreGaps;
  const list = chain.steps.map(([record, after, gap]) => ({ record, after, gap }));
  const why = ["begin", "a dependency", "its core"];
  const unknown = content.edgeSource ? "" : " No dependencies are known, so it may have waited for others.";
  open(
    "chain",
    make(
      "p",
      { class: "note" },
      "Going back from the last task to end, always to what the task came after: a task it depends on, " +
        `or the one before it on its core. In ${plural(chain.length, "step")}, kernels ran for ` +
        `${duration(running)}; ${duration(chain.dependencyGaps)} passed between dependencies and ` +
        `${duration(chain.coreGaps)} between tasks of a core.${unknown}`,
    ),
    stacked(
      [
        { name: "kernels", value: running, color: "var(--accent)" },
        { name: "after dependencies", value: chain.dependencyGaps, color: "var(--before)" },
        { name: "between tasks of a core", value: chain.coreGaps, color: "var(--faint)" },
      ],
      whole,
    ),
    table(
      [
        { name: "task", cell: (row) => taskLink(records.task[row.record]), left: true },
        {
          name: "kernel",
          cell: (row) => [dot(records.kernel[row.record]), kernels[records.kernel[row.record]].name],
          left: true,
        },
        { name: "came after", cell: (row) => why[row.after], left: true },
        { name: "gap before", cell: (row) => duration(row.gap), value: (row) => row.gap },
        {
          name: "takes",
          cell: (row) => duration(records.end[row.record] - records.start[row.record]),
          value: (row) => records.end[row.record] - records.start[row.record],
        },
      ],
      list,
    ),
  );
}

function showScopes() {
  const scopes = content.scopes;
  if (!scopes) return;
  const mark = (value, whole, text) =>
    value === null ? "–" : [meter(value, whole), `${text(value)} of ${text(whole)}`];
  const rings = scopes.rings.filter((ring) => ring.marks.borders);
  const notes = [
    scopes.fatal ? "A fatal error ended the recording." : "",
    scopes.dropped ? `${plural(scopes.dropped, "record")} lost.` : "",
  ]
    .filter(Boolean)
    .join(" ");
  open(
    "scopes",
    make("p", { class: "note" }, `Highest values at the borders of scopes. ${notes}`),
    table(
      [
        { name: "ring", cell: (row) => row.ring, left: true },
        {
          name: "tasks alive",
          cell: (row) => mark(row.marks.tasks, row.window, number),
          value: (row) => row.marks.tasks,
        },
        {
          name: "heap",
          cell: (row) => mark(row.marks.heap, row.heap, bytes),
          value: (row) => row.marks.heap,
        },
        {
          name: "tensor map",
          cell: (row) => mark(row.marks.tensormap, scopes.tensormapMax, number),
          value: (row) => row.marks.tensormap,
        },
        { name: "borders", cell: (row) => number(row.marks.borders), value: (row) => row.marks.borders },
      ],
      rings,
    ),
    ...series(scopes),
    make("h3", {}, "By site"),
    table(
      [
        { name: "site", cell: (row) => row.site, left: true },
        { name: "ring", cell: (row) => row.ring, value: (row) => row.ring },
        { name: "depth", cell: (row) => row.depth, value: (row) => row.depth },
        { name: "tasks alive", cell: (row) => number(row.marks.tasks), value: (row) => row.marks.tasks },
        { name: "heap", cell: (row) => bytes(row.marks.heap), value: (row) => row.marks.heap },
        {
          name: "tensor map",
          cell: (row) => number(row.marks.tensormap),
          value: (row) => row.marks.tensormap,
        },
        { name: "borders", cell: (row) => number(row.marks.borders), value: (row) => row.marks.borders },
      ],
      scopes.sites,
    ),
  );
}

// Tasks alive from border to border, a line per ring; of many borders the highest in each part.
function series(scopes) {
  const { ring, tasks: alive } = decodeAll(scopes.series);
  if (alive.length < 2) return [];
  const WIDE = 600,
    HIGH = 90;
  const most = alive.reduce((most, value) => Math.max(most, value), 1);
  const lines = scopes.rings
    .filter((row) => row.marks.borders)
    .map((row) => {
      const points = new Map();
      alive.forEach((value, index) => {
        if (ring[index] !== row.ring) return;
        const x = Math.round((index / (alive.length - 1)) * WIDE);
        points.set(x, Math.max(points.get(x) ?? 0, value));
      });
      const path = [...points]
        .map(
          ([x, value], index) =>
            `${index ? "L" : "M"}${x} ${(HIGH - 4 - (value / most) * (HIGH - 10)).toFixed(1)}`,
        )
        .join("");
      return { ring: row.ring, path, color: palette[row.ring % palette.length] };
    });
  const box = make("div", {});
  const drawn = lines.map((line) => `<path d="${line.path}" stroke="${line.color}"/>`);
  const size = `viewBox="0 0 ${WIDE} ${HIGH}" preserveAspectRatio="none"`;
  const label = "Tasks alive at the borders of scopes";
  box.innerHTML = `<svg class="spark" ${size} role="img" aria-label="${label}">${drawn.join("")}</svg>`;
  const names = lines.map((line) => {
    const mark = make("span", { class: "dot" });
    mark.style.background = line.color;
    return make("span", {}, mark, ` ring ${line.ring}`);
  });
  return [
    make("h3", {}, `Tasks alive, border by border (at most ${number(most)})`),
    box,
    make("div", { class: "caption" }, make("span", {}, "begin"), ...names, make("span", {}, "end")),
  ];
}

function showPmu() {
  const pmu = content.pmu;
  if (!pmu) return;
  const columns = [
    { name: "kernel", cell: (row) => row.name, left: true },
    { name: "rows", cell: (row) => number(row.count), value: (row) => row.count },
    { name: "total cycles", cell: (row) => number(row.cycles), value: (row) => row.cycles },
    ...pmu.counters.map((name, index) => ({
      name: name.replace(/_/g, " "),
      title: name,
      cell: (row) => number(row.values[index]),
      value: (row) => row.values[index],
    })),
  ];
  const type = pmu.eventType === null ? "" : ` with event type ${pmu.eventType}`;
  open(
    "pmu",
    make(
      "p",
      { class: "note" },
      `Means per kernel, of ${plural(pmu.rows, "row")}${type}. `,
      "The counters of a task are shown where it is chosen.",
    ),
    table(columns, pmu.kernels),
  );
}

function showDump() {
  if (!content.dump) return;
  const list = rows(
    make("dl", { style: "max-width: 320px" }),
    content.dump.counters.map(([name, value]) => [name.replace(/_/g, " "), number(value)]),
  );
  open("dump", rows(list, [["bytes", bytes(content.dump.bytes)]]));
}
