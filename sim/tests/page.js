// Runs a timeline's script without a browser: everything that it draws on takes whatever it gets.
// Of one event it makes an event of many facts, goes there, and prints what the panel shows.
"use strict";
const page = require("fs").readFileSync(process.argv[2], "utf8");
const data = JSON.parse(page.slice(page.indexOf('id="data">') + 10).split("</script>")[0]);
const script = page.slice(page.lastIndexOf('"use strict"')).split("</script>")[0];

class Node {
  constructor(tag) {
    Object.assign(this, { tag, kids: [], text: "", value: "", style: {}, dataset: {} });
    Object.assign(this, { clientWidth: 1200, clientHeight: 800 });
    this.classList = { add() {}, remove() {}, toggle() {} };
  }
  get textContent() { return this.text + this.kids.map((kid) => kid.textContent ?? kid).join(""); }
  set textContent(text) { this.text = String(text); this.kids = []; }
  append(...kids) { this.kids.push(...kids); }
  replaceChildren(...kids) { this.kids = kids; }
  getContext() {
    const take = () => ({ width: 9 });
    const set = (of, name, it) => { of[name] = it; return true; };
    return new Proxy({}, { get: (of, name) => of[name] ?? take, set });
  }
  addEventListener() {}
}

const known = {}, element = (id) => (known[id] ??= new Node(id));
const marksOf = (n) => data.marks.filter(([event]) => event === n);
const [event] = data.events.find(([n]) => marksOf(n).length === 1);
const [[, lane]] = marksOf(event);
const fact = (words, of) => [words, null, of, null];
const many = (name, of) => Array.from({ length: 100 }, (_, n) => fact(`${name} ${n}`, of));
data.events.find(([n]) => n === event)[4] =
  [...Array(5).fill(fact("again", lane)), ...many("own", lane), ...many("other", null)];
element("data").text = JSON.stringify(data);

const window = {};
const env = {
  window, Node, Option: Node, requestAnimationFrame: (draw) => draw(), devicePixelRatio: 1,
  document: {
    getElementById: element, createElement: (tag) => new Node(tag), addEventListener() {},
  },
  getComputedStyle: () => ({ getPropertyValue: () => "0" }),
  matchMedia: () => new Node(), ResizeObserver: class { observe() {} },
  setTimeout() {}, clearTimeout() {},
};
new Function(...Object.keys(env), script)(...Object.values(env));
window.timeline.go(event);
for (const part of element("details").kids) {
  const rows = `${part.kids.length} rows, first ${part.kids[0]?.textContent}`;
  console.log(`${part.tag}: ${part.tag === "ul" ? rows : part.textContent}`);
}
