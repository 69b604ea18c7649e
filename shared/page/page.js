"use strict";
// What a page does: it shows the state at a step. Everything is computed already; all text goes in as text, never as
// markup. A step is a number; `state` says what is known at it, `show` puts that into the document.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const root = document.documentElement;
  const count = data.steps.length;
  const varying = new Set(data.varies);
  const grouped = (number) => Math.round(number).toLocaleString("en-US");
  let mode = "reverse";
  let at = 0;
  let digits = false;
  let view = Object.keys(data.views).length ? all(".view")[0].dataset.view : "all";

  // --- positions ----------------------------------------------------------------------------------------------------

  // Forwards, each pass has a position for its seed and one for every step; in reverse there are the inputs, the steps
  // up, the seed of the output, and the steps down.
  const last = () => (mode === "forward" ? data.passes.length * (count + 1) - 1 : 2 * count + 1);

  function state() {
    if (mode === "forward") {
      const pass = Math.floor(at / (count + 1));
      return { pass, done: at % (count + 1), now: (at % (count + 1)) - 1, falling: false, back: 0 };
    }
    if (at <= count) return { pass: 0, done: at, now: at - 1, falling: false, back: 0 };
    const back = at - count - 1;
    return { pass: 0, done: count, now: back ? data.back[back - 1].e : -1, falling: true, back };
  }

  // The adjoints after so many steps back, and of each the contributions that have been added.
  function adjoints(s) {
    const found = {};
    const terms = {};
    if (!s.falling) return { found, terms, given: new Set() };
    for (const [k, datum] of Object.entries(data.seeds)) {
      found[k] = datum;
      terms[k] = [datum];
    }
    let given = new Set(s.back ? [] : Object.keys(data.seeds).map(Number));
    for (let j = 0; j < s.back; j++) {
      given = new Set();
      for (const [k, part, total, , whole] of data.back[j].add) {
        (terms[k] ||= []).push(whole ? part : null);
        found[k] = total;
        given.add(k);
      }
    }
    return { found, terms, given };
  }

  // --- sentences ----------------------------------------------------------------------------------------------------

  const shown = (datum) => (datum ? (datum[2] ? datum[1] : datum[0]) : "");

  function sentence(s) {
    const names = data.names;
    if (mode === "forward") {
      const pass = data.passes[s.pass];
      if (!pass) return ["Nothing varies."];
      if (s.now < 0) return [["Pass " + (s.pass + 1) + " of " + grouped(data.n) + "."],
        " The tangent of " + pass.seed + " is 1, those of the other inputs are 0: the question is how everything changes with " + pass.seed + "."];
      const step = data.steps[s.now];
      const value = shown(data.values[step.k]);
      if (!step.tan) return [[step.text], " = " + value + ". It does not vary: no tangent."];
      return [[step.text], " = " + value + "; ", [step.tan], " = " + shown(pass.t[step.k] || ["0"]) + ". ", ...gate(step, 2)];
    }
    if (!s.falling) {
      if (s.now < 0) return ["The inputs. First the values, in the order of the program; they are kept for the way back."];
      const step = data.steps[s.now];
      return [[step.text], " = " + shown(data.values[step.k]) + ", kept for the way back."];
    }
    if (!s.back) {
      const seeds = Object.entries(data.seeds).map(([k, d]) => names[k][2] + " = " + shown(d));
      return ["Now backwards. The sweep begins at the output: ", [seeds.join(", ")], "."];
    }
    const move = data.back[s.back - 1];
    const step = data.steps[move.e];
    if (!move.add.length) return [[step.text], ": no adjoint, adds nothing."];
    const adds = move.add.map(([k, part, total, formula]) => {
      const more = (adjoints(s).terms[k] || []).length > 1;
      return formula + " = " + shown(part) + " to " + names[k][0] + (more ? ", which then has " + shown(total) : "");
    });
    return [[step.text], ": adjoint " + shown(move.a) + " adds " + adds.join(" and ") + ". ", ...gate(step, 1)];
  }

  function gate(step, direction) {
    if (!step.gate) return [];
    const name = step.what;
    return direction === 1 ? [[name + " " + step.gate[0]], ": " + step.gate[1] + "."] : [name + ": " + step.gate[2] + "."];
  }

  function say(element, parts) {
    element.replaceChildren(...parts.map((part) => {
      if (!Array.isArray(part)) return document.createTextNode(part);
      const strong = document.createElement("b");
      strong.textContent = part[0];
      return strong;
    }));
  }

  // --- counters -----------------------------------------------------------------------------------------------------

  const sums = (list) => list.reduce((found, x) => (found.push(found[found.length - 1] + x), found), [0]);
  const up = sums(data.costs.value);
  const dual = sums(data.costs.value.map((x, k) => x + data.costs.tangent[k]));

  function operations(s) {
    if (mode === "forward") return s.pass * dual[count] + dual[s.done];
    let total = up[s.done];
    for (let j = 0; j < s.back; j++) total += data.costs.adjoint[data.back[j].e];
    return total;
  }

  function bytes(s) {
    if (mode === "forward") return s.done ? data.costs.forward[s.done - 1] : 0;
    if (!s.falling) return s.done ? data.costs.up[s.done - 1] : 0;
    return s.back ? data.costs.down[data.back[s.back - 1].e] : data.costs.up[count - 1] || 0;
  }

  // --- showing ------------------------------------------------------------------------------------------------------

  const rows = new Map(all("tr[data-v]").map((row) => [row.dataset.v, row]));
  const sourceLines = all("li[data-line]");
  const parts = {};
  for (const element of all(".view")) {
    const found = { nodes: all("g.node[data-v]", element), edges: all("path.edge", element), element };
    (parts[element.dataset.view] ||= []).push(found);
  }

  function put(element, text) {
    if (!element || element.textContent === text) return;
    element.textContent = text;
    element.removeAttribute("textLength");
  }

  function cell(element, datum, terms) {
    let text = datum ? (digits || datum[2] ? datum[1] : datum[0]) : "";
    const numbers = terms && terms.every((t) => t && !t[2]);
    if (text && numbers && terms.length > 1) {
      text = terms.map((t) => (digits ? t[1] : t[0])).reduce((sum, t) => sum + (t[0] === "−" ? " − " + t.slice(1) : " + " + t)) + " = " + text;
    }
    if (element.dataset.told === text + (datum && datum[2] ? datum[2] : "")) return;
    element.dataset.told = text + (datum && datum[2] ? datum[2] : "");
    element.textContent = text;
    if (datum && datum[2]) element.append(heat(datum[2]));
  }

  // A small heat map: orange is negative, blue positive, as strong as the number is large; a cross is no number.
  function heat(code) {
    const [columns, cells] = code.split(" ");
    const wide = Number(columns);
    const size = 7;
    const svg = make("svg", { width: wide * size, height: (cells.length / wide) * size, role: "img", "aria-label": "heat map" });
    [...cells].forEach((letter, place) => {
      const level = letter === "z" ? 0 : (letter.charCodeAt(0) - 109) / 12;
      const [x, y] = [(place % wide) * size, Math.floor(place / wide) * size];
      svg.append(make("rect", {
        x, y, width: size, height: size, "fill-opacity": Math.abs(level).toFixed(2),
        class: level < 0 ? "cell-negative" : "cell-positive",
      }));
      if (letter === "z") svg.append(make("path", { d: `M${x} ${y}l${size} ${size}m0 -${size}l-${size} ${size}`, stroke: "currentColor" }));
    });
    return svg;
  }

  function make(tag, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  function show() {
    const s = state();
    const step = s.now < 0 ? null : data.steps[s.now];
    const { found, terms, given } = adjoints(s);
    const tangents = mode === "forward" && data.passes[s.pass] ? data.passes[s.pass].t : {};
    const known = new Set(data.inputs);
    data.steps.slice(0, s.done).forEach((one) => known.add(one.k));
    const other = (k) => (!known.has(k) ? null : mode === "forward" ? tangents[k] : found[k]);
    root.className = mode + (s.falling ? " falling" : "");
    for (const name of ["forward", "reverse"]) $("mode-" + name).setAttribute("aria-checked", String(mode === name));
    const slider = $("step");
    slider.max = last();
    slider.value = at;
    const told = mode === "forward"
      ? `pass ${s.pass + 1} of ${grouped(data.n)}, step ${s.done} of ${count}`
      : s.falling ? `back: step ${s.back} of ${count}` : `values: step ${s.done} of ${count}`;
    slider.setAttribute("aria-valuetext", told);
    $("where").textContent = told;
    say($("sentence"), sentence(s));
    $("operations").textContent = grouped(operations(s));
    $("bytes").textContent = grouped(bytes(s));
    $("now-value").textContent = step ? data.values[step.k][1] : "–";
    $("now-name").textContent = (mode === "forward" ? "tangent" : "adjoint") + " at this step";
    const at_now = step ? (mode === "forward" ? tangents[step.k] : s.falling ? data.back[s.back - 1].a : null) : null;
    $("now-other").textContent = at_now ? at_now[1] : "–";
    table(s, step, known, other, terms, given);
    graph(s, step, known, other, given);
    for (const line of sourceLines) {
      const now = step !== null && line.dataset.line === step.at;
      if (now && !line.classList.contains("now")) near(line.closest(".scroll"), line);
      line.classList.toggle("now", now);
    }
    race(operations(s));
  }

  // Bring an element into the view of what scrolls it, and of nothing else: the page itself stays where it is.
  function near(scroller, element) {
    if (!scroller || scroller.scrollHeight <= scroller.clientHeight) return;
    const [a, b] = [scroller.getBoundingClientRect(), element.getBoundingClientRect()];
    if (b.top < a.top || b.bottom > a.bottom) scroller.scrollTop += b.top - a.top - a.height / 2;
  }

  function table(s, step, known, other, terms, given) {
    for (const [key, row] of rows) {
      const k = row.dataset.out === undefined ? Number(key) : Number(row.dataset.out);
      const isOutput = row.dataset.out !== undefined;
      const cells = row.children;
      cell(cells[1], known.has(k) ? data.values[k] : null);
      cell(cells[3], mode === "forward" ? other(k) : null);
      cell(cells[5], mode === "reverse" ? (isOutput ? (s.falling ? data.seeds[k] : null) : other(k)) : null, isOutput ? null : terms[k]);
      const isNow = step !== null && !isOutput && step.k === k;
      if (isNow && !row.classList.contains("now")) near(row.closest(".scroll"), row);
      row.classList.toggle("now", isNow);
      row.classList.toggle("given", given.has(k));
    }
    for (const body of all("tbody.folding")) {
      const inside = step !== null && Number(body.dataset.item) === step.item && body.querySelector("tr.now:not(.item)");
      body.querySelector("tr.item").classList.toggle("now", Boolean(inside) && body.classList.contains("closed"));
    }
  }

  function graph(s, step, known, other, given) {
    const folded = data.views[view] || {};
    const stands = (k) => (folded[k] === undefined ? k : folded[k]);
    const now = step === null ? null : String(stands(step.k));
    const back = s.falling && s.back ? new Set(data.back[s.back - 1].add.map(([k]) => String(stands(k)))) : null;
    for (const { nodes, edges } of parts[view] || []) {
      for (const node of nodes) {
        const k = Number(node.dataset.v);
        if (!Number.isNaN(k)) {
          put(node.querySelector(".told.above"), known.has(k) ? data.values[k][0] : "");
          const below = other(k);
          put(node.querySelector(".told.below"), below ? below[0] : "");
          node.classList.toggle("ahead", !known.has(k));
          node.classList.toggle("given", given.has(k));
        }
        const isNow = node.dataset.v === now;
        if (isNow && !node.classList.contains("now") && !node.classList.contains("connector")) near($("views"), node);
        node.classList.toggle("now", isNow);
      }
      for (const edge of edges) {
        const into = edge.dataset.to === now && now !== null;
        edge.classList.toggle("now", into && (!s.falling || back.has(edge.dataset.v)));
      }
    }
  }

  // --- the race -----------------------------------------------------------------------------------------------------

  const [one, forward, reverse] = data.race;
  const sizes = Array.from({ length: 61 }, (_, k) => Math.round(10 ** (k / 10)));

  function race(spent) {
    const n = Number($("race-n").value) ? sizes[Number($("race-n").value)] : data.n;
    const lanes = [
      ["forward", "forward-lane", n * forward, `${grouped(n)} pass${n === 1 ? "" : "es"}`],
      ["reverse", "reverse-lane", reverse, "one sweep"],
      ["differences", "difference-lane", (n + 1) * one, `${grouped(n + 1)} runs`],
    ];
    const most = Math.max(...lanes.map((lane) => lane[2]), 1);
    const holder = $("race");
    if (!holder.children.length) {
      for (const [name, style] of lanes) {
        const lane = document.createElement("div");
        lane.className = "lane " + style;
        const [title, track, bar, told] = ["b", "div", "i", "span"].map((tag) => document.createElement(tag));
        title.textContent = name;
        track.className = "track";
        track.append(bar);
        lane.append(title, track, told);
        holder.append(lane);
      }
    }
    lanes.forEach(([, , total, told], place) => {
      const lane = holder.children[place];
      const done = Math.min(spent, total);
      lane.querySelector(".track").style.width = Math.max(0.6, (100 * total) / most) + "%";
      lane.querySelector("i").style.width = (total ? (100 * done) / total : 100) + "%";
      const evaluations = one ? ` = ${total / one < 100 ? (total / one).toFixed(1) : grouped(total / one)} evaluations` : "";
      const state = done >= total ? ", done" : `, ${Math.floor((100 * done) / total)}\u00a0%`;
      lane.querySelector("span").textContent = `${told}: ${grouped(total)} operations${evaluations}${state}`;
    });
    $("race-count").textContent = Number($("race-n").value) ? grouped(n) : `${grouped(n)} (this program)`;
    $("race-note").textContent = Number($("race-n").value)
      ? "From the counts of this program: one pass, one sweep and one run cost as many evaluations at any number of inputs."
      : "";
  }

  // --- orders of elimination ----------------------------------------------------------------------------------------

  function orders() {
    const names = Object.keys(data.orders);
    if (!names.length) return;
    let chosen = names[0];
    const slider = $("order-step");
    const draw = () => {
      const stages = data.orders[chosen];
      slider.max = stages.length - 1;
      const stage = Math.min(Number(slider.value), stages.length - 1);
      for (const element of all(".stage")) element.hidden = element.dataset.order !== chosen || Number(element.dataset.stage) !== stage;
      const [gone, multiplications] = stages[stage];
      $("order-where").textContent = stage
        ? `${gone} is gone (${stage} of ${stages.length - 1}); ${multiplications} multiplication${multiplications === 1 ? "" : "s"}`
        : `${stages.length - 1} vertices to eliminate`;
    };
    radios("order-tabs", (button) => { chosen = button.dataset.order; draw(); });
    slider.addEventListener("input", draw);
    draw();
  }

  // --- the chain of Jacobians ---------------------------------------------------------------------------------------

  function chain() {
    if (!data.chain.length) return;
    let end = "loss";
    const slider = $("chain-step");
    const widths = () => {
      const units = Number($("chain-n").value) ? 2 ** Number($("chain-n").value) : 0;
      return data.chain.map((n, k) => (units && k && k < data.chain.length - 1 ? units : n));
    };
    // The factors from the loss to the input: 1 x n_L, then n_l x n_(l-1); and what the products take from either end.
    const factors = (sizes) => [[1, sizes[sizes.length - 1]], ...sizes.slice(1).map((n, k) => [n, sizes[k]]).reverse()];
    function multiplied(sizes, from, steps) {
      const list = factors(sizes);
      let total = 0;
      for (let j = 0; j < steps; j++) {
        const [a, b] = from === "loss" ? [list[0], list[1]] : [list[list.length - 2], list[list.length - 1]];
        total += a[0] * a[1] * b[1];
        list.splice(from === "loss" ? 0 : list.length - 2, 2, [a[0], b[1]]);
      }
      return { list, total };
    }
    function draw() {
      const sizes = widths();
      const products = sizes.length - 1;
      slider.max = products;
      const step = Math.min(Number(slider.value), products);
      const { list, total } = multiplied(sizes, end, step);
      const both = ["loss", "input"].map((from) => multiplied(sizes, from, products).total);
      const units = Number($("chain-n").value);
      $("chain-count").textContent = units ? grouped(2 ** units) : "their own numbers of";
      $("chain-where").textContent = `${step} of ${products} products; ${grouped(total)} multiplications`;
      $("chain-note").textContent = `All products: ${grouped(both[0])} multiplications from the loss, ${grouped(both[1])} from the input, ${(both[1] / both[0]).toFixed(1)} times as many.`;
      blocks(list, Math.max(...sizes));
    }
    function blocks(list, most) {
      const scale = (n) => 10 + 70 * Math.sqrt(n / most);
      const high = Math.max(...list.map(([rows]) => scale(rows)));
      let x = 4;
      const svg = make("svg", { height: high + 30 });
      // Of a long chain its ends are what changes.
      const middle = list.length > 12 ? list.length - 12 : 0;
      list.forEach(([rows, columns], place) => {
        if (middle && place >= 6 && place < 6 + middle) {
          if (place > 6) return;
          const more = make("text", { x: x + 36, y: 8 + high / 2, "text-anchor": "middle", class: "small" });
          more.textContent = `${middle} more ·`;
          svg.append(more);
          x += 84;
          return;
        }
        const [width, height] = [scale(columns), scale(rows)];
        const label = `${rows}×${columns}`;
        const slot = Math.max(width, label.length * 7);
        svg.append(make("rect", { x: x + (slot - width) / 2, y: 4 + (high - height) / 2, width, height, class: "box" }));
        const text = make("text", { x: x + slot / 2, y: high + 22, "text-anchor": "middle", class: "small" });
        text.textContent = label;
        svg.append(text);
        x += slot + 10;
        if (place < list.length - 1) {
          const sign = make("text", { x: x - 1, y: 8 + high / 2, "text-anchor": "middle" });
          sign.textContent = "·";
          svg.append(sign);
          x += 8;
        }
      });
      svg.setAttribute("width", x);
      $("blocks").replaceChildren(svg);
    }
    radios("chain-tabs", (button) => { end = button.dataset.end; draw(); });
    slider.addEventListener("input", draw);
    $("chain-n").addEventListener("input", draw);
    draw();
  }

  // --- what the user does -------------------------------------------------------------------------------------------

  function radios(id, choose) {
    const buttons = all("[role=radio]", $(id));
    buttons.forEach((button, place) => {
      const pick = (chosen) => {
        buttons.forEach((b) => { b.setAttribute("aria-checked", String(b === chosen)); b.tabIndex = b === chosen ? 0 : -1; });
        choose(chosen);
      };
      button.tabIndex = button.getAttribute("aria-checked") === "true" ? 0 : -1;
      button.addEventListener("click", () => pick(button));
      button.addEventListener("keydown", (event) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!by) return;
        const next = buttons[(place + by + buttons.length) % buttons.length];
        next.focus();
        pick(next);
        event.preventDefault();
        event.stopPropagation();
      });
    });
  }

  function go(position) {
    at = Math.max(0, Math.min(last(), position));
    show();
  }

  function choose(name) {
    if (mode === name) return;
    mode = name;
    at = 0;
    show();
  }

  function page(by) {
    const size = count + 1;
    go(by > 0 ? (Math.floor(at / size) + 1) * size : (Math.ceil(at / size) - 1) * size);
  }

  function open(name) {
    if (data.views[name] === undefined) return;
    view = name;
    for (const element of all(".view")) element.hidden = element.dataset.view !== name;
    for (const button of all("button.fold")) button.setAttribute("aria-pressed", String(button.dataset.view === name));
    for (const body of all("tbody.folding")) fold(body, name !== "all" && body.dataset.item !== name);
    show();
  }

  function fold(body, closed) {
    body.classList.toggle("closed", closed);
    body.querySelector("button").setAttribute("aria-expanded", String(!closed));
  }

  let timer = 0;
  function play() {
    const playing = !timer;
    clearInterval(timer);
    timer = 0;
    if (playing) {
      if (at === last()) go(0);
      timer = setInterval(() => (at === last() ? play() : go(at + 1)), 900);
    }
    $("play").setAttribute("aria-pressed", String(playing));
    $("play").textContent = playing ? "❚❚" : "▶▶";
    $("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  $("step").addEventListener("input", () => go(Number($("step").value)));
  $("first").addEventListener("click", () => go(0));
  $("last").addEventListener("click", () => go(last()));
  $("next").addEventListener("click", () => go(at + 1));
  $("back").addEventListener("click", () => go(at - 1));
  $("play").addEventListener("click", play);
  $("mode-forward").addEventListener("click", () => choose("forward"));
  $("mode-reverse").addEventListener("click", () => choose("reverse"));
  $("digits").addEventListener("change", () => { digits = $("digits").checked; show(); });
  $("race-n").addEventListener("input", show);
  for (const button of all("button.fold")) button.addEventListener("click", () => open(button.dataset.view));
  for (const body of all("tbody.folding")) {
    body.querySelector("button").addEventListener("click", () => { fold(body, !body.classList.contains("closed")); show(); });
  }
  for (const box of all("g.layer[data-g]")) {
    box.setAttribute("tabindex", "0");
    box.setAttribute("role", "button");
    box.addEventListener("click", () => open(box.dataset.g));
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      open(box.dataset.g);
      event.preventDefault();
    });
  }
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.matches && target.matches("input[type=range]:not(#step)")) return;
    if (event.key === " " && target.matches && target.matches("button, input, summary")) return;
    const does = {
      ArrowRight: () => go(at + 1), ArrowLeft: () => go(at - 1), Home: () => go(0), End: () => go(last()),
      PageDown: () => page(1), PageUp: () => page(-1), f: () => choose("forward"), r: () => choose("reverse"), " ": play,
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!does) return;
    event.preventDefault();
    does();
  });
  // The modes are two radio buttons, whose arrows are the steps': Tab goes from one to the other.
  orders();
  chain();
  open(view);
})();
