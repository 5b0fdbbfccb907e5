// The stages of the host as one lane on a time axis of its own.
const stageColors = ["#4269d0", "#9a63e8", "#3ca951", "#efb118", "#7d8794"];
function showHost() {
  const host = content.host;
  if (!host) return;
  let at = 0;
  const stages = host.stages.map(([name, value], index) => {
    const start = at;
    at += value;
    return { name, value, start, color: stageColors[index] };
  });
  const mark = (stage) => {
    const color = make("span", { class: "dot" });
    color.style.background = stage.color;
    return [color, stage.name];
  };
  open(
    "host",
    make(
      "p",
      { class: "note" },
      make("span", { class: "big" }, duration(at)),
      " on the host's wall clock, which is not that of the timeline: while it waits, the device runs. ",
      host.lost ? `${plural(host.lost, "record")} lost.` : "",
    ),
    stacked(stages, at),
    make("div", { class: "caption" }, make("span", {}, "0"), make("span", {}, duration(at))),
    table(
      [
        { name: "stage", cell: mark, left: true },
        { name: "start", cell: (stage) => duration(stage.start), value: (stage) => stage.start },
        { name: "takes", cell: (stage) => duration(stage.value), value: (stage) => stage.value },
        { name: "share", cell: (stage) => percent(stage.value, at), value: (stage) => stage.value },
      ],
      stages,
    ),
  );
}
