// What is shown where the pointer is.

function rows(list, pairs) {
  for (const [name, value] of pairs) list.append(make("dt", {}, name), make("dd", {}, value));
  return list;
}

function recordTip(record) {
  const task = records.task[record];
  const pairs = [
    [
      "core",
      `${content.cores.find((core) => core.id === records.core[record]).kind} ${records.core[record]}`,
    ],
    ["start", moment(records.start[record])],
    ["runs for", duration(records.end[record] - records.start[record])],
  ];
  if (content.level >= 2) {
    pairs.push(["dispatch → start", duration(records.start[record] - records.dispatch[record])]);
    pairs.push(["end → seen done", duration(records.finish[record] - records.end[record])]);
  }
  const names = (list, kind, text) => {
    if (!list.length) return null;
    const shown = Array.from(list.subarray(0, 5), taskName).join(", ");
    return make(
      "div",
      { class: kind },
      `${text} ${shown}${list.length > 5 ? ` and ${number(list.length - 5)} more` : ""}`,
    );
  };
  return [
    make(
      "div",
      {},
      dot(records.kernel[record]),
      " ",
      make("b", {}, kernels[records.kernel[record]].name),
      ` ${taskName(task)}`,
    ),
    rows(make("dl", {}), pairs),
    names(predecessors(task), "before", "waits for") ?? "",
    names(successors(task), "after", "before") ?? "",
  ];
}

function phaseTip(lane, item) {
  const column = lane.column;
  const pairs = [
    ["start", moment(column.start[item])],
    ["takes", duration(column.end[item] - column.start[item])],
  ];
  if (column.tasks) pairs.push(["tasks", number(column.tasks[item])]);
  else if (column.task[item]) pairs.push(["task", taskName(column.task[item] - 1)]);
  return [
    make("div", {}, make("b", {}, column.kinds[column.kind[item]]), ` on ${lane.label}`),
    rows(make("dl", {}), pairs),
  ];
}
