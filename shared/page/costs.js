"use strict";
// What things cost: the race of the ways to a gradient, orders of elimination, and the chain of Jacobians. It knows
// nothing of the steps; the other script calls it. All text goes in as text, never as markup.
const costs = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const grouped = (number) => Math.round(number).toLocaleString("en-US");

  function make(tag, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
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

  return { data, $, all, make, grouped, race, orders, chain };
})();
