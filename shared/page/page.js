"use strict";
// What a page does: it shows the state at a step. Everything is computed already; all text goes in as text, never as
// markup. A step is a number; `state` says what is known at it, `show` puts that into the document.
(() => {
  const { data, $, all, make, grouped, race, orders, chain } = costs;
  const root = document.documentElement;
  const count = data.steps.length;
  const varying = new Set(data.varies);
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

  // --- what the user does -------------------------------------------------------------------------------------------

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
    $("play").textContent = playing ? "❚❚" : "▶";
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
    if (event.key === " " && target.matches && target.matches("button, input:not(#step), summary")) return;
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
