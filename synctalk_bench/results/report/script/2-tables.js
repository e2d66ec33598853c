// A column's head sorts its table: best first, then worst first, then as it was. Groups stay apart.
for (const table of $$("table.results")) {
  const bodies = $$("tbody", table).map((body) => ({ body, rows: $$("tr:not(.group)", body) }));
  for (const head of $$("th[data-metric]", table)) {
    const column = [...head.parentNode.children].indexOf(head);
    const button = el("button", { type: "button", class: "sort", title: "sort by this column" }, ...head.childNodes);
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const best = head.dataset.better === "lower" ? "ascending" : "descending";
      const turn = { none: best, [best]: best === "ascending" ? "descending" : "ascending" };
      const order = turn[head.getAttribute("aria-sort")] || "none";
      for (const other of $$("th[aria-sort]", table)) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", order);
      for (const { body, rows } of bodies) body.append(...sorted(rows, column, order));
    });
  }
}

function sorted(rows, column, order) {
  if (order === "none") return rows;
  const value = (row) => {
    const text = row.children[column].dataset.value;
    return text === undefined ? null : Number(text);
  };
  const sign = order === "ascending" ? 1 : -1;
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return (x === null) - (y === null); // what has no number stands last
    return sign * (x - y);
  });
}

for (const button of $$("button[data-copy]")) {
  button.addEventListener("click", () => {
    const text = document.getElementById(button.dataset.copy); // a protocol may hold what a selector cannot
    text.hidden = false;
    text.select();
    const done = document.execCommand("copy"); // works from a file too, where the newer interface may not
    text.hidden = true;
    button.dataset.done = done ? "copied" : "not copied";
    setTimeout(() => delete button.dataset.done, 1500);
  });
}
