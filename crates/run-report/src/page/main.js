// The chosen task, searching, and everything put together.

const pmuColumns = content.pmu && { ...decodeAll(content.pmu), values: content.pmu.values.map(decode) };

function showDetails() {
  const box = byId("details");
  const task = state.task;
  if (task < 0) {
    box.replaceChildren(
      make("h3", {}, "Chosen task"),
      make("p", { class: "empty" }, "None. Click a task in the timeline, or search for one."),
    );
    return;
  }
  const own = [];
  for (let r = tasks.firstRecord[task]; r < tasks.firstRecord[task + 1]; r++) own.push(r);
  const id = taskId(task);
  const pairs = [];
  if (own.length) {
    pairs.push(["critical path", onPath[task] ? "yes" : "no"]);
    const ready = [...predecessors(task)].map(lastRecord).filter((r) => r >= 0);
    const start = Math.min(...own.map((r) => records.start[r]));
    if (ready.length)
      pairs.push(["after its dependencies", duration(start - Math.max(...ready.map((r) => records.end[r])))]);
  }
  const links = (list) =>
    make(
      "div",
      { class: "list" },
      Array.from(list.subarray(0, 60), taskLink),
      list.length > 60 ? `… ${number(list.length)} in all` : null,
    );
  const names = kernelsOf(task).map((kernel) => [dot(kernel), kernels[kernel].name]);
  box.replaceChildren(
    make("h3", {}, "Chosen task"),
    make("div", { class: "name" }, taskName(task)),
    make("div", { class: "id" }, `${id} · 0x${id.toString(16).padStart(16, "0")}`),
    ...names.map((name) => make("div", {}, name[0], " ", name[1])),
    own.length ? "" : make("div", { class: "empty" }, withoutRecord(task)),
    rows(make("dl", {}), pairs),
    ...own.slice(0, 12).flatMap(recordDetails),
    own.length > 12 ? make("p", { class: "empty" }, `${number(own.length - 12)} more`) : "",
    make("h3", {}, `Waits for ${number(predecessors(task).length)}`),
    links(predecessors(task)),
    make("h3", {}, `Before ${number(successors(task).length)}`),
    links(successors(task)),
  );
}

function recordDetails(record) {
  const pairs = [
    ["start", moment(records.start[record])],
    ["end", moment(records.end[record])],
    ["runs for", duration(records.end[record] - records.start[record])],
  ];
  if (content.level >= 2) {
    pairs.push(["dispatch → start", duration(records.start[record] - records.dispatch[record])]);
    pairs.push(["end → seen done", duration(records.finish[record] - records.end[record])]);
  }
  if (pmuColumns && pmuColumns.present[record]) {
    pairs.push(["total cycles", number(pmuColumns.total[record])]);
    pmuColumns.counters.forEach((name, index) =>
      pairs.push([name.replace(/_/g, " "), number(pmuColumns.values[index][record])]),
    );
  }
  const core = content.cores.find((core) => core.id === records.core[record]);
  return [
    make("h3", {}, `${kernels[records.kernel[record]].name} on ${core.kind} ${core.id}`),
    rows(make("dl", {}), pairs),
  ];
}

// Tasks by name (r1t5), id, or number; kernels by a part of their name.
const MOST_HITS = 12;
function search(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const hits = [];
  const name = /^r(\d+)t(\d+)$/.exec(wanted);
  let ring = -1,
    inRing = -1;
  if (name) [ring, inRing] = [Number(name[1]), Number(name[2])];
  else if (/^(0x[0-9a-f]+|\d+)$/.test(wanted)) {
    const id = BigInt(wanted);
    [ring, inRing] = [Number(id >> 32n), Number(id & 0xffffffffn)];
  }
  const add = (task) => {
    const of = kernelsOf(task);
    hits.push({
      kernel: of.length ? of[0] : -1,
      text: `${taskName(task)} ${of.map((kernel) => kernels[kernel].name).join(" + ")}`,
      go: () => chooseTask(task),
    });
  };
  if (inRing >= 0) {
    for (let task = 0; task < tasks.count; task++)
      if (tasks.number[task] === inRing && tasks.ring[task] === ring) add(task);
    // A small number may also be meant as one in another ring.
    if (!name && ring === 0)
      for (let task = 0; task < tasks.count && hits.length < MOST_HITS; task++)
        if (tasks.number[task] === inRing && tasks.ring[task]) add(task);
  }
  kernels.forEach((kernel, index) => {
    if (hits.length < MOST_HITS && kernel.name.toLowerCase().includes(wanted)) {
      hits.push({
        kernel: index,
        text: `${kernel.name}: ${plural(kernel.count, "record")}`,
        go: () => choose({ kernel: index }, false),
      });
    }
  });
  return hits;
}

function makeSearch() {
  const input = byId("search"),
    box = byId("hits");
  let hits = [],
    on = 0;
  const close = () => {
    box.hidden = true;
  };
  const take = (hit) => {
    if (hit) {
      hit.go();
      close();
    }
  };
  function fill() {
    box.replaceChildren(
      ...hits.map((hit, index) => {
        const row = make(
          "li",
          { class: index === on ? "on" : undefined },
          hit.kernel >= 0 ? dot(hit.kernel) : null,
          hit.text,
        );
        row.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          take(hit);
        });
        return row;
      }),
    );
    if (!hits.length) box.append(make("li", { class: "none" }, "nothing found"));
    box.hidden = !input.value.trim();
  }
  input.addEventListener("input", () => {
    hits = search(input.value);
    on = 0;
    if (!input.value && state.kernel >= 0) choose({ kernel: -1 }, false);
    fill();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      on = (on + (event.key === "ArrowDown" ? 1 : hits.length - 1)) % Math.max(hits.length, 1);
      fill();
      event.preventDefault();
    } else if (event.key === "Enter") take(hits[on]);
    else if (event.key === "Escape") close();
  });
  input.addEventListener("blur", close);
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  readTheme();
  for (const watcher of watchers) watcher(false);
}

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
document.documentElement.dataset.theme = prefersDark.matches ? "dark" : "light";
readTheme();
byId("theme").addEventListener("click", () =>
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"),
);
prefersDark.addEventListener("change", () => setTheme(prefersDark.matches ? "dark" : "light"));
byId("showPath").addEventListener("change", (event) => choose({ showPath: event.target.checked }, false));

showVerdict();
showTiles();
showLegend();
makeTimeline();
showKernels();
showCores();
showPath();
showChain();
showHost();
showScopes();
showPmu();
showDump();
makeGraph();
makeSearch();
watchers.push(showDetails);
showDetails();
// All sections of a large run have to fit beside each other.
function navName(section) {
  const heading = section.querySelector("h2");
  return heading.dataset.nav ?? heading.textContent;
}
for (const section of document.querySelectorAll("main section.card")) {
  if (!section.hidden)
    byId("nav").append(make("a", { href: `#${section.id}` }, navName(section)));
}
document.documentElement.dataset.ready = "yes";
