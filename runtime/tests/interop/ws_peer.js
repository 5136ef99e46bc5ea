// One side of a WebSocket conversation, by Node's ws.
//
//     ws_peer.js server PORT               echoes, in fragments and with pings at times
//     ws_peer.js client URL COUNT [CA]     sends COUNT messages, checks the echoes, closes
'use strict';
const fs = require('fs');
const WebSocket = require('ws');

const WINDOW = 32;
const EDGES = [0, 1, 125, 126, 127, 128, 4096, 16384, 65535, 65536, 65537, 300000];
const BYTES = Buffer.from(Array.from({ length: 1 << 20 }, (_, at) => (at * 167 + (at >> 8)) & 255));
const TEXT = 'aé漢z'.repeat(80000);

// The same numbers in every run.
function draws(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * below);
  };
}

function message(number, draw) {
  let size = EDGES[number >> 1];
  if (size === undefined) {
    const kind = draw(100);
    size = draw(kind < 90 ? 1024 : kind < 99 ? 20000 : 300000);
  }
  const start = draw(1000);
  return number % 2 ? TEXT.slice(start, start + size) : BYTES.subarray(start, start + size);
}

function send(peer, whole, inFragments) {
  const binary = typeof whole !== 'string';
  if (!inFragments) return peer.send(whole, { binary });
  const bytes = Buffer.from(whole);
  const step = Math.floor(bytes.length / 3) + 1;
  for (let part = 0; part < 3; part++) {
    peer.send(bytes.subarray(part * step, (part + 1) * step), { binary, fin: part === 2 });
  }
}

function serve(port) {
  const server = new WebSocket.Server({ host: '127.0.0.1', port });
  server.on('connection', (peer) => {
    let number = 0;
    peer.on('error', () => peer.terminate());
    peer.on('message', (bytes, binary) => {
      const text = binary ? '' : bytes.toString();
      if (text.startsWith('close ')) return peer.close(Number(text.slice(6)), 'as asked');
      send(peer, binary ? bytes : text, number % 7 === 3);
      if (number++ % 400 === 200) peer.ping(String(number));
    });
  });
}

function fail(why) {
  console.error(why);
  process.exit(1);
}

function connect(url, ca) {
  // Whatever the name in the URL, it is here.
  const here = { address: '127.0.0.1', family: 4 };
  const lookup = (_, options, then) =>
    options.all ? then(null, [here]) : then(null, here.address, here.family);
  const options = { perMessageDeflate: false, lookup };
  if (ca) options.ca = fs.readFileSync(ca);
  const peer = new WebSocket(url, options);
  peer.on('error', (error) => fail(`${url}: ${error}`));
  return peer;
}

function converse(url, count, ca) {
  const peer = connect(url, ca);
  const draw = draws(count);
  const waiting = [];
  let sent = 0, got = 0, units = 0, pings = 0, pongs = 0;
  const fill = () => {
    for (; sent < count && waiting.length < WINDOW; sent++) {
      const whole = message(sent, draw);
      waiting.push(whole);
      send(peer, whole, sent % 5 === 4);
      if (sent % 500 === 250) peer.ping(String(pings++));
    }
  };
  peer.on('open', fill);
  peer.on('pong', () => pongs++);
  peer.on('message', (bytes, binary) => {
    const expected = Buffer.from(waiting.shift());
    if (!bytes.equals(expected)) fail(`message ${got}: ${bytes.length}, not ${expected.length}`);
    if (binary === Boolean(got % 2)) fail(`message ${got}: text for binary or so`);
    units += bytes.length;
    if (++got === count) peer.close(4001, 'done');
    else fill();
  });
  peer.on('close', (code) => {
    if (code !== 4001 || got !== count) fail(`closed with ${code} after ${got}`);
    if (pongs !== pings) fail(`${pongs} pongs to ${pings} pings`);
    askForClose(url, ca, JSON.stringify({ messages: count, units, pings }));
  });
}

function askForClose(url, ca, said) {
  const peer = connect(url, ca);
  peer.on('open', () => peer.send('close 4002'));
  peer.on('close', (code, reason) => {
    if (code !== 4002 || reason.toString() !== 'as asked') fail(`closed with ${code} ${reason}`);
    console.log(said);
  });
}

const [role, where, count, ca] = process.argv.slice(2);
if (role === 'server') serve(Number(where));
else converse(where, Number(count), ca);
