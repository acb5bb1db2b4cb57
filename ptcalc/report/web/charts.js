"use strict";
// Draws the charts of the page (ptcalc.charts.Chart as JSON) with Apache ECharts, and keeps their words and tables.
const ptcalc = (() => {
  const data = (name) => JSON.parse(document.getElementById(`data-${name}`).textContent);
  const shown = new Map(); // name -> {chart, instance}
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

  // Three significant digits, as the reports' tables have them (ptcalc/report/format.py).
  function digits(scaled) {
    if (scaled >= 99.95) return Math.round(scaled).toLocaleString("en-US");
    if (scaled >= 9.995) return scaled.toFixed(1);
    return scaled >= 0.9995 ? scaled.toFixed(2) : scaled.toFixed(3);
  }
  function size(value) {
    const sign = value < 0 ? "-" : "";
    let rest = Math.abs(Number(value)), power = 0;
    if (rest < 1024) return `${sign}${rest} B`;
    do { rest /= 1024; power += 1; } while (rest >= 999.5 && power < units.length - 1);
    return `${sign}${digits(rest)} ${units[power]}`;
  }
  const count = (value) => value.toLocaleString("en-US");
  const amount = (value, unit) => typeof value === "string" ? value : unit === "bytes" ? size(value) : count(value);
  // At the ticks of an axis there is no room for more digits than a number has.
  const tick = (value, unit) => unit === "bytes" ? size(value).replace(/(\.\d*?)0+(?= )/, "$1").replace(". ", " ") : count(value);

  function palette() {
    const style = getComputedStyle(document.documentElement);
    return (name) => style.getPropertyValue(`--${name}`).trim();
  }
  const fillOf = (color, tone) => ["ok", "warning", "critical", "oom"].includes(tone) ? color(`fill-${tone}`) : color(tone);

  // Steps of 1, 2 or 4 times a power of 1024 look right for bytes; ECharts' own are powers of ten.
  function bytesStep(most) {
    let step = 1;
    while (most / step > 6) step *= 2;
    return step;
  }

  function base(color, narrow, many = true) {
    const label = { color: color("dim"), fontSize: 12 };
    return {
      animation: false,
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: color("ink") },
      aria: { enabled: false }, // the words beside the chart say more
      legend: { show: many, top: 0, left: 0, itemWidth: 12, itemHeight: 12, itemGap: narrow ? 8 : 14, textStyle: { color: color("ink"), fontSize: 12 }, inactiveColor: color("muted") },
      tooltip: {
        renderMode: "richText", confine: true, backgroundColor: color("paper"), borderColor: color("rule"),
        textStyle: { color: color("ink"), fontSize: 12 },
      },
      label,
    };
  }

  function valueAxis(axis, color, most) {
    const bytes = axis.unit === "bytes";
    const step = bytes && !axis.log ? bytesStep(most) : undefined;
    return {
      type: axis.log ? "log" : "value", logBase: bytes ? 1024 : 10, min: axis.log ? 1 : 0,
      interval: step, max: step ? Math.ceil(most / step) * step : undefined,
      axisLabel: { color: color("dim"), formatter: (value) => tick(value, axis.unit), hideOverlap: true },
      splitLine: { lineStyle: { color: color("rule") } }, axisLine: { show: false }, axisTick: { show: false },
    };
  }

  function clipped(text, most) {
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
  }

  function markLine(marks, color, horizontal, most, last = Infinity) {
    const lines = marks.filter((mark) => mark.at <= most);
    return {
      symbol: "none", silent: true, animation: false,
      data: lines.map((mark, number) => ({
        [mark.axis === "x" !== horizontal ? "xAxis" : "yAxis"]: mark.at,
        lineStyle: { color: color(mark.tone), width: mark.tone === "capacity" ? 1.5 : 1, type: mark.tone === "capacity" ? "solid" : "dashed" },
        label: {
          formatter: clipped(mark.label, 38), color: color(mark.tone === "muted" ? "dim" : mark.tone), fontSize: 11,
          position: horizontal ? "start" : mark.axis === "x" ? (mark.at < last / 12 ? "insideEndBottom" : "insideEndTop") : "insideStartTop",
        },
      })),
    };
  }

  function top(chart) {
    const marks = chart.marks.filter((mark) => mark.axis === "y" && mark.tone === "capacity").map((mark) => mark.at);
    const at = (place) => chart.series.map((series) => series.values[place] ?? 0);
    const sums = chart.x.values.map((_, place) => chart.kind === "lines" ? Math.max(...at(place)) : at(place).reduce((a, b) => a + b, 0));
    return Math.max(1, ...sums, ...marks);
  }

  function tip(chart, lines) {
    return (given) => {
      const items = (Array.isArray(given) ? given : [given]).filter((item) => item.value !== undefined);
      if (!items.length) return "";
      return lines(items);
    };
  }

  function bars(chart, color, narrow, width) {
    const names = chart.x.values;
    const most = top(chart);
    const room = Math.min(Math.max(...names.map((name) => name.length)) * 7.2, narrow ? 96 : 150);
    return {
      ...base(color, narrow, chart.series.length > 1),
      grid: { left: room + 12, right: narrow ? 30 : 44, top: legendRoom(chart, width) + 26, bottom: 28 },
      xAxis: valueAxis(chart.y, color, most),
      yAxis: {
        type: "category", inverse: true, data: names, axisTick: { show: false }, axisLine: { lineStyle: { color: color("rule") } },
        axisLabel: { color: color("ink"), fontSize: 12, width: room, overflow: "truncate", interval: 0 },
      },
      series: chart.series.map((series, number) => ({
        name: series.name, type: "bar", stack: "all", barMaxWidth: 22, data: series.values,
        itemStyle: { color: color(series.tone) }, emphasis: { disabled: true },
        ...(number === 0 ? { markLine: markLine(chart.marks, color, true, most) } : {}),
      })),
      tooltip: {
        ...base(color).tooltip, trigger: "axis", axisPointer: { type: "shadow", shadowStyle: { opacity: 0.15 } },
        formatter: tip(chart, (items) => [items[0].name, ...items.filter((item) => item.value).map((item) => `${item.seriesName}: ${amount(item.value, chart.y.unit)}`)].join("\n")),
      },
    };
  }

  // The legend wraps; what it takes is about this.
  function legendRoom(chart, width) {
    let rows = 1, used = 0;
    for (const series of chart.series) {
      const taken = 30 + series.name.length * 7;
      if (used + taken > width && used) { rows += 1; used = 0; }
      used += taken;
    }
    return chart.series.length > 1 ? rows * 22 + 6 : 0;
  }

  function areas(chart, color, narrow, width) {
    const most = top(chart), stacked = chart.kind === "stack", last = Math.max(...chart.x.values);
    return {
      ...base(color, narrow, chart.series.length > 1),
      grid: { left: 64, right: narrow ? 16 : 28, top: legendRoom(chart, width) + 14, bottom: 44 },
      xAxis: {
        type: "value", min: Math.min(...chart.x.values), max: last, name: chart.x.title, nameLocation: "middle", nameGap: 26,
        nameTextStyle: { color: color("dim") }, axisLabel: { color: color("dim"), formatter: (value) => tick(value, chart.x.unit), hideOverlap: true },
        splitNumber: narrow ? 3 : 6, splitLine: { show: false }, axisLine: { lineStyle: { color: color("rule") } },
      },
      yAxis: valueAxis(chart.y, color, most),
      series: chart.series.map((series, number) => ({
        name: series.name, type: "line", symbol: "none", ...(stacked ? { stack: "all", areaStyle: { opacity: 1, color: color(series.tone) } } : {}),
        lineStyle: { width: stacked ? 0 : 2, color: color(series.tone) }, itemStyle: { color: color(series.tone) },
        data: chart.x.values.map((at, place) => [at, series.values[place]]), emphasis: { disabled: true },
        ...(number === 0 ? { markLine: markLine(chart.marks.filter((mark) => mark.axis === "y" || mark.at <= last), color, false, Infinity, last) } : {}),
      })),
      tooltip: {
        ...base(color).tooltip, trigger: "axis", axisPointer: { lineStyle: { color: color("dim") } },
        formatter: tip(chart, (items) => {
          const named = items.filter((item) => item.value[1] !== null && item.value[1] !== undefined);
          const sum = named.reduce((total, item) => total + item.value[1], 0);
          return [`${chart.x.title}: ${amount(items[0].value[0], chart.x.unit)}`, ...(stacked ? [`in all: ${amount(sum, chart.y.unit)}`] : []),
            ...named.filter((item) => item.value[1]).reverse().map((item) => `${item.seriesName}: ${amount(item.value[1], chart.y.unit)}`)].join("\n");
        }),
      },
    };
  }

  function heat(chart, color, narrow) {
    const label = { color: color("dim"), fontSize: 11, hideOverlap: true };
    const x = chart.x.values.map((value) => tick(value, chart.x.unit));
    const y = chart.series.map((series) => series.name);
    const line = { axisTick: { show: false }, axisLine: { show: false }, splitArea: { show: false } };
    return {
      ...base(color, narrow), legend: { show: false },
      grid: { left: narrow ? 66 : 76, right: 8, top: 40, bottom: 48 },
      xAxis: { type: "category", data: x, name: chart.x.title, nameLocation: "middle", nameGap: 30, nameTextStyle: { color: color("dim") }, axisLabel: label, ...line },
      yAxis: { type: "category", data: y, axisLabel: label, ...line },
      visualMap: {
        type: "piecewise", orient: "horizontal", top: 0, left: 0, itemWidth: 14, itemHeight: 14, textStyle: { color: color("ink") }, hoverLink: false, selectedMode: false,
        pieces: chart.classes.map(([name, tone], value) => ({ value, label: `${name}${symbol(tone)}`, color: fillOf(color, tone) })),
      },
      series: [{
        type: "heatmap", data: chart.series.flatMap((series, row) => series.values.map((value, column) => [column, row, value])),
        itemStyle: { borderColor: color("paper"), borderWidth: 1 }, emphasis: { disabled: true },
        // Colour is not all that tells the cells apart.
        label: { show: true, fontSize: 10, color: color("ink"), formatter: (item) => symbol(chart.classes[item.value[2]][1]).trim() },
      }],
      tooltip: {
        ...base(color).tooltip, trigger: "item",
        formatter: (item) => item.value === undefined ? "" : `${chart.y.title}: ${y[item.value[1]]}\n${chart.x.title}: ${x[item.value[0]]}\n${chart.classes[item.value[2]][0]}`,
      },
    };
  }
  const symbol = (tone) => ({ ok: "", warning: " ·", critical: " ×", oom: " ●" })[tone] ?? "";

  const makers = { bars, stack: areas, lines: areas, heat };

  function paint(name) {
    const { chart, instance } = shown.get(name);
    const width = instance.getWidth();
    instance.setOption(makers[chart.kind](chart, palette(), width < 560, width - 20), { notMerge: true });
  }

  function cell(name, content, side, label) {
    const made = document.createElement(name);
    if (side) made.className = "right";
    if (label !== undefined) made.dataset.label = label;
    made.append(content);
    return made;
  }
  function number(value, text) {
    const made = document.createElement("span");
    made.dataset.value = String(value);
    made.textContent = text;
    return made;
  }
  function table(chart) {
    const body = document.querySelector(`#table-${CSS.escape(chart.name)} tbody`);
    const heads = [...document.querySelectorAll(`#table-${CSS.escape(chart.name)} thead th`)];
    const titles = [chart.x.title, ...chart.series.map((series) => series.name)];
    if (heads.length !== titles.length || heads.some((head, at) => head.textContent !== titles[at])) {
      const row = heads[0].parentNode;
      row.replaceChildren(...titles.map((title, at) => {
        const made = cell("th", title, at > 0 || chart.x.unit !== "name");
        made.scope = "col";
        return made;
      }));
    }
    body.replaceChildren(...chart.x.values.map((place, at) => {
      const row = document.createElement("tr");
      const head = cell("th", typeof place === "string" ? place : number(place, amount(place, chart.x.unit)), chart.x.unit !== "name");
      head.scope = "row";
      row.append(head, ...chart.series.map((series) => {
        const value = series.values[at];
        const text = value === null ? "-" : chart.kind === "heat" ? chart.classes[value][0] : amount(value, chart.y.unit);
        return cell("td", value === null ? text : number(value, text), true, series.name);
      }));
      return row;
    }));
    const listed = document.querySelector(`#figure-${CSS.escape(chart.name)} .marks`);
    listed?.replaceChildren(...chart.marks.map((mark) => {
      const item = document.createElement("li");
      item.append(`${mark.label}: `, number(mark.at, amount(mark.at, chart[mark.axis].unit)));
      return item;
    }));
  }

  function show(chart) {
    const place = document.getElementById(`chart-${chart.name}`);
    const instance = shown.get(chart.name)?.instance ?? echarts.init(place, null, { renderer: "svg" });
    shown.set(chart.name, { chart, instance });
    paint(chart.name);
  }
  function draw(chart) {
    show(chart);
    document.getElementById(`alt-${chart.name}`).textContent = chart.alt;
    table(chart);
  }
  const repaint = () => shown.forEach(({ instance }, name) => { instance.resize(); paint(name); });

  for (const chart of data("charts")) show(chart);
  let waiting = 0;
  new ResizeObserver(() => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(repaint); }).observe(document.querySelector("main"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  // Paper is light, and narrower than most windows.
  const print = (on) => { document.documentElement.classList.toggle("paper", on); repaint(); };
  matchMedia("print").addEventListener("change", (event) => print(event.matches));
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));

  return { data, draw, size, count, amount };
})();
