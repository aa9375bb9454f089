"use strict";
// What the page can do beyond being read: sort tables, switch arms, scale and theme, say values under the pointer.
// It draws no new thing: lines and bands are placed again from the numbers that stand beside them.

const BOX = 1000;
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

for (const node of $$(".scripted")) node.hidden = false;

// --- theme ---

const theme = document.querySelector(".theme");
const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};
const nameTheme = () => { theme.textContent = isDark() ? theme.dataset.light : theme.dataset.dark; };
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
nameTheme();

// --- tables: a number sorts by its first digits, a gap comes last ---

const sortKey = (cell) => {
  const text = cell.textContent.trim();
  const found = text.replaceAll(",", "").match(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/i);
  return text === "-" ? null : found && /^[-+[\d]/.test(text) ? Number(found[0]) : text;
};
const compare = (a, b) => {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b));
};
for (const table of $$("table.sortable")) {
  $$("thead th", table).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = theme.dataset.sort;
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const direction = head.ariaSort === "ascending" ? -1 : 1;
      for (const other of $$("thead th", table)) other.removeAttribute("aria-sort");
      head.ariaSort = direction === 1 ? "ascending" : "descending";
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [sortKey(row.cells[column]), row]);
      rows.sort(([a], [b]) => (a === null || b === null ? compare(a, b) : direction * compare(a, b)));
      body.append(...rows.map(([, row]) => row));
    });
  });
}

// --- learning curves ---

const position = (value, [low, high], isLog) =>
  isLog ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);

for (const curves of $$(".curves")) {
  const data = JSON.parse(curves.querySelector("script.numbers").textContent);
  const shown = data.arms.map(() => true);
  const charts = $$(".chart", curves);

  const [first, last] = [data.steps[0], data.steps[data.steps.length - 1]];
  const across = (index) => (data.steps[index] - first) / Math.max(last - first, 1);
  const nearest = (share) => data.steps.reduce((best, _, index) => (Math.abs(across(index) - share) < Math.abs(across(best) - share) ? index : best), 0);
  const points = (values, panel, isLog) => values.flatMap((value, index) => {
    if (value === null) return []; // an epoch without a value
    const x = across(index) * BOX;
    const y = BOX * (1 - position(value, isLog ? panel.log : panel.linear, isLog));
    return [`${x.toFixed(0)} ${y.toFixed(0)}`];
  });
  const line = (places) => (places.length ? `M${(places.length === 1 ? [places[0], places[0]] : places).join("L")}` : "");

  const redraw = () => {
    charts.forEach((chart, at) => {
      const panel = data.panels[at];
      const isLog = curves.dataset.scale === "log" && panel.log !== null;
      panel.arms.forEach((arm, index) => {
        const group = chart.querySelector(`g[data-arm="${index}"]`);
        const place = (values) => points(values, panel, isLog);
        const band = group.querySelector(".band");
        if (band) band.setAttribute("d", arm.low.some((value) => value !== null) ? `M${[...place(arm.low), ...place(arm.high).reverse()].join("L")}Z` : "");
        const mean = group.querySelector(".line");
        if (mean) mean.setAttribute("d", line(place(arm.mean)));
        $$(".lone", group).forEach((path, number) => path.setAttribute("d", line(place(arm.lone[number]))));
      });
    });
  };

  for (const box of $$("input[data-arm]", curves)) {
    box.addEventListener("change", () => {
      shown[Number(box.dataset.arm)] = box.checked;
      for (const group of $$(`g[data-arm="${box.dataset.arm}"]`, curves)) {
        group.setAttribute("visibility", box.checked ? "visible" : "hidden");
      }
    });
  }
  curves.querySelector("input.log")?.addEventListener("change", (event) => {
    curves.dataset.scale = event.target.checked ? "log" : "linear";
    redraw();
  });

  charts.forEach((chart, at) => {
    const panel = data.panels[at];
    const plot = chart.querySelector(".plot");
    const cursor = chart.querySelector(".cursor");
    const readout = chart.querySelector(".readout");
    let epoch = data.steps.length - 1;

    const say = (index) => {
      epoch = Math.min(Math.max(index, 0), data.steps.length - 1);
      const x = across(epoch) * BOX;
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      cursor.setAttribute("visibility", "visible");
      const rows = [document.createElement("span")];
      rows[0].textContent = `${chart.querySelector(".epochs text:last-child").textContent} ${data.steps[epoch]}`;
      panel.arms.forEach((arm, arm_index) => {
        const value = arm.mean[epoch];
        if (!shown[arm_index] || value === undefined || value === null) return;
        const row = document.createElement("span");
        const mark = document.createElement("b");
        row.className = chart.querySelector(`g[data-arm="${arm_index}"]`).getAttribute("class");
        mark.textContent = data.arms[arm_index];
        const range = arm.low.length ? ` (${arm.low[epoch]}–${arm.high[epoch]})` : "";
        row.append(mark, ` ${value}${panel.unit}${range}`);
        rows.push(row);
      });
      readout.replaceChildren(...rows);
      readout.classList.toggle("left", x > BOX / 2);
      readout.hidden = false;
    };
    const hide = () => {
      readout.hidden = true;
      cursor.setAttribute("visibility", "hidden");
    };

    plot.tabIndex = 0;
    readout.setAttribute("aria-live", "polite");
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      say(nearest((event.clientX - box.left) / box.width));
    });
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("focus", () => { if (plot.matches(":focus-visible")) say(epoch); });
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -BOX * BOX, End: BOX * BOX };
      if (event.key === "Escape") hide();
      if (!(event.key in steps)) return;
      event.preventDefault();
      say(epoch + steps[event.key]);
    });
  });
}

// --- printing: what is folded away on a screen is wanted on paper ---

addEventListener("beforeprint", () => { for (const one of $$("details:not([open])")) { one.open = true; one.dataset.opened = ""; } });
addEventListener("afterprint", () => { for (const one of $$("details[data-opened]")) { one.open = false; delete one.dataset.opened; } });
