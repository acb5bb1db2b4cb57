"use strict";
// The sliders: they read a setting, ask the twin, and show its answer in the verdict, the table and the charts.
(() => {
  const model = ptcalc.data("live");
  if (!model) return;
  const twin = ptcalcTwin(model);
  const { size, count } = ptcalc;
  const find = (id) => document.getElementById(id);
  const input = (name) => find(`in-${name}`);
  const RISK = { ok: "ok", warning: "warning", critical: "critical", oom: "OOM" };
  const drawn = Object.fromEntries(ptcalc.data("charts").map((chart) => [chart.name, chart]));
  const policies = model.policies.map((_, number) => number);
  const subject = model.subject;
  const top = Math.max(0, ...twin.written.filter((_, group) => twin.grows[group]));
  const initial = {
    step: top, size: model.sizes.findIndex((each) => each.size === model.written.size), touch: "written", share: 1000,
    memory: model.memories.findIndex((each) => each.memory === model.written.memory),
    cgroup: model.cgroup === null ? null : model.cgroups.indexOf(model.cgroup),
  };

  function setting() {
    return {
      step: top ? Number(input("processes").value) : 0, size: Number(input("size").value), touch: input("touch").value,
      share: Number(input("share").value), memory: Number(input("memory").value),
      cgroup: model.cgroup === null ? null : model.cgroups[Number(input("cgroup").value)],
    };
  }
  const computable = (now) => now.touch !== "written" || model.written_exact;

  const limit = (processes, by) => (by === "fixed" ? "-" : `${by === "pid_max" ? ">" : ""}${count(processes)}`);
  const plural = (many) => `${count(many)} ${many === 1 ? "process" : "processes"}`;
  function ordinal(number) {
    const ending = [11, 12, 13].includes(number % 100) ? "th" : { 1: "st", 2: "nd", 3: "rd" }[number % 10] ?? "th";
    return `${count(number)}${ending}`;
  }
  // The words of ptcalc/report/verdict.py.
  function headline(result) {
    if (!result.deployable) {
      return `No mainline kernel has ${result.policy}. With it, the risk of ${plural(result.processes)} would be ${RISK[result.level]}`
        + ` (safe: ${limit(result.safe, result.safeLimitedBy)}; out of memory after ${limit(result.max, result.limitedBy)}).`;
    }
    const withPolicy = result.policy === "today" ? "" : `With ${result.policy}: `;
    const place = result.boundary === "host" ? "This host" : "This memory cgroup";
    const safe = `safe: ${limit(result.safe, result.safeLimitedBy)}`;
    const room = result.limitedBy === "fixed" ? "(no group of processes grows)" : `(${safe}; out of memory after ${limit(result.max, result.limitedBy)})`;
    const crowd = plural(result.processes);
    const said = {
      ok: `YES. ${place} carries ${crowd} ${room}.`,
      warning: `YES, but little is left (WARNING). ${place} carries ${crowd} ${room}.`,
      critical: `BARELY (CRITICAL). ${place} just carries ${crowd} ${room}.`,
      oom: 0 < result.max && result.max < result.processes
        ? `NO. ${place} runs out of memory at the ${ordinal(result.max + 1)} of ${crowd} (${safe}).`
        : result.max ? `NO. ${place} has the memory, but cannot run this workload as written: see the findings.`
          : `NO. ${place} cannot carry this workload, with however few processes.`,
    };
    return withPolicy + said[result.level];
  }
  // ptcalc/risk/best.py:best_deployable
  function best(results) {
    const able = results.filter((result) => result && result.deployable);
    if (!able.length) return null;
    const lowest = Math.min(...able.map((result) => twin.LEVELS.indexOf(result.level)));
    const left = able.filter((result) => twin.LEVELS.indexOf(result.level) === lowest);
    const most = left.reduce((found, result) => (result.headroom > found ? result.headroom : found), left[0].headroom);
    return left.find((result) => 100n * result.headroom >= 100n * most - result.capacity);
  }
  function advice(results) {
    const here = results[subject], found = best(results);
    if (!here || !found) return "";
    if (here.level === "ok") return `Nothing needs to be done: ${here.policy} is safe.`;
    if (found.policy === here.policy) return "No policy that can be deployed is better.";
    const left = found.headroom >= 0n ? `${size(found.headroom)} left` : "still too little memory";
    return `What would help most: ${found.policy}, ${left} (${RISK[found.level]}), OOM after ${limit(found.max, found.limitedBy)}.`;
  }

  function fill(row, name, text, value, tone) {
    const cell = row.querySelector(`[data-is="${name}"]`);
    cell.textContent = text;
    if (value === undefined) delete cell.dataset.value; else cell.dataset.value = String(value);
    if (tone !== undefined) cell.className = tone;
  }
  function table(results) {
    for (const number of policies) {
      const row = find(`policy-${number}`), result = results[number];
      if (!result) {
        for (const name of ["tables", "demand", "free", "risk", "safe", "most"]) fill(row, name, "-", undefined, name === "risk" ? "" : undefined);
        continue;
      }
      fill(row, "tables", size(result.used), result.used);
      fill(row, "demand", size(result.demand), result.demand);
      fill(row, "free", size(result.headroom), result.headroom);
      fill(row, "risk", result.deployable ? RISK[result.level] : `would be ${RISK[result.level]}`, result.level, result.deployable ? result.level : "");
      fill(row, "safe", limit(result.safe, result.safeLimitedBy), result.safe);
      fill(row, "most", limit(result.max, result.limitedBy), result.max);
    }
  }

  const total = (lines, kind) => lines.reduce((sum, line) => (line.kind === kind ? sum + line.bytes : sum), 0n);
  const byKind = (ledgers) => model.kinds.map(([tone, name]) => ({ name, tone, values: ledgers.map((lines) => Number(total(lines, tone))) }))
    .filter((series) => series.values.some((value) => value));
  const usable = (boundary) => (boundary === "host" ? "usable" : "cgroup limit");
  const labelled = (result) => (result.deployable ? result.policy : `${result.policy} *`);

  function policiesChart(results) {
    const marks = new Map(results.map((result) => [`${result.boundary} ${result.capacity}`, result]));
    return {
      ...drawn.policies, x: { ...drawn.policies.x, values: results.map(labelled) }, series: byKind(results.map((result) => result.lines)),
      marks: [...marks.values()].map((result) => ({ axis: "y", at: Number(result.capacity), label: usable(result.boundary), tone: "capacity" })),
      alt: `${[...marks].map(([key, first]) => `Of ${size(first.capacity)} ${usable(first.boundary)}: ${results
        .filter((result) => `${result.boundary} ${result.capacity}` === key).map((result) => `${result.policy} ${size(result.demand)}`).join(", ")}`).join(". ")}.`,
    };
  }
  function tablesChart(results) {
    return {
      ...drawn.tables, x: { ...drawn.tables.x, values: results.map(labelled) },
      series: [{ ...drawn.tables.series[0], values: results.map((result) => Number(result.used)) }],
      alt: `${results.map((result) => `${result.policy} ${size(result.used)}`).join("; ")}.`,
    };
  }
  // ptcalc/charting/figures.py:steps_most
  function stepsMost(counts, most) {
    const here = Math.max(0, ...counts.filter((_, group) => twin.grows[group])), all = counts.reduce((sum, each) => sum + each, 0);
    const reach = all ? Math.floor(most * here / all) : here;
    return Math.min(Math.max(Math.ceil(reach * 23 / 20), Math.ceil(here * 3 / 2), 4), 4 * here + 4);
  }
  const grown = (counts, step) => {
    const here = Math.max(...counts.filter((_, group) => twin.grows[group]));
    return counts.map((each, group) => (twin.grows[group] ? Math.floor(each * step / here) : each));
  };
  const sumOf = (counts) => counts.reduce((all, each) => all + each, 0);

  function demandChart(results, here) {
    const most = stepsMost(here.counts, here.max), steps = model.steps;
    const counts = Array.from({ length: steps + 1 }, (_, at) => grown(here.counts, Math.floor(most * at / steps)));
    const ends = results.filter((result) => ["memory", "cgroup"].includes(result.limitedBy));
    return {
      ...drawn.demand, x: { ...drawn.demand.x, values: counts.map(sumOf) }, series: byKind(counts.map((list) => here.linesAt(list).lines)),
      marks: [
        { axis: "y", at: Number(here.capacity), label: usable(here.boundary), tone: "capacity" },
        { axis: "x", at: here.processes, label: "as set", tone: "muted" },
        ...[...new Set(ends.map((result) => result.max))].sort((left, right) => left - right).map((most) => {
          const those = ends.filter((result) => result.max === most);
          return {
            axis: "x", at: most, label: `${those.map(labelled).join(", ")}: OOM after ${count(most)}`,
            tone: those.some((result) => result.deployable) ? "oom" : "muted",
          };
        }),
      ],
      alt: `At ${count(here.processes)} processes the demand is ${size(here.demand)} of ${size(here.capacity)} ${usable(here.boundary)}. `
        + `${ends.map((result) => `${result.policy}: out of memory after ${count(result.max)}`).join("; ") || "No limit"}.`,
    };
  }
  function riskChart(now, here) {
    const most = stepsMost(here.counts, here.max);
    const steps = [...new Set(Array.from({ length: model.cells }, (_, at) => Math.floor(most * (at + 1) / model.cells)))];
    const rows = steps.map((step) => grown(here.counts, step));
    const columns = drawn.risk.x.values.map((each) => {
      const there = twin.policy(subject, { ...now, size: model.sizes.findIndex((stop) => stop.size === each) });
      return rows.map((counts) => there.levelAt(counts));
    });
    const cells = columns.flat();
    return {
      ...drawn.risk, series: rows.map((counts, row) => ({ name: count(sumOf(counts)), tone: "muted", values: columns.map((column) => column[row]) })),
      alt: `Of ${cells.length} combinations, ${cells.filter((level) => level === 3).length} run out of memory and ${cells.filter((level) => level === 0).length} are ok.`,
    };
  }

  let pending = 0;
  function charts(now, results) {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => {
      const known = results.filter((result) => result);
      if (known.length) {
        ptcalc.draw(policiesChart(known));
        ptcalc.draw(tablesChart(known));
      }
      const here = results[subject], grows = here && twin.grows.some((grow, group) => grow && here.counts[group]);
      if (drawn.demand && grows) ptcalc.draw(demandChart(known, here));
      if (drawn.risk && grows) ptcalc.draw(riskChart(now, here));
    });
  }

  function outputs(now) {
    find("out-size").textContent = input("size").ariaValueText = size(model.sizes[now.size].size);
    find("out-memory").textContent = input("memory").ariaValueText = size(model.memories[now.memory].memory);
    if (now.cgroup !== null) find("out-cgroup").textContent = input("cgroup").ariaValueText = size(now.cgroup);
    const spread = `one page in ${size(twin.stepOf(now.share) * model.page)}`;
    const said = { written: "as described", all: "all", run: `${(now.share / 10).toFixed(1)} %`, spread }[now.touch];
    find("out-share").textContent = input("share").ariaValueText = said;
    const able = computable(now), free = now.touch === "run" || now.touch === "spread";
    input("share").disabled = !free;
    for (const name of ["processes", "processes-number", "size", "memory", "cgroup"]) if (input(name)) input(name).disabled = !able;
    find("live-random").hidden = able;
  }

  function show() {
    const now = setting();
    outputs(now);
    if (!computable(now)) return;
    const results = policies.map((number) => twin.policy(number, now)), here = results[subject];
    const verdict = find("live-answer");
    verdict.textContent = here ? headline(here) : `${model.policies[subject].name}: ${model.policies[subject].why}.`;
    verdict.className = `live ${here && here.deployable ? here.level : ""}`;
    find("live-advice").textContent = advice(results);
    table(results);
    charts(now, results);
  }

  function set(values) {
    if (top) input("processes").value = input("processes-number").value = values.step;
    input("size").value = values.size;
    input("touch").value = values.touch;
    input("share").value = values.share;
    input("memory").value = values.memory;
    if (model.cgroup !== null) input("cgroup").value = values.cgroup;
  }
  function restore() {
    set(initial);
    outputs(setting());
    find("live-answer").textContent = model.written.answer;
    find("live-answer").className = model.written.tone;
    find("live-advice").textContent = "";
    cancelAnimationFrame(pending);
    for (const chart of Object.values(drawn)) ptcalc.draw(chart);
    for (const number of policies) {
      for (const [name, text, value, tone] of model.written.rows[number]) fill(find(`policy-${number}`), name, text, value, name === "risk" ? tone : undefined);
    }
  }

  if (top) {
    const range = input("processes"), typed = input("processes-number");
    range.addEventListener("input", () => { typed.value = range.value; show(); });
    typed.addEventListener("input", () => {
      const many = Math.floor(Number(typed.value));
      if (!(many >= 1 && many <= Number(typed.max))) return;
      range.max = Math.max(Number(range.max), many);
      range.value = many;
      show();
    });
  }
  for (const name of ["size", "touch", "share", "memory", "cgroup"]) input(name)?.addEventListener("input", show);
  find("live-reset").addEventListener("click", restore);
  set(initial);
  outputs(setting());
  find("live").hidden = false;
})();
