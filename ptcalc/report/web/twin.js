"use strict";
// The twin of the engine for exact touches: whole numbers throughout (Number below 2^53 for addresses and tables of one
// process, BigInt for what is multiplied). ptcalc/charting/live.py makes what it computes from and says what it means.
const ptcalcTwin = (model) => {
  const groups = model.groups.length, levels = model.levels;
  const grows = model.groups.map((group) => group.grows);
  const written = model.groups.map((group) => group.count);
  const LEVELS = ["ok", "warning", "critical", "oom"];
  const mod = (value, by) => ((value % by) + by) % by;
  const over = (value, by) => -Math.floor(-value / by); // rounded up
  const bigOver = (value, by) => -(-value / by) + (value % by > 0n && value > 0n ? 1n : 0n);
  const least = (left, right) => (left < right ? left : right);
  const most = (left, right) => (left > right ? left : right);
  const sum = (values, zero = 0n) => values.reduce((total, value) => total + value, zero);

  const unpacked = (packed) => packed.flatMap(([many, first, step]) =>
    Array.from({ length: many }, (_, at) => at ? first.map((value, column) => value + at * step[column]) : first));
  const known = new Map();
  const rowsOf = (packed) => {
    if (!known.has(packed)) known.set(packed, unpacked(packed));
    return known.get(packed);
  };

  // What one process touches of a mapping: [first byte, end, step or 0] in its segment (ptcalc/layout/touch.py).
  function runs(number, setting) {
    const [offset, length, asWritten] = model.sizes[setting.size].touch[number];
    if (!model.mappings[number].moved || setting.touch === "written") return asWritten;
    if (setting.touch === "all") return [[offset, offset + length, 0]];
    if (setting.touch === "run") {
      const amount = Number(bigOver(BigInt(setting.share) * BigInt(length), 1000n));
      const pages = Math.min(over(amount, model.page), over(length, model.page));
      return pages ? [[offset, Math.min(offset + length, offset + pages * model.page), 0]] : [];
    }
    const step = stepOf(setting.share) * model.page;
    return [[offset, offset + length, step > model.page ? step : 0]];
  }
  // Pages from one that is touched to the next, for a share in thousandths.
  const stepOf = (share) => Math.min(Math.floor((2000 + share) / (2 * share)), model.step_most);

  // A run cut along a row: [first byte touched, last byte touched, step], as addresses.
  function cut([lo, hi, step], delta, low, high) {
    let first = Math.max(lo, low);
    const end = Math.min(hi, high);
    if (step) first += mod(-(first - lo), step);
    if (first >= end) return null;
    const last = step ? first + Math.floor((end - 1 - first) / step) * step : end - 1;
    return [first + delta, last + delta, step];
  }

  // How many whole numbers are in the union of intervals [low, high).
  function union(intervals) {
    intervals.sort((left, right) => left[0] - right[0]);
    let total = 0, reach = -Infinity;
    for (const [low, high] of intervals) {
      if (high > reach) { total += high - Math.max(low, reach); reach = high; }
    }
    return total;
  }

  // Tables of one level: {own: [tables of one process of each group], shared: (active groups) => tables}.
  function tables(stop, setting) {
    const own = levels.map(() => new Map()), common = levels.map(() => new Map());
    const add = (level, scope, group, low, high) => {
      if (low >= high) return;
      const into = scope < groups ? own[level] : common[level];
      if (!into.has(scope)) into.set(scope, []);
      into.get(scope).push([low, high, group]);
    };
    const touched = model.mappings.map((_, number) => runs(number, setting));
    for (const [mapping, home, leaf, delta, low, high, huge, ...bounds] of rowsOf(stop.rows)) {
      const group = model.mappings[mapping].group;
      for (const run of touched[mapping]) {
        const part = cut(run, delta, low, high);
        if (!part) continue;
        for (let level = leaf; level < levels.length; level += 1) {
          const span = levels[level].span;
          const from = Math.max(Math.floor(part[0] / span), levels[level].from), to = Math.floor(part[1] / span) + 1;
          const at = stop.placed.indexOf(level);
          if (at < 0) { add(level, home, group, from, to); continue; }
          // Whole tables inside the VMA live where the policy says; those at its ends are the process's own.
          const [first, last, scope, shift] = bounds.slice(4 * at, 4 * at + 4);
          add(level, home, group, from, Math.min(to, first));
          add(level, home, group, Math.max(from, last), to);
          if (!(level === 0 && huge)) add(level, scope, group, Math.max(from, first) - shift, Math.min(to, last) - shift);
        }
      }
    }
    const fixed = (level, group) => sum(stop.fixed.filter(([at]) => at === level).map(([, mine]) => mine[group]), 0);
    const fixedCommon = (level) => sum(stop.fixed.filter(([at]) => at === level).map(([, , theirs]) => theirs), 0);
    const memo = new Map();
    return {
      own: levels.map((_, level) => model.groups.map((_, group) => union(own[level].get(group) ?? []) + fixed(level, group))),
      shared: (counts) => {
        const active = counts.map((count) => (count > 0 ? 1 : 0)), key = active.join("");
        if (!memo.has(key)) {
          memo.set(key, levels.map((_, level) => fixedCommon(level) +
            sum([...common[level].values()].map((list) => union(list.filter(([, , group]) => active[group]))), 0)));
        }
        return memo.get(key);
      },
    };
  }

  // Leaves of `leaf` bytes that are touched: the union of intervals, and of steps that lie further apart than a leaf.
  function pages(parts, leaf) {
    const dense = parts.filter(([, , step]) => step <= leaf).map(([first, last]) => [Math.floor(first / leaf), Math.floor(last / leaf) + 1]);
    let total = union(dense);
    const merged = [];
    for (const [low, high] of dense) { // sorted by `union`
      if (merged.length && low <= merged.at(-1)[1]) merged.at(-1)[1] = Math.max(merged.at(-1)[1], high);
      else merged.push([low, high]);
    }
    const phases = new Map();
    for (const [first, last, step] of parts.filter(([, , step]) => step > leaf)) {
      const key = `${step} ${mod(first, step)}`;
      if (!phases.has(key)) phases.set(key, { step, phase: mod(first, step), list: [] });
      phases.get(key).list.push([Math.floor(first / step), Math.floor(last / step) + 1]);
    }
    for (const { step, phase, list } of phases.values()) {
      total += union(list);
      for (const [low, high] of merged) { // steps that meet what is counted already
        const inside = list.flatMap(([from, to]) => {
          const start = Math.max(from, over(low * leaf - phase, step)), end = Math.min(to, over(high * leaf - phase, step));
          return start < end ? [[start, end]] : [];
        });
        total -= union(inside);
      }
    }
    return total;
  }
  // Parts of the rows [mapping, delta, low, high, ...] that are touched, by group.
  const partsOf = (packed, setting) => rowsOf(packed).flatMap(([mapping, delta, low, high, ...chunks]) =>
    runs(mapping, setting).flatMap((run) => {
      const part = cut(run, delta, low, high);
      return part ? [{ group: model.mappings[mapping].group, part, chunks }] : [];
    }));
  // Bytes that one process of each group copies: huge pages in the chunks first <= chunk < last, and leaves elsewhere.
  function copies(counted, setting, thp) {
    const parts = partsOf(counted.rows, setting);
    return model.groups.map((_, group) => {
      const small = [], huge = [];
      for (const { part: [from, to, step], chunks: [first, last] } of parts.filter((each) => each.group === group)) {
        huge.push([Math.max(Math.floor(from / thp), first), Math.min(Math.floor(to / thp) + 1, last)]);
        const edges = first < last ? [[-Infinity, first * thp], [last * thp, Infinity]] : [[-Infinity, Infinity]];
        small.push(...edges.map(([low, high]) => cut([from, to + 1, step], 0, low, high)).filter((each) => each));
      }
      const chunks = union(huge.filter(([low, high]) => low < high));
      return BigInt(pages(small, counted.leaf) * counted.leaf + chunks * thp);
    });
  }
  // Bytes that are touched by any process of the groups that have one.
  function resident(counted, setting) {
    const parts = partsOf(counted.rows, setting), memo = new Map();
    return (counts) => {
      const key = counts.map((count) => (count > 0 ? 1 : 0)).join("");
      if (!memo.has(key)) {
        memo.set(key, BigInt(pages(parts.filter((each) => counts[each.group] > 0).map((each) => each.part), counted.leaf) * counted.leaf));
      }
      return memo.get(key);
    };
  }

  // Nodes of the xarray that index so many folios of 2^order pages (ptcalc/risk/ledger.py:index_nodes).
  function nodes(folios, order) {
    let slots = bigOver(folios << BigInt(order), 1n << BigInt(6 * Math.floor(order / 6))), total = 0n;
    while (slots > 0n) {
      slots = bigOver(slots, 64n);
      total += slots;
      if (slots <= 1n) break;
    }
    return total;
  }

  const times = (counts, rates) => sum(rates.map((rate, group) => BigInt(counts[group]) * BigInt(rate)));

  // The ledger of a policy: (counts) => its lines {name, kind, bytes, swaps, cgroup}.
  function ledger(policy, setting) {
    const stop = policy.stops[setting.size], found = tables(stop, setting);
    const linear = (line) => (counts) => ({
      name: line.name, kind: line.kind, cgroup: line.cgroup, swaps: line.swaps,
      bytes: BigInt(line.const) + (line.capped
        ? sum(line.rates.map((rate, group) => {
          const all = BigInt(counts[group]) * BigInt(rate), cap = model.groups[group].cap;
          return cap === null ? all : least(all, BigInt(cap));
        }))
        : times(counts, line.rates)),
    });
    const allocations = (counts) => {
      const shared = found.shared(counts);
      return levels.map((level, at) => sum(found.own[at].map((own, group) =>
        BigInt(counts[group]) * BigInt(over(own + level.in_use, level.per) - (level.in_use > 0 ? 1 : 0)))) +
        BigInt(over(shared[at], level.per)));
    };
    const used = (counts, charged) => {
      const all = allocations(counts);
      return sum(levels.map((level, at) => level.charged === charged ? all[at] * BigInt(level.allocation) : 0n));
    };
    const tableLines = [true, false].filter((charged) => levels.some((level) => level.charged === charged)).map((charged) => (counts) => ({
      name: charged ? "page tables" : "page tables, in no cgroup", kind: "page_tables", cgroup: charged, swaps: false, bytes: used(counts, charged),
    }));
    const shares = stop.segments.map((segment) => segment.shared ? resident(segment.shared, setting) : () => BigInt(segment.const));
    const segmentLines = stop.segments.map((segment, at) => {
      const each = segment.rates ?? (segment.copies ? copies(segment.copies, setting, stop.thp[0]) : model.groups.map(() => 0));
      return (counts) => ({ name: segment.name, kind: "segment", cgroup: true, swaps: segment.swaps, bytes: shares[at](counts) + times(counts, each) });
    });
    const pools = stop.pools.map((pool) => {
      const rates = pool.copies.map((counted) => copies(counted, setting, stop.thp[0]));
      return { ...pool, needed: (counts) => BigInt(pool.need) + sum(rates.map((each) => times(counts, each))) };
    });
    const poolLines = pools.map((pool) => (counts) => ({
      name: pool.name, kind: "pool", cgroup: false, swaps: false, bytes: most(BigInt(pool.stated), pool.needed(counts)),
    }));
    const [thp, thpOrder] = stop.thp;
    const indexLine = (counts) => {
      const touched = stop.indexed.map(([segment, small, huge]) => {
        const leaf = BigInt(huge ? thp : model.page), cached = least(shares[segment](counts), bigOver(BigInt(small), leaf) * leaf);
        return huge ? nodes(cached / BigInt(thp), thpOrder) : nodes(cached / BigInt(model.page), 0);
      });
      const huge = pools.map((pool) => nodes(bigOver(pool.needed(counts), BigInt(pool.size)), pool.order));
      return { name: model.index.name, kind: "index", cgroup: true, swaps: false, bytes: (BigInt(stop.nodes) + sum(touched) + sum(huge)) * BigInt(model.index.node) };
    };
    const usedLine = () => ({ name: model.used, kind: "used", cgroup: false, swaps: false, bytes: BigInt(model.memories[setting.memory].used) });
    const lines = [...tableLines, ...segmentLines, ...poolLines, indexLine, ...model.lines.map(linear), ...stop.lines.map(linear), usedLine];
    return { found, used: (counts) => used(counts, true) + used(counts, false), lines: (counts) => lines.map((line) => line(counts)) };
  }

  const capacities = (setting) => [
    ["host", BigInt(model.memories[setting.memory].usable)],
    ...(setting.cgroup === null ? [] : [["cgroup", BigInt(setting.cgroup)]]),
  ];

  function demand(lines) {
    return {
      host: sum(lines.map((line) => line.bytes)),
      cgroup: sum(lines.map((line) => (line.cgroup ? line.bytes : 0n))),
      swappable: sum(lines.map((line) => (line.swaps ? line.bytes : 0n))),
    };
  }

  // How far a demand is from the end of a level on the tighter boundary (ptcalc/risk/levels.py:room), and which that is.
  function room(need, setting, accepted) {
    const swap = least(BigInt(model.swap), need.swappable);
    return capacities(setting).map(([name, capacity]) => {
      const free = capacity - need[name];
      if (accepted === "critical") return [free + swap, name];
      const [part, whole] = model.limits[accepted].map(BigInt);
      return [free * whole - capacity * part, name];
    }).reduce((tightest, each) => (each[0] < tightest[0] ? each : tightest));
  }
  const levelOf = (need, setting) => ["ok", "warning", "critical"].filter((accepted) => room(need, setting, accepted)[0] < 0n).length;

  // Counts where the growing groups have numerator / denominator of theirs; products of counts are below 2^53.
  const at = (counts, numerator, denominator) => counts.map((count, group) => grows[group] ? Math.floor(count * numerator / denominator) : count);
  const countsAt = (step) => {
    const top = Math.max(0, ...written.filter((_, group) => grows[group]));
    return top ? at(written, step, top) : [...written];
  };

  // The largest total count at a level, and what binds beyond it (ptcalc/risk/limits.py:largest).
  function largest(counts, fits) {
    const total = (list) => sum(list, 0);
    const verdict = (list) => total(list) > model.limits.pid_max ? "pid_max" : fits(list);
    const growing = counts.filter((count, group) => grows[group] && count);
    if (!growing.length) {
      const reason = verdict(counts);
      return reason ? [0, reason] : [total(counts), "fixed"];
    }
    const top = Math.max(...growing);
    const none = verdict(at(counts, 0, 1));
    let low = 0, high = model.limits.pid_max + 2; // low fits or is not tried, high does not
    while (high - low > 1) {
      const trial = Math.floor((low + high) / 2);
      if (verdict(at(counts, trial, top))) high = trial; else low = trial;
    }
    if (low === 0 && none) return [0, none];
    // Every other group steps at most once before the next step of the largest.
    const between = growing.map((count) => [Math.floor(count * low / top) + 1, count])
      .filter(([numerator, denominator]) => numerator * top < (low + 1) * denominator)
      .sort((left, right) => left[0] * right[1] - right[0] * left[1]);
    let best = [low, top], following = [low + 1, top];
    for (const step of between) {
      if (verdict(at(counts, ...step))) { following = step; break; }
      best = step;
    }
    return [total(at(counts, ...best)), verdict(at(counts, ...following))];
  }

  // Everything about one policy under a setting {step, size, touch, share, memory, cgroup}.
  function policy(number, setting) {
    const entry = model.policies[number];
    if (entry.why) return null;
    const book = ledger(entry, setting), counts = countsAt(setting.step), lines = book.lines(counts), need = demand(lines);
    const binds = { host: "memory", cgroup: "cgroup" };
    const search = (accepted) => largest(counts, (list) => {
      const [left, name] = room(demand(book.lines(list)), setting, accepted);
      return left < 0n ? binds[name] : "";
    });
    const [maximum, limitedBy] = search("critical"), [safe, safeLimitedBy] = search("ok");
    const [boundary, capacity] = capacities(setting).reduce((tightest, each) => (each[1] - need[each[0]] < tightest[1] - need[tightest[0]] ? each : tightest));
    const shared = book.found.shared(counts);
    return {
      policy: entry.name, deployable: entry.deployable, counts, processes: sum(counts, 0),
      tables: levels.map((level, place) => ({
        level: level.name, tables: sum(book.found.own[place].map((own, group) => BigInt(counts[group]) * BigInt(own))) + BigInt(shared[place]),
      })),
      used: book.used(counts), boundary, capacity, demand: need[boundary], headroom: capacity - need[boundary],
      level: entry.stops[setting.size].short ? "oom" : LEVELS[levelOf(need, setting)],
      safe, safeLimitedBy, max: maximum, limitedBy,
      lines: lines.filter((line) => boundary === "host" || line.cgroup),
      linesAt: (list) => {
        const all = book.lines(list), there = demand(all);
        const tighter = capacities(setting).reduce((tightest, each) => (each[1] - there[each[0]] < tightest[1] - there[tightest[0]] ? each : tightest));
        return { boundary: tighter[0], capacity: tighter[1], lines: all.filter((line) => tighter[0] === "host" || line.cgroup) };
      },
      levelAt: (list) => entry.stops[setting.size].short ? 3 : levelOf(demand(book.lines(list)), setting),
    };
  }

  return { policy, countsAt, stepOf, written, grows, LEVELS };
};
